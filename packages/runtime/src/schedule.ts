import type { OnecopyError } from '@onecopy/transport'
import type { TypedArray } from './collectives/arrays.js'
import type { Postings } from './postings.js'
import type { Status } from './status.js'

/**
 * What a schedule may wait for: something that was started and will complete. Every `Request` is one; so are the requests
 * of a simulated exchange.
 */
export interface Awaited<T> {
  /** True once the result or the error is there. */
  readonly done: boolean
  /** The result; throws the error. Only when `done`. */
  result(): T
}

/** A receive into memory. */
export interface Arriving extends Awaited<Status> {
  /** How many bytes have come. Only when it is done and has not failed. */
  readonly messageBytes: number
}

/**
 * How a collective's ranks reach each other: point-to-point on the communicator's collective context, under a tag that
 * belongs to this one call (so any number of collectives can be outstanding). Ranks are the communicator's.
 *
 * Everything starts at once and returns what to wait for. Memory given to `sendBytes` and `receiveBytes` stays the
 * exchange's until that has completed. Sending to oneself works. Messages between two ranks do not overtake.
 */
export interface Exchange {
  readonly rank: number
  readonly size: number
  /**
   * Sends raw memory, said to hold elements of `elementType` (element-type.ts; default UINT8). The receiver uses
   * `receiveBytes` with memory of at least this length. `receiving` (default false): this rank receives as much at the
   * same time, and so has no time to copy half of what it sends.
   */
  sendBytes(bytes: Uint8Array, dest: number, elementType?: number, receiving?: boolean): Awaited<void>
  /**
   * Receives raw memory; an exact length is the caller's to check (`Status.byteLength`). Fails with ERR_TYPE when
   * `elementType` is given and the message was sent with another.
   */
  receiveBytes(into: Uint8Array, source: number, elementType?: number): Arriving
  /** A view's memory as bytes; for short arrays without making a view each time the same one is given. */
  bytesOf(view: ArrayBufferView): Uint8Array
  /** Memory of the same kind as `like`, not filled, for as long as this call runs. */
  aside<T extends TypedArray>(like: T, length: number): T
  /** Sends any value, as `Communicator.send` does (typed arrays arrive as their kind). */
  sendValue(value: unknown, dest: number): Awaited<void>
  receiveValue(source: number): Awaited<unknown>
  /** Where short parts are posted for all; null where there is no such place. See posted-step.ts. */
  readonly postings: Postings | null
  /** Why nothing will come from `source` in this call any more, or null. */
  whyHopeless(source: number): OnecopyError | null
  /** Done, or failed, when `watcher` has seen what it wants. */
  watch(watcher: Watched): Awaited<void>
}

/** Something that comes without a message, and has to be looked for. */
export interface Watched {
  /** Looks, and does what is due. */
  readonly done: boolean
  /** Only looks: whether it would be done, or could do something. Asked while this rank goes to sleep. */
  readonly isDue: boolean
  /** What it has failed with, once done. */
  readonly error: unknown
  /** Nobody waits for it any more. */
  cancel(): void
}

/**
 * A collective algorithm, written once: it starts sends and receives on an {@link Exchange}, yields what it waits for
 * (one thing or several), computes, and returns the call's result. One driver runs it for both faces.
 *
 * @example
 * function* barrierOfTwo(exchange: Exchange): Schedule<void> {
 *   const other = 1 - exchange.rank
 *   yield [exchange.sendBytes(NOTHING, other), exchange.receiveBytes(NOTHING, other)]
 * }
 */
export interface Schedule<T> extends Iterable<Awaited<unknown> | readonly Awaited<unknown>[], T, void> {
  next(): IteratorResult<Awaited<unknown> | readonly Awaited<unknown>[], T>
  throw(error: unknown): IteratorResult<Awaited<unknown> | readonly Awaited<unknown>[], T>
  [Symbol.iterator](): Schedule<T>
}
