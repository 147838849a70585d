import { OnecopyError } from '@onecopy/transport'
import { PROC_NULL, ROOT } from '../constants.js'
import { bytesOf } from '../element-type.js'
import type { Operation } from '../operation.js'
import type { Exchange, Schedule } from '../schedule.js'
import { type ExchangeLayout, sideOf } from './alltoall.js'
import {
  checkApart,
  checkArray,
  checkContribution,
  checkOperation,
  checkSameKind,
  checkValues,
  checkView,
  contributionOf,
} from './arguments.js'
import { copyInto, itemTypeOf, newLike, type TypedArray } from './arrays.js'
import { barrier } from './barrier.js'
import { bcast, bcastInto } from './bcast.js'
import { type Blocks, blocksOf } from './blocks.js'
import { combined } from './combining.js'
import { gather } from './gather.js'
import { expectExactly } from './messages.js'
import { reduce, reduceInto } from './reduce.js'
import { type ScatterLayout, type Shares, sharesOf } from './reduce-scatter.js'
import { scatter } from './scatter.js'

/*
 * Collectives between two groups: each side does its part by itself, and rank 0 of either speaks for it. Where a root is
 * named, it is ROOT in the root itself, PROC_NULL in the rest of its group, and the root's rank in the other group.
 * See MPI 4.1, 6.2.3.
 */

/** Both directions a rank can speak in. Ranks of `remote` are the other group's. */
export interface Across {
  readonly local: Exchange
  readonly remote: Exchange
}

const NOBODY = 0

/** Done when every rank of the other group has called it. @see MPI 4.1, 6.3 */
export function* barrierAcross({ local, remote }: Across): Schedule<void> {
  yield* barrier(local)
  if (local.rank === 0) yield [remote.sendValue(NOBODY, 0), remote.receiveValue(0)]
  yield* bcast(local, NOBODY, 0)
}

/** Gives the other group what the root has; the root's own group gets undefined. @see MPI 4.1, 6.4 */
export function bcastAcross<T>({ local, remote }: Across, data: T, root: number): Schedule<T | undefined> {
  checkRootAcross('bcast', root, remote.size)
  return (function* () {
    if (root === PROC_NULL) return undefined
    if (root === ROOT) {
      yield remote.sendValue(data, 0)
      return undefined
    }
    const received = local.rank === 0 ? yield* receivedValue(remote, root) : undefined
    return (yield* bcast(local, received, 0)) as T
  })()
}

/** The same into memory of one length on both sides. @see MPI 4.1, 6.4 */
export function bcastIntoAcross({ local, remote }: Across, view: ArrayBufferView | null, root: number): Schedule<void> {
  checkRootAcross('bcastInto', root, remote.size)
  if (root !== PROC_NULL) checkView('bcastInto', 'view', view)
  return (function* () {
    if (root === PROC_NULL) return
    const memory = view as ArrayBufferView
    if (root === ROOT) {
      yield remote.sendBytes(bytesOf(memory), 0)
      return
    }
    if (local.rank === 0) yield* receivedExactly('bcastInto', remote, bytesOf(memory), root)
    yield* bcastInto(local, memory, 0)
  })()
}

/** Gives ROOT an array of the other group's values, by rank. @see MPI 4.1, 6.5 */
export function gatherAcross<T>({ remote }: Across, data: T, root: number): Schedule<T[] | undefined> {
  checkRootAcross('gather', root, remote.size)
  return (function* () {
    if (root === PROC_NULL) return undefined
    if (root !== ROOT) {
      yield remote.sendValue(data, root)
      return undefined
    }
    const receives = Array.from({ length: remote.size }, (_, source) => remote.receiveValue(source))
    yield receives
    return receives.map((receive) => receive.result() as T)
  })()
}

/** Where the blocks of the other group's ranks lie. */
export interface LayoutAcross {
  /** Elements of each rank's block; default: equal blocks. */
  readonly counts?: ArrayLike<number> | undefined
  /** Where each block starts, in elements; default: one after the other. */
  readonly displs?: ArrayLike<number> | undefined
}

/** Collects the other group's memory in ROOT's `recv`. @see MPI 4.1, 6.5 */
export function gatherIntoAcross(
  { remote }: Across,
  send: ArrayBufferView | null,
  recv: ArrayBufferView | null,
  root: number,
  { counts, displs }: LayoutAcross = {},
): Schedule<void> {
  checkRootAcross('gatherInto', root, remote.size)
  if (root === ROOT) {
    checkView('gatherInto', 'recv', recv)
    return receivedBlocks('gatherInto', remote, blocksOf('gatherInto', 'recv', recv, remote.size, counts, displs))
  }
  if (root !== PROC_NULL) checkView('gatherInto', 'send', send)
  return (function* () {
    if (root !== PROC_NULL) yield remote.sendBytes(bytesOf(send), root)
  })()
}

