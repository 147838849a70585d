import { copyInto, isTypedArray, itemTypeOf, newLike, type TypedArray } from './collectives/arrays.js'
import { type BuiltInName, type ScalarRule, scalarKind, scalarRule } from './collectives/built-in-operations.js'
import { combinesInVectors, VECTOR_CHUNK_BYTES, WORKSPACE_PART_BYTES } from './collectives/choose.js'
import { type Kernel, kernelFor } from './collectives/kernels.js'
import { type VectorAccumulator, vectorAccumulatorFor } from './collectives/vector-kernels.js'
import { Workspace } from './collectives/workspace.js'
import { bytesOf, elementTypeName } from './element-type.js'

/** What `Operation.create` is told about a function. */
export interface OperationOptions {
  /**
   * True when `combine(a, b)` equals `combine(b, a)`: collectives may then combine in any order, which is faster. Default
   * false: always in rank order.
   */
  readonly commutative?: boolean
  /**
   * True (the default): typed arrays are combined element by element. False: `combine` gets whole typed arrays (a matrix,
   * say) and gives one of the same kind and length.
   */
  readonly elementwise?: boolean
  /** For error messages; default: the function's name. */
  readonly name?: string
}

/**
 * A binary, associative operation for reductions. Built in: {@link SUM}, {@link PROD}, {@link MAX}, {@link MIN},
 * {@link LAND}, {@link LOR}, {@link LXOR}, {@link BAND}, {@link BOR}, {@link BXOR}, {@link MAXLOC}, {@link MINLOC}; make your
 * own with {@link Operation.create}. Holds no memory of the calls it was used in; needs no freeing.
 * @see MPI 4.1, 6.9
 */
export abstract class Operation {
  /** For error messages. */
  readonly name: string
  /** Whether collectives may combine in any order. @see MPI 4.1, 6.9.7 */
  readonly commutative: boolean
  /** Whether typed arrays are combined element by element, so that an array may be cut anywhere between items. */
  readonly elementwise: boolean
  /** @internal Whether combining runs no code of the user's, which might throw, keep what it is given, or call a collective itself. */
  abstract readonly isBuiltIn: boolean
  /** Array elements that belong together: 2 for MAXLOC and MINLOC ([value, index] interleaved), else 1. */
  readonly itemLength: number

  constructor(name: string, commutative: boolean, elementwise: boolean, itemLength: number) {
    this.name = name
    this.commutative = commutative
    this.elementwise = elementwise
    this.itemLength = itemLength
  }

  /**
   * Makes an operation of your own. `combine` must be associative, and give the same on every rank; it may change and
   * return its first argument only if the caller of the collective can do without the value it gave. It must not keep an array
   * that it is given: that memory serves again. It is called with values, or with two elements of a typed array unless `elementwise` is false.
   * @example
   * const UNION = Operation.create((a: Set<string>, b: Set<string>) => new Set([...a, ...b]), { commutative: true })
   * const words = await world.allreduce(mine, UNION)
   * @throws TypeError when `combine` is not a function.
   * @see MPI 4.1, 6.9.5 (MPI_Op_create)
   */
  // biome-ignore lint/suspicious/noExplicitAny: lets (a, b) => a + b stand without annotations, as in JavaScript
  static create<T = any>(combine: (a: T, b: T) => T, options: OperationOptions = {}): Operation {
    if (typeof combine !== 'function')
      throw new TypeError('Operation.create: the first argument must be a function (a, b) => c')
    return new UserOperation(combine as (a: unknown, b: unknown) => unknown, options)
  }

  /**
   * Combines two values, `a` being of the lower rank. Typed arrays give a new one.
   * @throws TypeError when the operation does not work on such values, or they are of two kinds or lengths.
   */
  abstract combine(a: unknown, b: unknown): unknown

  /**
   * Combines two typed arrays item by item into the first: `accumulator[i] = combine(accumulator[i], operand[i])`. For
   * built-in operations allocates nothing, except the first time for an element type.
   * @throws TypeError when the operation does not work on the arrays' element type, or they are of two kinds or lengths.
   */
  reduceInto(accumulator: TypedArray, operand: TypedArray): void {
    checkSameShape(this.name, accumulator, operand)
    this.checkArray(accumulator)
    this.combineInto(accumulator, accumulator, operand)
  }

  /**
   * @internal Throws unless a reduction may start with this value.
   * @throws TypeError naming what the operation works on.
   */
  abstract checkValue(value: unknown): void

  /** @internal @throws TypeError unless the operation works on the array's element type and its length is whole items. */
  abstract checkArray(array: TypedArray): void

  /** @internal `out[i] = combine(a[i], b[i])`; `out` may be `a` or `b`. The arrays are of one kind and length, and checked. */
  abstract combineInto(out: TypedArray, a: TypedArray, b: TypedArray): void

