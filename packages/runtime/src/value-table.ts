import { ELEMENT_TYPE_MAX } from './element-type.js'

/**
 * A packed value's body. All numbers big-endian; the two documents are MessagePack.
 *
 *     plain        0: 0                 then one document: the value. A tree of primitives, dense arrays and plain objects
 *     with table   0: 1, three zeros
 *                  4: uint32 part count
 *                  8: uint32 byte length of the table document
 *                 12: part lengths, a float64 each
 *                  …: table document    [inline segments: bytes[], entries: entry[]]
 *                  …: content document  [the value, content of the first container entry, of the second, …]
 *
 * The table names everything that a tree of plain data cannot hold: other kinds of things, things that are referred to more than
 * once or by themselves, things nested too deeply. The documents refer to entries by number, so a receiver makes all entries
 * (empty) before it reads the content: that is how cycles through any kind of container come out right.
 *
 * An entry is [kind, …]. Kinds up to ELEMENT_TYPE_MAX are views: [element type, segment, byteOffset, byteLength], where segment n >= 0
 * is part n and segment -1-n is inline segment n.
 */
export const PLAIN_BODY = 0
export const TABLE_BODY = 1
export const TABLE_HEADER_BYTES = 12
export const PART_LENGTH_BYTES = 8

/** Leaves: complete in the table. */
export const TEXT = ELEMENT_TYPE_MAX + 1 // [TEXT, UTF-16 bytes]: a string that UTF-8 would change
export const NEGATIVE_ZERO = TEXT + 1
export const DATE = TEXT + 2 // [DATE, milliseconds]
export const REGEXP = TEXT + 3 // [REGEXP, source, flags]
export const BOXED = TEXT + 4 // [BOXED, primitive]

/** Containers: their content stands in the content document, in the order of the table. */
export const CONTAINER_MIN = 32
export const OBJECT = CONTAINER_MIN // content [key, value, …]
export const ARRAY = CONTAINER_MIN + 1 // content [item, …]
export const SPARSE_ARRAY = CONTAINER_MIN + 2 // content [length, index, item, …]
export const MAP = CONTAINER_MIN + 3 // content [key, value, …]
export const SET = CONTAINER_MIN + 4 // content [item, …]
export const ERROR = CONTAINER_MIN + 5 // entry [ERROR, name], content [message, stack, key, value, …]

/**
 * Whether a string survives msgpackr's UTF-8: lone surrogates would become U+FFFD, and a long string's leading byte order
 * mark would be dropped.
 */
export function survivesUtf8(text: string): boolean {
  return text.isWellFormed() && text.charCodeAt(0) !== 0xfeff
}

/** A string as a leaf holds it: itself, or its UTF-16 bytes where UTF-8 would change it. */
export function tableText(text: string): string | Buffer {
  return survivesUtf8(text) ? text : Buffer.from(text, 'utf16le')
}
