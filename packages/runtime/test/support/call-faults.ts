// Preloaded (`--import`) in ranks: makes process_vm_readv and process_vm_writev fail, or stop short, now and then, as real
// calls do. It stands between koffi and the library, because `strace --inject` can make up a short count but not the bytes.
import koffi from 'koffi'

export interface CallFaults {
  readonly calls: readonly ('process_vm_readv' | 'process_vm_writev')[]
  /** `short`: a piece is cut in half, and moved. `unmapped`: the peer's memory is not there. */
  readonly fault: 'EINTR' | 'ENOMEM' | 'EAGAIN' | 'EPERM' | 'short' | 'unmapped'
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
const ERRNO = { EINTR: 4, ENOMEM: 12, EAGAIN: 11, EPERM: 1 } as const
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

const load = koffi.load
Object.assign(koffi, {
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
  if (fault !== 'short' && fault !== 'unmapped') {
    state.injected++
    koffi.errno(ERRNO[fault])
    return -1
  }
  const [, local = 0, localCount = 0, remote = 0] = values
  // The last piece: the first is the proof of identity, if there are two.
  const at = (localCount - 1) * IOVEC_BYTES
  const cell = new BigUint64Array(koffi.view(BigInt((fault === 'short' ? local : remote) + at), IOVEC_BYTES))
  const index = fault === 'short' ? 1 : 0
  const before = cell[index] as bigint
  // A lone short piece proves who is there; the kernel never cuts what lies in one page.
  if (fault === 'short' && before <= PROOF_BYTES_MAX) return call(number, ...values)
  state.injected++
  cell[index] = fault === 'short' ? before / 2n : UNMAPPED
  try {
    return call(number, ...values)
  } finally {
    cell[index] = before
  }
}
