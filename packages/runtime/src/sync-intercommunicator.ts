import type { LayoutAcross } from './collectives/across.js'
import * as across from './collectives/across.js'
import type { ExchangeLayout, ScatterLayout } from './collectives/index.js'
import type { Communicator } from './communicator.js'
import type { UNDEFINED } from './constants.js'
import type { Group } from './group.js'
import type { Intercommunicator } from './intercommunicator.js'
import type { Operation } from './operation.js'
import type { PointToPoint, WaitOptions } from './point-to-point.js'
import type { Schedule } from './schedule.js'
import { SyncPointToPoint } from './sync-point-to-point.js'

type View = ArrayBufferView

/** The verbs of an {@link Intercommunicator}, blocking the thread: see {@link SyncPointToPoint}. */
export class SyncIntercommunicator extends SyncPointToPoint {
  readonly #communicator: Intercommunicator

  /** @internal Comes with its intercommunicator. */
  constructor(communicator: Intercommunicator, base: PointToPoint) {
    super(communicator, base)
    this.#communicator = communicator
  }

  /** Done when every rank of the other group has called it. @see MPI 4.1, 6.3 */
  barrier(options?: WaitOptions): void {
    this.#run((both) => across.barrierAcross(both), options)
  }

  /** Gives the other group what ROOT has; ROOT's own group gets undefined. @see MPI 4.1, 6.4 */
  bcast<T>(data: T, root: number, options?: WaitOptions): T | undefined {
    return this.#run((both) => across.bcastAcross(both, data, root), options)
  }

  /** Fills the other group's memory with ROOT's; null for PROC_NULL. @see MPI 4.1, 6.4 */
  bcastInto(view: View | null, root: number, options?: WaitOptions): void {
    this.#run((both) => across.bcastIntoAcross(both, view, root), options)
  }

  /** Gives ROOT an array of the other group's values, by rank; undefined elsewhere. @see MPI 4.1, 6.5 */
  gather<T>(data: T, root: number, options?: WaitOptions): T[] | undefined {
    return this.#run((both) => across.gatherAcross(both, data, root), options)
  }

  /** Collects the other group's memory in ROOT's `recv`; null for what a rank does not need. @see MPI 4.1, 6.5 */
  gatherInto(
    send: View | null,
    recv: View | null,
    options: LayoutAcross & WaitOptions & { readonly root: number },
  ): void {
    this.#run((both) => across.gatherIntoAcross(both, send, recv, options.root, options), options)
  }

  /** Gives rank i of the other group ROOT's `values[i]`; ROOT's own group gets undefined. @see MPI 4.1, 6.6 */
  scatter<T>(values: readonly T[] | undefined, root: number, options?: WaitOptions): T | undefined {
    return this.#run((both) => across.scatterAcross(both, values, root), options)
  }

  /** Fills the other group's memory with the blocks of ROOT's `send`. @see MPI 4.1, 6.6 */
  scatterInto(
    send: View | null,
    recv: View | null,
    options: LayoutAcross & WaitOptions & { readonly root: number },
  ): void {
    this.#run((both) => across.scatterIntoAcross(both, send, recv, options.root, options), options)
  }

  /** An array of the other group's values, on every rank. @see MPI 4.1, 6.7 */
  allgather<T>(data: T, options?: WaitOptions): T[] {
    return this.#run((both) => across.allgatherAcross(both, data), options)
  }

  /** Collects the other group's memory in every rank's `recv`. @see MPI 4.1, 6.7 */
  allgatherInto(send: View, recv: View, options: LayoutAcross & WaitOptions = {}): void {
    this.#run((both) => across.allgatherIntoAcross(both, send, recv, options), options)
  }

  /** Sends `values[i]` to rank i of the other group; gives what each of them had for this one. @see MPI 4.1, 6.8 */
  alltoall<T>(values: readonly T[], options?: WaitOptions): T[] {
    return this.#run((both) => across.alltoallAcross(both, values), options)
  }

