import { bytesOf } from '../element-type.js'
import { BY_MESSAGES, HELPER_IN_MEMORY, PostedStep, ROOT_IN_MEMORY } from '../posted-step.js'
import type { Postings } from '../postings.js'
import { type Pulls, WRITTEN } from '../pulls.js'
import type { Exchange, Schedule } from '../schedule.js'
import { itemTypeOf, type TypedArray } from './arrays.js'
import { rootShareOfTwo, VECTOR_PIECE_BYTES } from './choose.js'
import type { Reduction } from './reduction.js'
import type { VectorAccumulator } from './vector-kernels.js'

/** The regions that ranks name. */
const OWN = 0
const RESULT = 1
/** The stages that the root tells; the other rank tells WRITING and WRITTEN. */
const OPEN = 0
const READ = 1

/**
 * Reduces an array of each of two ranks to one, the root. The root reads the other's array where it lies, and combines it with its own. The
 * other rank, which would only wait, does the same for the end of a long one, and writes what it comes to into the root's memory.
 */
export function twoRankReduction(
  exchange: Exchange,
  postings: Postings,
  reduction: Reduction & { readonly root: number },
  byMessages: () => Schedule<void>,
): Schedule<void> {
  const { collective, op, own, recv, root } = reduction
  const { rank } = exchange
  const bytes = bytesOf(own)
  const { length } = bytes
  const cut = rootShareOfTwo(length)
  const isShared = cut < length
  const accumulator = isShared || rank === root ? op.accumulatorFor(own) : null
  const common = { collective, type: itemTypeOf(own), take: () => undefined, byMessages }
  if (rank !== root) {
    const helper = isShared && accumulator !== null ? new Helper(accumulator, bytes, cut, root, byMessages) : null
    return new PostedStep(exchange, postings, {
      ...common,
      own: isShared && helper === null ? BY_MESSAGES : [bytes],
      names: { own: HELPER_IN_MEMORY, expected: ROOT_IN_MEMORY },
      sources: isShared ? [root] : [],
      // the root looks whether they go together, and fails if they do not, before it says anything else
      byteLengths: [],
      isLight: true,
      isAble: () => !isShared || postings.mayWriteTo(root),
      pull: (pulls) => (helper === null ? untilRead(pulls, root, byMessages) : helper.pull(pulls)),
    })
  }
  // what lies in recv would be needed again if reading or writing were refused half-way
  const isAside = recv === own && (isShared || cut > (accumulator?.chunkBytes ?? 0))
  const result = bytesOf(isAside ? exchange.aside(own, own.length) : (recv as TypedArray))
  const recvBytes = isAside ? bytes : null
  const rooted = accumulator === null ? null : new Rooted(accumulator, bytes, result, recvBytes, cut, rank, byMessages)
  return new PostedStep(exchange, postings, {
    ...common,
    own: !isShared ? null : rooted === null ? BY_MESSAGES : [bytes, result.subarray(cut)],
    names: { own: ROOT_IN_MEMORY, expected: HELPER_IN_MEMORY },
    sources: [1 - root],
    byteLengths: [length],
    isLight: !isAside,
    writers: isShared ? [1 - root] : [],
    meanwhile: () => {
      // the other rank waits for a word where it helps
      if (!isShared && rooted !== null && postings.reachesMemory) rooted.begin()
    },
    pull: (pulls) => (rooted === null ? refused(pulls, byMessages) : rooted.pull(pulls)),
  })
}

/** A piece of the array as long as the accumulator takes. */
interface Chunk {
  /** Where it begins, in bytes. */
  readonly start: number
  readonly own: Uint8Array
  /** Where this rank's and the other's are combined, and the result is found. */
  readonly ownPlace: Uint8Array
  readonly otherPlace: Uint8Array
  readonly place: Uint8Array
}

/** Made once, these serve for all calls with the same arrays; of longer ones each is made when its turn comes. */
const KEPT_CHUNKS = 8

class Chunks {
  readonly count: number
  private readonly accumulator: VectorAccumulator
  private readonly own: Uint8Array
  private readonly from: number
  private readonly to: number
  private readonly rank: number
  private readonly kept: Chunk[] = []

  constructor(accumulator: VectorAccumulator, own: Uint8Array, from: number, to: number, rank: number) {
    this.count = Math.ceil((to - from) / accumulator.chunkBytes)
    this.accumulator = accumulator
    this.own = own
    this.from = from
    this.to = to
    this.rank = rank
  }

  at(index: number): Chunk {
    const kept = this.kept[index]
    if (kept !== undefined) return kept
    const { accumulator, rank } = this
    const start = this.from + index * accumulator.chunkBytes
    const byteLength = Math.min(accumulator.chunkBytes, this.to - start)
    const places = [accumulator.landing(0, byteLength), accumulator.landing(1, byteLength)] as const
    const chunk = {
      start,
      own: this.own.subarray(start, start + byteLength),
      ownPlace: places[rank]!,
      otherPlace: places[1 - rank]!,
      place: places[0],
    }
    if (index < KEPT_CHUNKS) this.kept[index] = chunk
    return chunk
  }
}

/** A piece of a chunk that stays in an L1 cache from when it is combined until it has been copied out. */
interface Piece {
  /** In the chunk, in bytes. */
  readonly start: number
  readonly end: number
  readonly place: Uint8Array
  readonly result: Uint8Array
}

