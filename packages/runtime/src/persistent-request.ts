import type { WaitOptions } from './point-to-point.js'
import type { Request, RequestRecord } from './request.js'
import type { Status } from './status.js'

/**
 * A communication that is started again and again with the same arguments: `start()`, then wait as with any request.
 * Between a start and its completion the memory is the request's. @see MPI 4.1, 3.9
 */
export class PersistentRequest<T> implements Request<T> {
  readonly #begin: (options: WaitOptions | undefined) => RequestRecord
  #active: RequestRecord | null = null

  constructor(begin: (options: WaitOptions | undefined) => RequestRecord) {
    this.#begin = begin
  }

  /**
   * Starts the communication. Returns itself, so that `await request.start()` reads well.
   * @param options a signal that gives this start up
   * @throws TypeError while an earlier start has not completed.
   * @see MPI 4.1, 3.9 (MPI_Start)
   */
  start(options?: WaitOptions): this {
    if (this.#active !== null && !this.#active.done) {
      throw new TypeError('this persistent request is active: wait for it before the next start()')
    }
    this.#active = this.#begin(options)
    return this
  }

  /** True while inactive, too: there is nothing to wait for then. */
  get done(): boolean {
    return this.#active === null || this.#active.done
  }

  get status(): Status | null {
    return this.#active === null ? null : this.#active.status
  }

  test(): boolean {
    return this.#active === null || this.#active.test()
  }

  waitSync(): T {
    return this.#started().waitSync() as T
  }

  blockUntil(until: { readonly done: boolean }): void {
    this.#started().blockUntil(until)
  }

  cancel(): void {
    this.#active?.cancel()
  }

  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.#started().then(onFulfilled as ((value: unknown) => A | PromiseLike<A>) | null, onRejected)
  }

  catch<R = never>(onRejected?: ((reason: unknown) => R | PromiseLike<R>) | null): Promise<T | R> {
    return this.#started().catch(onRejected) as Promise<T | R>
  }

  finally(onFinally?: (() => void) | null): Promise<T> {
    return this.#started().finally(onFinally) as Promise<T>
  }

  #started(): RequestRecord {
    if (this.#active === null) throw new TypeError('this persistent request has not been started: call start() first')
    return this.#active
  }
}
