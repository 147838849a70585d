import { bytesOf, pieceTypeOf } from '../element-type.js'
import type { Arriving, Awaited, Exchange, Schedule } from '../schedule.js'
import { itemTypeOf, type TypedArray } from './arrays.js'
import { Blocks } from './blocks.js'
import { goesDirectly } from './choose.js'
import { expectExactly } from './messages.js'
import type { Reduction } from './reduction.js'

/** An array cut into one piece per rank, as equal as whole items allow. */
export class Pieces {
  readonly #items: number
  readonly #itemLength: number
  readonly #size: number

  constructor(length: number, itemLength: number, size: number) {
    this.#items = length / itemLength
    this.#itemLength = itemLength
    this.#size = size
  }

  start(index: number): number {
    return Math.floor((this.#items * index) / this.#size) * this.#itemLength
  }

  length(index: number): number {
    return this.start(index + 1) - this.start(index)
  }

  get lengthMax(): number {
    return Math.ceil(this.#items / this.#size) * this.#itemLength
  }

  of(array: TypedArray, index: number): TypedArray {
    return array.subarray(this.start(index), this.start(index + 1))
  }

  /** The same pieces as blocks of memory. */
  blocksOf(array: TypedArray): Blocks {
    const ranks = Array.from({ length: this.#size }, (_, rank) => rank)
    return new Blocks(
      array,
      this.#size,
      ranks.map((rank) => this.length(rank)),
      ranks.map((rank) => this.start(rank)),
    )
  }
}

/**
 * Reduces an array in pieces: piece i ends up on rank i, combined over all ranks. All CPUs copy and combine at the same time,
 * and each piece is computed on one path only: whoever gets it from here gets the same bits.
 *
 * Gives this rank's finished piece. It lies in its place in the reduction's `recv` when there is one (the rest of that is then
 * scratch), else in memory of its own.
 */
export function reducePieces(exchange: Exchange, reduction: Reduction, pieces: Pieces): Schedule<TypedArray> {
  return goesDirectly(exchange.size)
    ? piecesDirectly(exchange, reduction, pieces)
    : piecesAroundRing(exchange, reduction, pieces)
}

/** Every rank gets its piece of every other's array, and combines them with its own. */
function* piecesDirectly(exchange: Exchange, reduction: Reduction, pieces: Pieces): Schedule<TypedArray> {
  const { collective, op, own, recv } = reduction
  const { rank, size } = exchange
  const type = pieceTypeOf(itemTypeOf(own), own.length)
  const mine = pieces.of(own, rank)
  const place = recv === null ? null : pieces.of(recv, rank)
  const isFree = place !== null && recv !== own
  const aside = exchange.aside(own, (size - (isFree ? 2 : 1)) * mine.length)
  const incoming: TypedArray[] = []
  const waits: Awaited<unknown>[] = []
  for (let step = 1; step < size; step++) {
    const dest = (rank + step) % size
    waits.push(exchange.sendBytes(bytesOf(pieces.of(own, dest)), dest, type, true))
  }
  for (let step = 1; step < size; step++) {
    const at = (step - (isFree ? 2 : 1)) * mine.length
    const into = at < 0 ? place! : aside.subarray(at, at + mine.length)
    incoming.push(into)
    waits.push(exchange.receiveBytes(bytesOf(into), (rank - step + size) % size, type))
  }
  yield waits
  const out = place ?? incoming[0]!
  let partial = mine
  for (let step = 1; step < size; step++) {
    expectExactly(collective, waits[size - 2 + step] as Arriving, mine.byteLength)
    op.combineInto(out, partial, incoming[step - 1]!)
    partial = out
  }
  return out
}

/** Each piece goes once around the ring, and every rank adds its own part. */
function* piecesAroundRing(exchange: Exchange, reduction: Reduction, pieces: Pieces): Schedule<TypedArray> {
  const { collective, op, own, recv } = reduction
  const { rank, size } = exchange
  const left = (rank - 1 + size) % size
  const right = (rank + 1) % size
  const type = pieceTypeOf(itemTypeOf(own), own.length)
  const asides = recv === null ? 2 : recv === own ? 1 : 0
  const aside = asides === 0 ? own : exchange.aside(own, asides * pieces.lengthMax)

  let partial = pieces.of(own, left)
  for (let step = 2; step <= size; step++) {
    const index = (rank - step + 2 * size) % size
    const mine = pieces.of(own, index)
    const at = asides === 2 ? (step % 2) * pieces.lengthMax : 0
    const incoming = asides === 0 ? pieces.of(recv!, index) : aside.subarray(at, at + mine.length)
    const send = exchange.sendBytes(bytesOf(partial), right, type, true)
    const receive = exchange.receiveBytes(bytesOf(incoming), left, type)
    yield [send, receive]
    expectExactly(collective, receive, incoming.byteLength)
    partial = asides === 1 ? mine : incoming
    op.combineInto(partial, incoming, mine)
  }
  return partial
}
