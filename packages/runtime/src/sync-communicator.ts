import * as collectives from './collectives/index.js'
import type { Communicator } from './communicator.js'
import type { IN_PLACE, UNDEFINED } from './constants.js'
import type { Group } from './group.js'
import type { Intercommunicator } from './intercommunicator.js'
import type { Operation } from './operation.js'
import type { PointToPoint, WaitOptions } from './point-to-point.js'
import type { JoinOptions } from './processes/join.js'
import type { SpawnOptions, SpawnProgram } from './processes/spawn.js'
import { SyncPointToPoint } from './sync-point-to-point.js'

type View = ArrayBufferView

/** The verbs of a {@link Communicator}, blocking the thread: see {@link SyncPointToPoint}. */
export class SyncCommunicator extends SyncPointToPoint {
  readonly #communicator: Communicator

  /** @internal Comes with its communicator. */
  constructor(communicator: Communicator, base: PointToPoint) {
    super(communicator, base)
    this.#communicator = communicator
  }

  /** @see MPI 4.1, 6.3 */
  barrier(options?: WaitOptions): void {
    this.#communicator.runMemoryCollective(options, collectives.barrier)
  }

  /** @see MPI 4.1, 6.4 */
  bcast<T>(data: T, root = 0, options?: WaitOptions): T {
    return this.run((exchange) => collectives.bcast(exchange, data, root), options) as T
  }

  /** @see MPI 4.1, 6.4 */
  bcastInto(view: View, root = 0, options?: WaitOptions): void {
    this.#communicator.runMemoryCollective(options, collectives.bcastInto, view, root)
  }

  /** @see MPI 4.1, 6.5 */
  gather<T>(data: T, root = 0, options?: WaitOptions): T[] | undefined {
    return this.run((exchange) => collectives.gather(exchange, data, root), options) as T[] | undefined
  }

  /** @see MPI 4.1, 6.5 */
  gatherInto(
    send: View | typeof IN_PLACE,
    recv: View | null,
    options: Partial<collectives.RootedLayout> & WaitOptions = {},
  ): void {
    this.run((exchange) => collectives.gatherInto(exchange, send, recv, { root: 0, ...options }), options)
  }

  /** @see MPI 4.1, 6.6 */
  scatter<T>(values: readonly T[] | undefined, root = 0, options?: WaitOptions): T {
    return this.run((exchange) => collectives.scatter(exchange, values, root), options) as T
  }

  /** @see MPI 4.1, 6.6 */
  scatterInto(
    send: View | null,
    recv: View | typeof IN_PLACE,
    options: Partial<collectives.RootedLayout> & WaitOptions = {},
  ): void {
    this.run((exchange) => collectives.scatterInto(exchange, send, recv, { root: 0, ...options }), options)
  }

  /** @see MPI 4.1, 6.7 */
  allgather<T>(data: T, options?: WaitOptions): T[] {
    return this.run((exchange) => collectives.allgather(exchange, data), options) as T[]
  }

  /** @see MPI 4.1, 6.7 */
  allgatherInto(send: View | typeof IN_PLACE, recv: View, options?: collectives.Layout & WaitOptions): void {
    this.#communicator.runMemoryCollective(options, collectives.allgatherInto, send, recv, options)
  }

  /** @see MPI 4.1, 6.8 */
  alltoall<T>(values: readonly T[], options?: WaitOptions): T[] {
    return this.run((exchange) => collectives.alltoall(exchange, values), options) as T[]
  }

  /** @see MPI 4.1, 6.8 */
  alltoallInto(send: View | typeof IN_PLACE, recv: View, options?: collectives.ExchangeLayout & WaitOptions): void {
    this.#communicator.runMemoryCollective(options, collectives.alltoallInto, send, recv, options)
  }

  /** @see MPI 4.1, 6.9 */
  reduce<T>(data: T, op: Operation, root = 0, options?: WaitOptions): T | undefined {
    return this.run((exchange) => collectives.reduce(exchange, data, op, root), options) as T | undefined
  }

  /** @see MPI 4.1, 6.9 */
  reduceInto(send: View | typeof IN_PLACE, recv: View | null, op: Operation, root = 0, options?: WaitOptions): void {
    this.#communicator.runMemoryCollective(options, collectives.reduceInto, send, recv, op, root)
  }

  /** @see MPI 4.1, 6.9.6 */
  allreduce<T>(data: T, op: Operation, options?: WaitOptions): T {
    return this.run((exchange) => collectives.allreduce(exchange, data, op), options) as T
  }

  /** @see MPI 4.1, 6.9.6 */
  allreduceInto(send: View | typeof IN_PLACE, recv: View, op: Operation, options?: WaitOptions): void {
    this.#communicator.runMemoryCollective(options, collectives.allreduceInto, send, recv, op)
  }

