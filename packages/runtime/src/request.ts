import { OnecopyError } from '@onecopy/transport'
import type { Posted } from './matching.js'
import type { Awaited } from './schedule.js'
import { Status } from './status.js'

/**
 * A communication that was started and will complete: what every verb of a communicator returns. Awaiting it is waiting;
 * not awaiting it is MPI's non-blocking form. A failure nobody awaits ends the rank as an unhandled rejection would.
 * @see MPI 4.1, 3.7
 */
export interface Request<T> extends PromiseLike<T> {
  /** True once the request has completed, failed or been cancelled. Makes no progress by itself. */
  readonly done: boolean
  /** What is known of the message, once done; null before, and for requests that carry no message. */
  readonly status: Status | null
  /** Makes progress once and answers whether the request is done. Never throws, never blocks. @see MPI 4.1, 3.7.3 */
  test(): boolean
  /**
   * Blocks the thread until the request is done and gives its result.
   * @throws OnecopyError what the request failed with.
   */
  waitSync(): T
  /** Blocks the thread, making progress, until `until.done`: what waiting for several requests is made of. */
  blockUntil(until: { readonly done: boolean }): void
  /**
   * Gives the request up where that is still possible (a receive that has not matched, a send that nobody has received):
   * it then fails with ERR_CANCELLED and `status.cancelled` is true. Otherwise it completes as if nothing had been asked.
   * @see MPI 4.1, 3.8.4
   */
  cancel(): void
  /** As a promise's. */
  catch<R = never>(onRejected?: ((reason: unknown) => R | PromiseLike<R>) | null): Promise<T | R>
  /** As a promise's. */
  finally(onFinally?: (() => void) | null): Promise<T>
}

/** What a request asks of the engine that runs it. */
export interface RequestOwner {
  blockUntilDone(request: RequestRecord): void
  block(until: { readonly done: boolean }): void
  /** One round of progress, on behalf of a caller who goes on with something else. */
  turn(): void
  /** Somebody awaits: the event loop has to keep going for this request. */
  awaited(request: RequestRecord): void
  settled(request: RequestRecord): void
  /** Takes the request out if that is still possible and fails it with `reason`. */
  giveUp(request: RequestRecord, reason: unknown): void
}

/** Something that goes on when requests complete: a collective's schedule. */
export interface Continuation {
  requestDone(request: RequestRecord): void
}

export const PENDING = 0
export const DONE = 1
export const FAILED = 2
export const CANCELLED = 3

/** What a receive does with the message it matches. */
export const INTO = 0
export const VALUE_OF = 1
export const MESSAGE_OF = 2

/** Turns a world rank into the communicator's; null where they are the same. */
export interface RankMap {
  localOf(worldRank: number): number
}

/** The one shape behind every {@link Request}: sends, receives and schedules, so that hot code sees one hidden class. */
export class RequestRecord implements Request<unknown>, Posted, Awaited<unknown> {
  state = PENDING

  // matching: a receive's criteria (world rank), a send's destination
  source = 0
  tag = 0
  order = 0
  next: this | null = null
  previous: this | null = null
  posted = false
  /** The context it is posted on; -1 when it is not a receive. */
  context = -1

  // data
  bytes: Uint8Array | null = null
  /** Bytes of `bytes` that may be used; a receive's capacity. */
  capacity = 0
  mode = INTO
  /** The only element type that a receive into memory takes; 0 for any. */
  elementType = 0
  ranks: RankMap | null = null
  /** Told when the request fails: an errhandler. */
  fatal: ((error: unknown) => void) | null = null
  /** A send that was announced: its number and its own memory's description, for the protocol. */
  sendId = -1
  detail: unknown = null

  // result
  value: unknown = undefined
  error: unknown = undefined
  messageSource = 0
  messageTag = 0
  messageBytes = 0
  hasMessage = false

  // waiting
  continuation: Continuation | null = null
  observed = false
  counted = false
  private promise: Promise<unknown> | null = null
  private resolve: ((value: unknown) => void) | null = null
  private reject: ((error: unknown) => void) | null = null
  private messageOf: RequestRecord | null = null
  private unlisten: (() => void) | null = null
  private readonly owner: RequestOwner

  constructor(owner: RequestOwner) {
    this.owner = owner
  }

  get done(): boolean {
    return this.state !== PENDING
  }

