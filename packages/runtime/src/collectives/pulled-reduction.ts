import { bytesOf } from '../element-type.js'
import { PostedStep } from '../posted-step.js'
import type { Postings } from '../postings.js'
import type { Pulls } from '../pulls.js'
import type { Arriving, Awaited, Exchange, Schedule } from '../schedule.js'
import { copyInto, type TypedArray } from './arrays.js'
import { chunkBytesFor } from './choose.js'
import { expectExactly } from './messages.js'
import { Pieces } from './pieces.js'
import { amongAll, type Reduction } from './reduction.js'

/** The regions that each rank names. */
const OWN = 0
const PIECE = 1
/** The stages that ranks tell each other. */
const COMBINED = 0
const COLLECTED = 1

/**
 * Reduces an array that lies in every rank's memory, in a piece per rank: each rank reads its piece of all others and combines them in
 * rank order, and then whoever gets the result reads the finished pieces. So every CPU copies and combines, each byte is read once by
 * one rank, and the ranks meet three times.
 */
export function pulledReduction(
  exchange: Exchange,
  postings: Postings,
  reduction: Reduction,
  byMessages: () => Schedule<void>,
): Schedule<void> {
  const { op, own, recv } = reduction
  const { rank, size } = exchange
  const pieces = new Pieces(own.length, op.itemLength, size)
  const mine = pieces.of(own, rank)
  // until all have read, nothing may be written to what they read
  const isFree = recv !== null && recv !== own
  const isAccumulated = op.accumulatorFor(own) !== null
  const aside = exchange.aside(own, ((isFree ? 0 : 1) + (isAccumulated ? 0 : size - 1)) * mine.length)
  const out = isFree ? pieces.of(recv, rank) : aside.subarray(0, mine.length)
  const parts = isAccumulated ? null : aside.subarray(isFree ? 0 : mine.length)
  const plan = amongAll(exchange, reduction)
  return new PostedStep(exchange, postings, {
    ...plan,
    own: [bytesOf(own), bytesOf(out)],
    take: () => undefined,
    isLight: aside.length === 0,
    pull: (pulls) => inPieces(exchange, pulls, plan.sources, reduction, pieces, parts, out, byMessages),
    byMessages,
  })
}

function* inPieces(
  exchange: Exchange,
  pulls: Pulls,
  others: readonly number[],
  reduction: Reduction,
  pieces: Pieces,
  parts: TypedArray | null,
  out: TypedArray,
  byMessages: () => Schedule<void>,
): Schedule<void> {
  const { rank, size } = exchange
  const { own, recv, root } = reduction
  if (parts === null) yield* readAndCombineInChunks(exchange, pulls, reduction, pieces, out)
  else readAndCombine(exchange, pulls, reduction, pieces, parts, out)
  const isWell = yield* pulls.tell(COMBINED)
  const ill = yield* pulls.told(others, COMBINED)
  if (!isWell || ill.length > 0) {
    yield* byMessages()
    return
  }
  const receivers = root === null ? others : rank === root ? [] : [root]
  const waits: Awaited<unknown>[] = []
  if (recv !== null) {
    for (let step = 1; step < size; step++) {
      const source = (rank + step) % size
      yield* pulls.readInTurns(source, PIECE, 0, bytesOf(pieces.of(recv, source)))
    }
    copyInto(pieces.of(recv, rank), out)
    // who may not read any more gets the pieces by messages
    if (!(yield* pulls.tell(COLLECTED))) {
      for (const source of others) waits.push(exchange.receiveBytes(bytesOf(pieces.of(recv, source)), source))
    }
  }
  const receives = waits.length
  for (const other of yield* pulls.told(receivers, COLLECTED)) waits.push(exchange.sendBytes(bytesOf(out), other))
  if (waits.length === 0) return
  yield waits
  for (let i = 0; i < receives; i++) {
    expectExactly(reduction.collective, waits[i] as Arriving, pieces.length(others[i]!) * own.BYTES_PER_ELEMENT)
  }
}

/** Reads this rank's piece of all others aside, and combines them. */
function readAndCombine(
  { rank, size }: Exchange,
  pulls: Pulls,
  { op, own }: Reduction,
  pieces: Pieces,
  aside: TypedArray,
  out: TypedArray,
): void {
  const mine = pieces.of(own, rank)
  const offset = pieces.start(rank) * own.BYTES_PER_ELEMENT
  const parts: TypedArray[] = new Array(size)
  parts[rank] = mine
  for (let step = 1; step < size; step++) {
    const source = (rank + step) % size
    const into = aside.subarray((step - 1) * mine.length, step * mine.length)
    if (!pulls.read(source, OWN, offset, bytesOf(into))) return
    parts[source] = into
  }
  op.combineAllInto(out, parts)
}

/** Reads it chunk by chunk to where it is combined. */
function* readAndCombineInChunks(
  { rank, size }: Exchange,
  pulls: Pulls,
  { op, own }: Reduction,
  pieces: Pieces,
  out: TypedArray,
): Schedule<void> {
  const accumulator = op.accumulatorFor(own)!
  const chunkBytes = chunkBytesFor(size)
  const mine = bytesOf(pieces.of(own, rank))
  const result = bytesOf(out)
  const offset = pieces.start(rank) * own.BYTES_PER_ELEMENT
  for (let start = 0; start < result.length; start += chunkBytes) {
    const end = Math.min(start + chunkBytes, result.length)
    accumulator.owner = null
    for (let step = 1; step < size; step++) {
      const source = (rank + step) % size
      if (!pulls.read(source, OWN, offset + start, accumulator.landing(source, end - start))) return
    }
    accumulator.landing(rank, end - start).set(mine.subarray(start, end))
    accumulator.combineInto(result.subarray(start, end), size)
    const pause = pulls.pause()
    if (pause !== null) yield pause
  }
}
