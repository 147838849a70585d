import { checkView } from './arguments.js'
import type { Arrival } from './arrival.js'
import type { Message } from './message.js'
import type { PointToPoint } from './point-to-point.js'
import { INTO, MESSAGE_OF, type Request, type RequestRecord, VALUE_OF } from './request.js'
import type { Status } from './status.js'

/**
 * A message that a matched probe has taken out of the queue: nobody but the holder can receive it, once.
 * @see MPI 4.1, 3.8.2
 */
export class MatchedMessage {
  /** What is known of the message. */
  readonly status: Status
  readonly #pointToPoint: PointToPoint
  #arrival: Arrival | null
  readonly #isNone: boolean

  constructor(pointToPoint: PointToPoint, arrival: Arrival | null) {
    this.#pointToPoint = pointToPoint
    this.#arrival = arrival
    this.#isNone = arrival === null
    this.status = pointToPoint.statusOf(arrival)
  }

  /** The sender's rank in the communicator. */
  get source(): number {
    return this.status.source
  }

  /** The message's tag. */
  get tag(): number {
    return this.status.tag
  }

  /** The message's length in bytes, as it travels. */
  get byteLength(): number {
    return this.status.byteLength
  }

  /**
   * Receives the message as whatever was sent.
   * @throws TypeError when it has been received already.
   * @see MPI 4.1, 3.8.3
   */
  recv<T = unknown>(): Request<T> {
    return this.#receive(VALUE_OF, null) as Request<T>
  }

  /** Receives it with its envelope. */
  recvMessage<T = unknown>(): Request<Message<T>> {
    return this.#receive(MESSAGE_OF, null) as unknown as Request<Message<T>>
  }

  /**
   * Receives its raw bytes into memory you own.
   * @throws OnecopyError ERR_TRUNCATE, ERR_TYPE.
   */
  recvInto(view: ArrayBufferView): Request<Status> {
    checkView('view', view)
    return this.#receive(INTO, view) as Request<Status>
  }

  #receive(mode: number, view: ArrayBufferView | null): RequestRecord {
    if (this.#isNone) return this.#pointToPoint.completed(nothing(mode, this.status))
    const arrival = this.#arrival
    if (arrival === null) throw new TypeError('this message has been received already')
    this.#arrival = null
    return this.#pointToPoint.receiveArrival(arrival, mode, view)
  }
}

/** What a receive from PROC_NULL gives. */
function nothing(mode: number, status: Status): unknown {
  if (mode === VALUE_OF) return undefined
  if (mode === INTO) return status
  const { source, tag, byteLength } = status
  return { data: undefined, source, tag, byteLength }
}
