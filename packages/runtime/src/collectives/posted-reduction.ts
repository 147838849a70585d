import { bytesOf } from '../element-type.js'
import { PostedArrays } from '../posted-arrays.js'
import { PostedStep } from '../posted-step.js'
import type { Postings } from '../postings.js'
import type { Pulls } from '../pulls.js'
import type { Exchange, Schedule } from '../schedule.js'
import { itemTypeOf, type TypedArray } from './arrays.js'
import { othersThan } from './messages.js'
import { Pieces } from './pieces.js'
import type { Reduction } from './reduction.js'

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
  const { collective, op, own, recv } = reduction
  const { rank, size } = exchange
  const others = othersThan(rank, size)
  const pieces = new PostedPieces(postings, own, rank, new Pieces(own.length, op.itemLength, size), size)
  const places = recv === null ? null : Array.from({ length: size }, (_, source) => pieces.cut.of(recv, source))
  return new PostedStep(exchange, postings, {
    collective,
    own: bytesOf(own),
    unread: [pieces.cut.start(rank), pieces.cut.start(rank + 1)].map((at) => at * own.BYTES_PER_ELEMENT) as [
      number,
      number,
    ],
    type: itemTypeOf(own),
    sources: others,
    byteLengths: new Array(size - 1).fill(own.byteLength),
    take: () => undefined,
    isLight: true,
    *pull(pulls: Pulls): Schedule<void> {
      const { parts, finished } = pieces.of(pulls.number)
      op.combineAllInto(finished[rank]!, parts)
      yield* pulls.tell(COMBINED)
      if (places === null) return
      yield* pulls.told(others, COMBINED)
      for (let step = 0; step < size; step++) {
        const source = (rank + step) % size
        places[source]!.set(finished[source] as never)
      }
    },
    byMessages,
  })
}

/** One place in which postings lie. */
interface Place {
  /** This rank's piece of everybody's array. */
  readonly parts: readonly TypedArray[]
  /** Everybody's piece of what they have posted, where they put what it comes to. */
  readonly finished: readonly TypedArray[]
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
      finished: posted.map((array, source) => this.cut.of(array, source)),
    }
  }
}
