import type { IN_PLACE } from '../constants.js'
import { bytesOf } from '../element-type.js'
import { OneStep } from '../one-step.js'
import type { Operation } from '../operation.js'
import { PostedArrays } from '../posted-arrays.js'
import { PostedStep, saidToGoByMessages } from '../posted-step.js'
import type { Arriving, Awaited, Exchange, Schedule } from '../schedule.js'
import { blocksDirectly, blocksToAll } from './allgather.js'
import { checkContribution, contributionOf } from './arguments.js'
import { copyInto, itemTypeOf, newLike, type TypedArray } from './arrays.js'
import { Blocks } from './blocks.js'
import { allreducesDirectly, postsReductionInPieces, pullsReduction, reducesInPieces } from './choose.js'
import { combined, giving, isArrayFor } from './combining.js'
import { expectExactly, othersThan } from './messages.js'
import { Pieces, reducePieces } from './pieces.js'
import { postedReduction } from './posted-reduction.js'
import { pulledReduction } from './pulled-reduction.js'
import type { Reduction } from './reduction.js'
import { isVectorised } from './vector-kernels.js'

/**
 * Combines one value of every rank, in rank order, and gives every rank the result: the same bits everywhere. Typed arrays
 * are combined element by element and give a new one; they must be of one kind and length.
 * @throws TypeError when `op` is no Operation or does not work on `data`.
 * @throws OnecopyError ERR_TYPE or ERR_TRUNCATE when the ranks' values do not go together.
 * @see MPI 4.1, 6.9.6
 */
export function allreduce<T>(exchange: Exchange, data: T, op: Operation): Schedule<T> {
  checkContribution('allreduce', data, op)
  if (!isArrayFor(op, data)) {
    return saidToGoByMessages(exchange, 'allreduce', () => valuesByDoubling(exchange, op, data)) as Schedule<T>
  }
  const result = newLike(data)
  return giving(
    result,
    reduced(exchange, { collective: 'allreduce', op, own: data, recv: result, root: null }),
  ) as Schedule<T>
}

/**
 * Combines the ranks' `send` element by element, in rank order, and fills every rank's `recv` with the result: the same
 * bits everywhere. `send` may be IN_PLACE: the contribution lies in `recv`.
 * Ownership: the memory is the collective's until it has completed.
 * @throws TypeError or RangeError when the arrays are not of one kind and length, overlap, or `op` does not work on them.
 * @throws OnecopyError ERR_TRUNCATE or ERR_TYPE when the ranks' lengths or kinds differ.
 * @see MPI 4.1, 6.9.6
 */
export function allreduceInto(
  exchange: Exchange,
  send: ArrayBufferView | typeof IN_PLACE,
  recv: ArrayBufferView,
  op: Operation,
): Schedule<void> {
  const own = contributionOf('allreduceInto', send, recv, op)
  return reduced(exchange, { collective: 'allreduceInto', op, own, recv: recv as TypedArray, root: null })
}

function reduced(exchange: Exchange, reduction: Reduction<TypedArray>): Schedule<void> {
  const { collective, op, own, recv } = reduction
  const { postings, rank, size } = exchange
  const byMessages = () => reducedByMessages(exchange, reduction)
  // a user's operation may throw, change what it is given, or call a collective: nobody must wait for its postings meanwhile
  if (
    postings === null ||
    !op.isBuiltIn ||
    !(
      postings.fits(recv.byteLength) ||
      pullsReduction(recv.byteLength, size, false, isVectorised(op.name, itemTypeOf(recv)))
    )
  ) {
    return saidToGoByMessages(exchange, collective, byMessages)
  }
  if (!postings.fits(recv.byteLength)) {
    return pulledReduction(exchange, postings, reduction, byMessages)
  }
  if (postsReductionInPieces(recv.byteLength)) {
    return postedReduction(exchange, postings, reduction, byMessages)
  }
  const type = itemTypeOf(recv)
  const arrays = new PostedArrays(postings, type, recv.byteLength)
  const parts: TypedArray[] = new Array(size)
  return new PostedStep(exchange, postings, {
    collective,
    own: bytesOf(own),
    type,
    sources: othersThan(rank, size),
    byteLengths: new Array(size - 1).fill(recv.byteLength),
    take: (number) => {
      for (let source = 0; source < size; source++) if (source !== rank) parts[source] = arrays.of(source, number)
      // own may be recv, and written to before it is read in its turn: then what it has posted
      parts[rank] = own === recv && rank > 1 ? arrays.of(rank, number) : own
      op.combineAllInto(recv, parts)
    },
    byMessages,
  })
}

function reducedByMessages(exchange: Exchange, reduction: Reduction<TypedArray>): Schedule<void> {
  const { op, recv } = reduction
  if (allreducesDirectly(recv.byteLength, exchange.size)) return bytesDirectly(exchange, reduction)
  if (reducesInPieces(recv.byteLength, exchange.size, op.commutative && op.elementwise)) {
    return bytesInPieces(exchange, reduction)
  }
  return exchange.size === 2 ? bytesOfTwo(exchange, reduction) : bytesByDoubling(exchange, reduction)
}

function* bytesInPieces(exchange: Exchange, reduction: Reduction<TypedArray>): Schedule<void> {
  const { collective, op, recv } = reduction
  const pieces = new Pieces(recv.length, op.itemLength, exchange.size)
  yield* reducePieces(exchange, reduction, pieces)
  yield* blocksToAll(exchange, collective, pieces.blocksOf(recv), null)
}

