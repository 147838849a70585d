import { PROC_NULL, ROOT } from '../constants.js'
import { Operation } from '../operation.js'
import type { Schedule } from '../schedule.js'
import { type Across, heardOnBothSides } from './across.js'
import {
  ANOTHER_VERB,
  type AnyLayout,
  blocksText,
  bytesText,
  type Call,
  type Describe,
  dataOf,
  exchanged,
  firstMismatch,
  mismatchError,
  nothing,
  only,
  operationOf,
  unequal,
  unlike,
} from './check.js'

/**
 * The schedule of a collective on an intercommunicator with the check before it: see `checkedFirst`.
 * @throws OnecopyError ERR_MISMATCH naming two ranks, of one side or both, and their calls.
 */
export function* checkedAcrossFirst<T>(both: Across, call: Call, schedule: Schedule<T>): Schedule<T> {
  const { ours, theirs } = yield* heardOnBothSides(both, call)
  const speakers = [
    ...ours.map((said, rank): Speaker => ({ call: said, rank, side: 'this' })),
    ...theirs.map((said, rank): Speaker => ({ call: said, rank, side: 'the other' })),
  ]
  const own = both.local.rank
  const found = firstMismatch(speakers.length, own, (a, b) => difference(speakers[a]!, speakers[b]!))
  if (found !== null) {
    const [a, b, why] = found
    const [one, two] = [speakers[a]!, speakers[b]!]
    throw mismatchError(named(one), one.call, named(two), two.call, why, a === own ? two.rank : one.rank)
  }
  return yield* schedule
}

interface Speaker {
  readonly call: Call
  readonly rank: number
  readonly side: 'this' | 'the other'
}

function named({ rank, side }: Speaker): string {
  return `rank ${rank} of ${side} side`
}

/** Sides need not say the same of everything, so only what both say is compared. */
function difference(one: Speaker, two: Speaker): string | null {
  const [mine, theirs] = [one.call, two.call]
  if (mine.verb !== theirs.verb) return ANOTHER_VERB
  const isOneSide = one.side === two.side
  for (const [said, heard] of [[mine.same, theirs.same], ...(isOneSide ? [[mine.ofSide, theirs.ofSide]] : [])]) {
    for (const [name, value] of Object.entries(said!)) {
      if (heard![name] !== undefined && heard![name] !== value) return unequal(name, value, heard![name])
    }
  }
  const agree = isOneSide ? rootsOfSide(mine.root, theirs.root) : rootsAcross(one, two)
  if (!agree) return unequal('root', rootText(mine.root), rootText(theirs.root))
  if (isOneSide) return null
  return (
    unlike(mine.sends?.[two.rank], theirs.receives?.[one.rank], one.rank, two.rank) ??
    unlike(theirs.sends?.[one.rank], mine.receives?.[two.rank], two.rank, one.rank)
  )
}

/** Two of the root's group, or two of the other one. That only one of a group is ROOT, the other side sees. */
function rootsOfSide(mine: number | null, theirs: number | null): boolean {
  return mine === theirs || (isInRootGroup(mine) && isInRootGroup(theirs))
}

/** One of the root's group, and one that names it. */
function rootsAcross(one: Speaker, two: Speaker): boolean {
  const [mine, theirs] = [one.call.root, two.call.root]
  if (mine === null || theirs === null) return mine === theirs
  if (isInRootGroup(mine) === isInRootGroup(theirs)) return false
  const [root, role, rank] = isInRootGroup(mine) ? [theirs, mine, one.rank] : [mine, theirs, two.rank]
  return role === (root === rank ? ROOT : PROC_NULL)
}

function isInRootGroup(root: number | null): boolean {
  return root === ROOT || root === PROC_NULL
}

function rootText(root: number | null): string | number {
  if (root === ROOT) return 'ROOT'
  return root === PROC_NULL ? 'PROC_NULL' : (root ?? 'none')
}

// --- what each verb says about its arguments; `size` is the other side's

const rooted: Describe = (_rank, _size, _data, root) => ({ root })
const bcastMemory: Describe = (_rank, _size, view, root) =>
  root === PROC_NULL ? { root } : { root, same: { length: bytesText(view.byteLength) } }
const gathered: Describe = (_rank, size, send, recv, { root, counts }: AnyLayout & { readonly root: number }) => ({
  root,
  sends: root >= 0 ? only(root, size, bytesText(send.byteLength)) : null,
  receives: root === ROOT ? blocksText(recv, size, counts) : null,
})
const scattered: Describe = (_rank, size, send, recv, { root, counts }: AnyLayout & { readonly root: number }) => ({
  root,
  sends: root === ROOT ? blocksText(send, size, counts) : null,
  receives: root >= 0 ? only(root, size, bytesText(recv.byteLength)) : null,
})
const allgathered: Describe = (_rank, size, send, recv, { counts }: AnyLayout = {}) => ({
  sends: new Array(size).fill(bytesText(send.byteLength)),
  receives: blocksText(recv, size, counts),
})
const rootedReduction: Describe = (_rank, _size, data, op, root) =>
  root >= 0 ? { root, same: operationOf(op), ofSide: dataOf(data, op) } : { root }
const rootedMemoryReduction: Describe = (_rank, _size, send, recv, op, root) => {
  if (root >= 0) return { root, same: { ...operationOf(op), ...dataOf(send, op) } }
  // who only receives, or nothing, need not give an operation
  return root === ROOT && op instanceof Operation ? { root, same: dataOf(recv, op) } : { root }
}
const reduction: Describe = (_rank, _size, data, op) => ({ same: operationOf(op), ofSide: dataOf(data, op) })
const memoryReduction: Describe = (_rank, _size, send, _recv, op) => ({
  same: { ...operationOf(op), ...dataOf(send, op) },
})
const scatteredReduction: Describe = (rank, size, send, recv, op, { counts }: AnyLayout = {}) => {
  const described = memoryReduction(rank, size, send, recv, op)
  return counts === undefined ? described : { ...described, ofSide: { counts: Array.from(counts).join() } }
}
const scatteredValues: Describe = (_rank, _size, _values, op) => ({ same: operationOf(op) })

/** Every collective verb of an intercommunicator. */
export const VERBS_ACROSS: Readonly<Record<string, Describe>> = {
  barrier: nothing,
  bcast: rooted,
  bcastInto: bcastMemory,
  gather: rooted,
  gatherInto: gathered,
  scatter: rooted,
  scatterInto: scattered,
  allgather: nothing,
  allgatherInto: allgathered,
  alltoall: nothing,
  alltoallInto: exchanged,
  reduce: rootedReduction,
  reduceInto: rootedMemoryReduction,
  allreduce: reduction,
  allreduceInto: memoryReduction,
  reduceScatter: scatteredValues,
  reduceScatterBlock: scatteredValues,
  reduceScatterInto: scatteredReduction,
  reduceScatterBlockInto: scatteredReduction,
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
  dup: nothing,
  split: nothing,
  splitType: nothing,
  create: (_rank, _size, group) => ({ ofSide: { group: group.members.join() } }),
  merge: (_rank, _size, high = false) => ({ ofSide: { high: String(high) } }),
}