  /** The same between memory of one's own, block by block. @see MPI 4.1, 6.8 */
  alltoallInto(send: View, recv: View, options: ExchangeLayout & WaitOptions = {}): void {
    this.#run((both) => across.alltoallIntoAcross(both, send, recv, options), options)
  }

  /** Gives ROOT the combination of the other group's values; undefined elsewhere. @see MPI 4.1, 6.9 */
  reduce<T>(data: T, op: Operation, root: number, options?: WaitOptions): T | undefined {
    return this.#run((both) => across.reduceAcross(both, data, op, root), options)
  }

  /** The same, element by element, into ROOT's `recv`. @see MPI 4.1, 6.9 */
  reduceInto(send: View | null, recv: View | null, op: Operation, root: number, options?: WaitOptions): void {
    this.#run((both) => across.reduceIntoAcross(both, send, recv, op, root), options)
  }

  /** The combination of the other group's values, on every rank. @see MPI 4.1, 6.9.6 */
  allreduce<T>(data: T, op: Operation, options?: WaitOptions): T {
    return this.#run((both) => across.allreduceAcross(both, data, op), options)
  }

  /** The same, element by element, into every rank's `recv`. @see MPI 4.1, 6.9.6 */
  allreduceInto(send: View, recv: View, op: Operation, options?: WaitOptions): void {
    this.#run((both) => across.allreduceIntoAcross(both, send, recv, op), options)
  }

  /** Rank i gets the combination of the other group's `values[i]`. @see MPI 4.1, 6.10.2 */
  reduceScatter<T>(values: readonly T[], op: Operation, options?: WaitOptions): T {
    return this.#run((both) => across.reduceScatterAcross(both, values, op), options)
  }

  /** Divides the combination of the other group's `send` among this group's ranks. @see MPI 4.1, 6.10.2 */
  reduceScatterInto(send: View, recv: View, op: Operation, options: ScatterLayout & WaitOptions = {}): void {
    this.#run((both) => across.reduceScatterIntoAcross(both, send, recv, op, options), options)
  }

  /** The same with equal blocks. @see MPI 4.1, 6.10.1 */
  reduceScatterBlockInto(send: View, recv: View, op: Operation, options?: WaitOptions): void {
    this.#run((both) => across.reduceScatterBlockIntoAcross(both, send, recv, op), options)
  }

  /** As {@link reduceScatter}. @see MPI 4.1, 6.10.1 */
  reduceScatterBlock<T>(values: readonly T[], op: Operation, options?: WaitOptions): T {
    return this.#run((both) => across.reduceScatterBlockAcross(both, values, op), options)
  }

  /** An intercommunicator between the same groups. @see MPI 4.1, 7.4.2 */
  dup(options?: WaitOptions): Intercommunicator {
    return this.#communicator.dup(options).waitSync()
  }

  /** Intercommunicators by colour, each side ordered by key. @see MPI 4.1, 7.4.2 */
  split(color: number, key = 0, options?: WaitOptions): Intercommunicator | null {
    return this.#communicator.split(color, key, options).waitSync()
  }

  /** Intercommunicators between ranks that share memory. @see MPI 4.1, 7.4.2 */
  splitType(type: 'shared' | typeof UNDEFINED, key = 0, options?: WaitOptions): Intercommunicator | null {
    return this.#communicator.splitType(type, key, options).waitSync()
  }

  /** An intercommunicator between a group of each side. @see MPI 4.1, 7.4.2 */
  create(group: Group, options?: WaitOptions): Intercommunicator | null {
    return this.#communicator.create(group, options).waitSync()
  }

  /** One communicator of both groups. @see MPI 4.1, 7.6.2 */
  merge(high = false, options?: WaitOptions): Communicator {
    return this.#communicator.merge(high, options).waitSync()
  }

  /** An intercommunicator of the ranks that live. @see ULFM, MPIX_Comm_shrink */
  shrink(): Intercommunicator {
    return this.#communicator.shrink().waitSync()
  }

  #run<T>(make: (both: across.Across) => Schedule<T>, options: WaitOptions | undefined): T {
    return this.#communicator.startAcross(make, options).waitSync() as T
  }
}
