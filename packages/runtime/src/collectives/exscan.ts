import type { IN_PLACE } from '../constants.js'
import { bytesOf } from '../element-type.js'
import type { Operation } from '../operation.js'
import type { Awaited, Exchange, Schedule } from '../schedule.js'
import { checkContribution, contributionOf } from './arguments.js'
import { copyInto, itemTypeOf, newLike, type TypedArray } from './arrays.js'
import { checkGoTogether, isArrayFor } from './combining.js'
import { expectExactly } from './messages.js'
import { scanBytes, scanValues } from './scan.js'

/**
 * Combines the values of the ranks before this one, in rank order; undefined on rank 0. Typed arrays are combined element
 * by element and give a new one; they must be of one kind and length.
 * @throws TypeError when `op` is no Operation or does not work on `data`.
 * @throws OnecopyError ERR_TYPE or ERR_TRUNCATE when the ranks' values do not go together.
 * @see MPI 4.1, 6.11.2
 */
export function exscan<T>(exchange: Exchange, data: T, op: Operation): Schedule<T | undefined> {
  checkContribution('exscan', data, op)
  const schedule = isArrayFor(op, data) ? arraysShifted(exchange, op, data) : valuesShifted(exchange, op, data)
  return schedule as Schedule<T | undefined>
}

/**
 * Combines the `send` of the ranks before this one element by element, in rank order, into `recv`, which stays as it is on
 * rank 0. `send` may be IN_PLACE: the contribution lies in `recv`.
 * Ownership: the memory is the collective's until it has completed.
 * @throws TypeError or RangeError when the arrays are not of one kind and length, overlap, or `op` does not work on them.
 * @throws OnecopyError ERR_TRUNCATE or ERR_TYPE when the ranks' lengths or kinds differ.
 * @see MPI 4.1, 6.11.2
 */
export function exscanInto(
  exchange: Exchange,
  send: ArrayBufferView | typeof IN_PLACE,
  recv: ArrayBufferView,
  op: Operation,
): Schedule<void> {
  const own = contributionOf('exscanInto', send, recv, op)
  return bytesShifted(exchange, 'exscanInto', op, own, recv as TypedArray)
}

/*
 * Every rank hands its contribution to its right neighbour; ranks 1 and up then scan what they were handed. That is a
 * step more than carrying two parts along in one scan, and needs half the combinations and half the memory.
 */

function* valuesShifted(exchange: Exchange, op: Operation, data: unknown): Schedule<unknown> {
  const { rank, size } = exchange
  const waits: Awaited<unknown>[] = []
  if (rank + 1 < size) waits.push(exchange.sendValue(data, rank + 1))
  const receive = rank > 0 ? exchange.receiveValue(rank - 1) : null
  if (receive !== null) waits.push(receive)
  if (waits.length > 0) yield waits
  if (receive === null) return undefined
  checkGoTogether('exscan', op, data, receive.result(), rank - 1)
  return yield* scanValues(exchange, 'exscan', op, receive.result(), 1)
}

function* arraysShifted(exchange: Exchange, op: Operation, data: TypedArray): Schedule<TypedArray | undefined> {
  const result = exchange.rank > 0 ? newLike(data) : data
  yield* bytesShifted(exchange, 'exscan', op, data, result)
  return exchange.rank > 0 ? result : undefined
}

function* bytesShifted(
  exchange: Exchange,
  collective: string,
  op: Operation,
  own: TypedArray,
  recv: TypedArray,
): Schedule<void> {
  const { rank, size } = exchange
  const type = itemTypeOf(own)
  const waits: Awaited<unknown>[] = []
  if (rank + 1 < size) waits.push(exchange.sendBytes(bytesOf(own), rank + 1, type))
  if (rank === 0) {
    if (waits.length > 0) yield waits
    return
  }
  // IN_PLACE: what came must not overwrite what is being sent, so it waits aside
  const handed = own === recv ? newLike(recv) : recv
  const receive = exchange.receiveBytes(bytesOf(handed), rank - 1, type)
  waits.push(receive)
  yield waits
  expectExactly(collective, receive, recv.byteLength)
  if (handed !== recv) copyInto(recv, handed)
  yield* scanBytes(exchange, collective, op, recv, 1)
}
