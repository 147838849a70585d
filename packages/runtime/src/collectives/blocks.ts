import { bytesOf, bytesPerElement, elementTypeOf } from '../element-type.js'
import { lengthOf } from './arrays.js'

/**
 * The blocks, one per rank, that a view's memory is divided into. Without `counts` they are equal and lie in rank order;
 * with `counts` (elements of each) and `displs` (where each starts, in elements; default: one after the other) they lie
 * anywhere in the view.
 */
export class Blocks {
  /** The whole view. */
  readonly bytes: Uint8Array
  readonly #elementBytes: number
  readonly #each: number
  readonly #counts: readonly number[] | null
  readonly #displs: readonly number[] | null

  constructor(view: ArrayBufferView, size: number, counts: readonly number[] | null, displs: readonly number[] | null) {
    this.bytes = bytesOf(view)
    this.#elementBytes = bytesPerElement(elementTypeOf(view))
    this.#each = view.byteLength / size
    this.#counts = counts
    this.#displs = displs
  }

  /** True when the blocks are equal and in order, so that neighbours can be moved together. */
  get even(): boolean {
    return this.#counts === null
  }

  byteLength(rank: number): number {
    return this.#counts === null ? this.#each : this.#counts[rank]! * this.#elementBytes
  }

  /** Bytes of all blocks together. */
  get total(): number {
    return this.#counts === null
      ? this.bytes.length
      : this.#counts.reduce((sum, count) => sum + count, 0) * this.#elementBytes
  }

  /** A fresh view of one rank's block. */
  of(rank: number): Uint8Array {
    const start = this.#displs === null ? rank * this.#each : this.#displs[rank]! * this.#elementBytes
    return this.bytes.subarray(start, start + this.byteLength(rank))
  }

  /** A fresh view of `count` neighbouring blocks of the even kind. */
  run(first: number, count: number): Uint8Array {
    return this.bytes.subarray(first * this.#each, (first + count) * this.#each)
  }
}

/** Which side of a collective a layout belongs to: receive blocks must not overlap, send blocks may. */
export type Side = 'send' | 'recv'

/**
 * Checks a layout and makes its blocks. Counts that describe equal blocks in order are treated as no counts, so that ranks
 * which spell them out and ranks which do not choose the same algorithm.
 * @throws TypeError when counts or displs are not arrays of `size` numbers.
 * @throws RangeError when a block does not lie in the view, receive blocks overlap, or (without counts) the view cannot
 *   be cut into `size` equal blocks.
 */
export function blocksOf(
  collective: string,
  side: Side,
  view: ArrayBufferView,
  size: number,
  counts: ArrayLike<number> | undefined,
  displs: ArrayLike<number> | undefined,
): Blocks {
  const length = lengthOf(view)
  if (counts === undefined) {
    if (displs !== undefined) throw new TypeError(`${collective}: displs need counts beside them`)
    if (length % size !== 0) {
      throw new RangeError(
        `${collective}: the ${side} view's ${length} elements cannot be cut into ${size} equal blocks; give counts`,
      )
    }
    return new Blocks(view, size, null, null)
  }
  const numbers = wholeNumbers(collective, 'counts', counts, size)
  const starts = displs === undefined ? runningSums(numbers) : wholeNumbers(collective, 'displs', displs, size)
  for (let rank = 0; rank < size; rank++) {
    // an empty block lies nowhere, so MPI lets its displacement be anything
    if (numbers[rank]! > 0 && starts[rank]! + numbers[rank]! > length) {
      throw new RangeError(
        `${collective}: rank ${rank}'s block, ${numbers[rank]} elements from ${starts[rank]}, ` +
          `does not lie in the ${side} view of ${length} elements`,
      )
    }
  }
  if (side === 'recv' && displs !== undefined) checkApart(collective, numbers, starts)
  const each = length / size
  const even = numbers.every((count, rank) => count === each && starts[rank] === rank * each)
  return even ? new Blocks(view, size, null, null) : new Blocks(view, size, numbers, starts)
}

/** @throws TypeError or RangeError unless `given` is one whole number per rank. */
export function wholeNumbers(collective: string, name: string, given: ArrayLike<number>, size: number): number[] {
  if (typeof given !== 'object' || given === null || given.length !== size) {
    throw new TypeError(`${collective}: ${name} must be an array of ${size} numbers, one per rank`)
  }
  return Array.from(given, (number, rank) => {
    if (!Number.isSafeInteger(number) || number < 0) {
      throw new RangeError(`${collective}: ${name}[${rank}] must be a whole number of elements, got ${String(number)}`)
    }
    return number
  })
}

function runningSums(counts: readonly number[]): number[] {
  let sum = 0
  return counts.map((count) => {
    const start = sum
    sum += count
    return start
  })
}

function checkApart(collective: string, counts: readonly number[], displs: readonly number[]): void {
  const ranks = [...counts.keys()].filter((rank) => counts[rank]! > 0).sort((a, b) => displs[a]! - displs[b]!)
  for (let i = 1; i < ranks.length; i++) {
    const before = ranks[i - 1]!
    const after = ranks[i]!
    if (displs[before]! + counts[before]! > displs[after]!) {
      throw new RangeError(`${collective}: the blocks of ranks ${before} and ${after} overlap in the recv view`)
    }
  }
}
