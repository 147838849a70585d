// Node's global `Buffer` is an accessor: asking for it costs more than all the comparisons below.
import { Buffer } from 'node:buffer'
import { types } from 'node:util'
import { OnecopyError } from '@onecopy/transport'

/**
 * What kind of raw memory a message holds: one byte on the wire, so the numbers never change. {@link VALUE} stands for
 * everything that is not raw memory.
 */
export const VALUE = 0
export const ARRAY_BUFFER = 1
export const DATA_VIEW = 2
export const BUFFER = 3
export const INT8 = 4
export const UINT8 = 5
export const UINT8_CLAMPED = 6
export const INT16 = 7
export const UINT16 = 8
export const INT32 = 9
export const UINT32 = 10
export const FLOAT32 = 11
export const FLOAT64 = 12
export const BIG_INT64 = 13
export const BIG_UINT64 = 14
export const FLOAT16 = 15
export const ELEMENT_TYPE_MAX = FLOAT16

/** Set in the type of a message that is one of the pieces into which a collective has cut an array. */
const PIECE = 0x80
const PIECE_LENGTH_SHIFT = 4
const PIECE_LENGTH_MASK = 7

/**
 * The element type of pieces of an array of `length` elements, with the length's low three bits in it: a rank whose array
 * is cut in other pieces, or not at all, then gets ERR_TYPE where a piece has by chance the length that it expects.
 */
export function pieceTypeOf(code: number, length: number): number {
  return PIECE | ((length & PIECE_LENGTH_MASK) << PIECE_LENGTH_SHIFT) | code
}

/** A platform's Float16Array, which Node has from version 24 on and our TypeScript library does not know. */
type Float16Constructor = new (
  buffer: ArrayBuffer,
  byteOffset?: number,
  length?: number,
) => ArrayBufferView<ArrayBuffer>
const Float16 = (globalThis as { Float16Array?: Float16Constructor }).Float16Array

const BYTES_PER_ELEMENT = new Uint8Array([0, 1, 1, 1, 1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 2])

const NAMES = [
  'value',
  'ArrayBuffer',
  'DataView',
  'Buffer',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
  'Float16Array',
] as const

/**
 * The getter behind every typed array's `Symbol.toStringTag`. It reads an internal slot, so it tells the truth for
 * subclasses and for arrays of other realms, and nothing that a user defines can change its answer.
 */
const typedArrayTag = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype) as object,
  Symbol.toStringTag,
)?.get as (this: unknown) => string | undefined

/**
 * Tells what kind of raw memory `data` is, or {@link VALUE} when it is none. A subclass counts as what it extends, except
 * Buffer, which is a kind of its own; a SharedArrayBuffer counts as an ArrayBuffer. Allocates nothing.
 */
export function elementTypeOf(data: unknown): number {
  if (typeof data !== 'object' || data === null) return VALUE
  if (ArrayBuffer.isView(data)) {
    // the usual kinds first: comparing constructors costs a tenth of asking for the tag
    switch (data.constructor) {
      case Uint8Array:
        return UINT8
      case Buffer:
        return BUFFER
      case Float64Array:
        return FLOAT64
      case Int32Array:
        return INT32
      case Float32Array:
        return FLOAT32
    }
    return rareTypeOf(data)
  }
  // Plain objects and arrays are what is left nearly always; asking the engine about buffers costs a call out of JavaScript.
  if (Array.isArray(data) || Object.getPrototypeOf(data) === Object.prototype) return VALUE
  return types.isAnyArrayBuffer(data) ? ARRAY_BUFFER : VALUE
}

/** Apart, so that the usual kinds are found in a function short enough to inline. */
function rareTypeOf(data: ArrayBufferView): number {
  switch (typedArrayTag.call(data)) {
    case 'Uint8Array':
      return data instanceof Buffer ? BUFFER : UINT8
    case 'Float64Array':
      return FLOAT64
    case 'Float32Array':
      return FLOAT32
    case 'Int32Array':
      return INT32
    case 'Uint32Array':
      return UINT32
    case 'Int8Array':
      return INT8
    case 'Uint8ClampedArray':
      return UINT8_CLAMPED
    case 'Int16Array':
      return INT16
    case 'Uint16Array':
      return UINT16
    case 'BigInt64Array':
      return BIG_INT64
    case 'BigUint64Array':
      return BIG_UINT64
    case 'Float16Array':
      return FLOAT16
    default:
      return DATA_VIEW
  }
}

