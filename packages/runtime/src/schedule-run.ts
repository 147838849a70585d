import type { Continuation, RequestRecord } from './request.js'
import type { Awaited, Schedule } from './schedule.js'

/** Asked when somebody wants to give a schedule up: takes back what decides that, or says that it is too late. */
export type MayGiveUp = (reason: unknown) => boolean

/** One collective under way: resumes its schedule each time what it waits for is done. */
export class ScheduleRun implements Continuation {
  readonly #record: RequestRecord
  readonly #schedule: Schedule<unknown>
  readonly #enqueue: (run: ScheduleRun) => void
  #step: readonly Awaited<unknown>[] = []
  #missing = 0
  #failure: { readonly error: unknown } | null = null
  #queued = false
  #cancelled = false
  /** It has failed, and waits for receives only. */
  #ending: { readonly error: unknown } | null = null
  readonly #mayGiveUp: MayGiveUp | null
  readonly #onFailed: ((error: unknown) => void) | null

  constructor(
    record: RequestRecord,
    schedule: Schedule<unknown>,
    enqueue: (run: ScheduleRun) => void,
    mayGiveUp: MayGiveUp | null,
    onFailed: ((error: unknown) => void) | null,
  ) {
    this.#record = record
    this.#schedule = schedule
    this.#enqueue = enqueue
    this.#mayGiveUp = mayGiveUp
    this.#onFailed = onFailed
  }

  requestDone(_request: RequestRecord): void {
    this.#missing--
    if (this.#ending !== null) {
      if (this.#missing === 0) this.#settle(this.#ending.error)
      return
    }
    const failed = _request.error !== undefined && this.#failure === null
    if (failed) this.#failure = { error: _request.error }
    if ((this.#missing > 0 && !failed) || this.#queued) return
    this.#queued = true
    this.#enqueue(this)
  }

  /** Goes on until the schedule waits for something that is not there yet. Never throws. */
  advance(): void {
    this.#queued = false
    if (this.#record.done || this.#ending !== null) return
    let left: readonly RequestRecord[] = []
    try {
      for (;;) {
        const failure = this.#failure
        this.#failure = null
        left = failure === null ? [] : this.#giveUpStep()
        const next = failure === null ? this.#schedule.next() : this.#schedule.throw(failure.error)
        if (next.done === true) {
          this.#record.complete(next.value)
          return
        }
        this.#step = Array.isArray(next.value) ? next.value : [next.value as Awaited<unknown>]
        if (this.#waits()) return
      }
    } catch (error) {
      this.#failed(error, left)
    }
  }

  /** Not over before the receives that can not be taken back are: until then the memory is not the user's. */
  #failed(error: unknown, left: readonly RequestRecord[]): void {
    if (this.#onFailed !== null) this.#onFailed(error)
    this.#missing = 0
    for (const receive of left) {
      if (receive.done) continue
      this.#missing++
      receive.continuation = this
    }
    this.#ending = { error }
    if (this.#missing === 0) this.#settle(error)
  }

  #settle(error: unknown): void {
    if (this.#cancelled) this.#record.failCancelled(error)
    else this.#record.fail(error)
  }

  /** Fails with `reason`, where it can still be given up. */
  giveUp(reason: unknown): void {
    if (this.#mayGiveUp !== null && !this.#mayGiveUp(reason)) return
    this.#cancelled = true
    this.stop(reason)
  }

  /** Ends a schedule that nobody can finish any more. */
  stop(error: unknown): void {
    if (this.#failure === null) this.#failure = { error }
    this.advance()
  }

  #waits(): boolean {
    this.#missing = 0
    for (const awaited of this.#step) {
      if (!awaited.done) {
        this.#missing++
        ;(awaited as RequestRecord).continuation = this
      } else if ((awaited as RequestRecord).error !== undefined && this.#failure === null) {
        this.#failure = { error: (awaited as RequestRecord).error }
      }
    }
    return this.#missing > 0 && this.#failure === null
  }

  /** Gives the receives that were not done: those that cannot be taken back are not done yet. */
  #giveUpStep(): readonly RequestRecord[] {
    const left = receivesLeft(this.#step)
    giveUpStep(this.#step)
    this.#step = []
    return left
  }
}

/** What the first of them that has failed has failed with; undefined when none has. */
export function failureOf(step: readonly Awaited<unknown>[]): unknown {
  for (let i = 0; i < step.length; i++) {
    const { error } = step[i] as RequestRecord
    if (error !== undefined) return error
  }
  return undefined
}

/** The receives among them that are not done. */
export function receivesLeft(step: readonly Awaited<unknown>[]): RequestRecord[] {
  return step.filter((awaited) => !awaited.done && (awaited as RequestRecord).context >= 0) as RequestRecord[]
}

/** Memory of receives that will never be needed goes back to the caller. */
export function giveUpStep(step: readonly Awaited<unknown>[]): void {
  for (const awaited of step) {
    const record = awaited as RequestRecord
    if (record.done) continue
    record.continuation = null
    record.cancel()
  }
}
