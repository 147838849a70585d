import { CollectiveExchange } from './collective-exchange.js'
import { type KeptStep, KeptSteps, type MemoryCollective } from './kept-steps.js'
import { OneStep } from './one-step.js'
import type { PointToPoint } from './point-to-point.js'
import { PostedStep } from './posted-step.js'
import type { Postings } from './postings.js'
import type { RequestRecord } from './request.js'
import type { Awaited, Schedule } from './schedule.js'
import { failureOf, giveUpStep, receivesLeft } from './schedule-run.js'

/** A rank that is always the last to come never waits, and has to see to everything else all the same: so often. */
const CALLS_PER_TURN = 8

/**
 * Runs a communicator's collectives for the blocking face: the caller's thread resumes the schedule itself, with no request
 * for the whole, no queue, and an exchange and records that serve again for the next call.
 */
export class BlockingRun {
  readonly #base: PointToPoint
  readonly #context: number
  readonly #postings: Postings | null
  readonly #wait = new StepWait()
  readonly #kept = new KeptSteps()
  #spare: CollectiveExchange | null = null
  /** Calls that found all postings there. */
  #unmoved = 0

  constructor(base: PointToPoint, context: number, postings: Postings | null) {
    this.#base = base
    this.#context = context
    this.#postings = postings
  }

  /** The exchange of one call, for {@link run}. */
  open(tag: number): CollectiveExchange {
    // taken while in use: a user's operation may call a collective itself
    const exchange = this.#spare ?? new CollectiveExchange(this.#base, this.#context, tag, this.#postings, true)
    this.#spare = null
    exchange.tag = tag
    return exchange
  }

  /** A call with these arguments that is laid out already; or null. */
  kept(collective: MemoryCollective, a: unknown, b: unknown, c: unknown, d: unknown): KeptStep | null {
    return this.#kept.find(collective, a, b, c, d)
  }

  /** Runs a call that was laid out before, under the tag of this one. */
  runKept(kept: KeptStep, tag: number): void {
    const { exchange, step } = kept
    exchange.tag = tag
    kept.busy = true
    try {
      this.#run(step)
    } catch (error) {
      // busy for ever: a record may still be in somebody's hands
      throw this.#failed(exchange, error)
    }
    exchange.recycle()
    if (kept.isLong) exchange.dropAsides()
    kept.busy = false
  }

  /** As {@link run}; where the collective is one step, it may be kept for the next call with these arguments. */
  runAndKeep(
    collective: MemoryCollective,
    args: readonly unknown[],
    exchange: CollectiveExchange,
    schedule: Schedule<void>,
  ): void {
    this.run(exchange, schedule)
    if (!(schedule instanceof OneStep || schedule instanceof PostedStep)) return
    if (this.#kept.keep(collective, args, exchange, schedule)) this.#spare = null
  }

  /**
   * Runs a schedule on its exchange to its end.
   * @throws what it fails with.
   */
  run(exchange: CollectiveExchange, schedule: Schedule<unknown>): unknown {
    let result: unknown
    try {
      result = this.#run(schedule)
    } catch (error) {
      throw this.#failed(exchange, error)
    }
    // not after an error: then a record may still be in somebody's hands
    exchange.recycle()
    this.#spare = exchange
    return result
  }

  #failed(exchange: CollectiveExchange, error: unknown): unknown {
    const { engine, fatal } = this.#base
    engine.breakOff(this.#context, exchange.tag, error)
    fatal?.(error)
    return error
  }

  #run(schedule: Schedule<unknown>): unknown {
    const { engine } = this.#base
    if (engine.failure !== null) throw engine.failure
    if (schedule instanceof PostedStep) return this.#runPosted(schedule)
    return schedule instanceof OneStep ? this.#runStep(schedule) : this.#drive(schedule)
  }

  #runPosted(step: PostedStep<unknown>): unknown {
    const { engine } = this.#base
    let begun: Schedule<unknown> | null
    try {
      step.start()
      begun = step.begin()
      if (begun === null) {
        if (!step.done) engine.block(step)
        else if (++this.#unmoved % CALLS_PER_TURN === 0) engine.turn()
      }
    } catch (error) {
      step.abandon()
      throw error
    }
    if (begun !== null) return this.#run(begun)
    const rest = step.conclude()
    return rest === null ? step.result : this.#run(rest)
  }

  #runStep<T>(step: OneStep<T>): T {
    const failure = this.#blockOnAll(step.start())
    if (failure !== undefined) throw failure
    return step.finish()
  }

  #drive(schedule: Schedule<unknown>): unknown {
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
    const last = onlyOneLeft(step)
    // the usual case, and the shortest look per round
    if (last !== null) this.#base.engine.block(last)
    else this.#blockOnSeveral(step)
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

  #blockOnSeveral(step: readonly Awaited<unknown>[]): void {
    // taken while in use, like the exchange
    const wait = this.#wait.step === null ? this.#wait : new StepWait()
    wait.step = step
    try {
      if (!wait.done) this.#base.engine.block(wait)
    } finally {
      wait.step = null
    }
  }
}

/** The one among them that is not done, when all others are and none has failed; else null. */
function onlyOneLeft(step: readonly Awaited<unknown>[]): RequestRecord | null {
  let left: RequestRecord | null = null
  for (let i = 0; i < step.length; i++) {
    const awaited = step[i] as RequestRecord
    if (awaited.done ? awaited.error !== undefined : left !== null) return null
    if (!awaited.done) left = awaited
  }
  return left
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
