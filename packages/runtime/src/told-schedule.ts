import type { Awaited, Schedule } from './schedule.js'

type Step<T> = IteratorResult<Awaited<unknown> | readonly Awaited<unknown>[], T>

/** A schedule whose failure is told to others than its own ranks, also when it fails before it has begun. */
export class ToldSchedule<T> implements Schedule<T> {
  readonly #schedule: Schedule<T>
  readonly #tell: (error: unknown) => void

  constructor(schedule: Schedule<T>, tell: (error: unknown) => void) {
    this.#schedule = schedule
    this.#tell = tell
  }

  next(): Step<T> {
    return this.#told(() => this.#schedule.next())
  }

  throw(error: unknown): Step<T> {
    return this.#told(() => this.#schedule.throw(error))
  }

  [Symbol.iterator](): this {
    return this
  }

  #told(step: () => Step<T>): Step<T> {
    try {
      return step()
    } catch (error) {
      this.#tell(error)
      throw error
    }
  }
}
