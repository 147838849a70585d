import { IN_PLACE } from '../constants.js'
import { bytesOf, elementTypeName } from '../element-type.js'
import { Operation } from '../operation.js'
import { isTypedArray, itemTypeOf, overlaps, type TypedArray } from './arrays.js'

/** @throws TypeError or RangeError unless `root` is a rank of the communicator. */
export function checkRoot(collective: string, root: unknown, size: number): asserts root is number {
  if (typeof root !== 'number') throw new TypeError(`${collective}: root must be a rank, got ${String(root)}`)
  if (!Number.isInteger(root) || root < 0 || root >= size) {
    throw new RangeError(`${collective}: root must be a rank from 0 to ${size - 1}, got ${root}`)
  }
}

/** @throws TypeError unless `view` is a typed array, Buffer or DataView over memory that is still there. */
export function checkView(collective: string, name: string, view: unknown): asserts view is ArrayBufferView {
  if (!ArrayBuffer.isView(view)) {
    throw new TypeError(`${collective}: ${name} must be a typed array, Buffer or DataView, got ${described(view)}`)
  }
  checkAttached(view)
}

/** @throws RangeError when data would be received into memory that is being sent. */
export function checkApart(collective: string, send: ArrayBufferView, recv: ArrayBufferView): void {
  if (overlaps(send, recv)) {
    throw new RangeError(`${collective}: send and recv share memory; give IN_PLACE as send, or memory of its own`)
  }
}

/** @throws TypeError unless `values` is an array with one value per rank. */
export function checkValues(collective: string, values: unknown, size: number): asserts values is readonly unknown[] {
  if (!Array.isArray(values))
    throw new TypeError(`${collective}: an array of values is needed, got ${described(values)}`)
  if (values.length !== size) {
    throw new RangeError(`${collective}: ${size} values are needed, one per rank, got ${values.length}`)
  }
}

/** @throws TypeError unless `operation` is an {@link Operation}. */
export function checkOperation(collective: string, operation: unknown): asserts operation is Operation {
  if (operation instanceof Operation) return
  throw new TypeError(
    `${collective}: op must be an Operation (SUM, MAX, … or Operation.create((a, b) => c)), got ${described(operation)}`,
  )
}

/** @throws TypeError unless `value` is something the operation combines. */
export function checkContribution(
  collective: string,
  value: unknown,
  operation: unknown,
): asserts operation is Operation {
  checkOperation(collective, operation)
  operation.checkValue(value)
}

/**
 * Checks a reduction's memory and gives what this rank contributes: `recv` itself for IN_PLACE.
 * @throws TypeError unless both are typed arrays of one kind that the operation works on.
 * @throws RangeError when their lengths differ or they overlap.
 */
export function contributionOf(collective: string, send: unknown, recv: unknown, operation: unknown): TypedArray {
  checkOperation(collective, operation)
  checkArray(collective, 'recv', recv)
  operation.checkArray(recv)
  if (send === IN_PLACE) return recv
  checkArray(collective, 'send', send)
  checkSameKind(collective, send, recv)
  if (send.length !== recv.length) {
    throw new RangeError(
      `${collective}: send has ${send.length} elements and recv ${recv.length}; they must be equally long`,
    )
  }
  checkApart(collective, send, recv)
  return send
}

/** @throws TypeError when a reduction's arrays are of two kinds. */
export function checkSameKind(collective: string, send: TypedArray, recv: TypedArray): void {
  if (itemTypeOf(send) === itemTypeOf(recv)) return
  throw new TypeError(
    `${collective}: send is a ${elementTypeName(itemTypeOf(send))} and recv a ${elementTypeName(itemTypeOf(recv))}; ` +
      'they must be of one kind',
  )
}

/** @throws TypeError unless `view` is a typed array or Buffer over memory that is still there. */
export function checkArray(collective: string, name: string, view: unknown): asserts view is TypedArray {
  if (!isTypedArray(view)) {
    throw new TypeError(`${collective}: ${name} must be a typed array, got ${described(view)}`)
  }
  checkAttached(view)
}

/** Detached memory shows as length 0; only then is it worth the view whose making throws. */
function checkAttached(view: ArrayBufferView): void {
  if (view.byteLength === 0) bytesOf(view)
}

function described(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (value === IN_PLACE) return 'IN_PLACE, which is not possible here'
  if (typeof value === 'object') return `a value of class ${value.constructor?.name ?? 'Object'}`
  return `a ${typeof value}`
}
