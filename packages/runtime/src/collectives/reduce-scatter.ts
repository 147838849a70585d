import { OnecopyError } from '@onecopy/transport'
import { IN_PLACE } from '../constants.js'
import { bytesOf, elementTypeName } from '../element-type.js'
import type { Operation } from '../operation.js'
import type { Arriving, Awaited, Exchange, Schedule } from '../schedule.js'
import { checkApart, checkArray, checkOperation, checkSameKind, checkValues } from './arguments.js'
import { copyInto, itemTypeOf, newLike, type TypedArray } from './arrays.js'
import { wholeNumbers } from './blocks.js'
import { ALLTOALL_PEERS_MAX, allgathersDirectly } from './choose.js'
import { combined, isArrayFor } from './combining.js'
import { expectExactly, expectPreamble, preamble } from './messages.js'

/** How `reduceScatterInto` divides the combined array; the same on every rank. */
export interface ScatterLayout {
  /** Elements that each rank gets, one block after the other; default: equal blocks. */
  readonly counts?: ArrayLike<number> | undefined
}

/** Shorter blocks cost less combined whole along a tree than as size² messages, once ranks are too many to talk directly. */
const PAIRWISE_BLOCK_BYTES_MIN = 512

/**
 * Combines the ranks' `values[i]`, in rank order, and gives the result to rank i. Every rank gives one value per rank; typed
 * arrays are combined element by element and give a new one. With values this is the same as {@link reduceScatterBlock}.
 * @throws TypeError or RangeError unless `values` is an array with one value per rank that `op` works on.
 * @throws OnecopyError ERR_TYPE or ERR_TRUNCATE when the ranks' values do not go together.
 * @see MPI 4.1, 6.10.2
 */
export function reduceScatter<T>(exchange: Exchange, values: readonly T[], op: Operation): Schedule<T> {
  return scatteredValues('reduceScatter', exchange, values, op) as Schedule<T>
}

/** As {@link reduceScatter}. @see MPI 4.1, 6.10.1 */
export function reduceScatterBlock<T>(exchange: Exchange, values: readonly T[], op: Operation): Schedule<T> {
  return scatteredValues('reduceScatterBlock', exchange, values, op) as Schedule<T>
}

/**
 * Combines the ranks' `send` element by element, in rank order, and gives rank i block i of the result, in `recv`. `send`
 * holds the blocks of all ranks one after the other, `recv` one block. `send` may be IN_PLACE (on all ranks): `recv` then
 * holds all blocks before, and this rank's result at its front afterwards; the rest stays as it was. An operation that is
 * not elementwise gets whole blocks.
 * Ownership: the memory is the collective's until it has completed.
 * @throws TypeError or RangeError when the arrays are not of one kind, do not have the lengths that `counts` says, overlap,
 *   or `op` does not work on them.
 * @throws OnecopyError ERR_TRUNCATE or ERR_TYPE when the ranks' counts or kinds differ.
 * @see MPI 4.1, 6.10.2
 */
export function reduceScatterInto(
  exchange: Exchange,
  send: ArrayBufferView | typeof IN_PLACE,
  recv: ArrayBufferView,
  op: Operation,
  { counts }: ScatterLayout = {},
): Schedule<void> {
  return scatteredArrays('reduceScatterInto', exchange, send, recv, op, counts)
}

/**
 * As {@link reduceScatterInto} with blocks of `recv`'s length.
 * @see MPI 4.1, 6.10.1
 */
export function reduceScatterBlockInto(
  exchange: Exchange,
  send: ArrayBufferView | typeof IN_PLACE,
  recv: ArrayBufferView,
  op: Operation,
): Schedule<void> {
  return scatteredArrays('reduceScatterBlockInto', exchange, send, recv, op, undefined)
}

/** The ranks' shares of an array, one after the other. */
export class Shares {
  readonly #starts: readonly number[]

  constructor(counts: readonly number[]) {
    const starts = [0]
    for (const count of counts) starts.push(starts.at(-1)! + count)
    this.#starts = starts
  }

  get total(): number {
    return this.#starts.at(-1)!
  }

  /** How many there are. */
  get size(): number {
    return this.#starts.length - 1
  }

  /** Where the shares begin, for comparison. */
  get cuts(): string {
    return this.#starts.join()
  }

  length(rank: number): number {
    return this.#starts[rank + 1]! - this.#starts[rank]!
  }

