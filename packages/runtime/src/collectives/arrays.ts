import { allocate, arrayOver, BUFFER, bytesOf, bytesPerElement, elementTypeOf, UINT8, VALUE } from '../element-type.js'

/** The arrays that have an element type: everything that can be reduced element by element. */
export type TypedArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array

/** True for typed arrays and Buffers; false for a DataView, which has no element type. */
export function isTypedArray(value: unknown): value is TypedArray {
  return ArrayBuffer.isView(value) && !(value instanceof DataView)
}

/** The element type that counts in a reduction: a Buffer's elements are a Uint8Array's. */
export function itemTypeOf(value: unknown): number {
  const type = ArrayBuffer.isView(value) ? elementTypeOf(value) : VALUE
  return type === BUFFER ? UINT8 : type
}

/** Elements of `view`; bytes for a DataView. */
export function lengthOf(view: ArrayBufferView): number {
  return view.byteLength / bytesPerElement(elementTypeOf(view))
}

/** A new array of the same kind in memory of its own, not filled. */
export function newLike<T extends TypedArray>(array: T, length: number = array.length): T {
  const byteLength = length * array.BYTES_PER_ELEMENT
  return arrayOver(elementTypeOf(array), allocate(byteLength), byteLength) as T
}

/** Copies all of `source` to the front of `target`, which is of the same kind. */
export function copyInto(target: TypedArray, source: TypedArray): void {
  if (target !== source) bytesOf(target).set(bytesOf(source))
}

/** Whether two views share any byte. */
export function overlaps(a: ArrayBufferView, b: ArrayBufferView): boolean {
  return (
    a.buffer === b.buffer &&
    a.byteLength > 0 &&
    b.byteLength > 0 &&
    a.byteOffset < b.byteOffset + b.byteLength &&
    b.byteOffset < a.byteOffset + a.byteLength
  )
}
