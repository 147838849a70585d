import { Buffer } from 'node:buffer'
import { NESTING_MAX } from './msgpack.js'
import { PLAIN_BODY, survivesUtf8 } from './value-table.js'

/** The longest body that is written here. */
const BODY_BYTES_MAX = 4 * 1024
/** Bodies lie one behind the other in pieces of memory of this size. */
const PIECE_BYTES = 8 * BODY_BYTES_MAX
/** A value of more arrays and objects is not written here. */
const CONTAINERS_MAX = 16
/** The longest number, and longer than any header. */
const NUMBER_BYTES_MAX = 9
/** A call out of JavaScript costs as much as storing so many characters one by one. */
const LOOP_LENGTH_MAX = 64

/**
 * Writes the plain bodies (value-table.ts) of short values: trees as PlainTree tells them, of few containers and without
 * BigInt. It tells and writes in one walk, where msgpackr needs another one; nearly every message that is no typed array is one.
 */
export class PlainWriter {
  #piece = Buffer.alloc(0)
  #view = new DataView(this.#piece.buffer)
  #position = 0
  /** Where the body has to end. */
  #end = 0
  readonly #met: (object | undefined)[] = new Array<object | undefined>(CONTAINERS_MAX).fill(undefined)
  #metCount = 0
  #isBusy = false

  /** The body, which belongs to the result; null when `value` is no such tree. Reads getters; what they throw comes through. */
  write(value: unknown): Uint8Array | null {
    // A getter may send something itself, and so come here again.
    if (this.#isBusy) return null
    this.#isBusy = true
    try {
      if (this.#position + BODY_BYTES_MAX > this.#piece.length) this.#openPiece()
      const start = this.#position
      this.#end = start + BODY_BYTES_MAX
      this.#piece[this.#position++] = PLAIN_BODY
      if (this.#put(value, NESTING_MAX)) return this.#piece.subarray(start, this.#position)
      this.#position = start
      return null
    } finally {
      for (let i = 0; i < this.#metCount; i++) this.#met[i] = undefined
      this.#metCount = 0
      this.#isBusy = false
    }
  }

  #openPiece(): void {
    this.#piece = Buffer.allocUnsafeSlow(PIECE_BYTES)
    this.#view = new DataView(this.#piece.buffer)
    this.#position = 0
  }

  #put(value: unknown, levels: number): boolean {
    if (this.#position + NUMBER_BYTES_MAX > this.#end) return false
    switch (typeof value) {
      case 'string':
        return this.#putString(value)
      case 'number':
        return this.#putNumber(value)
      case 'boolean':
        this.#piece[this.#position++] = value ? 0xc3 : 0xc2
        return true
      case 'undefined':
        // msgpackr's extension 0
        this.#piece[this.#position++] = 0xd4
        this.#piece[this.#position++] = 0
        this.#piece[this.#position++] = 0
        return true
      case 'object':
        break
      default:
        return false
    }
    if (value === null) {
      this.#piece[this.#position++] = 0xc0
      return true
    }
    if (levels === 0 || this.#isMetAgain(value)) return false
    return Array.isArray(value) ? this.#putArray(value, levels) : this.#putObject(value, levels)
  }

  #putNumber(value: number): boolean {
    const piece = this.#piece
    let position = this.#position
    if (value === (value | 0) && (value !== 0 || 1 / value > 0)) {
      if (value >= -0x20 && value < 0x80) {
        piece[position++] = value
      } else if (value >= 0 && value < 0x100) {
        piece[position++] = 0xcc
        piece[position++] = value
      } else if (value >= 0 && value < 0x10000) {
        piece[position++] = 0xcd
        piece[position++] = value >> 8
        piece[position++] = value
      } else {
        piece[position++] = 0xd2
        this.#view.setInt32(position, value)
        position += 4
      }
    } else {
      if (value === 0) return false
      piece[position++] = 0xcb
      this.#view.setFloat64(position, value)
      position += 8
    }
    this.#position = position
    return true
  }

  #putString(text: string): boolean {
    const { length } = text
    if (length > LOOP_LENGTH_MAX || this.#position + 2 + length > this.#end) return this.#putLongString(text)
    const piece = this.#piece
    let position = this.#position
    if (length < 0x20) {
      piece[position++] = 0xa0 | length
    } else {
      piece[position++] = 0xd9
      piece[position++] = length
    }
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code >= 0x80) return this.#putLongString(text)
      piece[position++] = code
    }
    this.#position = position
    return true
  }

  #putLongString(text: string): boolean {
    if (!survivesUtf8(text)) return false
    const byteLength = Buffer.byteLength(text)
    if (this.#position + NUMBER_BYTES_MAX + byteLength > this.#end) return false
    this.#piece[this.#position] = 0xda
    this.#view.setUint16(this.#position + 1, byteLength)
    this.#position += 3
    this.#position += this.#piece.write(text, this.#position, 'utf8')
    return true
  }

  #putArray(array: readonly unknown[], levels: number): boolean {
    const { length } = array
    if (length >= 0x10000) return false
    this.#putLength(length, 0x90, 0xdc)
    for (let i = 0; i < length; i++) {
      const item = array[i]
      if (item === undefined && !(i in array)) return false
      if (!this.#put(item, levels - 1)) return false
    }
    return true
  }

  #putObject(object: object, levels: number): boolean {
    if (Object.getPrototypeOf(object) !== Object.prototype) return false
    const keys = Object.keys(object)
    if (keys.length >= 0x10000) return false
    this.#putLength(keys.length, 0x80, 0xde)
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      if (key === '__proto__' || this.#position + NUMBER_BYTES_MAX > this.#end || !this.#putString(key)) return false
      if (!this.#put((object as Record<string, unknown>)[key], levels - 1)) return false
    }
    return true
  }

  /** In four bits of the token, or in two bytes behind one of its own. */
  #putLength(length: number, shortToken: number, longToken: number): void {
    if (length < 0x10) {
      this.#piece[this.#position++] = shortToken | length
    } else {
      this.#piece[this.#position] = longToken
      this.#view.setUint16(this.#position + 1, length)
      this.#position += 3
    }
  }

  /** Whether it is in the tree already; also when there are too many to tell. */
  #isMetAgain(object: object): boolean {
    const count = this.#metCount
    if (count === CONTAINERS_MAX) return true
    for (let i = 0; i < count; i++) if (this.#met[i] === object) return true
    this.#met[this.#metCount++] = object
    return false
  }
}
