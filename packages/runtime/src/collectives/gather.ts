import { IN_PLACE } from '../constants.js'
import { bytesOf } from '../element-type.js'
import type { Arriving, Awaited, Exchange, Schedule } from '../schedule.js'
import { checkApart, checkRoot, checkView } from './arguments.js'
import { type Blocks, blocksOf } from './blocks.js'
import { expectExactly } from './messages.js'

/** How `gatherInto` and `scatterInto` divide the root's memory. Only the root's counts and displs count. */
export interface RootedLayout {
  /** The rank whose memory is divided. */
  readonly root: number
  /** Elements of each rank's block; default: equal blocks. */
  readonly counts?: ArrayLike<number>
  /** Where each rank's block starts, in elements; default: one after the other. */
  readonly displs?: ArrayLike<number>
}

/**
 * Collects one value of every rank at the root: an array by rank there (its own entry is `data` itself), undefined
 * elsewhere. The values may be of any kinds and lengths.
 * @throws TypeError or RangeError when `root` is no rank.
 * @see MPI 4.1, 6.5
 */
export function gather<T>(exchange: Exchange, data: T, root: number): Schedule<T[] | undefined> {
  checkRoot('gather', root, exchange.size)
  return valuesToRoot(exchange, data, root) as Schedule<T[] | undefined>
}

/**
 * Collects every rank's memory in `recv` at the root, in blocks by rank. `recv` is ignored elsewhere (null is fine);
 * `send` may be IN_PLACE at the root: its block lies in `recv` already.
 * Ownership: the memory is the collective's until it has completed.
 * @throws TypeError or RangeError for a bad root, no memory, a layout that does not lie in `recv`, or overlapping memory.
 * @throws OnecopyError ERR_TRUNCATE at the root when a rank sent more or less than its block.
 * @see MPI 4.1, 6.5
 */
export function gatherInto(
  exchange: Exchange,
  send: ArrayBufferView | typeof IN_PLACE,
  recv: ArrayBufferView | null | undefined,
  layout: RootedLayout,
): Schedule<void> {
  const { rank, size } = exchange
  const { root, counts, displs } = layout
  checkRoot('gatherInto', root, size)
  if (rank !== root) {
    checkView('gatherInto', 'send', send)
    return bytesToRoot(exchange, bytesOf(send), root)
  }
  checkView('gatherInto', 'recv', recv)
  const blocks = blocksOf('gatherInto', 'recv', recv, size, counts, displs)
  if (send === IN_PLACE) return blocksAtRoot(exchange, null, blocks)
  checkView('gatherInto', 'send', send)
  checkApart('gatherInto', send, recv)
  if (send.byteLength !== blocks.byteLength(rank)) {
    throw new RangeError(
      `gatherInto: send has ${send.byteLength} bytes, this rank's block in recv ${blocks.byteLength(rank)}`,
    )
  }
  return blocksAtRoot(exchange, bytesOf(send), blocks)
}

function* valuesToRoot(exchange: Exchange, data: unknown, root: number): Schedule<unknown[] | undefined> {
  const { rank, size } = exchange
  if (rank !== root) {
    yield exchange.sendValue(data, root)
    return undefined
  }
  const receives: Awaited<unknown>[] = []
  for (let source = 0; source < size; source++) {
    if (source !== root) receives.push(exchange.receiveValue(source))
  }
  if (receives.length > 0) yield receives
  const values = receives.map((receive) => receive.result())
  values.splice(root, 0, data)
  return values
}

function* bytesToRoot(exchange: Exchange, bytes: Uint8Array, root: number): Schedule<void> {
  yield exchange.sendBytes(bytes, root)
}

function* blocksAtRoot(exchange: Exchange, own: Uint8Array | null, blocks: Blocks): Schedule<void> {
  const { rank, size } = exchange
  const receives: Arriving[] = []
  for (let source = 0; source < size; source++) {
    if (source !== rank) receives.push(exchange.receiveBytes(blocks.of(source), source))
  }
  if (own !== null) blocks.of(rank).set(own)
  if (receives.length > 0) yield receives
  for (let i = 0; i < receives.length; i++) {
    expectExactly('gatherInto', receives[i]!, blocks.byteLength(i < rank ? i : i + 1))
  }
}
