import { fileURLToPath } from 'node:url'
import { OnecopyError } from '@onecopy/transport'
import { IN_PLACE } from '../constants.js'
import { bytesPerElement, elementTypeName } from '../element-type.js'
import { Operation } from '../operation.js'
import type { Exchange, Schedule } from '../schedule.js'
import { allgather } from './allgather.js'
import { isTypedArray, itemTypeOf } from './arrays.js'
import { scalarKind } from './built-in-operations.js'
import { type ElementKind, elementTypesOf } from './element-kinds.js'

/** Whether a job's settings ask for the check (`--check`, ONECOPY_CHECK). */
export function checks({ check }: Readonly<Record<string, string | undefined>>): boolean {
  return check !== undefined && check !== '' && check !== '0' && check !== 'off'
}

type Said = Readonly<Record<string, string | number>>

/** One rank's call of a collective, as the ranks tell each other. */
export interface Call {
  readonly verb: string
  /** file:line of the user's call. */
  readonly site: string
  /** What must be the same on all ranks, in words. */
  readonly same: Said
  /** What must be the same on all ranks of one side of an intercommunicator. */
  readonly ofSide: Said
  /** Whom the two sides of an intercommunicator must see alike; null where there is no root. */
  readonly root: number | null
  /** What this rank sends to each rank, and expects of each, in words; absent where nothing is said about it. */
  readonly sends: readonly (string | null)[] | null
  readonly receives: readonly (string | null)[] | null
}

type Described = Partial<Omit<Call, 'verb' | 'site'>>
/** Of a call's arguments: what is worth comparing. `size` is that of the group that is spoken to. */
// biome-ignore lint/suspicious/noExplicitAny: arguments as users give them, wrong ones included
export type Describe = (rank: number, size: number, ...args: any[]) => Described

/**
 * Watches the collective verbs of one communicator, on both faces: remembers, while a verb runs, what was called and from
 * where. Puts itself before the verbs of these two objects alone, so that a job without --check pays nothing.
 */
export class CallWatch {
  /** The call under way. */
  current: Call | null = null

  constructor(verbs: Readonly<Record<string, Describe>>, rank: number, size: number, faces: readonly object[]) {
    for (const face of faces) {
      for (const [verb, describe] of Object.entries(verbs)) this.#watch(face, verb, describe, rank, size)
    }
  }

  #watch(face: object, verb: string, describe: Describe, rank: number, size: number): void {
    const plain = (face as Record<string, unknown>)[verb]
    if (typeof plain !== 'function') return
    const watched = (...args: unknown[]): unknown => {
      // a verb that is made of another one: the user called this one
      if (this.current !== null) return plain.apply(face, args)
      this.current = callOf(verb, callSite(watched), () => describe(rank, size, ...args))
      try {
        return plain.apply(face, args)
      } finally {
        this.current = null
      }
    }
    Object.defineProperty(face, verb, { value: watched, configurable: true, writable: true })
  }
}

/**
 * The schedule of a collective with the check before it: all ranks tell each other what they are about to do, and fail alike
 * where it does not go together, before anything else has been sent.
 * @throws OnecopyError ERR_MISMATCH naming two ranks and their calls.
 */
export function* checkedFirst<T>(exchange: Exchange, call: Call, schedule: Schedule<T>): Schedule<T> {
  try {
    yield* check(exchange, call)
  } catch (error) {
    // it may have others to tell
    schedule.throw(error)
    throw error
  }
  return yield* schedule
}

function* check(exchange: Exchange, call: Call): Schedule<void> {
  const calls = yield* allgather(exchange, call)
  const found = firstMismatch(calls.length, exchange.rank, (a, b) => difference(calls, a, b))
  if (found === null) return
  const [a, b, why] = found
  throw mismatchError(`rank ${a}`, calls[a]!, `rank ${b}`, calls[b]!, why, a === exchange.rank ? b : a)
}

/** Says which two do not go together, and where they are called. */
export function mismatchError(a: string, mine: Call, b: string, theirs: Call, why: string, rank: number): OnecopyError {
  return new OnecopyError(
    'ERR_MISMATCH',
    `${a} calls ${mine.verb} at ${mine.site}, and ${b} calls ${theirs.verb} at ${theirs.site}: ${why}`,
    { rank },
  )
}