  /** @see MPI 4.1, 6.11.1 */
  scan<T>(data: T, op: Operation, options?: WaitOptions): T {
    return this.run((exchange) => collectives.scan(exchange, data, op), options) as T
  }

  /** @see MPI 4.1, 6.11.1 */
  scanInto(send: View | typeof IN_PLACE, recv: View, op: Operation, options?: WaitOptions): void {
    this.run((exchange) => collectives.scanInto(exchange, send, recv, op), options)
  }

  /** @see MPI 4.1, 6.11.2 */
  exscan<T>(data: T, op: Operation, options?: WaitOptions): T | undefined {
    return this.run((exchange) => collectives.exscan(exchange, data, op), options) as T | undefined
  }

  /** @see MPI 4.1, 6.11.2 */
  exscanInto(send: View | typeof IN_PLACE, recv: View, op: Operation, options?: WaitOptions): void {
    this.run((exchange) => collectives.exscanInto(exchange, send, recv, op), options)
  }

  /** @see MPI 4.1, 6.10.2 */
  reduceScatter<T>(values: readonly T[], op: Operation, options?: WaitOptions): T {
    return this.run((exchange) => collectives.reduceScatter(exchange, values, op), options) as T
  }

  /** @see MPI 4.1, 6.10.2 */
  reduceScatterInto(
    send: View | typeof IN_PLACE,
    recv: View,
    op: Operation,
    options: collectives.ScatterLayout & WaitOptions = {},
  ): void {
    this.run((exchange) => collectives.reduceScatterInto(exchange, send, recv, op, options), options)
  }

  /** @see MPI 4.1, 6.10.1 */
  reduceScatterBlock<T>(values: readonly T[], op: Operation, options?: WaitOptions): T {
    return this.run((exchange) => collectives.reduceScatterBlock(exchange, values, op), options) as T
  }

  /** @see MPI 4.1, 6.10.1 */
  reduceScatterBlockInto(send: View | typeof IN_PLACE, recv: View, op: Operation, options?: WaitOptions): void {
    this.run((exchange) => collectives.reduceScatterBlockInto(exchange, send, recv, op), options)
  }

  /** A communicator with the same ranks. @see MPI 4.1, 7.4.2 */
  dup(options?: WaitOptions): Communicator {
    return this.#communicator.dup(options).waitSync()
  }

  /** Communicators by colour, ordered by key. @see MPI 4.1, 7.4.2 */
  split(color: number, key = 0, options?: WaitOptions): Communicator | null {
    return this.#communicator.split(color, key, options).waitSync()
  }

  /** Communicators of ranks that share memory. @see MPI 4.1, 7.4.2 */
  splitType(type: 'shared' | typeof UNDEFINED, key = 0, options?: WaitOptions): Communicator | null {
    return this.#communicator.splitType(type, key, options).waitSync()
  }

  /** A communicator of a group; every rank of this one calls it. @see MPI 4.1, 7.4.2 */
  create(group: Group, options?: WaitOptions): Communicator | null {
    return this.#communicator.create(group, options).waitSync()
  }

  /** A communicator of a group; the group's ranks call it. @see MPI 4.1, 7.4.2 */
  createGroup(group: Group, tag = 0, options?: WaitOptions): Communicator | null {
    return this.#communicator.createGroup(group, tag, options).waitSync()
  }

  /** Joins two communicators that share no process. @see MPI 4.1, 7.6.2 */
  createIntercomm(
    localLeader: number,
    peer: Communicator | null,
    remoteLeader: number,
    tag = 0,
    options?: WaitOptions,
  ): Intercommunicator {
    return this.#communicator.createIntercomm(localLeader, peer, remoteLeader, tag, options).waitSync()
  }

  /** A communicator of the ranks that live. @see ULFM, MPIX_Comm_shrink */
  shrink(): Communicator {
    return this.#communicator.shrink().waitSync()
  }

  /** Starts processes as a job of their own; gives the intercommunicator to them. @see MPI 4.1, 11.8.2 and 11.8.3 */
  spawn(script: string | URL, size: number, options?: SpawnOptions): Intercommunicator
  spawn(programs: readonly SpawnProgram[], options?: SpawnOptions): Intercommunicator
  spawn(
    script: string | URL | readonly SpawnProgram[],
    size?: number | SpawnOptions,
    options?: SpawnOptions,
  ): Intercommunicator {
    return this.#communicator.spawn(script as string, size as number, options).waitSync()
  }

  /** Waits under a name for one other job; gives the intercommunicator to it. @see MPI 4.1, 11.9.4 */
  listen(name: string, options?: JoinOptions): Intercommunicator {
    return this.#communicator.listen(name, options).waitSync()
  }

  /** Connects to a job that listens; gives the intercommunicator to it. @see MPI 4.1, 11.9.4 */
  connect(name: string, options?: JoinOptions): Intercommunicator {
    return this.#communicator.connect(name, options).waitSync()
  }
}