  /**
   * @internal `out[i] = combine(…combine(parts[0][i], parts[1][i])…, parts[n][i])`; `out` may be one of the first two. As
   * {@link combineInto} otherwise.
   */
  combineAllInto(out: TypedArray, parts: readonly TypedArray[]): void {
    this.combineInto(out, parts[0]!, parts[1]!)
    for (let i = 2; i < parts.length; i++) this.combineInto(out, out, parts[i]!)
  }

  /** @internal Memory in which parts of such an array are combined where they lie; null where there is none for it. */
  accumulatorFor(_array: TypedArray): VectorAccumulator | null {
    return null
  }

  /** @internal Memory in which `parts` such arrays, received one by one, are combined where they land; null where there is none. */
  workspaceFor(_array: TypedArray, _parts: number): Workspace | null {
    return null
  }

  /** @internal What tells it from another one, on every rank alike: what has no name is told by its text. */
  get label(): string {
    return this.name
  }

  /** @internal Whether two ranks' values may be combined at all; what differs, in words, or null. */
  abstract mismatch(mine: unknown, theirs: unknown): string | null
}

class BuiltInOperation extends Operation {
  readonly isBuiltIn = true
  readonly #builtIn: BuiltInName
  readonly #scalar: ScalarRule
  /** By element type; a memo of pure functions, compiled when first needed because most programs need one or two. */
  readonly #kernels: (Kernel | null | undefined)[] = []
  /** The same; whoever leaves something in their memory looks whether it is still there (`VectorAccumulator.owner`). */
  readonly #accumulators: (VectorAccumulator | null | undefined)[] = []
  /** The same, but for the reduction that has it. */
  readonly #workspaces: (Workspace | null | undefined)[] = []

  constructor(name: BuiltInName) {
    super(name, true, true, name === 'MAXLOC' || name === 'MINLOC' ? 2 : 1)
    this.#builtIn = name
    this.#scalar = scalarRule(name)
  }

  override combine(a: unknown, b: unknown): unknown {
    this.checkValue(a)
    this.checkValue(b)
    const mismatch = this.mismatch(a, b)
    if (mismatch !== null) throw new TypeError(`${this.name}: ${mismatch}`)
    if (!isTypedArray(a)) return this.#scalar.combine(a as never, b as never)
    const out = newLike(a)
    this.combineInto(out, a, b as TypedArray)
    return out
  }

  override checkValue(value: unknown): void {
    if (isTypedArray(value)) this.checkArray(value)
    else this.#scalar.check(value)
  }

  override checkArray(array: TypedArray): void {
    if (this.#kernelFor(array) === null) {
      throw new TypeError(`${this.name} works on integers, not on a ${elementTypeName(itemTypeOf(array))}`)
    }
    if (array.length % this.itemLength !== 0) {
      throw new TypeError(
        `${this.name} works on interleaved pairs [value, index, …]: the length ${array.length} is odd`,
      )
    }
  }

  override combineInto(out: TypedArray, a: TypedArray, b: TypedArray): void {
    this.#kernelFor(out)!(out, a, b, out.length)
  }

  override combineAllInto(out: TypedArray, parts: readonly TypedArray[]): void {
    const accumulator =
      parts.length > 2 && combinesInVectors(out.byteLength, out.BYTES_PER_ELEMENT) ? this.accumulatorFor(out) : null
    if (accumulator === null || parts.length > accumulator.partsMax) super.combineAllInto(out, parts)
    else accumulator.combineAll(bytesOf(out), parts.map(bytesOf))
  }

