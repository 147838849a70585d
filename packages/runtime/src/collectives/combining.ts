import { OnecopyError } from '@onecopy/transport'
import type { Operation } from '../operation.js'
import type { Schedule } from '../schedule.js'
import { isTypedArray, type TypedArray } from './arrays.js'

/** Whether a value is reduced element by element, on the path for memory. */
export function isArrayFor(operation: Operation, value: unknown): value is TypedArray {
  return operation.elementwise && isTypedArray(value)
}

/** Gives what the schedule left in `memory`. */
export function* giving<T>(memory: T, schedule: Schedule<void>): Schedule<T> {
  yield* schedule
  return memory
}

/**
 * Combines this rank's part with the one that came from `source`, `first` being of the lower rank.
 * @throws OnecopyError ERR_TYPE when the two are of kinds that the operation does not combine.
 */
export function combined(
  collective: string,
  operation: Operation,
  mine: unknown,
  theirs: unknown,
  mineFirst: boolean,
  source: number,
): unknown {
  checkGoTogether(collective, operation, mine, theirs, source)
  return mineFirst ? operation.combine(mine, theirs) : operation.combine(theirs, mine)
}

/** @throws OnecopyError ERR_TYPE when two ranks' values are of kinds that the operation does not combine. */
export function checkGoTogether(
  collective: string,
  operation: Operation,
  mine: unknown,
  theirs: unknown,
  source: number,
): void {
  const mismatch = operation.mismatch(mine, theirs)
  if (mismatch === null) return
  throw new OnecopyError(
    'ERR_TYPE',
    `${collective}: what came from rank ${source} does not go with this rank's value: ${mismatch}`,
    { source },
  )
}
