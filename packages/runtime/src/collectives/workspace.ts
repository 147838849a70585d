import type { Awaited } from '../schedule.js'
import type { VectorAccumulator } from './vector-kernels.js'

/**
 * Memory in which what comes by messages is combined where it lands. One reduction has it at a time, from its first receive to its
 * result; others meanwhile do without.
 */
export class Workspace {
  readonly accumulator: VectorAccumulator
  #holder: readonly Awaited<unknown>[] | null = null

  constructor(accumulator: VectorAccumulator) {
    this.accumulator = accumulator
  }

  /** Takes it for a reduction that waits for what `holder` will list, until {@link giveBack}; false when another one has it. */
  take(holder: readonly Awaited<unknown>[]): boolean {
    if (this.#holder !== null && !hasFailed(this.#holder)) return false
    this.#holder = holder
    return true
  }

  giveBack(): void {
    this.#holder = null
  }
}

/** Whether nobody writes for it any more, and its reduction will never combine what came: one part of it failed. */
function hasFailed(holder: readonly Awaited<unknown>[]): boolean {
  return holder.every((each) => each.done) && holder.some(failed)
}

function failed(awaited: Awaited<unknown>): boolean {
  try {
    awaited.result()
    return false
  } catch {
    return true
  }
}