  override accumulatorFor(array: TypedArray): VectorAccumulator | null {
    const type = itemTypeOf(array)
    let accumulator = this.#accumulators[type]
    if (accumulator === undefined) {
      accumulator = vectorAccumulatorFor(this.#builtIn, type, VECTOR_CHUNK_BYTES)
      this.#accumulators[type] = accumulator
    }
    return accumulator
  }

  override workspaceFor(array: TypedArray, parts: number): Workspace | null {
    const { byteLength } = array
    if (parts < 2) return null
    if (byteLength > WORKSPACE_PART_BYTES || !combinesInVectors(byteLength, array.BYTES_PER_ELEMENT)) return null
    const type = itemTypeOf(array)
    let workspace = this.#workspaces[type]
    if (workspace === undefined) {
      const accumulator = vectorAccumulatorFor(this.#builtIn, type, WORKSPACE_PART_BYTES)
      workspace = accumulator === null ? null : new Workspace(accumulator)
      this.#workspaces[type] = workspace
    }
    return workspace !== null && parts <= workspace.accumulator.partsMax ? workspace : null
  }

  override mismatch(mine: unknown, theirs: unknown): string | null {
    if (isTypedArray(mine) || isTypedArray(theirs)) return shapeMismatch(mine, theirs)
    const kind = scalarKind(mine)
    const other = scalarKind(theirs)
    return kind === other ? null : `${kind} here, ${other} there`
  }

  #kernelFor(array: TypedArray): Kernel | null {
    const type = itemTypeOf(array)
    let kernel = this.#kernels[type]
    if (kernel === undefined) {
      kernel = kernelFor(this.#builtIn, type)
      this.#kernels[type] = kernel
    }
    return kernel
  }
}

const UNNAMED = 'user operation'

/** The function as it was written, in one line. */
function textOf(combine: (a: unknown, b: unknown) => unknown): string {
  return Function.prototype.toString.call(combine).replace(/\s+/g, ' ')
}

class UserOperation extends Operation {
  readonly isBuiltIn = false
  readonly #combine: (a: unknown, b: unknown) => unknown

  constructor(combine: (a: unknown, b: unknown) => unknown, options: OperationOptions) {
    const name = options.name ?? (combine.name || UNNAMED)
    super(name, options.commutative ?? false, options.elementwise ?? true, 1)
    this.#combine = combine
  }

  override combine(a: unknown, b: unknown): unknown {
    if (!this.elementwise || !isTypedArray(a) || !isTypedArray(b)) return this.#combine(a, b)
    checkSameShape(this.name, a, b)
    const out = newLike(a)
    this.combineInto(out, a, b)
    return out
  }

  override get label(): string {
    return this.name === UNNAMED ? textOf(this.#combine) : this.name
  }

  override checkValue(): void {}

  override checkArray(): void {}

  override combineInto(out: TypedArray, a: TypedArray, b: TypedArray): void {
    if (!this.elementwise) {
      const result = this.#combine(a, b)
      if (!isTypedArray(result)) throw new TypeError(`${this.name} must give a ${nameOf(out)} for two of them`)
      checkSameShape(this.name, out, result)
      copyInto(out, result)
      return
    }
    const combine = this.#combine
    for (let i = 0; i < out.length; i++) {
      const mine = a[i]
      const result = combine(mine, b[i])
      if (typeof result !== typeof mine) {
        throw new TypeError(
          `${this.name} must give a ${typeof mine} for two elements of a ${nameOf(out)}, not ${typeof result}`,
        )
      }
      out[i] = result as number
    }
  }

  override mismatch(mine: unknown, theirs: unknown): string | null {
    return this.elementwise && isTypedArray(mine) && isTypedArray(theirs) ? shapeMismatch(mine, theirs) : null
  }
}

function shapeMismatch(mine: unknown, theirs: unknown): string | null {
  if (nameOf(mine) !== nameOf(theirs)) return `${nameOf(mine)} here, ${nameOf(theirs)} there`
  const lengths = [(mine as TypedArray).length, (theirs as TypedArray).length]
  return lengths[0] === lengths[1] ? null : `${lengths[0]} elements here, ${lengths[1]} there`
}

function checkSameShape(name: string, a: TypedArray, b: TypedArray): void {
  const mismatch = shapeMismatch(a, b)
  if (mismatch !== null) throw new TypeError(`${name}: two arrays of one kind and length are needed: ${mismatch}`)
}

function nameOf(value: unknown): string {
  return ArrayBuffer.isView(value) ? elementTypeName(itemTypeOf(value)) : scalarKind(value)
}

/**
 * The sum. Integer arrays wrap around, as their elements do (a Uint8ClampedArray's stop at 255). Booleans have no sum, as in MPI:
 * count them as Number(value).
 * @see MPI 4.1, 6.9.2
 */
export const SUM: Operation = new BuiltInOperation('SUM')
/** The product. @see MPI 4.1, 6.9.2 */
export const PROD: Operation = new BuiltInOperation('PROD')
/** The maximum; NaN if there is one, as Math.max. @see MPI 4.1, 6.9.2 */
export const MAX: Operation = new BuiltInOperation('MAX')
/** The minimum; NaN if there is one, as Math.min. @see MPI 4.1, 6.9.2 */
export const MIN: Operation = new BuiltInOperation('MIN')
/** Logical and: a boolean for booleans, else 1 or 0. @see MPI 4.1, 6.9.2 */
export const LAND: Operation = new BuiltInOperation('LAND')
/** Logical or: a boolean for booleans, else 1 or 0. @see MPI 4.1, 6.9.2 */
export const LOR: Operation = new BuiltInOperation('LOR')
/** Logical exclusive or: a boolean for booleans, else 1 or 0. @see MPI 4.1, 6.9.2 */
export const LXOR: Operation = new BuiltInOperation('LXOR')
/** Bitwise and of integers. @see MPI 4.1, 6.9.2 */
export const BAND: Operation = new BuiltInOperation('BAND')
/** Bitwise or of integers. @see MPI 4.1, 6.9.2 */
export const BOR: Operation = new BuiltInOperation('BOR')
/** Bitwise exclusive or of integers. @see MPI 4.1, 6.9.2 */
export const BXOR: Operation = new BuiltInOperation('BXOR')
/** The pair [value, index] with the largest value, the lowest index among equals. @see MPI 4.1, 6.9.4 */
export const MAXLOC: Operation = new BuiltInOperation('MAXLOC')
/** The pair [value, index] with the smallest value, the lowest index among equals. @see MPI 4.1, 6.9.4 */
export const MINLOC: Operation = new BuiltInOperation('MINLOC')
