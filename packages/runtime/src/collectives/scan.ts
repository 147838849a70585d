import type { IN_PLACE } from '../constants.js'
import { bytesOf } from '../element-type.js'
import type { Operation } from '../operation.js'
import type { Awaited, Exchange, Schedule } from '../schedule.js'
import { checkContribution, contributionOf } from './arguments.js'
import { copyInto, itemTypeOf, newLike, type TypedArray } from './arrays.js'
import { combined, giving, isArrayFor } from './combining.js'
import { expectExactly } from './messages.js'

/**
 * Combines the values of ranks 0 to this one, in rank order. Typed arrays are combined element by element and give a new
 * one; they must be of one kind and length.
 * @throws TypeError when `op` is no Operation or does not work on `data`.
 * @throws OnecopyError ERR_TYPE or ERR_TRUNCATE when the ranks' values do not go together.
 * @see MPI 4.1, 6.11.1
 */
export function scan<T>(exchange: Exchange, data: T, op: Operation): Schedule<T> {
  checkContribution('scan', data, op)
  if (!isArrayFor(op, data)) return scanValues(exchange, 'scan', op, data, 0) as Schedule<T>
  const result = newLike(data)
  copyInto(result, data)
  return giving(result, scanBytes(exchange, 'scan', op, result, 0)) as Schedule<T>
}

/**
 * Combines the `send` of ranks 0 to this one element by element, in rank order, into `recv`. `send` may be IN_PLACE: the
 * contribution lies in `recv`.
 * Ownership: the memory is the collective's until it has completed.
 * @throws TypeError or RangeError when the arrays are not of one kind and length, overlap, or `op` does not work on them.
 * @throws OnecopyError ERR_TRUNCATE or ERR_TYPE when the ranks' lengths or kinds differ.
 * @see MPI 4.1, 6.11.1
 */
export function scanInto(
  exchange: Exchange,
  send: ArrayBufferView | typeof IN_PLACE,
  recv: ArrayBufferView,
  op: Operation,
): Schedule<void> {
  const own = contributionOf('scanInto', send, recv, op)
  return scanFrom(exchange, op, own, recv as TypedArray)
}

function* scanFrom(exchange: Exchange, op: Operation, own: TypedArray, recv: TypedArray): Schedule<void> {
  copyInto(recv, own)
  yield* scanBytes(exchange, 'scanInto', op, recv, 0)
}

/**
 * Combines over the ranks from `first` to this one: before the step of `distance`, this rank's part covers that many ranks
 * up to itself.
 * @see Hillis, Steele: Data parallel algorithms (1986)
 */
export function* scanValues(
  exchange: Exchange,
  collective: string,
  op: Operation,
  data: unknown,
  first: number,
): Schedule<unknown> {
  const { rank, size } = exchange
  let part = data
  for (let distance = 1; distance < size - first; distance *= 2) {
    const waits: Awaited<unknown>[] = []
    if (rank + distance < size) waits.push(exchange.sendValue(part, rank + distance))
    const source = rank - distance
    const receive = source >= first ? exchange.receiveValue(source) : null
    if (receive !== null) waits.push(receive)
    if (waits.length > 0) yield waits
    if (receive !== null) part = combined(collective, op, part, receive.result(), false, source)
  }
  return part
}

/** As {@link scanValues}; `part` holds the contribution and becomes the result. */
export function* scanBytes(
  exchange: Exchange,
  collective: string,
  op: Operation,
  part: TypedArray,
  first: number,
): Schedule<void> {
  const { rank, size } = exchange
  const type = itemTypeOf(part)
  const partBytes = bytesOf(part)
  const incoming = rank > first ? newLike(part) : part
  const incomingBytes = bytesOf(incoming)
  for (let distance = 1; distance < size - first; distance *= 2) {
    const waits: Awaited<unknown>[] = []
    if (rank + distance < size) waits.push(exchange.sendBytes(partBytes, rank + distance, type))
    const source = rank - distance
    const receive = source >= first ? exchange.receiveBytes(incomingBytes, source, type) : null
    if (receive !== null) waits.push(receive)
    if (waits.length > 0) yield waits
    if (receive === null) continue
    expectExactly(collective, receive, partBytes.length)
    op.combineInto(part, incoming, part)
  }
}
