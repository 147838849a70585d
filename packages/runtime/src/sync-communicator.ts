import * as collectives from './collectives/index.js'
import type { Communicator } from './communicator.js'
import { ANY_SOURCE, ANY_TAG, type IN_PLACE } from './constants.js'
import type { MatchedMessage } from './matched-message.js'
import type { Message } from './message.js'
import { STANDARD, SYNCHRONOUS } from './messenger.js'
import type { Operation } from './operation.js'
import { BUFFERED, type PointToPoint, type SendrecvOptions, type WaitOptions } from './point-to-point.js'
import { MESSAGE_OF, VALUE_OF } from './request.js'
import type { Status } from './status.js'

type View = ArrayBufferView

/**
 * The verbs of a {@link Communicator}, blocking the thread and giving the result itself: for hot loops, and for programs
 * that come from MPI. While a call blocks, the event loop stands still. Errors and semantics are those of the same verb on
 * the communicator, and ranks may mix the two freely. A `signal` that has fired already gives the call up; none can fire while
 * the thread is blocked.
 */
export class SyncCommunicator {
  readonly #communicator: Communicator
  readonly #base: PointToPoint

  /** @internal Comes with its communicator. */
  constructor(communicator: Communicator, base: PointToPoint) {
    this.#communicator = communicator
    this.#base = base
  }

  /** Sends; returns when `data` may be changed again. Allocates nothing for short typed arrays. @see MPI 4.1, 3.2.1 */
  send(data: unknown, dest: number, tag = 0, options?: WaitOptions): void {
    options?.signal?.throwIfAborted()
    this.#base.sendSync(data, dest, tag, STANDARD)
  }

  /** Returns when the receive has matched. @see MPI 4.1, 3.4 */
  ssend(data: unknown, dest: number, tag = 0, options?: WaitOptions): void {
    options?.signal?.throwIfAborted()
    this.#base.sendSync(data, dest, tag, SYNCHRONOUS)
  }

  /** Copies `data` and returns at once. @see MPI 4.1, 3.4 */
  bsend(data: unknown, dest: number, tag = 0, options?: WaitOptions): void {
    this.#base.send(data, dest, tag, BUFFERED, options).waitSync()
  }

  /** Ready mode; works like `send`. @see MPI 4.1, 3.4 */
  rsend(data: unknown, dest: number, tag = 0, options?: WaitOptions): void {
    options?.signal?.throwIfAborted()
    this.#base.sendSync(data, dest, tag, STANDARD)
  }

  /** @see MPI 4.1, 3.2.4 */
  recv<T = unknown>(source: number = ANY_SOURCE, tag: number = ANY_TAG, options?: WaitOptions): T {
    options?.signal?.throwIfAborted()
    return this.#base.recvSync(VALUE_OF, source, tag) as T
  }

  /** @see MPI 4.1, 3.2.4 */
  recvInto(view: View, source: number = ANY_SOURCE, tag: number = ANY_TAG, options?: WaitOptions): Status {
    options?.signal?.throwIfAborted()
    return this.#base.recvIntoSync(view, source, tag)
  }

  recvMessage<T = unknown>(source: number = ANY_SOURCE, tag: number = ANY_TAG, options?: WaitOptions): Message<T> {
    options?.signal?.throwIfAborted()
    return this.#base.recvSync(MESSAGE_OF, source, tag) as Message<T>
  }

  /** @see MPI 4.1, 3.10 */
  sendrecv<T = unknown>(data: unknown, dest: number, source: number = ANY_SOURCE, options: SendrecvOptions = {}): T {
    return this.#base.sendrecv(data, dest, source, options).waitSync() as T
  }

  /** @see MPI 4.1, 3.10 */
  sendrecvInto(
    data: unknown,
    dest: number,
    view: View,
    source: number = ANY_SOURCE,
    options: SendrecvOptions = {},
  ): Status {
    return this.#base.sendrecvInto(data, dest, view, source, options).waitSync() as Status
  }

  /** @see MPI 4.1, 3.10 */
  sendrecvReplace(view: View, dest: number, source: number = ANY_SOURCE, options: SendrecvOptions = {}): Status {
    return this.#base.sendrecvReplace(view, dest, source, options).waitSync() as Status
  }

  /** @see MPI 4.1, 3.8.1 */
  probe(source: number = ANY_SOURCE, tag: number = ANY_TAG, options?: WaitOptions): Status {
    return this.#communicator.probe(source, tag, options).waitSync()
  }

  /** @see MPI 4.1, 3.8.1 */
  iprobe(source: number = ANY_SOURCE, tag: number = ANY_TAG): Status | null {
    return this.#communicator.iprobe(source, tag)
  }

  /** @see MPI 4.1, 3.8.2 */
  mprobe(source: number = ANY_SOURCE, tag: number = ANY_TAG, options?: WaitOptions): MatchedMessage {
    return this.#communicator.mprobe(source, tag, options).waitSync()
  }

  /** @see MPI 4.1, 3.8.2 */
  improbe(source: number = ANY_SOURCE, tag: number = ANY_TAG): MatchedMessage | null {
    return this.#communicator.improbe(source, tag)
  }

  /** @see MPI 4.1, 6.3 */
  barrier(options?: WaitOptions): void {
    this.#run((exchange) => collectives.barrier(exchange), options)
  }

  /** @see MPI 4.1, 6.4 */
  bcast<T>(data: T, root = 0, options?: WaitOptions): T {
    return this.#run((exchange) => collectives.bcast(exchange, data, root), options) as T
  }

  /** @see MPI 4.1, 6.4 */
  bcastInto(view: View, root = 0, options?: WaitOptions): void {
    this.#run((exchange) => collectives.bcastInto(exchange, view, root), options)
  }

