import { type ElementOperation, type PairOperation, secondWins } from './kernels.js'

export type BuiltInName = ElementOperation | PairOperation

/** What a built-in operation does to single values: numbers, bigints, booleans, and [value, index] pairs. */
export interface ScalarRule {
  /** Throws a TypeError that says what the operation takes instead. */
  check(value: unknown): void
  /** Both values have passed `check` and are of one kind. */
  combine(a: never, b: never): unknown
}

export function scalarRule(name: BuiltInName): ScalarRule {
  switch (name) {
    case 'SUM':
      return arithmetic(name, (a, b) => a + b)
    case 'PROD':
      return arithmetic(name, (a, b) => a * b)
    case 'MAX':
      return { check: (value) => checkNumeric(name, value), combine: larger }
    case 'MIN':
      return { check: (value) => checkNumeric(name, value), combine: smaller }
    case 'LAND':
      return logical(name, (a, b) => a && b)
    case 'LOR':
      return logical(name, (a, b) => a || b)
    case 'LXOR':
      return logical(name, (a, b) => a !== b)
    case 'BAND':
      return bitwise(name, (a, b) => a & b)
    case 'BOR':
      return bitwise(name, (a, b) => a | b)
    case 'BXOR':
      return bitwise(name, (a, b) => a ^ b)
    case 'MAXLOC':
    case 'MINLOC':
      return { check: (value) => checkPair(name, value), combine: (a, b) => (pairSecondWins(name, a, b) ? b : a) }
  }
}

/** One kind of value as far as mixing goes: a sum of a number and a bigint is nobody's intention. */
export function scalarKind(value: unknown): string {
  if (!Array.isArray(value)) return value === null ? 'null' : typeof value
  return `[${scalarKind(value[0])}, ${scalarKind(value[1])}]`
}

function arithmetic(name: BuiltInName, combine: (a: number, b: number) => number): ScalarRule {
  return { check: (value) => checkNumeric(name, value), combine }
}

function larger(a: number, b: number): number {
  return typeof a === 'number' ? Math.max(a, b) : a < b ? b : a
}

function smaller(a: number, b: number): number {
  return typeof a === 'number' ? Math.min(a, b) : b < a ? b : a
}

/** Booleans give a boolean, numbers 1 or 0, bigints 1n or 0n. */
function logical(name: BuiltInName, combine: (a: boolean, b: boolean) => boolean): ScalarRule {
  return {
    check(value) {
      if (typeof value !== 'boolean') checkNumeric(name, value, 'booleans, ')
    },
    combine(a: unknown, b: unknown) {
      const truth = combine(Boolean(a), Boolean(b))
      if (typeof a === 'boolean') return truth
      return typeof a === 'bigint' ? BigInt(truth) : Number(truth)
    },
  }
}

function bitwise(name: BuiltInName, combine: (a: number, b: number) => number): ScalarRule {
  return {
    check(value) {
      if (typeof value === 'bigint' || (typeof value === 'number' && value === (value | 0))) return
      throw new TypeError(
        `${name} works on 32-bit integers, bigints and integer typed arrays, not on ${described(value)}; ` +
          'use a bigint for wider integers, LAND, LOR or LXOR for truth values',
      )
    },
    combine,
  }
}

function checkNumeric(name: BuiltInName, value: unknown, also = ''): void {
  if (typeof value === 'number' || typeof value === 'bigint') return
  // as in MPI, where logical values have the logical operations and no others
  const cure =
    typeof value === 'boolean'
      ? 'use LAND, LOR or LXOR for truth values, or Number(value) to count them'
      : 'for other values make an operation with Operation.create((a, b) => c)'
  throw new TypeError(`${name} works on ${also}numbers, bigints and typed arrays, not on ${described(value)}; ${cure}`)
}

function checkPair(name: BuiltInName, value: unknown): void {
  if (
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((x) => typeof x === 'number' || typeof x === 'bigint')
  ) {
    return
  }
  throw new TypeError(
    `${name} works on pairs [value, index] and on typed arrays of such pairs, not on ${described(value)}`,
  )
}

function pairSecondWins(
  name: PairOperation,
  [x, j]: readonly [number, number],
  [y, k]: readonly [number, number],
): boolean {
  return secondWins(name, x, j, y, k)
}

function described(value: unknown): string {
  if (typeof value === 'number') return `the number ${value}`
  if (typeof value !== 'object' || value === null) return value === null ? 'null' : `a value of type ${typeof value}`
  return Array.isArray(value) ? 'an array' : `a value of class ${value.constructor?.name ?? 'Object'}`
}
