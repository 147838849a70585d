import { bytesOf } from '../element-type.js'
import { PostedArrays } from '../posted-arrays.js'
import { PostedStep } from '../posted-step.js'
import type { Postings } from '../postings.js'
import type { Pulls } from '../pulls.js'
import type { Exchange, Schedule } from '../schedule.js'
import { itemTypeOf, type TypedArray } from './arrays.js'
import { Pieces } from './pieces.js'
import { amongAll, type Reduction } from './reduction.js'

/** The stage that ranks tell each other. */
const COMBINED = 0

/**
 * Reduces an array that every rank posts, in a piece per rank: each rank combines its piece of all postings in rank order, puts it where
 * that piece lies in its own posting, which nobody else reads, and then whoever gets the result takes the finished pieces. So every CPU
 * combines, and the ranks meet twice.
 */
export function postedReduction(
  exchange: Exchange,
  postings: Postings,
  reduction: Reduction,
  byMessages: () => Schedule<void>,
): Schedule<void> {
  const { op, own, recv } = reduction
  const { rank, size } = exchange
  const plan = amongAll(exchange, reduction)
  const pieces = new PostedPieces(postings, own, rank, new Pieces(own.length, op.itemLength, size), size)
  const places =
    recv === null ? null : Array.from({ length: size }, (_, source) => bytesOf(pieces.cut.of(recv, source)))
  return new PostedStep(exchange, postings, {
    ...plan,
    own: bytesOf(own),
    unread: [pieces.cut.start(rank) * own.BYTES_PER_ELEMENT, pieces.cut.start(rank + 1) * own.BYTES_PER_ELEMENT],
    take: () => undefined,
    isLight: true,
    *pull(pulls: Pulls): Schedule<void> {
      const { parts, out, finished } = pieces.of(pulls.number)
      op.combineAllInto(out, parts)
      yield* pulls.tell(COMBINED)
      if (places === null) return
      yield* pulls.told(plan.sources, COMBINED)
      for (let step = 0; step < size; step++) {
        const source = (rank + step) % size
        places[source]!.set(finished[source]!)
      }
    },
    byMessages,
  })
}

/** One place in which postings lie. */
interface Place {
  /** This rank's piece of everybody's array. */
  readonly parts: readonly TypedArray[]
  /** Where what it comes to goes: its place in this rank's own posting. */
  readonly out: TypedArray
  /** By rank: that rank's piece of its own posting, finished. */
  readonly finished: readonly Uint8Array[]
}

/** The pieces of postings of one length, as arrays; each made once, as in {@link PostedArrays}. */
class PostedPieces {
  readonly cut: Pieces
  readonly #arrays: PostedArrays
  readonly #own: TypedArray
  readonly #rank: number
  readonly #size: number
  readonly #places: (Place | undefined)[] = []

  constructor(postings: Postings, own: TypedArray, rank: number, cut: Pieces, size: number) {
    this.#arrays = new PostedArrays(postings, itemTypeOf(own), own.byteLength)
    this.#own = own
    this.#rank = rank
    this.#size = size
    this.cut = cut
  }

  /** Good until the number is done. */
  of(number: number): Place {
    const index = this.#arrays.placeOf(number)
    this.#places[index] ??= this.#make(number)
    return this.#places[index]
  }

  #make(number: number): Place {
    const posted = Array.from({ length: this.#size }, (_, source) => this.#arrays.of(source, number))
    return {
      parts: posted.map((array, source) => this.cut.of(source === this.#rank ? this.#own : array, this.#rank)),
      out: this.cut.of(posted[this.#rank]!, this.#rank),
      finished: posted.map((array, source) => bytesOf(this.cut.of(array, source))),
    }
  }
}