  get status(): Status | null {
    if (this.state === CANCELLED) return new Status(this.messageSource, this.messageTag, 0, true)
    if (this.messageOf !== null) return this.messageOf.status
    if (!this.hasMessage) return null
    return new Status(this.sender, this.messageTag, this.messageBytes)
  }

  /** Who has sent the message, by its number in the communicator. */
  get sender(): number {
    return this.ranks === null ? this.messageSource : this.ranks.localOf(this.messageSource)
  }

  result(): unknown {
    this.observed = true
    if (this.state !== DONE) throw this.error
    return this.outcome()
  }

  test(): boolean {
    if (this.state === PENDING) this.owner.turn()
    if (this.state !== PENDING) this.observed = true
    return this.state !== PENDING
  }

  waitSync(): unknown {
    this.observed = true
    if (this.state === PENDING) this.owner.blockUntilDone(this)
    return this.result()
  }

  blockUntil(until: { readonly done: boolean }): void {
    this.owner.block(until)
  }

  cancel(): void {
    if (this.state !== PENDING) return
    this.observed = true
    this.owner.giveUp(this, new OnecopyError('ERR_CANCELLED', 'the request was cancelled'))
  }

  /** Gives the request up with the signal's reason when it fires. */
  listenTo(signal: AbortSignal): this {
    if (this.state !== PENDING) return this
    const giveUp = () => this.owner.giveUp(this, signal.reason)
    if (signal.aborted) {
      giveUp()
    } else {
      signal.addEventListener('abort', giveUp, { once: true })
      this.unlisten = () => signal.removeEventListener('abort', giveUp)
    }
    return this
  }

  then<A = unknown, B = never>(
    onFulfilled?: ((value: unknown) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.settling().then(onFulfilled, onRejected)
  }

  catch(onRejected?: ((reason: unknown) => unknown) | null): Promise<unknown> {
    return this.settling().catch(onRejected)
  }

  finally(onFinally?: (() => void) | null): Promise<unknown> {
    return this.settling().finally(onFinally)
  }

  get [Symbol.toStringTag](): string {
    return 'Request'
  }

  complete(value: unknown): void {
    this.state = DONE
    this.value = value
    this.settled()
  }

  fail(error: unknown): void {
    this.state = FAILED
    this.error = error
    this.settled()
  }

  failCancelled(error: unknown): void {
    this.state = CANCELLED
    this.error = error
    this.settled()
  }

  /** Has failures told to `fatal`, an earlier one too. */
  setFatal(fatal: ((error: unknown) => void) | null): void {
    this.fatal = fatal
    if (fatal !== null && this.state === FAILED) fatal(this.error)
  }

  /** Makes the record ready for another message: only for records that were never handed to a user. */
  renew(): void {
    this.state = PENDING
    this.value = undefined
    this.error = undefined
    this.hasMessage = false
    this.observed = false
    this.detail = null
    this.continuation = null
    this.sendId = -1
  }

  /** Shows the message of `receive` as this request's own: for a request made of a send and a receive. */
  adoptMessageOf(receive: RequestRecord): void {
    this.messageOf = receive
  }

  /** The result as the caller gets it; made only when somebody asks. */
  private outcome(): unknown {
    if (!this.hasMessage || this.mode === VALUE_OF) return this.value
    const status = this.status!
    if (this.mode === INTO) return status
    const { source, tag, byteLength } = status
    return { data: this.value, source, tag, byteLength }
  }

  private settled(): void {
    if (this.unlisten !== null) {
      this.unlisten()
      this.unlisten = null
    }
    if (this.state === FAILED && this.fatal !== null) this.fatal(this.error)
    this.owner.settled(this)
    if (this.continuation !== null) this.continuation.requestDone(this)
    if (this.promise === null) return
    if (this.state === DONE) this.resolve!(this.outcome())
    else this.reject!(this.error)
  }

  private settling(): Promise<unknown> {
    this.observed = true
    if (this.promise !== null) return this.promise
    if (this.state === DONE) {
      this.promise = Promise.resolve(this.outcome())
    } else if (this.state !== PENDING) {
      this.promise = Promise.reject(this.error)
    } else {
      this.promise = new Promise((resolve, reject) => {
        this.resolve = resolve
        this.reject = reject
      })
      this.owner.awaited(this)
    }
    return this.promise
  }
}