/** Doubling's one step. */
function bytesOfTwo(exchange: Exchange, { collective, op, own, recv }: Reduction<TypedArray>): Schedule<void> {
  const other = 1 - exchange.rank
  const type = itemTypeOf(recv)
  const incoming = own === recv ? exchange.aside(recv, recv.length) : recv
  const ownBytes = bytesOf(own)
  const incomingBytes = bytesOf(incoming)
  const [first, second] = other === 1 ? [own, incoming] : [incoming, own]
  const waits: Awaited<unknown>[] = []
  return new OneStep(
    () => {
      waits[0] = exchange.sendBytes(ownBytes, other, type, true)
      waits[1] = exchange.receiveBytes(incomingBytes, other, type)
      return waits
    },
    () => {
      expectExactly(collective, waits[1] as Arriving, incomingBytes.length)
      op.combineInto(recv, first, second)
    },
  )
}

/** Everyone gets everyone's, and combines all of it in rank order. */
function bytesDirectly(exchange: Exchange, { collective, op, own, recv }: Reduction<TypedArray>): Schedule<void> {
  const { size } = exchange
  const { length } = recv
  const parts = exchange.aside(recv, size * length)
  const blocks = new Blocks(parts, size, null, null)
  const arrays = Array.from({ length: size }, (_, source) => parts.subarray(source * length, (source + 1) * length))
  const gathered = blocksDirectly(exchange, collective, blocks, bytesOf(own), itemTypeOf(recv))
  return new OneStep(gathered.start, () => {
    gathered.finish()
    op.combineAllInto(recv, arrays)
  })
}

/**
 * The partners of recursive doubling for any number of ranks. The ranks above the largest power of two, `extra` of them, are
 * folded in: of the first 2·extra ranks each even one hands its part to its right neighbour and waits for the result. The
 * others are numbered anew, in order, so that partners always hold neighbouring stretches of ranks.
 */
class Doubling {
  readonly extra: number
  readonly places: number

  constructor(size: number) {
    this.places = 1 << (31 - Math.clz32(size))
    this.extra = size - this.places
  }

  handsOver(rank: number): boolean {
    return rank < 2 * this.extra && rank % 2 === 0
  }

  takesOver(rank: number): boolean {
    return rank < 2 * this.extra && rank % 2 === 1
  }

  partner(rank: number, distance: number): number {
    const place = rank < 2 * this.extra ? rank >> 1 : rank - this.extra
    const other = place ^ distance
    return other < this.extra ? 2 * other + 1 : other + this.extra
  }
}

function* valuesByDoubling(exchange: Exchange, op: Operation, data: unknown): Schedule<unknown> {
  const { rank, size } = exchange
  const doubling = new Doubling(size)
  let part = data
  if (doubling.handsOver(rank)) {
    yield exchange.sendValue(part, rank + 1)
    const receive = exchange.receiveValue(rank + 1)
    yield receive
    return receive.result()
  }
  if (doubling.takesOver(rank)) {
    const receive = exchange.receiveValue(rank - 1)
    yield receive
    part = combined('allreduce', op, part, receive.result(), false, rank - 1)
  }
  for (let distance = 1; distance < doubling.places; distance *= 2) {
    const partner = doubling.partner(rank, distance)
    const receive = exchange.receiveValue(partner)
    yield [exchange.sendValue(part, partner), receive]
    part = combined('allreduce', op, part, receive.result(), rank < partner, partner)
  }
  if (doubling.takesOver(rank)) yield exchange.sendValue(part, rank - 1)
  return part
}

/** The first part that comes lands in `recv` itself if `own` lies elsewhere; memory aside is taken only for a second one. */
function* bytesByDoubling(exchange: Exchange, { collective, op, own, recv }: Reduction<TypedArray>): Schedule<void> {
  const { rank, size } = exchange
  const doubling = new Doubling(size)
  const type = itemTypeOf(recv)
  const recvBytes = exchange.bytesOf(recv)
  let part = own
  let partBytes = own === recv ? recvBytes : exchange.bytesOf(own)
  if (doubling.handsOver(rank)) {
    yield exchange.sendBytes(partBytes, rank + 1, type)
    const receive = exchange.receiveBytes(recvBytes, rank + 1, type)
    yield receive
    expectExactly(collective, receive, recvBytes.length)
    return
  }
  let incoming = recv
  let incomingBytes = recvBytes
  let distance = doubling.takesOver(rank) ? 0 : 1
  while (distance < doubling.places) {
    if (part === recv && incoming === recv) {
      incoming = exchange.aside(recv, recv.length)
      incomingBytes = bytesOf(incoming)
    }
    const partner = distance === 0 ? rank - 1 : doubling.partner(rank, distance)
    const receive = exchange.receiveBytes(incomingBytes, partner, type)
    yield distance === 0 ? receive : [exchange.sendBytes(partBytes, partner, type, true), receive]
    expectExactly(collective, receive, recvBytes.length)
    if (rank < partner) op.combineInto(recv, part, incoming)
    else op.combineInto(recv, incoming, part)
    part = recv
    partBytes = recvBytes
    distance = distance === 0 ? 1 : distance * 2
  }
  if (doubling.takesOver(rank)) yield exchange.sendBytes(recvBytes, rank - 1, type)
  if (size === 1) copyInto(recv, own)
}