  of(array: TypedArray, rank: number): TypedArray {
    return array.subarray(this.#starts[rank], this.#starts[rank + 1])
  }
}

function scatteredValues(collective: string, exchange: Exchange, values: unknown, op: Operation): Schedule<unknown> {
  checkValues(collective, values, exchange.size)
  checkOperation(collective, op)
  for (const value of values) op.checkValue(value)
  // lengths are not known beforehand, so only the number of ranks can decide
  return allgathersDirectly(exchange.size)
    ? valuesFromEach(exchange, collective, op, values)
    : valuesUpTree(exchange, collective, op, values)
}

function scatteredArrays(
  collective: string,
  exchange: Exchange,
  send: unknown,
  recv: unknown,
  op: Operation,
  counts: ArrayLike<number> | undefined,
): Schedule<void> {
  const { rank, size } = exchange
  checkOperation(collective, op)
  checkArray(collective, 'recv', recv)
  if (send !== IN_PLACE) checkArray(collective, 'send', send)
  const own = send === IN_PLACE ? recv : (send as TypedArray)
  op.checkArray(own)
  const shares = sharesOf(collective, own, size, op, counts)
  if (own !== recv) {
    checkSameKind(collective, own, recv)
    if (recv.length !== shares.length(rank)) {
      throw new RangeError(`${collective}: recv has ${recv.length} elements, this rank's block ${shares.length(rank)}`)
    }
    checkApart(collective, own, recv)
  }
  return allgathersDirectly(size)
    ? blocksPairwise(exchange, collective, op, own, recv, shares)
    : arraysByLength(exchange, collective, op, own, recv, shares)
}

function* arraysByLength(
  exchange: Exchange,
  collective: string,
  op: Operation,
  own: TypedArray,
  recv: TypedArray,
  shares: Shares,
): Schedule<void> {
  const { rank, size } = exchange
  const kind = elementTypeName(itemTypeOf(own))
  const said = preamble(collective, own.byteLength, `${op.name} on a ${kind} cut at ${shares.cuts}`)
  const left = (rank - 1 + size) % size
  const heard = exchange.receiveValue(left)
  yield [exchange.sendValue(said, (rank + 1) % size), heard]
  expectPreamble(heard.result(), said, left)
  const short = own.byteLength < size * PAIRWISE_BLOCK_BYTES_MIN
  if (short && op.elementwise) yield* arraysUpTree(exchange, said, op, own, recv, shares)
  else yield* blocksPairwise(exchange, collective, op, own, recv, shares)
}

/** @throws RangeError unless the counts are whole items and add up to the array's length. */
export function sharesOf(
  collective: string,
  array: TypedArray,
  size: number,
  op: Operation,
  counts: ArrayLike<number> | undefined,
): Shares {
  const numbers =
    counts === undefined
      ? new Array<number>(size).fill(array.length / size)
      : wholeNumbers(collective, 'counts', counts, size)
  const shares = new Shares(numbers)
  if (shares.total !== array.length || !Number.isInteger(numbers[0])) {
    throw new RangeError(
      counts === undefined
        ? `${collective}: ${array.length} elements cannot be cut into ${size} equal blocks`
        : `${collective}: counts add up to ${shares.total} elements, and ${array.length} are given`,
    )
  }
  const cut = numbers.find((count) => count % op.itemLength !== 0)
  if (cut !== undefined) {
    throw new RangeError(`${collective}: a block of ${cut} elements cuts a pair of ${op.name} in two`)
  }
  return shares
}

/*
 * In step s a rank receives from the rank s to the right: first the ranks above its own, in order, then from 0 on those
 * below. So an operation that does not commute keeps two parts, and combines "below" with "above" at the end; each block
 * travels once, and all CPUs copy and combine. @see Thakur, Rabenseifner, Gropp: Optimization of collective communication
 * operations in MPICH (2005): pairwise exchange
 */

function* valuesFromEach(
  exchange: Exchange,
  collective: string,
  op: Operation,
  values: readonly unknown[],
): Schedule<unknown> {
  const { rank, size } = exchange
  const own = values[rank]
  if (size === 1) return copied(op, own)
  const waits: Awaited<unknown>[] = []
  for (let step = 1; step < size; step++) {
    const dest = (rank - step + size) % size
    waits.push(exchange.receiveValue((rank + step) % size), exchange.sendValue(values[dest], dest))
  }
  yield waits
  const from = (source: number) => waits[2 * ((source - rank + size - 1) % size)]!.result()
  let part = rank === 0 ? own : from(0)
  for (let source = 1; source < size; source++) {
    part = combined(collective, op, part, source === rank ? own : from(source), true, source)
  }
  return part
}

function* blocksPairwise(
  exchange: Exchange,
  collective: string,
  op: Operation,
  own: TypedArray,
  recv: TypedArray,
  shares: Shares,
): Schedule<void> {
  const { rank, size } = exchange
  const type = itemTypeOf(own)
  const mine = shares.of(own, rank)
  const out = own === recv ? newLike(mine) : recv
  const asides = Math.min(ALLTOALL_PEERS_MAX, size - 1)
  const aside = newLike(mine, asides * mine.length)
  let above = mine
  let below: TypedArray | null = null
  for (let first = 1; first < size; first += asides) {
    const end = Math.min(first + asides, size)
    const incoming: TypedArray[] = []
    const waits: Awaited<unknown>[] = []
    for (let step = first; step < end; step++) {
      const dest = (rank - step + size) % size
      const part = aside.subarray((step - first) * mine.length, (step - first + 1) * mine.length)
      incoming.push(part)
      waits.push(
        exchange.receiveBytes(bytesOf(part), (rank + step) % size, type),
        exchange.sendBytes(bytesOf(shares.of(own, dest)), dest, type),
      )
    }
    yield waits
    for (let step = first; step < end; step++) {
      const part = incoming[step - first]!
      expectExactly(collective, waits[2 * (step - first)] as Arriving, part.byteLength)
      if (op.commutative || rank + step < size) {
        op.combineInto(out, above, part)
        above = out
      } else if (below === null) {
        below = newLike(mine)
        copyInto(below, part)
      } else {
        op.combineInto(below, below, part)
      }
    }
  }
  if (below !== null) op.combineInto(out, below, above)
  else copyInto(out, above)
  if (own === recv) copyInto(recv, out)
}

/*
 * The tree counts from rank 0, where every subtree is a stretch of neighbouring ranks; rank 0 then hands each rank its part.
 * Arrays travel as values beside the preamble, so that a rank whose length made it choose pairwise blocks is noticed.
 */

function* valuesUpTree(
  exchange: Exchange,
  collective: string,
  op: Operation,
  values: readonly unknown[],
): Schedule<unknown> {
  const { rank, size } = exchange
  let parts = values
  for (let distance = 1; distance < size; distance *= 2) {
    if ((rank & distance) !== 0) {
      yield exchange.sendValue(parts, rank - distance)
      break
    }
    const child = rank + distance
    if (child >= size) continue
    const receive = exchange.receiveValue(child)
    yield receive
    const theirs = receive.result() as unknown[]
    if (!Array.isArray(theirs) || theirs.length !== size) {
      throw new OnecopyError('ERR_TYPE', `${collective}: rank ${child} takes part with something else`, {
        source: child,
      })
    }
    parts = parts.map((part, index) => combined(collective, op, part, theirs[index], true, child))
  }
  if (rank === 0) {
    yield Array.from({ length: size - 1 }, (_, index) => exchange.sendValue(parts[index + 1], index + 1))
    return parts[0]
  }
  const receive = exchange.receiveValue(0)
  yield receive
  return receive.result()
}

function* arraysUpTree(
  exchange: Exchange,
  said: string,
  op: Operation,
  own: TypedArray,
  recv: TypedArray,
  shares: Shares,
): Schedule<void> {
  const { rank, size } = exchange
  let part = own
  for (let distance = 1; distance < size; distance *= 2) {
    if ((rank & distance) !== 0) {
      yield exchange.sendValue([said, part], rank - distance)
      break
    }
    const child = rank + distance
    if (child >= size) continue
    const receive = exchange.receiveValue(child)
    yield receive
    const theirs = arrayBeside(receive.result(), said, child)
    const out: TypedArray = part === own ? newLike(own) : part
    op.combineInto(out, part, theirs)
    part = out
  }
  let result = shares.of(part, 0)
  if (rank === 0) {
    yield Array.from({ length: size - 1 }, (_, index) => {
      return exchange.sendValue([said, shares.of(part, index + 1)], index + 1)
    })
  } else {
    const receive = exchange.receiveValue(0)
    yield receive
    result = arrayBeside(receive.result(), said, 0)
  }
  copyInto(recv, result)
}

function arrayBeside(value: unknown, said: string, source: number): TypedArray {
  const [theirs, array] = Array.isArray(value) ? value : []
  expectPreamble(theirs, said, source)
  return array as TypedArray
}

/** A lone rank's result: arrays in memory of their own, as after a combination. */
function copied(op: Operation, value: unknown): unknown {
  if (!isArrayFor(op, value)) return value
  const copy = newLike(value)
  copyInto(copy, value)
  return copy
}
