import type { CommunicatorBase } from './communicator-base.js'
import { ANY_SOURCE, ANY_TAG } from './constants.js'
import type { MatchedMessage } from './matched-message.js'
import type { Message } from './message.js'
import { STANDARD, SYNCHRONOUS } from './messenger.js'
import { BUFFERED, type PointToPoint, type SendrecvOptions, type WaitOptions } from './point-to-point.js'
import { MESSAGE_OF, VALUE_OF } from './request.js'
import type { Exchange, Schedule } from './schedule.js'
import type { Status } from './status.js'

type View = ArrayBufferView

/**
 * The verbs that all communicators share, blocking the thread and giving the result itself: for hot loops, and for programs
 * that come from MPI. While a call blocks, the event loop stands still. Errors and semantics are those of the same verb on
 * the communicator, and ranks may mix the two freely. A `signal` that has fired already gives the call up; none can fire while
 * the thread is blocked.
 */
export class SyncPointToPoint {
  /** @internal */
  protected readonly communicator: CommunicatorBase
  /** @internal */
  protected readonly base: PointToPoint

  /** @internal Comes with its communicator. */
  constructor(communicator: CommunicatorBase, base: PointToPoint) {
    this.communicator = communicator
    this.base = base
  }

  /** Sends; returns when `data` may be changed again. Allocates nothing for short typed arrays. @see MPI 4.1, 3.2.1 */
  send(data: unknown, dest: number, tag = 0, options?: WaitOptions): void {
    options?.signal?.throwIfAborted()
    this.base.sendSync(data, dest, tag, STANDARD)
  }

  /** Returns when the receive has matched. @see MPI 4.1, 3.4 */
  ssend(data: unknown, dest: number, tag = 0, options?: WaitOptions): void {
    options?.signal?.throwIfAborted()
    this.base.sendSync(data, dest, tag, SYNCHRONOUS)
  }

  /** Copies `data` and returns at once. @see MPI 4.1, 3.4 */
  bsend(data: unknown, dest: number, tag = 0, options?: WaitOptions): void {
    this.base.send(data, dest, tag, BUFFERED, options).waitSync()
  }

  /** Ready mode; works like `send`. @see MPI 4.1, 3.4 */
  rsend(data: unknown, dest: number, tag = 0, options?: WaitOptions): void {
    options?.signal?.throwIfAborted()
    this.base.sendSync(data, dest, tag, STANDARD)
  }

  /** @see MPI 4.1, 3.2.4 */
  recv<T = unknown>(source: number = ANY_SOURCE, tag: number = ANY_TAG, options?: WaitOptions): T {
    options?.signal?.throwIfAborted()
    return this.base.recvSync(VALUE_OF, source, tag) as T
  }

  /** @see MPI 4.1, 3.2.4 */
  recvInto(view: View, source: number = ANY_SOURCE, tag: number = ANY_TAG, options?: WaitOptions): Status {
    options?.signal?.throwIfAborted()
    return this.base.recvIntoSync(view, source, tag)
  }

  /** Receives the next matching message with its envelope. @see MPI 4.1, 3.2.4 */
  recvMessage<T = unknown>(source: number = ANY_SOURCE, tag: number = ANY_TAG, options?: WaitOptions): Message<T> {
    options?.signal?.throwIfAborted()
    return this.base.recvSync(MESSAGE_OF, source, tag) as Message<T>
  }

  /** @see MPI 4.1, 3.10 */
  sendrecv<T = unknown>(data: unknown, dest: number, source: number = ANY_SOURCE, options: SendrecvOptions = {}): T {
    return this.base.sendrecv(data, dest, source, options).waitSync() as T
  }

  /** @see MPI 4.1, 3.10 */
  sendrecvInto(
    data: unknown,
    dest: number,
    view: View,
    source: number = ANY_SOURCE,
    options: SendrecvOptions = {},
  ): Status {
    return this.base.sendrecvInto(data, dest, view, source, options).waitSync() as Status
  }

  /** @see MPI 4.1, 3.10 */
  sendrecvReplace(view: View, dest: number, source: number = ANY_SOURCE, options: SendrecvOptions = {}): Status {
    return this.base.sendrecvReplace(view, dest, source, options).waitSync() as Status
  }

  /** @see MPI 4.1, 3.8.1 */
  probe(source: number = ANY_SOURCE, tag: number = ANY_TAG, options?: WaitOptions): Status {
    return this.communicator.probe(source, tag, options).waitSync()
  }

  /** @see MPI 4.1, 3.8.1 */
  iprobe(source: number = ANY_SOURCE, tag: number = ANY_TAG): Status | null {
    return this.communicator.iprobe(source, tag)
  }

  /** @see MPI 4.1, 3.8.2 */
  mprobe(source: number = ANY_SOURCE, tag: number = ANY_TAG, options?: WaitOptions): MatchedMessage {
    return this.communicator.mprobe(source, tag, options).waitSync()
  }

  /** @see MPI 4.1, 3.8.2 */
  improbe(source: number = ANY_SOURCE, tag: number = ANY_TAG): MatchedMessage | null {
    return this.communicator.improbe(source, tag)
  }

  /** Ends the connection that spawn, parent, listen or connect has made. @see MPI 4.1, 11.10.4 */
  disconnect(): void {
    this.communicator.checkDisconnect()
    this.communicator.job.finalizeNow()
  }

  /** Ends this rank's part. @see MPI 4.1, 11.2.3 */
  finalize(): void {
    this.communicator.job.finalizeNow()
  }

  /** Agrees with every living rank on the bits that all of them give. @see ULFM, MPIX_Comm_agree */
  agree(flags = -1): number {
    return this.communicator.agree(flags).waitSync()
  }

  /** @internal */
  protected run(make: (exchange: Exchange) => Schedule<unknown>, options: WaitOptions | undefined): unknown {
    return this.communicator.runCollective(make, options)
  }
}