/** Two of `count` calls that do not go together, `own` among them if it is concerned, and why; or null. */
export function firstMismatch(
  count: number,
  own: number,
  differenceOf: (a: number, b: number) => string | null,
): readonly [number, number, string] | null {
  const others = Array.from({ length: count }, (_, other) => other).filter((other) => other !== own)
  for (const [i, first] of [own, ...others].entries()) {
    for (const second of i === 0 ? others : others.slice(i)) {
      const [a, b] = first < second ? [first, second] : [second, first]
      const why = differenceOf(a, b)
      if (why !== null) return [a, b, why]
    }
  }
  return null
}

function difference(calls: readonly Call[], a: number, b: number): string | null {
  const [mine, theirs] = [calls[a]!, calls[b]!]
  if (mine.verb !== theirs.verb) return ANOTHER_VERB
  for (const name of new Set([...Object.keys(mine.same), ...Object.keys(theirs.same)])) {
    if (mine.same[name] !== theirs.same[name]) return unequal(name, mine.same[name], theirs.same[name])
  }
  return unlike(mine.sends?.[b], theirs.receives?.[a], a, b) ?? unlike(theirs.sends?.[a], mine.receives?.[b], b, a)
}

export const ANOTHER_VERB = 'all ranks must call the same collective'

export function unequal(name: string, mine: string | number = 'none', theirs: string | number = 'none'): string {
  return `${name} ${mine} here, ${theirs} there`
}

/** What `from` sends and `to` expects, where both say it and it is not the same. */
export function unlike(
  sent: string | null | undefined,
  received: string | null | undefined,
  from: number,
  to: number,
): string | null {
  if (sent === received || sent === null || sent === undefined || received === null || received === undefined)
    return null
  return `rank ${from} sends ${sent} to rank ${to}, which expects ${received}`
}

/** A wrong argument is the verb's own to refuse: nothing is said about it here. */
function callOf(verb: string, site: string, describe: () => Described): Call {
  let described: Described = {}
  try {
    described = describe()
  } catch (error) {
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error
  }
  return {
    verb,
    site,
    same: described.same ?? {},
    ofSide: described.ofSide ?? {},
    root: described.root ?? null,
    sends: described.sends ?? null,
    receives: described.receives ?? null,
  }
}

/** file:line of whoever called `callee`. */
function callSite(callee: (...args: unknown[]) => unknown): string {
  const holder: { stack?: string } = {}
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 1
  Error.captureStackTrace(holder, callee)
  const stack = holder.stack ?? ''
  Error.stackTraceLimit = limit
  const [, file, line] = /(?:\(|at (?:async )?)([^()]+?):(\d+):\d+\)?$/m.exec(stack) ?? []
  if (file === undefined) return 'an unknown place'
  return `${file.startsWith('file:') ? fileURLToPath(file) : file}:${line}`
}

// --- what each verb says about its arguments

export interface AnyLayout {
  readonly root?: number
  readonly counts?: ArrayLike<number>
  readonly sendCounts?: ArrayLike<number>
  readonly recvCounts?: ArrayLike<number>
  readonly types?: readonly ElementKind[]
  readonly sendTypes?: readonly ElementKind[]
  readonly recvTypes?: readonly ElementKind[]
}

export const nothing: Describe = () => ({})
const rootOnly: Describe = (_rank, _size, _data, root = 0) => ({ same: { root } })
const rootInOptions: Describe = (_rank, _size, ...args) => ({ same: { root: args.at(-1)?.root ?? 0 } })
const bcastMemory: Describe = (_rank, _size, view, root = 0) => ({ same: { root, length: `${view.byteLength} bytes` } })
const reduction: Describe = (_rank, _size, data, op) => ({ same: { ...operationOf(op), ...dataOf(data, op) } })
const rootedReduction: Describe = (_rank, _size, data, op, root = 0) => ({
  same: { root, ...operationOf(op), ...dataOf(data, op) },
})
const memoryReduction: Describe = (_rank, _size, send, recv, op) => ({
  same: { ...operationOf(op), ...dataOf(send === IN_PLACE ? recv : send, op) },
})
const rootedMemoryReduction: Describe = (_rank, _size, send, recv, op, root = 0) => ({
  same: { root, ...operationOf(op), ...dataOf(send === IN_PLACE ? recv : send, op) },
})
const scatteredReduction: Describe = (_rank, size, send, recv, op, layout: AnyLayout = {}) => {
  const own = send === IN_PLACE ? recv : send
  const counts = layout.counts === undefined ? new Array(size).fill(own.length / size) : Array.from(layout.counts)
  return { same: { ...operationOf(op), ...dataOf(own, op), counts: counts.join() } }
}
const gathered: Describe = (rank, size, send, recv, layout: AnyLayout = {}) => {
  const { root = 0 } = layout
  return {
    same: { root },
    sends: send === IN_PLACE ? null : only(root, size, bytesText(send.byteLength)),
    receives: rank === root ? blocksText(recv, size, layout.counts) : null,
  }
}
const scattered: Describe = (rank, size, send, recv, layout: AnyLayout = {}) => {
  const { root = 0 } = layout
  return {
    same: { root },
    sends: rank === root ? blocksText(send, size, layout.counts) : null,
    receives: recv === IN_PLACE ? null : only(root, size, bytesText(recv.byteLength)),
  }
}
const allgathered: Describe = (_rank, size, _send, recv, layout: AnyLayout = {}) => ({
  same: { blocks: blocksText(recv, size, layout.counts).join(', ') },
})
export const exchanged: Describe = (_rank, size, send, recv, layout: AnyLayout = {}) => {
  const { counts, types } = layout
  const receives = blocksText(recv, size, layout.recvCounts ?? counts, layout.recvTypes ?? types)
  if (send === IN_PLACE) return { sends: receives, receives }
  return { sends: blocksText(send, size, layout.sendCounts ?? counts, layout.sendTypes ?? types), receives }
}

