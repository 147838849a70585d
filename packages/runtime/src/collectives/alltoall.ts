import { IN_PLACE } from '../constants.js'
import { allocate, UINT8 } from '../element-type.js'
import type { Awaited, Exchange, Schedule } from '../schedule.js'
import type { Status } from '../status.js'
import { checkApart, checkValues, checkView } from './arguments.js'
import { type Blocks, blocksOf } from './blocks.js'
import { ALLTOALL_PEERS_MAX } from './choose.js'
import { expectExactly } from './messages.js'

/** How `alltoallInto` divides the memory: one block per rank, in elements. Default: equal blocks in rank order. */
export interface ExchangeLayout {
  readonly sendCounts?: ArrayLike<number> | undefined
  readonly sendDispls?: ArrayLike<number> | undefined
  readonly recvCounts?: ArrayLike<number> | undefined
  readonly recvDispls?: ArrayLike<number> | undefined
  /** For both sides, where their own are not given. */
  readonly counts?: ArrayLike<number> | undefined
  readonly displs?: ArrayLike<number> | undefined
}

/**
 * Sends `values[i]` to rank i and gives what the others sent to this rank: an array by rank, this rank's own entry being
 * the value itself. The values may be of any kinds and lengths.
 * @throws TypeError or RangeError unless `values` is an array with one value per rank.
 * @see MPI 4.1, 6.8
 */
export function alltoall<T>(exchange: Exchange, values: readonly T[]): Schedule<T[]> {
  checkValues('alltoall', values, exchange.size)
  return valuesExchanged(exchange, values) as Schedule<T[]>
}

/**
 * Sends block i of `send` to rank i and puts what rank i sends into block i of `recv`. `send` may be IN_PLACE (on all
 * ranks): blocks are then exchanged within `recv`, through memory for one block.
 * Ownership: the memory is the collective's until it has completed.
 * @throws TypeError or RangeError for no memory, a layout that does not lie in its view, or overlapping memory.
 * @throws OnecopyError ERR_TRUNCATE when a rank sends more or less than the block that is there for it.
 * @see MPI 4.1, 6.8
 */
export function alltoallInto(
  exchange: Exchange,
  send: ArrayBufferView | typeof IN_PLACE,
  recv: ArrayBufferView,
  layout: ExchangeLayout = {},
): Schedule<void> {
  const { rank, size } = exchange
  const { counts, displs } = layout
  checkView('alltoallInto', 'recv', recv)
  const receiving = blocksOf(
    'alltoallInto',
    'recv',
    recv,
    size,
    layout.recvCounts ?? counts,
    layout.recvDispls ?? (layout.recvCounts === undefined ? displs : undefined),
  )
  if (send === IN_PLACE) return blocksSwapped(exchange, receiving)
  checkView('alltoallInto', 'send', send)
  checkApart('alltoallInto', send, recv)
  const sending = blocksOf(
    'alltoallInto',
    'send',
    send,
    size,
    layout.sendCounts ?? counts,
    layout.sendDispls ?? (layout.sendCounts === undefined ? displs : undefined),
  )
  if (sending.byteLength(rank) !== receiving.byteLength(rank)) {
    throw new RangeError(
      `alltoallInto: this rank's own block has ${sending.byteLength(rank)} bytes in send and ` +
        `${receiving.byteLength(rank)} in recv`,
    )
  }
  return blocksExchanged(exchange, sending, receiving)
}

function* valuesExchanged(exchange: Exchange, values: readonly unknown[]): Schedule<unknown[]> {
  const { rank, size } = exchange
  const result: unknown[] = new Array(size)
  result[rank] = values[rank]
  for (let first = 1; first < size; first += ALLTOALL_PEERS_MAX) {
    const end = Math.min(first + ALLTOALL_PEERS_MAX, size)
    const waits: Awaited<unknown>[] = []
    for (let step = first; step < end; step++) {
      const dest = (rank + step) % size
      waits.push(exchange.sendValue(values[dest], dest), exchange.receiveValue((rank - step + size) % size))
    }
    yield waits
    for (let step = first; step < end; step++) {
      result[(rank - step + size) % size] = waits[2 * (step - first) + 1]!.result()
    }
  }
  return result
}

function* blocksExchanged(exchange: Exchange, sending: Blocks, receiving: Blocks): Schedule<void> {
  const { rank, size } = exchange
  if (size === 1) receiving.of(rank).set(sending.of(rank))
  for (let first = 1; first < size; first += ALLTOALL_PEERS_MAX) {
    const end = Math.min(first + ALLTOALL_PEERS_MAX, size)
    const waits: Awaited<unknown>[] = []
    for (let step = first; step < end; step++) {
      const dest = (rank + step) % size
      const source = (rank - step + size) % size
      waits.push(
        exchange.receiveBytes(receiving.of(source), source),
        exchange.sendBytes(sending.of(dest), dest, UINT8, true),
      )
    }
    // while messages are under way
    if (first === 1) receiving.of(rank).set(sending.of(rank))
    yield waits
    for (let step = first; step < end; step++) {
      const receive = waits[2 * (step - first)] as Awaited<Status>
      expectExactly('alltoallInto', receive, receiving.byteLength((rank - step + size) % size))
    }
  }
}

/** In step s the ranks whose sum is s modulo size swap blocks: every rank has one partner, possibly itself. */
function* blocksSwapped(exchange: Exchange, blocks: Blocks): Schedule<void> {
  const { rank, size } = exchange
  let longest = 0
  for (let other = 0; other < size; other++) {
    if (other !== rank) longest = Math.max(longest, blocks.byteLength(other))
  }
  const aside = new Uint8Array(allocate(longest))
  for (let step = 0; step < size; step++) {
    const partner = (step - rank + size) % size
    if (partner === rank) continue
    const block = blocks.of(partner)
    const outgoing = aside.subarray(0, block.length)
    outgoing.set(block)
    const receive = exchange.receiveBytes(block, partner)
    yield [exchange.sendBytes(outgoing, partner, UINT8, true), receive]
    expectExactly('alltoallInto', receive, block.length)
  }
}
