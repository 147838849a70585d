// Preloaded (`--import`) in ranks: makes process_vm_readv and process_vm_writev fail, or stop short, now and then, as real
// calls do. It stands between koffi and the library, because `strace --inject` can make up a short count but not the bytes.
import { createRequire } from 'node:module'
import koffi from 'koffi'

export interface CallFaults {
  readonly calls: readonly ('process_vm_readv' | 'process_vm_writev')[]
  /**
   * `short`: a piece is cut in half, and moved; `page`: cut to a page's length, and moved. `stuck`: the same short count each time,
   * and nothing is moved; `zero`: 0. `unmapped`: the peer's memory is not there.
   */
  readonly fault: keyof typeof ERRNO | keyof typeof EMPTY_ANSWER | 'short' | 'page' | 'unmapped'
  /** Calls before the first fault. */
  readonly after: number
  /** Then every so-many-th call; 1 is every call. */
  readonly every: number
}

/** What a rank can change while it runs. */
export interface FaultSwitch {
  faults: CallFaults | null
  calls: number
  injected: number
}

export const FAULT_SWITCH = Symbol.for('onecopy.test.faults')

const NUMBERS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  x64: { process_vm_readv: 310, process_vm_writev: 311 },
  arm64: { process_vm_readv: 270, process_vm_writev: 271 },
}
const ERRNO = { EINTR: 4, ENOMEM: 12, EAGAIN: 11, EPERM: 1, EFAULT: 14, ENOSYS: 38 } as const
const EMPTY_ANSWER = { stuck: 4096, zero: 0 } as const
const PAGE_BYTES = 4096n
const IOVEC_BYTES = 16
const PROOF_BYTES_MAX = 64n
/** The first page is never mapped. */
const UNMAPPED = 64n

type Call = (number: number, ...values: number[]) => number

const state: FaultSwitch = {
  faults: JSON.parse(process.env.OC_TEST_CALL_FAULTS ?? 'null') as CallFaults | null,
  calls: 0,
  injected: 0,
}
Object.assign(globalThis, { [FAULT_SWITCH]: state })

// onecopy takes the compiled part by itself where it can, which koffi's own JavaScript has loaded by now
const compiled = Object.values(createRequire(import.meta.url).cache).find((module) =>
  module?.filename.endsWith('koffi.node'),
)
const load = koffi.load
for (const loaded of [koffi, compiled?.exports]) {
  Object.assign(loaded, {
    load: (path: string | null) => {
      const library = load(path)
      return {
        func: (name: string, ...rest: [string, string[]]) => {
          const func = library.func(name, ...rest) as Call
          return name === 'syscall' ? withFaults(func) : func
        },
      }
    },
  })
}

function withFaults(call: Call): Call {
  const numbers = NUMBERS[process.arch]
  return (number, ...values) => {
    const { faults } = state
    if (faults === null || !faults.calls.some((name) => numbers?.[name] === number)) return call(number, ...values)
    const index = state.calls++ - faults.after
    if (index < 0 || index % faults.every !== 0) return call(number, ...values)
    return inject(call, number, values, faults.fault)
  }
}

function inject(call: Call, number: number, values: number[], fault: CallFaults['fault']): number {
  if (fault in EMPTY_ANSWER) {
    state.injected++
    return EMPTY_ANSWER[fault as keyof typeof EMPTY_ANSWER]
  }
  if (fault in ERRNO) {
    state.injected++
    koffi.errno(ERRNO[fault as keyof typeof ERRNO])
    return -1
  }
  const [, local = 0, localCount = 0, remote = 0] = values
  // The last piece: the first is the proof of identity, if there are two.
  const at = (localCount - 1) * IOVEC_BYTES
  const isCut = fault !== 'unmapped'
  const cell = new BigUint64Array(koffi.view(BigInt((isCut ? local : remote) + at), IOVEC_BYTES))
  const index = isCut ? 1 : 0
  const before = cell[index] as bigint
  // A lone short piece proves who is there; the kernel never cuts what lies in one page.
  if (isCut && before <= (fault === 'page' ? PAGE_BYTES : PROOF_BYTES_MAX)) return call(number, ...values)
  state.injected++
  cell[index] = fault === 'unmapped' ? UNMAPPED : fault === 'page' ? PAGE_BYTES : before / 2n
  try {
    return call(number, ...values)
  } finally {
    cell[index] = before
  }
}