/** The element type's name, as its constructor is called. */
export function elementTypeName(code: number): string {
  if ((code & PIECE) === 0) return NAMES[code] ?? `element type ${code}`
  const low = (code >> PIECE_LENGTH_SHIFT) & PIECE_LENGTH_MASK
  return `${NAMES[code & ELEMENT_TYPE_MAX]} that is cut in pieces (its length is ${low} modulo ${PIECE_LENGTH_MASK + 1})`
}

/** Bytes of one element; 1 for ArrayBuffer, DataView and Buffer, 0 for {@link VALUE} and for codes that mean nothing. */
export function bytesPerElement(code: number): number {
  return BYTES_PER_ELEMENT[code] ?? 0
}

/** Gives `byteLength` bytes of memory that nobody else has, not filled, not from Node's 8 KiB pool. */
export function allocate(byteLength: number): ArrayBuffer {
  return Buffer.allocUnsafeSlow(byteLength).buffer
}

/**
 * Gives the exact bytes that `data` stands for, without copying: a view's own range, a whole buffer. The view is fresh, the
 * memory is `data`'s.
 * @throws TypeError when `data` is not raw memory, or its memory has been transferred away.
 */
export function bytesOf(data: unknown): Uint8Array {
  try {
    if (ArrayBuffer.isView(data)) {
      // A detached typed array reports length 0 quietly; making a view over its buffer is what throws.
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    }
    if (types.isAnyArrayBuffer(data)) return new Uint8Array(data)
  } catch (error) {
    throw new TypeError(
      `cannot send this ${elementTypeName(elementTypeOf(data))}: its memory is detached (transferred away) or out of bounds`,
      { cause: error },
    )
  }
  throw new TypeError('expected a typed array, DataView, Buffer, ArrayBuffer or SharedArrayBuffer')
}

/**
 * Makes the array of kind `code` over `buffer[byteOffset … byteOffset+byteLength-1]`, without copying unless `code` is
 * ARRAY_BUFFER and the range is not the whole buffer.
 * @throws OnecopyError ERR_CORRUPT when `code` is not an element type or the length is not a whole number of elements,
 *   ERR_UNAVAILABLE when this Node has no Float16Array.
 */
export function arrayOver(code: number, buffer: ArrayBuffer, byteLength: number, byteOffset = 0): unknown {
  const elementBytes = bytesPerElement(code)
  if (elementBytes === 0) throw new OnecopyError('ERR_CORRUPT', `${code} is not an element type`)
  if (byteLength % elementBytes !== 0 || byteOffset % elementBytes !== 0) {
    throw new OnecopyError('ERR_CORRUPT', `${byteLength} bytes at ${byteOffset} are no whole ${elementTypeName(code)}`)
  }
  const length = byteLength / elementBytes
  switch (code) {
    case ARRAY_BUFFER:
      return byteOffset === 0 && byteLength === buffer.byteLength
        ? buffer
        : buffer.slice(byteOffset, byteOffset + byteLength)
    case DATA_VIEW:
      return new DataView(buffer, byteOffset, byteLength)
    case BUFFER:
      return Buffer.from(buffer, byteOffset, byteLength)
    case INT8:
      return new Int8Array(buffer, byteOffset, length)
    case UINT8:
      return new Uint8Array(buffer, byteOffset, length)
    case UINT8_CLAMPED:
      return new Uint8ClampedArray(buffer, byteOffset, length)
    case INT16:
      return new Int16Array(buffer, byteOffset, length)
    case UINT16:
      return new Uint16Array(buffer, byteOffset, length)
    case INT32:
      return new Int32Array(buffer, byteOffset, length)
    case UINT32:
      return new Uint32Array(buffer, byteOffset, length)
    case FLOAT32:
      return new Float32Array(buffer, byteOffset, length)
    case FLOAT64:
      return new Float64Array(buffer, byteOffset, length)
    case BIG_INT64:
      return new BigInt64Array(buffer, byteOffset, length)
    case BIG_UINT64:
      return new BigUint64Array(buffer, byteOffset, length)
    default:
      if (Float16 === undefined) {
        throw new OnecopyError('ERR_UNAVAILABLE', 'a Float16Array came, and this Node has none: use Node 24 or newer')
      }
      return new Float16(buffer, byteOffset, length)
  }
}
