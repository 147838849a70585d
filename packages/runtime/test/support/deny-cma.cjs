// Preloaded (`node -r`), this installs a seccomp filter that refuses process_vm_readv and process_vm_writev with EPERM, as
// containers do. Child processes inherit it. Linux only; x64 and arm64.
const koffi = require('koffi')

const PR_SET_NO_NEW_PRIVS = 38
const PR_SET_SECCOMP = 22
const SECCOMP_MODE_FILTER = 2
const EPERM = 1

const LOAD_WORD = 0x20
const JUMP_IF_EQUAL = 0x15
const RETURN = 0x06
const ALLOW = 0x7fff0000
const REFUSE = 0x00050000 | EPERM

const [readv, writev] = process.arch === 'arm64' ? [270, 271] : [310, 311]

// One instruction: code, jump if true, jump if false, operand.
const instructions = [
  [LOAD_WORD, 0, 0, 0],
  [JUMP_IF_EQUAL, 2, 0, readv],
  [JUMP_IF_EQUAL, 1, 0, writev],
  [RETURN, 0, 0, ALLOW],
  [RETURN, 0, 0, REFUSE],
]
const filter = Buffer.alloc(instructions.length * 8)
instructions.forEach(([code, jumpTrue, jumpFalse, operand], index) => {
  filter.writeUInt16LE(code, index * 8)
  filter.writeUInt8(jumpTrue, index * 8 + 2)
  filter.writeUInt8(jumpFalse, index * 8 + 3)
  filter.writeUInt32LE(operand, index * 8 + 4)
})

const libc = koffi.load(null)
const addressOf = libc.func('memmove', 'uint64_t', ['void *', 'uintptr_t', 'size_t'])
const prctl = libc.func('prctl', 'int', ['int', 'ulong', 'void *', 'ulong', 'ulong'])
const program = Buffer.alloc(16)
program.writeUInt16LE(instructions.length, 0)
program.writeBigUInt64LE(BigInt(addressOf(filter, 0, 0)), 8)
if (
  prctl(PR_SET_NO_NEW_PRIVS, 1, null, 0, 0) !== 0 ||
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) !== 0
) {
  throw new Error('seccomp refuses the filter')
}