/** Gives rank i of the other group `values[i]` of ROOT's array. @see MPI 4.1, 6.6 */
export function scatterAcross<T>(
  { remote }: Across,
  values: readonly T[] | undefined,
  root: number,
): Schedule<T | undefined> {
  checkRootAcross('scatter', root, remote.size)
  if (root === ROOT) checkValues('scatter', values, remote.size)
  return (function* () {
    if (root === PROC_NULL) return undefined
    if (root !== ROOT) return (yield* receivedValue(remote, root)) as T
    yield (values as readonly T[]).map((value, dest) => remote.sendValue(value, dest))
    return undefined
  })()
}

/** Gives rank i of the other group block i of ROOT's `send`. @see MPI 4.1, 6.6 */
export function scatterIntoAcross(
  { remote }: Across,
  send: ArrayBufferView | null,
  recv: ArrayBufferView | null,
  root: number,
  { counts, displs }: LayoutAcross = {},
): Schedule<void> {
  checkRootAcross('scatterInto', root, remote.size)
  if (root === ROOT) {
    checkView('scatterInto', 'send', send)
    return sentBlocks(remote, blocksOf('scatterInto', 'send', send, remote.size, counts, displs))
  }
  if (root !== PROC_NULL) checkView('scatterInto', 'recv', recv)
  return (function* () {
    if (root !== PROC_NULL) yield* receivedExactly('scatterInto', remote, bytesOf(recv), root)
  })()
}

/** An array of the other group's values, on every rank. @see MPI 4.1, 6.7 */
export function* allgatherAcross<T>({ local, remote }: Across, data: T): Schedule<T[]> {
  const ours = yield* gather(local, data, 0)
  const theirs = local.rank === 0 ? yield* swapped(remote, ours) : undefined
  return (yield* bcast(local, theirs, 0)) as T[]
}

/** Collects the other group's memory in every rank's `recv`. @see MPI 4.1, 6.7 */
export function allgatherIntoAcross(
  { remote }: Across,
  send: ArrayBufferView,
  recv: ArrayBufferView,
  { counts, displs }: LayoutAcross = {},
): Schedule<void> {
  checkView('allgatherInto', 'send', send)
  checkView('allgatherInto', 'recv', recv)
  const blocks = blocksOf('allgatherInto', 'recv', recv, remote.size, counts, displs)
  return (function* () {
    const bytes = bytesOf(send)
    const sends = Array.from({ length: remote.size }, (_, dest) => remote.sendBytes(bytes, dest))
    yield* receivedBlocks('allgatherInto', remote, blocks)
    yield sends
  })()
}

/** Sends `values[i]` to rank i of the other group; gives what each of them had for this one. @see MPI 4.1, 6.8 */
export function alltoallAcross<T>({ remote }: Across, values: readonly T[]): Schedule<T[]> {
  checkValues('alltoall', values, remote.size)
  return (function* () {
    const sends = values.map((value, dest) => remote.sendValue(value, dest))
    const receives = Array.from({ length: remote.size }, (_, source) => remote.receiveValue(source))
    yield [...receives, ...sends]
    return receives.map((receive) => receive.result() as T)
  })()
}

/** The same block by block, between memory on both sides. @see MPI 4.1, 6.8 */
export function alltoallIntoAcross(
  { remote }: Across,
  send: ArrayBufferView,
  recv: ArrayBufferView,
  layout: ExchangeLayout = {},
): Schedule<void> {
  checkView('alltoallInto', 'send', send)
  checkView('alltoallInto', 'recv', recv)
  checkApart('alltoallInto', send, recv)
  const out = sideOf('send', send, remote.size, layout)
  const into = sideOf('recv', recv, remote.size, layout)
  return (function* () {
    const sends = Array.from({ length: remote.size }, (_, dest) => {
      return remote.sendBytes(out.blocks.of(dest), dest, out.typeOf(dest))
    })
    yield* receivedBlocks('alltoallInto', remote, into.blocks, into.typeOf)
    yield sends
  })()
}

/** Gives ROOT the combination of the other group's values. @see MPI 4.1, 6.9 */
export function reduceAcross<T>(
  { local, remote }: Across,
  data: T,
  op: Operation,
  root: number,
): Schedule<T | undefined> {
  checkRootAcross('reduce', root, remote.size)
  if (root !== PROC_NULL && root !== ROOT) checkContribution('reduce', data, op)
  return (function* () {
    if (root === PROC_NULL) return undefined
    if (root === ROOT) return (yield* receivedValue(remote, 0)) as T
    const combined = yield* reduce(local, data, op, 0)
    if (local.rank === 0) yield remote.sendValue(combined, root)
    return undefined
  })()
}