function piecesOf({ start: first, place }: Chunk, result: Uint8Array): Piece[] {
  const pieces: Piece[] = []
  for (let start = 0; start < place.length; start += VECTOR_PIECE_BYTES) {
    const end = Math.min(start + VECTOR_PIECE_BYTES, place.length)
    pieces.push({ start, end, place: place.subarray(start, end), result: result.subarray(first + start, first + end) })
  }
  return pieces
}

/** The root's part. */
class Rooted {
  private readonly accumulator: VectorAccumulator
  /** Says that what lies in the accumulator is this one's: the accumulator outlives it, and must not hold the caller's arrays. */
  private readonly token = {}
  private readonly chunks: Chunks
  /** Of the only chunk; null where there are several. */
  private readonly pieces: readonly Piece[] | null
  private readonly result: Uint8Array
  /** Where the result goes in the end; null where it is there already. */
  private readonly recv: Uint8Array | null
  private readonly others: readonly [number]
  private readonly isShared: boolean
  private readonly byMessages: () => Schedule<void>

  constructor(
    accumulator: VectorAccumulator,
    own: Uint8Array,
    result: Uint8Array,
    recv: Uint8Array | null,
    cut: number,
    rank: number,
    byMessages: () => Schedule<void>,
  ) {
    this.accumulator = accumulator
    this.chunks = new Chunks(accumulator, own, 0, cut, rank)
    this.pieces = this.chunks.count === 1 ? piecesOf(this.chunks.at(0), result) : null
    this.result = result
    this.recv = recv
    this.others = [1 - rank]
    this.isShared = cut < own.length
    this.byMessages = byMessages
  }

  /** Brings the first chunk while nothing is there to be read. */
  begin(): void {
    const { own, ownPlace } = this.chunks.at(0)
    ownPlace.set(own)
    this.accumulator.owner = this.token
  }

  pull(pulls: Pulls): Schedule<void> | null {
    if (this.isShared || !pulls.hasRoom) return this.pullInSteps(pulls)
    this.combine(pulls, 0)
    return pulls.isWell ? null : this.byMessages()
  }

  private *pullInSteps(pulls: Pulls): Schedule<void> {
    yield* pulls.tell(OPEN)
    for (let i = 0; i < this.chunks.count; i++) {
      this.combine(pulls, i)
      const pause = pulls.pause()
      if (pause !== null) yield pause
    }
    if (this.isShared) {
      const ill = yield* pulls.told(this.others, WRITTEN)
      if (ill.length > 0) pulls.refuse()
    }
    if (!pulls.isWell) yield* this.byMessages()
    else if (this.recv !== null) this.recv.set(this.result)
  }

  /** Reads and combines a chunk, if nothing was refused so far, and tells the other rank when the last has been read. */
  private combine(pulls: Pulls, index: number): void {
    const { accumulator, chunks } = this
    const { start, own, ownPlace, otherPlace, place } = chunks.at(index)
    if (accumulator.owner !== this.token) ownPlace.set(own)
    accumulator.owner = null
    pulls.read(this.others[0], OWN, start, otherPlace)
    if (index === chunks.count - 1) pulls.say(READ)
    if (!pulls.isWell) return
    if (this.pieces === null) {
      accumulator.combineInto(this.result.subarray(start, start + place.length), 2)
      return
    }
    for (const { start, end, place, result } of this.pieces) {
      accumulator.combine(start, end, 2)
      result.set(place)
    }
  }
}

/** The other rank's part where it combines the end of the arrays, from `cut` on. */
class Helper {
  private readonly accumulator: VectorAccumulator
  private readonly chunks: Chunks
  private readonly cut: number
  private readonly roots: readonly [number]
  private readonly byMessages: () => Schedule<void>

  constructor(
    accumulator: VectorAccumulator,
    own: Uint8Array,
    cut: number,
    root: number,
    byMessages: () => Schedule<void>,
  ) {
    this.accumulator = accumulator
    this.chunks = new Chunks(accumulator, own, cut, own.length, 1 - root)
    this.cut = cut
    this.roots = [root]
    this.byMessages = byMessages
  }

  *pull(pulls: Pulls): Schedule<void> {
    const { accumulator, chunks, roots } = this
    // from here on the root gives nothing back before it has heard of this rank
    yield* pulls.told(roots, OPEN)
    try {
      pulls.startWriting(roots[0])
      for (let i = 0; i < chunks.count; i++) {
        const { start, own, ownPlace, otherPlace, place } = chunks.at(i)
        accumulator.owner = null
        ownPlace.set(own)
        if (!pulls.read(roots[0], OWN, start, otherPlace)) break
        accumulator.combine(0, place.length, 2)
        if (!pulls.write(roots[0], RESULT, start - this.cut, place)) break
        const pause = pulls.pause()
        if (pause !== null) yield pause
      }
    } catch (error) {
      pulls.refuse()
      throw error
    } finally {
      pulls.say(WRITTEN)
    }
    yield* untilRead(pulls, roots[0], this.byMessages)
  }
}

/** Waits until the root has read this rank's array. */
function* untilRead(pulls: Pulls, root: number, byMessages: () => Schedule<void>): Schedule<void> {
  const ill = yield* pulls.told([root], READ)
  if (!pulls.isWell || ill.length > 0) yield* byMessages()
}

/** The root has no memory to combine in, and the other rank has named its own. */
function* refused(pulls: Pulls, byMessages: () => Schedule<void>): Schedule<void> {
  pulls.refuse()
  yield* pulls.tell(READ)
  yield* byMessages()
}
