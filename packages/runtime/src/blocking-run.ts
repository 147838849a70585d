import { CollectiveExchange } from './collective-exchange.js'
import type { PointToPoint } from './point-to-point.js'
import type { RequestRecord } from './request.js'
import type { Awaited, Schedule } from './schedule.js'
import { failureOf, giveUpStep, receivesLeft } from './schedule-run.js'

/**
 * Runs a communicator's collectives for the blocking face: the caller's thread resumes the schedule itself, with no request
 * for the whole, no queue, and an exchange and records that serve again for the next call.
 */
export class BlockingRun {
  readonly #base: PointToPoint
  readonly #context: number
  readonly #wait = new StepWait()
  #spare: CollectiveExchange | null = null

  constructor(base: PointToPoint, context: number) {
    this.#base = base
    this.#context = context
  }

  /** The exchange of one call, for {@link run}. */
  open(tag: number): CollectiveExchange {
    // taken while in use: a user's operation may call a collective itself
    const exchange = this.#spare ?? new CollectiveExchange(this.#base, this.#context, tag, [])
    this.#spare = null
    exchange.tag = tag
    return exchange
  }

  /**
   * Runs a schedule on its exchange to its end.
   * @throws what it fails with.
   */
  run(exchange: CollectiveExchange, schedule: Schedule<unknown>): unknown {
    let result: unknown
    try {
      result = this.#drive(schedule)
    } catch (error) {
      const { engine, fatal } = this.#base
      engine.breakOff(this.#context, exchange.tag, error)
      fatal?.(error)
      throw error
    }
    // not after an error: then a record may still be in somebody's hands
    exchange.recycle()
    this.#spare = exchange
    return result
  }

  #drive(schedule: Schedule<unknown>): unknown {
    const { engine } = this.#base
    if (engine.failure !== null) throw engine.failure
    let next = schedule.next()
    while (next.done !== true) {
      const step = next.value as Awaited<unknown> | readonly Awaited<unknown>[]
      const failure = Array.isArray(step) ? this.#blockOnAll(step) : this.#blockOn(step as RequestRecord)
      next = failure === undefined ? schedule.next() : schedule.throw(failure)
    }
    return next.value
  }

  #blockOn(record: RequestRecord): unknown {
    if (!record.done) this.#base.engine.block(record)
    return record.error
  }

  #blockOnAll(step: readonly Awaited<unknown>[]): unknown {
    // taken while in use, like the exchange
    const wait = this.#wait.step === null ? this.#wait : new StepWait()
    wait.step = step
    try {
      if (!wait.done) this.#base.engine.block(wait)
    } finally {
      wait.step = null
    }
    const failure = failureOf(step)
    if (failure === undefined) return failure
    // not over before the receives that cannot be taken back are: until then the memory is not the user's
    const left = receivesLeft(step)
    giveUpStep(step)
    this.#base.engine.block({
      get done() {
        return left.every((receive) => receive.done)
      },
    })
    return failure
  }
}

/** Several things that are waited for: done when all are, or one has failed. */
class StepWait {
  step: readonly Awaited<unknown>[] | null = null

  get done(): boolean {
    const step = this.step!
    let isWhole = true
    for (let i = 0; i < step.length; i++) {
      const awaited = step[i] as RequestRecord
      if (!awaited.done) isWhole = false
      else if (awaited.error !== undefined) return true
    }
    return isWhole
  }
}
