import type { ErrorCode } from '../errors.js'

// The suite brings its own few assertions: the package imports nothing, and every runner takes a thrown Error for a failure.

/** Fails with `what` unless the condition holds. */
export function sure(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what)
}

export function same(actual: unknown, expected: unknown, what: string): void {
  if (!Object.is(actual, expected)) throw new Error(`${what}: expected ${String(expected)}, got ${String(actual)}`)
}

/** Compares two byte or word arrays and names the first place where they differ. */
export function sameBytes(actual: ArrayLike<number>, expected: ArrayLike<number>, what: string): void {
  same(actual.length, expected.length, `${what}: length`)
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] !== expected[i]) {
      throw new Error(`${what}: differs at ${i} of ${expected.length}: expected ${expected[i]}, got ${actual[i]}`)
    }
  }
}

/** Runs `call`, which must throw a RangeError. */
export function throwsRangeError(call: () => void, what: string): void {
  const error = thrownBy(call)
  if (!(error instanceof RangeError)) throw new Error(`${what}: expected a RangeError, got ${describeError(error)}`)
}

/** Runs `call`, which must throw an OnecopyError with this code, and this rank unless it is undefined. */
export function throwsCode(call: () => void, code: ErrorCode, rank: number | undefined, what: string): void {
  const error = thrownBy(call)
  const fields = error as { name?: unknown; code?: unknown; rank?: unknown } | undefined
  // By name, not by instanceof: a transport may carry its own copy of this package.
  if (fields?.name !== 'OnecopyError' || fields.code !== code) {
    throw new Error(`${what}: expected OnecopyError ${code}, got ${describeError(error)}`)
  }
  if (rank !== undefined) same(fields.rank, rank, `${what}: the error's rank`)
}

export function thrownBy(call: () => void): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  return undefined
}

export function describeError(error: unknown): string {
  if (error === undefined) return 'no exception'
  const code = (error as { code?: unknown }).code
  return code === undefined ? String(error) : `${String(code)} (${String(error)})`
}
