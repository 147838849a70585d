import { IN_PLACE } from '../constants.js'
import { bytesOf } from '../element-type.js'
import type { Awaited, Exchange, Schedule } from '../schedule.js'
import { checkApart, checkRoot, checkValues, checkView } from './arguments.js'
import { type Blocks, blocksOf } from './blocks.js'
import type { RootedLayout } from './gather.js'
import { expectExactly } from './messages.js'

/**
 * Gives each rank its entry of the root's array. The root gets its own entry itself, the others copies; `values` is ignored
 * elsewhere than at the root.
 * @throws TypeError or RangeError when `root` is no rank, or the root's `values` not one value per rank.
 * @see MPI 4.1, 6.6
 */
export function scatter<T>(exchange: Exchange, values: readonly T[] | undefined, root: number): Schedule<T> {
  checkRoot('scatter', root, exchange.size)
  if (exchange.rank !== root) return valueFromRoot(exchange, root) as Schedule<T>
  checkValues('scatter', values, exchange.size)
  return valuesFromHere(exchange, values) as Schedule<T>
}

/**
 * Gives each rank its block of the root's `send`, in `recv`. `send` is ignored elsewhere (null is fine); `recv` may be
 * IN_PLACE at the root: its block stays in `send`.
 * Ownership: the memory is the collective's until it has completed.
 * @throws TypeError or RangeError for a bad root, no memory, a layout that does not lie in `send`, or overlapping memory.
 * @throws OnecopyError ERR_TRUNCATE where `recv` is longer or shorter than this rank's block.
 * @see MPI 4.1, 6.6
 */
export function scatterInto(
  exchange: Exchange,
  send: ArrayBufferView | null | undefined,
  recv: ArrayBufferView | typeof IN_PLACE,
  layout: RootedLayout,
): Schedule<void> {
  const { rank, size } = exchange
  const { root, counts, displs } = layout
  checkRoot('scatterInto', root, size)
  if (rank !== root) {
    checkView('scatterInto', 'recv', recv)
    return bytesFromRoot(exchange, bytesOf(recv), root)
  }
  checkView('scatterInto', 'send', send)
  const blocks = blocksOf('scatterInto', 'send', send, size, counts, displs)
  if (recv === IN_PLACE) return blocksFromHere(exchange, blocks, null)
  checkView('scatterInto', 'recv', recv)
  checkApart('scatterInto', send, recv)
  if (recv.byteLength !== blocks.byteLength(rank)) {
    throw new RangeError(
      `scatterInto: recv has ${recv.byteLength} bytes, this rank's block in send ${blocks.byteLength(rank)}`,
    )
  }
  return blocksFromHere(exchange, blocks, bytesOf(recv))
}

function* valueFromRoot(exchange: Exchange, root: number): Schedule<unknown> {
  const receive = exchange.receiveValue(root)
  yield receive
  return receive.result()
}

function* valuesFromHere(exchange: Exchange, values: readonly unknown[]): Schedule<unknown> {
  const { rank, size } = exchange
  const sends: Awaited<void>[] = []
  for (let dest = 0; dest < size; dest++) {
    if (dest !== rank) sends.push(exchange.sendValue(values[dest], dest))
  }
  if (sends.length > 0) yield sends
  return values[rank]
}

function* bytesFromRoot(exchange: Exchange, bytes: Uint8Array, root: number): Schedule<void> {
  const receive = exchange.receiveBytes(bytes, root)
  yield receive
  expectExactly('scatterInto', receive, bytes.length)
}

function* blocksFromHere(exchange: Exchange, blocks: Blocks, own: Uint8Array | null): Schedule<void> {
  const { rank, size } = exchange
  const sends: Awaited<void>[] = []
  for (let dest = 0; dest < size; dest++) {
    if (dest !== rank) sends.push(exchange.sendBytes(blocks.of(dest), dest))
  }
  if (own !== null) own.set(blocks.of(rank))
  if (sends.length > 0) yield sends
}
