import type { TypedArray } from './collectives/arrays.js'
import { arrayOver } from './element-type.js'
import type { Postings } from './postings.js'

/** Postings of one length as arrays, read in place; each array is made once, since postings lie in the same slots again and again. */
export class PostedArrays {
  readonly #postings: Postings
  readonly #elementType: number
  readonly #byteLength: number
  /** How many places there are, a power of two, less one. */
  readonly #placesMask: number
  readonly #arrays: (TypedArray | undefined)[] = []

  constructor(postings: Postings, elementType: number, byteLength: number) {
    this.#postings = postings
    this.#elementType = elementType
    this.#byteLength = byteLength
    this.#placesMask = postings.board.slotsFor(byteLength) - 1
  }

  /** Which of the places that serve again and again posting `number` lies in. */
  placeOf(number: number): number {
    return number & this.#placesMask
  }

  /** Good until the number is done. */
  of(source: number, number: number): TypedArray {
    const { board, channel } = this.#postings
    const index = source * (this.#placesMask + 1) + (number & this.#placesMask)
    let array = this.#arrays[index]
    if (array === undefined) {
      const { buffer, byteOffset } = board.bytes
      const at = byteOffset + channel.offsetOf(source, number, this.#byteLength)
      array = arrayOver(this.#elementType, buffer as ArrayBuffer, this.#byteLength, at) as TypedArray
      this.#arrays[index] = array
    }
    return array
  }
}