/** The same, element by element, into ROOT's `recv`. @see MPI 4.1, 6.9 */
export function reduceIntoAcross(
  { local, remote }: Across,
  send: ArrayBufferView | null,
  recv: ArrayBufferView | null,
  op: Operation,
  root: number,
): Schedule<void> {
  checkRootAcross('reduceInto', root, remote.size)
  if (root === ROOT) {
    checkArray('reduceInto', 'recv', recv)
    return receivedExactly('reduceInto', remote, bytesOf(recv), 0, itemTypeOf(recv))
  }
  if (root !== PROC_NULL) {
    checkArray('reduceInto', 'send', send)
    checkOperation('reduceInto', op)
    op.checkArray(send)
  }
  return (function* () {
    if (root === PROC_NULL) return
    const own = send as TypedArray
    const ours = local.rank === 0 ? newLike(own) : null
    yield* reduceInto(local, own, ours, op, 0)
    if (ours !== null) yield remote.sendBytes(bytesOf(ours), root, itemTypeOf(own))
  })()
}

/** The combination of the other group's values, on every rank. @see MPI 4.1, 6.9.6 */
export function allreduceAcross<T>({ local, remote }: Across, data: T, op: Operation): Schedule<T> {
  checkContribution('allreduce', data, op)
  return (function* () {
    const ours = yield* reduce(local, data, op, 0)
    const theirs = local.rank === 0 ? yield* swapped(remote, ours) : undefined
    return (yield* bcast(local, theirs, 0)) as T
  })()
}

/** The same, element by element, into every rank's `recv`; all lengths are equal. @see MPI 4.1, 6.9.6 */
export function allreduceIntoAcross(
  { local, remote }: Across,
  send: ArrayBufferView,
  recv: ArrayBufferView,
  op: Operation,
): Schedule<void> {
  checkArray('allreduceInto', 'send', send)
  const own = contributionOf('allreduceInto', send, recv, op)
  return (function* () {
    const ours = local.rank === 0 ? newLike(own) : null
    yield* reduceInto(local, own, ours, op, 0)
    if (ours !== null) {
      const sending = remote.sendBytes(bytesOf(ours), 0, itemTypeOf(own))
      yield* receivedExactly('allreduceInto', remote, bytesOf(recv), 0, itemTypeOf(own))
      yield sending
    }
    yield* bcastInto(local, recv, 0)
  })()
}

/** Rank i gets the combination of everybody's `values[i]` of the other group. @see MPI 4.1, 6.10.2 */
export function reduceScatterAcross<T>(both: Across, values: readonly T[], op: Operation): Schedule<T> {
  return scatteredValues('reduceScatter', both, values, op)
}

/** The same. @see MPI 4.1, 6.10.1 */
export function reduceScatterBlockAcross<T>(both: Across, values: readonly T[], op: Operation): Schedule<T> {
  return scatteredValues('reduceScatterBlock', both, values, op)
}

/**
 * Combines the other group's `send` element by element and divides it among this one's ranks: `counts` are the elements of each
 * rank here. Both groups give equally many elements, whatever their sizes. An operation that is not elementwise gets whole
 * blocks, as those cut it who receive it.
 * @see MPI 4.1, 6.10.2
 */
export function reduceScatterIntoAcross(
  both: Across,
  send: ArrayBufferView,
  recv: ArrayBufferView,
  op: Operation,
  { counts }: ScatterLayout = {},
): Schedule<void> {
  return scatteredArrays('reduceScatterInto', both, send, recv, op, counts)
}

/** The same with blocks of `recv`'s length. @see MPI 4.1, 6.10.1 */
export function reduceScatterBlockIntoAcross(
  both: Across,
  send: ArrayBufferView,
  recv: ArrayBufferView,
  op: Operation,
): Schedule<void> {
  return scatteredArrays('reduceScatterBlockInto', both, send, recv, op, undefined)
}

function scatteredValues<T>(
  collective: string,
  { local, remote }: Across,
  values: readonly T[],
  op: Operation,
): Schedule<T> {
  checkValues(collective, values, remote.size)
  for (const value of values) checkContribution(collective, value, op)
  return (function* () {
    const all = (yield* gather(local, values, 0)) as readonly (readonly T[])[] | undefined
    if (all === undefined) return yield* scatter<T>(local, undefined, 0)
    const [own, ...others] = all as readonly [readonly T[], ...(readonly T[])[]]
    let parts = own
    for (const [index, theirs] of others.entries()) {
      parts = parts.map((part, dest) => combined(collective, op, part, theirs[dest], true, index + 1) as T)
    }
    return yield* scatter(local, (yield* swapped(remote, parts)) as T[], 0)
  })()
}

