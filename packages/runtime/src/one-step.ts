import type { Awaited, Schedule } from './schedule.js'

/**
 * A schedule of one step, which may be run again: all of it is started at once, and when that is done the result is made. What
 * few ranks do with short arrays is written so, because a generator costs as much as the messages (0.2 us), and because the
 * blocking face keeps such a step for the next call with the same arguments (kept-steps.ts).
 *
 * Whatever depends on the arguments alone (checks, views, memory aside) belongs before, so that running it again is cheap.
 */
export class OneStep<T> implements Schedule<T> {
  /** Starts everything; gives what to wait for. */
  readonly start: () => readonly Awaited<unknown>[]
  /** Called when all of that is done. */
  readonly finish: () => T
  #started = false

  constructor(start: () => readonly Awaited<unknown>[], finish: () => T) {
    this.start = start
    this.finish = finish
  }

  // --- as a generator, for those who run any schedule

  next(): IteratorResult<readonly Awaited<unknown>[], T> {
    this.#started = !this.#started
    return this.#started ? { done: false, value: this.start() } : { done: true, value: this.finish() }
  }

  throw(error: unknown): never {
    throw error
  }

  [Symbol.iterator](): this {
    return this
  }
}