  /** @see MPI 4.1, 6.5 */
  gather<T>(data: T, root = 0, options?: WaitOptions): T[] | undefined {
    return this.#run((exchange) => collectives.gather(exchange, data, root), options) as T[] | undefined
  }

  /** @see MPI 4.1, 6.5 */
  gatherInto(
    send: View | typeof IN_PLACE,
    recv: View | null,
    options: Partial<collectives.RootedLayout> & WaitOptions = {},
  ): void {
    this.#run((exchange) => collectives.gatherInto(exchange, send, recv, { root: 0, ...options }), options)
  }

  /** @see MPI 4.1, 6.6 */
  scatter<T>(values: readonly T[] | undefined, root = 0, options?: WaitOptions): T {
    return this.#run((exchange) => collectives.scatter(exchange, values, root), options) as T
  }

  /** @see MPI 4.1, 6.6 */
  scatterInto(
    send: View | null,
    recv: View | typeof IN_PLACE,
    options: Partial<collectives.RootedLayout> & WaitOptions = {},
  ): void {
    this.#run((exchange) => collectives.scatterInto(exchange, send, recv, { root: 0, ...options }), options)
  }

  /** @see MPI 4.1, 6.7 */
  allgather<T>(data: T, options?: WaitOptions): T[] {
    return this.#run((exchange) => collectives.allgather(exchange, data), options) as T[]
  }

  /** @see MPI 4.1, 6.7 */
  allgatherInto(send: View | typeof IN_PLACE, recv: View, options: collectives.Layout & WaitOptions = {}): void {
    this.#run((exchange) => collectives.allgatherInto(exchange, send, recv, options), options)
  }

  /** @see MPI 4.1, 6.8 */
  alltoall<T>(values: readonly T[], options?: WaitOptions): T[] {
    return this.#run((exchange) => collectives.alltoall(exchange, values), options) as T[]
  }

  /** @see MPI 4.1, 6.8 */
  alltoallInto(send: View | typeof IN_PLACE, recv: View, options: collectives.ExchangeLayout & WaitOptions = {}): void {
    this.#run((exchange) => collectives.alltoallInto(exchange, send, recv, options), options)
  }

  /** @see MPI 4.1, 6.9 */
  reduce<T>(data: T, op: Operation, root = 0, options?: WaitOptions): T | undefined {
    return this.#run((exchange) => collectives.reduce(exchange, data, op, root), options) as T | undefined
  }

  /** @see MPI 4.1, 6.9 */
  reduceInto(send: View | typeof IN_PLACE, recv: View | null, op: Operation, root = 0, options?: WaitOptions): void {
    this.#run((exchange) => collectives.reduceInto(exchange, send, recv, op, root), options)
  }

  /** @see MPI 4.1, 6.9.6 */
  allreduce<T>(data: T, op: Operation, options?: WaitOptions): T {
    return this.#run((exchange) => collectives.allreduce(exchange, data, op), options) as T
  }

  /** @see MPI 4.1, 6.9.6 */
  allreduceInto(send: View | typeof IN_PLACE, recv: View, op: Operation, options?: WaitOptions): void {
    this.#run((exchange) => collectives.allreduceInto(exchange, send, recv, op), options)
  }

  /** @see MPI 4.1, 6.11.1 */
  scan<T>(data: T, op: Operation, options?: WaitOptions): T {
    return this.#run((exchange) => collectives.scan(exchange, data, op), options) as T
  }

  /** @see MPI 4.1, 6.11.1 */
  scanInto(send: View | typeof IN_PLACE, recv: View, op: Operation, options?: WaitOptions): void {
    this.#run((exchange) => collectives.scanInto(exchange, send, recv, op), options)
  }

  /** @see MPI 4.1, 6.11.2 */
  exscan<T>(data: T, op: Operation, options?: WaitOptions): T | undefined {
    return this.#run((exchange) => collectives.exscan(exchange, data, op), options) as T | undefined
  }

  /** @see MPI 4.1, 6.11.2 */
  exscanInto(send: View | typeof IN_PLACE, recv: View, op: Operation, options?: WaitOptions): void {
    this.#run((exchange) => collectives.exscanInto(exchange, send, recv, op), options)
  }

  /** @see MPI 4.1, 6.10.2 */
  reduceScatter<T>(values: readonly T[], op: Operation, options?: WaitOptions): T {
    return this.#run((exchange) => collectives.reduceScatter(exchange, values, op), options) as T
  }

  /** @see MPI 4.1, 6.10.2 */
  reduceScatterInto(
    send: View | typeof IN_PLACE,
    recv: View,
    op: Operation,
    options: collectives.ScatterLayout & WaitOptions = {},
  ): void {
    this.#run((exchange) => collectives.reduceScatterInto(exchange, send, recv, op, options), options)
  }

  /** @see MPI 4.1, 6.10.1 */
  reduceScatterBlock<T>(values: readonly T[], op: Operation, options?: WaitOptions): T {
    return this.#run((exchange) => collectives.reduceScatterBlock(exchange, values, op), options) as T
  }

  /** @see MPI 4.1, 6.10.1 */
  reduceScatterBlockInto(send: View | typeof IN_PLACE, recv: View, op: Operation, options?: WaitOptions): void {
    this.#run((exchange) => collectives.reduceScatterBlockInto(exchange, send, recv, op), options)
  }

  /** @see MPI 4.1, 7.4.2 */
  dup(options?: WaitOptions): Communicator {
    return this.#communicator.dup(options).waitSync()
  }

  #run(make: Parameters<Communicator['startCollective']>[0], options: WaitOptions | undefined): unknown {
    return this.#communicator.startCollective(make, options).waitSync()
  }
}