/** Every collective verb of a communicator. Some are there only once a communicator has them. */
export const VERBS: Readonly<Record<string, Describe>> = {
  barrier: nothing,
  bcast: rootOnly,
  bcastInto: bcastMemory,
  gather: rootOnly,
  gatherInto: gathered,
  scatter: rootOnly,
  scatterInto: scattered,
  allgather: nothing,
  allgatherInto: allgathered,
  alltoall: nothing,
  alltoallInto: exchanged,
  reduce: rootedReduction,
  reduceInto: rootedMemoryReduction,
  allreduce: reduction,
  allreduceInto: memoryReduction,
  reduceScatter: (_rank, _size, _values, op) => ({ same: operationOf(op) }),
  reduceScatterBlock: (_rank, _size, _values, op) => ({ same: operationOf(op) }),
  reduceScatterInto: scatteredReduction,
  reduceScatterBlockInto: scatteredReduction,
  scan: reduction,
  scanInto: memoryReduction,
  exscan: reduction,
  exscanInto: memoryReduction,
  barrierInit: nothing,
  bcastInit: bcastMemory,
  gatherInit: gathered,
  scatterInit: scattered,
  allgatherInit: allgathered,
  alltoallInit: exchanged,
  reduceInit: rootedMemoryReduction,
  allreduceInit: memoryReduction,
  reduceScatterInit: scatteredReduction,
  reduceScatterBlockInit: scatteredReduction,
  scanInit: memoryReduction,
  exscanInit: memoryReduction,
  dup: nothing,
  split: nothing,
  splitType: nothing,
  create: nothing,
  createIntercomm: (_rank, _size, localLeader) => ({ same: { 'local leader': localLeader } }),
  spawn: rootInOptions,
  listen: rootInOptions,
  connect: rootInOptions,
}

export function operationOf(op: Operation): Record<string, string> {
  return op instanceof Operation ? { operation: op.label } : {}
}

/** The kind and length of what is combined, where the operation minds them. */
export function dataOf(data: unknown, op: Operation): Record<string, string> {
  if (isTypedArray(data)) {
    return op.elementwise ? { data: `${data.length} elements of a ${elementTypeName(itemTypeOf(data))}` } : {}
  }
  // an operation of the user's takes any values
  return op.mismatch(0, 0n) === null ? {} : { data: scalarKind(data) }
}

export function bytesText(byteLength: number, type = 0): string {
  return type === 0 ? `${byteLength} bytes` : `${byteLength} bytes of a ${elementTypeName(type)}`
}

export function only(rank: number, size: number, text: string): (string | null)[] {
  return Array.from({ length: size }, (_, other) => (other === rank ? text : null))
}

export function blocksText(
  view: ArrayBufferView & { readonly BYTES_PER_ELEMENT?: number },
  size: number,
  counts?: ArrayLike<number>,
  kinds?: readonly ElementKind[],
): string[] {
  const types = kinds === undefined ? null : elementTypesOf('', kinds, size)
  return Array.from({ length: size }, (_, rank) => {
    if (counts === undefined) return bytesText(view.byteLength / size)
    const type = types?.[rank] ?? 0
    const elementBytes = type === 0 ? (view.BYTES_PER_ELEMENT ?? 1) : bytesPerElement(type)
    return bytesText(counts[rank]! * elementBytes, type)
  })
}