function scatteredArrays(
  collective: string,
  both: Across,
  send: ArrayBufferView,
  recv: ArrayBufferView,
  op: Operation,
  counts: ArrayLike<number> | undefined,
): Schedule<void> {
  const { local, remote } = both
  checkOperation(collective, op)
  checkArray(collective, 'send', send)
  checkArray(collective, 'recv', recv)
  op.checkArray(send)
  checkSameKind(collective, send, recv)
  checkApart(collective, send, recv)
  const shares = sharesOf(collective, send, local.size, op, counts)
  if (recv.length !== shares.length(local.rank)) {
    throw new RangeError(
      `${collective}: recv has ${recv.length} elements, this rank's block ${shares.length(local.rank)}`,
    )
  }
  return (function* () {
    const ours = local.rank === 0 ? newLike(send) : null
    const cuts = op.elementwise ? [send.length] : yield* cutsOfTheirs(collective, both, shares)
    let start = 0
    for (const length of cuts) {
      const end = start + length
      yield* reduceInto(local, send.subarray(start, end), ours === null ? null : ours.subarray(start, end), op, 0)
      start = end
    }
    const type = itemTypeOf(send)
    if (ours === null) {
      yield* receivedExactly(collective, local, bytesOf(recv), 0, type)
      return
    }
    const theirs = newLike(ours)
    const sending = remote.sendBytes(bytesOf(ours), 0, type)
    yield* receivedExactly(collective, remote, bytesOf(theirs), 0, type)
    copyInto(recv, shares.of(theirs, 0))
    const parts = Array.from({ length: local.size - 1 }, (_, index) => {
      return local.sendBytes(bytesOf(shares.of(theirs, index + 1)), index + 1, type)
    })
    yield [sending, ...parts]
  })()
}

/** How the other side divides what this side sends. */
function* cutsOfTheirs(collective: string, both: Across, shares: Shares): Schedule<readonly number[]> {
  const mine = Array.from({ length: shares.size }, (_, rank) => shares.length(rank))
  const { theirs } = yield* heardOnBothSides(both, mine)
  const cuts = theirs[0] as readonly number[]
  const total = cuts.reduce((sum, count) => sum + count, 0)
  if (total === shares.total) return cuts
  throw new OnecopyError(
    'ERR_TRUNCATE',
    `${collective}: the other side's blocks have ${total} elements together, this side's ${shares.total}`,
  )
}

/** What every rank of either side says, by rank, on every rank. */
export function* heardOnBothSides<T>(
  { local, remote }: Across,
  word: T,
): Schedule<{ readonly ours: readonly T[]; readonly theirs: readonly T[] }> {
  const ours = yield* gather(local, word, 0)
  const both = local.rank === 0 ? [ours, yield* swapped(remote, ours)] : null
  const [mine, theirs] = (yield* bcast(local, both, 0)) as [T[], T[]]
  return { ours: mine, theirs }
}

function* receivedValue(remote: Exchange, source: number): Schedule<unknown> {
  const receive = remote.receiveValue(source)
  yield receive
  return receive.result()
}

/** Both leaders give what they have and get the other's. */
function* swapped(remote: Exchange, value: unknown): Schedule<unknown> {
  const receive = remote.receiveValue(0)
  yield [remote.sendValue(value, 0), receive]
  return receive.result()
}

function* receivedExactly(
  collective: string,
  exchange: Exchange,
  into: Uint8Array,
  source: number,
  elementType?: number,
): Schedule<void> {
  const receive = exchange.receiveBytes(into, source, elementType)
  yield receive
  expectExactly(collective, receive, into.length)
}

function* receivedBlocks(
  collective: string,
  remote: Exchange,
  blocks: Blocks,
  typeOf?: (source: number) => number,
): Schedule<void> {
  const receives = Array.from({ length: remote.size }, (_, source) => {
    return remote.receiveBytes(blocks.of(source), source, typeOf?.(source))
  })
  yield receives
  for (const [source, receive] of receives.entries()) expectExactly(collective, receive, blocks.byteLength(source))
}

function* sentBlocks(remote: Exchange, blocks: Blocks): Schedule<void> {
  yield Array.from({ length: remote.size }, (_, dest) => remote.sendBytes(blocks.of(dest), dest))
}

/** @throws TypeError or RangeError unless `root` is ROOT, PROC_NULL, or a rank of the other group. */
function checkRootAcross(collective: string, root: unknown, remoteSize: number): void {
  if (root === ROOT || root === PROC_NULL) return
  if (typeof root !== 'number')
    throw new TypeError(`${collective}: root must be ROOT, PROC_NULL or a rank, got ${String(root)}`)
  if (Number.isInteger(root) && root >= 0 && root < remoteSize) return
  throw new RangeError(
    `${collective}: root must be ROOT, PROC_NULL or a rank of the other group, 0 to ${remoteSize - 1}, got ${root}`,
  )
}
