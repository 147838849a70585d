import type { TypedArray } from './collectives/arrays.js'
import { arrayOver } from './element-type.js'
import type { Postings } from './postings.js'

/** Up to here a byte loop is faster than `set`. */
const LOOP_BYTES_MAX = 24

/** Postings of one length as arrays, read in place; each array is made once, since postings lie in the same slots again and again. */
export class PostedArrays {
  readonly #postings: Postings
  readonly #elementType: number
  readonly #byteOffset: number
  readonly #byteLength: number
  readonly #arrays: (TypedArray | undefined)[] = []

  /** Of every posting the part of `byteLength` bytes from `byteOffset` on. */
  constructor(postings: Postings, elementType: number, byteLength: number, byteOffset = 0) {
    this.#postings = postings
    this.#elementType = elementType
    this.#byteLength = byteLength
    this.#byteOffset = byteOffset
  }

  /** Good until the number is done. */
  of(source: number, number: number): TypedArray {
    const { board, channel } = this.#postings
    const index = source * board.slots + (number & (board.slots - 1))
    let array = this.#arrays[index]
    if (array === undefined) {
      const { buffer, byteOffset } = board.bytes
      const at = byteOffset + channel.offsetOf(source, number) + this.#byteOffset
      array = arrayOver(this.#elementType, buffer as ArrayBuffer, this.#byteLength, at) as TypedArray
      this.#arrays[index] = array
    }
    return array
  }

  /** Copies a posting of bytes. */
  copy(source: number, number: number, into: Uint8Array): void {
    if (this.#byteLength > LOOP_BYTES_MAX) {
      into.set(this.of(source, number) as Uint8Array)
      return
    }
    const { board, channel } = this.#postings
    const { bytes } = board
    const at = channel.offsetOf(source, number) + this.#byteOffset
    for (let i = 0; i < this.#byteLength; i++) into[i] = bytes[at + i]!
  }
}
