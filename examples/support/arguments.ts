import type { Communicator } from 'onecopy'

export interface IntegerArgument {
  readonly name: string
  readonly fallback: number
  readonly min: number
  readonly max: number
}

/**
 * Reads the script's argument number `index` (from 0), or gives the fallback where there is none. Every rank has the same
 * arguments, so each reads its own. A mistake ends the job with exit code 2, before any work is done.
 */
export function integerArgument(world: Communicator, index: number, wanted: IntegerArgument): number {
  const { name, fallback, min, max } = wanted
  const text = process.argv[2 + index]
  if (text === undefined) return fallback
  const value = Number(text)
  if (text.trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value
  return world.abort(2, `${name} must be an integer from ${min} to ${max}, not '${text}'`)
}
