// A seccomp filter from plain Node: what a container's profile does to a rank, with the answers chosen by a test.

/** What a filtered call answers: an errno by name, 0 as if it had succeeded, or SIGSYS. */
export type Answer = 'EPERM' | 'ENOSYS' | 'EACCES' | 'EFAULT' | 'ENOMEM' | 'ENOSPC' | 'zero' | 'kill'

export interface FilterRule {
  readonly call: CallName
  readonly answer: Answer
  /** Only calls with this value (its low half) as their argument of this number, counted from 0. */
  readonly where?: { readonly argument: number; readonly value: number }
}

type CallName = keyof (typeof NUMBERS)['x64']

const NUMBERS = {
  x64: {
    mmap: 9,
    socket: 41,
    bind: 49,
    prctl: 157,
    fallocate: 285,
    process_vm_readv: 310,
    process_vm_writev: 311,
    memfd_create: 319,
  },
  arm64: {
    mmap: 222,
    socket: 198,
    bind: 200,
    prctl: 167,
    fallocate: 47,
    process_vm_readv: 270,
    process_vm_writev: 271,
    memfd_create: 279,
  },
} as const

const SECCOMP_CALL = { x64: 317, arm64: 277 } as const
const AUDIT_ARCH = { x64: 0xc000003e, arm64: 0xc00000b7 } as const
const ERRNO = { EPERM: 1, ENOSYS: 38, EACCES: 13, EFAULT: 14, ENOMEM: 12, ENOSPC: 28 } as const

const PR_SET_NO_NEW_PRIVS = 38
const SECCOMP_SET_MODE_FILTER = 1
const SECCOMP_FILTER_FLAG_TSYNC = 1
const SECCOMP_RET_KILL_PROCESS = 0x80000000
const SECCOMP_RET_ERRNO = 0x00050000
const SECCOMP_RET_ALLOW = 0x7fff0000
// struct seccomp_data: the number, the architecture, the instruction pointer, six arguments of 8 bytes.
const NUMBER_AT = 0
const ARCHITECTURE_AT = 4
const FIRST_ARGUMENT_AT = 16
const LOAD_WORD = 0x20
const JUMP_IF_EQUAL = 0x15
const RETURN = 0x06

/** Whether {@link installFilter} can work on this machine. */
export const canFilter = process.platform === 'linux' && process.arch in NUMBERS

/** Installs `rules` in every thread of this process, for good, and for what it starts. */
export async function installFilter(rules: readonly FilterRule[]): Promise<void> {
  // Loaded when needed: there are tests of what happens where it cannot be.
  const { default: koffi } = await import('koffi')
  const arch = process.arch as 'x64' | 'arm64'
  const program: [number, number, number, number][] = [
    [LOAD_WORD, 0, 0, ARCHITECTURE_AT],
    [JUMP_IF_EQUAL, 1, 0, AUDIT_ARCH[arch]],
    [RETURN, 0, 0, SECCOMP_RET_ALLOW],
  ]
  for (const { call, answer, where } of rules) {
    program.push([LOAD_WORD, 0, 0, NUMBER_AT])
    program.push([JUMP_IF_EQUAL, 0, where === undefined ? 1 : 3, NUMBERS[arch][call]])
    if (where !== undefined) {
      program.push([LOAD_WORD, 0, 0, FIRST_ARGUMENT_AT + 8 * where.argument], [JUMP_IF_EQUAL, 0, 1, where.value])
    }
    program.push([RETURN, 0, 0, answerCode(answer)])
  }
  program.push([RETURN, 0, 0, SECCOMP_RET_ALLOW])

  const code = Buffer.alloc(8 * program.length)
  program.forEach(([operation, whenTrue, whenFalse, value], index) => {
    code.writeUInt16LE(operation, 8 * index)
    code.writeUInt8(whenTrue, 8 * index + 2)
    code.writeUInt8(whenFalse, 8 * index + 3)
    code.writeUInt32LE(value >>> 0, 8 * index + 4)
  })
  const libc = koffi.load(null)
  const address = libc.func('memmove', 'uintptr_t', ['void *', 'long', 'long'])(code, 0, 0) as number
  const header = Buffer.alloc(16)
  header.writeUInt16LE(program.length, 0)
  header.writeBigUInt64LE(BigInt(address), 8)
  const prctl = libc.func('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong'])
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0)
    throw new Error(`prctl(PR_SET_NO_NEW_PRIVS): errno ${koffi.errno()}`)
  const seccomp = libc.func('syscall', 'long', ['long', 'long', 'long', 'void *'])
  const result = seccomp(SECCOMP_CALL[arch], SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, header) as number
  if (result !== 0) throw new Error(`seccomp: ${result}, errno ${koffi.errno()}`)
}

function answerCode(answer: Answer): number {
  if (answer === 'kill') return SECCOMP_RET_KILL_PROCESS
  return SECCOMP_RET_ERRNO | (answer === 'zero' ? 0 : ERRNO[answer])
}
