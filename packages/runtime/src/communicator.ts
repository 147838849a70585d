import { OnecopyError } from '@onecopy/transport'
import { checkColorAndKey, colorOfType } from './arguments.js'
import { checks, VERBS } from './collectives/check.js'
import * as collectives from './collectives/index.js'
import { groupTag, joinTag } from './collectives/tags.js'
import { CommunicatorBase } from './communicator-base.js'
import { agreeOnContext, type Meeting, meet, type NewRanks, splitRanks } from './communicator-creation.js'
import { CONGRUENT, IDENT, type IN_PLACE, type UNDEFINED, UNEQUAL } from './constants.js'
import type { Comparison, Group } from './group.js'
import { Intercommunicator } from './intercommunicator.js'
import type { Job } from './job.js'
import type { Operation } from './operation.js'
import type { PersistentRequest } from './persistent-request.js'
import { PointToPoint, type WaitOptions } from './point-to-point.js'
import { type Postings, postingsOf } from './postings.js'
import { Asking } from './processes/bridge.js'
import { connectToJob, type JoinOptions, listenForJob } from './processes/join.js'
import { programsOf, type SpawnOptions, type SpawnProgram, spawnJob } from './processes/spawn.js'
import type { Request } from './request.js'
import type { Exchange, Schedule } from './schedule.js'
import { SubExchange } from './sub-exchange.js'
import { SyncCommunicator } from './sync-communicator.js'
import { ToldSchedule } from './told-schedule.js'

type View = ArrayBufferView

/**
 * A group of ranks that talk among themselves: nothing sent on one communicator is ever seen on another. Every verb
 * returns a {@link Request} at once; await it, or use the same verb on {@link sync} to block the thread.
 * @see MPI 4.1, chapter 7
 */
export class Communicator extends CommunicatorBase {
  readonly sync: SyncCommunicator
  /** How often each service was called, by its name and who took part. */
  readonly #served = new Map<string, number>()
  #postings: Postings | null | undefined = undefined

  /** @internal Communicators come from init() and from other communicators. */
  constructor(job: Job, base: PointToPoint, name: string, members: readonly number[]) {
    super(job, base, name, members)
    this.sync = new SyncCommunicator(this, base)
    this.watchCalls(VERBS, this.size)
  }

  /** @internal Not in a job with --check, whose collectives begin when they have been compared: in any order. */
  protected override get postings(): Postings | null {
    if (this.#postings === undefined) {
      this.#postings = checks(this.job.link.settings) ? null : postingsOf(this.job, this.base.context, this.members)
    }
    return this.#postings
  }

  // --- collectives: see collectives/ for what each gives where. A signal gives up this rank's part only: the others still wait
  // for it, so the communicator is then good for nothing but free().

  /** Done when every rank has called it. @see MPI 4.1, 6.3 */
  barrier(options?: WaitOptions): Request<void> {
    return this.collective((exchange) => collectives.barrier(exchange), options)
  }

  /** Gives every rank what `root` has; the others' `data` is not looked at. @see MPI 4.1, 6.4 */
  bcast<T>(data: T, root = 0, options?: WaitOptions): Request<T> {
    return this.collective((exchange) => collectives.bcast(exchange, data, root), options) as Request<T>
  }

  /** Fills every rank's `view` with `root`'s: same length everywhere. @see MPI 4.1, 6.4 */
  bcastInto(view: View, root = 0, options?: WaitOptions): Request<void> {
    return this.collective((exchange) => collectives.bcastInto(exchange, view, root), options)
  }

  /** At `root`, an array of everybody's `data` by rank; undefined elsewhere. @see MPI 4.1, 6.5 */
  gather<T>(data: T, root = 0, options?: WaitOptions): Request<T[] | undefined> {
    return this.collective((exchange) => collectives.gather(exchange, data, root), options) as Request<T[] | undefined>
  }

  /** The same into memory `root` owns; see {@link collectives.Layout} for unequal lengths. @see MPI 4.1, 6.5 */
  gatherInto(
    send: View | typeof IN_PLACE,
    recv: View | null,
    options: Partial<collectives.RootedLayout> & WaitOptions = {},
  ): Request<void> {
    return this.collective((exchange) => collectives.gatherInto(exchange, send, recv, { root: 0, ...options }), options)
  }

  /** Gives rank i `values[i]` of `root`'s array; the others' argument is not looked at. @see MPI 4.1, 6.6 */
  scatter<T>(values: readonly T[] | undefined, root = 0, options?: WaitOptions): Request<T> {
    return this.collective((exchange) => collectives.scatter(exchange, values, root), options) as Request<T>
  }

  /**
   * Fills every rank's `recv` with its block of `root`'s `send`; IN_PLACE as the root's `recv` leaves its block where it is.
   * @throws OnecopyError ERR_TRUNCATE when a block is longer or shorter than the memory for it
   * @see MPI 4.1, 6.6
   */
  scatterInto(
    send: View | null,
    recv: View | typeof IN_PLACE,
    options: Partial<collectives.RootedLayout> & WaitOptions = {},
  ): Request<void> {
    return this.collective(
      (exchange) => collectives.scatterInto(exchange, send, recv, { root: 0, ...options }),
      options,
    )
  }

  /** An array of everybody's `data` by rank, on every rank. @see MPI 4.1, 6.7 */
  allgather<T>(data: T, options?: WaitOptions): Request<T[]> {
    return this.collective((exchange) => collectives.allgather(exchange, data), options) as Request<T[]>
  }

  /**
   * Collects everybody's `send` in every rank's `recv`, in blocks by rank; see {@link Layout} for unequal ones.
   * @throws OnecopyError ERR_TRUNCATE when a block is longer or shorter than the place for it
   * @see MPI 4.1, 6.7
   */
  allgatherInto(
    send: View | typeof IN_PLACE,
    recv: View,
    options: collectives.Layout & WaitOptions = {},
  ): Request<void> {
    return this.collective((exchange) => collectives.allgatherInto(exchange, send, recv, options), options)
  }

  /** Sends `values[i]` to rank i; gives what each rank had for this one. @see MPI 4.1, 6.8 */
  alltoall<T>(values: readonly T[], options?: WaitOptions): Request<T[]> {
    return this.collective((exchange) => collectives.alltoall(exchange, values), options) as Request<T[]>
  }

  /**
   * Sends block i of `send` to rank i and receives rank i's block in block i of `recv`; see {@link ExchangeLayout}.
   * @throws OnecopyError ERR_TRUNCATE when a block is longer or shorter than the place for it
   * @see MPI 4.1, 6.8
   */
  alltoallInto(
    send: View | typeof IN_PLACE,
    recv: View,
    options: collectives.ExchangeLayout & WaitOptions = {},
  ): Request<void> {
    return this.collective((exchange) => collectives.alltoallInto(exchange, send, recv, options), options)
  }

  /** Everybody's `data` combined by `op` in rank order, at `root`; undefined elsewhere. @see MPI 4.1, 6.9 */
  reduce<T>(data: T, op: Operation, root = 0, options?: WaitOptions): Request<T | undefined> {
    return this.collective((exchange) => collectives.reduce(exchange, data, op, root), options) as Request<
      T | undefined
    >
  }

  /**
   * Combines everybody's `send`, element by element in rank order, into `root`'s `recv` of the same kind and length.
   * @see MPI 4.1, 6.9
   */
  reduceInto(
    send: View | typeof IN_PLACE,
    recv: View | null,
    op: Operation,
    root = 0,
    options?: WaitOptions,
  ): Request<void> {
    return this.collective((exchange) => collectives.reduceInto(exchange, send, recv, op, root), options)
  }

  /** Everybody's `data` combined by `op`, the same result on every rank. @see MPI 4.1, 6.9.6 */
  allreduce<T>(data: T, op: Operation, options?: WaitOptions): Request<T> {
    return this.collective((exchange) => collectives.allreduce(exchange, data, op), options) as Request<T>
  }

  /** Combines everybody's `send`, element by element, into every rank's `recv`: same kind and length. @see MPI 4.1, 6.9.6 */
  allreduceInto(send: View | typeof IN_PLACE, recv: View, op: Operation, options?: WaitOptions): Request<void> {
    return this.collective((exchange) => collectives.allreduceInto(exchange, send, recv, op), options)
  }

  /** Rank i gets the combination of ranks 0 to i. @see MPI 4.1, 6.11.1 */
  scan<T>(data: T, op: Operation, options?: WaitOptions): Request<T> {
    return this.collective((exchange) => collectives.scan(exchange, data, op), options) as Request<T>
  }

  /** Fills rank i's `recv` with the combination of ranks 0 to i, element by element. @see MPI 4.1, 6.11.1 */
  scanInto(send: View | typeof IN_PLACE, recv: View, op: Operation, options?: WaitOptions): Request<void> {
    return this.collective((exchange) => collectives.scanInto(exchange, send, recv, op), options)
  }

  /** Rank i gets the combination of ranks 0 to i-1; rank 0 gets undefined. @see MPI 4.1, 6.11.2 */
  exscan<T>(data: T, op: Operation, options?: WaitOptions): Request<T | undefined> {
    return this.collective((exchange) => collectives.exscan(exchange, data, op), options) as Request<T | undefined>
  }

  /** Fills rank i's `recv` with the combination of ranks 0 to i-1; rank 0's stays as it is. @see MPI 4.1, 6.11.2 */
  exscanInto(send: View | typeof IN_PLACE, recv: View, op: Operation, options?: WaitOptions): Request<void> {
    return this.collective((exchange) => collectives.exscanInto(exchange, send, recv, op), options)
  }

  /** Rank i gets everybody's `values[i]` combined by `op`. @see MPI 4.1, 6.10.2 */
  reduceScatter<T>(values: readonly T[], op: Operation, options?: WaitOptions): Request<T> {
    return this.collective((exchange) => collectives.reduceScatter(exchange, values, op), options) as Request<T>
  }

  /** Rank i gets block i of the combined arrays, with `counts` for unequal blocks. @see MPI 4.1, 6.10.2 */
  reduceScatterInto(
    send: View | typeof IN_PLACE,
    recv: View,
    op: Operation,
    options: collectives.ScatterLayout & WaitOptions = {},
  ): Request<void> {
    return this.collective((exchange) => collectives.reduceScatterInto(exchange, send, recv, op, options), options)
  }

  /** Rank i gets everybody's `values[i]` combined by `op`. @see MPI 4.1, 6.10.1 */
  reduceScatterBlock<T>(values: readonly T[], op: Operation, options?: WaitOptions): Request<T> {
    return this.collective((exchange) => collectives.reduceScatterBlock(exchange, values, op), options) as Request<T>
  }

  /** Rank i gets block i of the combined arrays, all of `recv`'s length. @see MPI 4.1, 6.10.1 */
  reduceScatterBlockInto(
    send: View | typeof IN_PLACE,
    recv: View,
    op: Operation,
    options?: WaitOptions,
  ): Request<void> {
    return this.collective((exchange) => collectives.reduceScatterBlockInto(exchange, send, recv, op), options)
  }

  // --- persistent collectives: initialised by every rank in one order, on memory you own; each start() is one collective. Starts may
  // come in any order, and between other collectives. @see MPI 4.1, 6.13

  /** @see MPI 4.1, 6.13.1 */
  barrierInit(): PersistentRequest<void> {
    return this.persistent((exchange) => collectives.barrier(exchange))
  }

  /** A broadcast to start again and again. @see MPI 4.1, 6.13.2 */
  bcastInit(view: View, root = 0): PersistentRequest<void> {
    return this.persistent((exchange) => collectives.bcastInto(exchange, view, root))
  }

  /** @see MPI 4.1, 6.13.3 */
  gatherInit(
    send: View | typeof IN_PLACE,
    recv: View | null,
    options: Partial<collectives.RootedLayout> = {},
  ): PersistentRequest<void> {
    return this.persistent((exchange) => collectives.gatherInto(exchange, send, recv, { root: 0, ...options }))
  }

  /** @see MPI 4.1, 6.13.4 */
  scatterInit(
    send: View | null,
    recv: View | typeof IN_PLACE,
    options: Partial<collectives.RootedLayout> = {},
  ): PersistentRequest<void> {
    return this.persistent((exchange) => collectives.scatterInto(exchange, send, recv, { root: 0, ...options }))
  }

  /** @see MPI 4.1, 6.13.5 */
  allgatherInit(send: View | typeof IN_PLACE, recv: View, options: collectives.Layout = {}): PersistentRequest<void> {
    return this.persistent((exchange) => collectives.allgatherInto(exchange, send, recv, options))
  }

  /** @see MPI 4.1, 6.13.6 */
  alltoallInit(
    send: View | typeof IN_PLACE,
    recv: View,
    options: collectives.ExchangeLayout = {},
  ): PersistentRequest<void> {
    return this.persistent((exchange) => collectives.alltoallInto(exchange, send, recv, options))
  }

  /** @see MPI 4.1, 6.13.7 */
  reduceInit(send: View | typeof IN_PLACE, recv: View | null, op: Operation, root = 0): PersistentRequest<void> {
    return this.persistent((exchange) => collectives.reduceInto(exchange, send, recv, op, root))
  }

  /**
   * @see MPI 4.1, 6.13.8
   * @example const sum = world.allreduceInit(part, total, SUM); for (;;) { fill(part); await sum.start() }
   */
  allreduceInit(send: View | typeof IN_PLACE, recv: View, op: Operation): PersistentRequest<void> {
    return this.persistent((exchange) => collectives.allreduceInto(exchange, send, recv, op))
  }

  /** @see MPI 4.1, 6.13.10 */
  reduceScatterInit(
    send: View | typeof IN_PLACE,
    recv: View,
    op: Operation,
    options: collectives.ScatterLayout = {},
  ): PersistentRequest<void> {
    return this.persistent((exchange) => collectives.reduceScatterInto(exchange, send, recv, op, options))
  }

  /** @see MPI 4.1, 6.13.9 */
  reduceScatterBlockInit(send: View | typeof IN_PLACE, recv: View, op: Operation): PersistentRequest<void> {
    return this.persistent((exchange) => collectives.reduceScatterBlockInto(exchange, send, recv, op))
  }

  /** @see MPI 4.1, 6.13.11 */
  scanInit(send: View | typeof IN_PLACE, recv: View, op: Operation): PersistentRequest<void> {
    return this.persistent((exchange) => collectives.scanInto(exchange, send, recv, op))
  }

  /** @see MPI 4.1, 6.13.12 */
  exscanInit(send: View | typeof IN_PLACE, recv: View, op: Operation): PersistentRequest<void> {
    return this.persistent((exchange) => collectives.exscanInto(exchange, send, recv, op))
  }

  // --- other communicators

  /**
   * A communicator with the same ranks and a life of its own: errhandler and name are taken over, attributes where their keys
   * have a copy callback. Every rank calls it; any number may be under way at once.
   * @see MPI 4.1, 7.4.2
   */
  dup(options?: WaitOptions): Request<Communicator> {
    const { job, members } = this
    return this.collective((exchange) => {
      const made = agreeOnContext(exchange, job)
      return mapped(made, (context) => this.#make(context, members, `dup of ${this.name}`, true))
    }, options)
  }

  /**
   * Communicators of those ranks that give the same `color`, numbered by `key`, and by rank where keys are equal. Every rank
   * calls it; who gives UNDEFINED as colour gets null.
   * @param color 0 to 2^31-1, or UNDEFINED
   * @param key any int32; default 0
   * @see MPI 4.1, 7.4.2
   */
  split(color: number, key = 0, options?: WaitOptions): Request<Communicator | null> {
    checkColorAndKey(color, key)
    const { job } = this
    return this.collective((exchange) => {
      const made = splitRanks(exchange, job, color, key)
      return mapped(made, (ranks) => this.#makeOf(ranks, `${this.name}, color ${color}`))
    }, options)
  }

  /**
   * Communicators of ranks that share something: 'shared' means memory, which all ranks of a job do here. UNDEFINED gives null.
   * @throws TypeError for any other type
   * @see MPI 4.1, 7.4.2 (MPI_Comm_split_type)
   */
  splitType(type: 'shared' | typeof UNDEFINED, key = 0, options?: WaitOptions): Request<Communicator | null> {
    return this.split(colorOfType(type), key, options)
  }

  /**
   * A communicator of `group`'s processes. Every rank of this one calls it, all in the same order, each with the group it is to
   * be in; groups of different ranks are the same or have nothing in common. Who is not in its group gets null.
   * @throws TypeError when the group has processes that this communicator has not
   * @see MPI 4.1, 7.4.2 (MPI_Comm_create)
   */
  create(group: Group, options?: WaitOptions): Request<Communicator | null> {
    const ranks = this.ranksOf(group)
    return this.collective((exchange) => this.#created(new SubExchange(exchange, ranks), group), options)
  }

  /**
   * The same, called by the group's processes only, while the rest does something else. Calls that overlap need different tags.
   * @see MPI 4.1, 7.4.2 (MPI_Comm_create_group)
   */
  createGroup(group: Group, tag = 0, options: WaitOptions = {}): Request<Communicator | null> {
    const { base } = this
    base.open()
    options.signal?.throwIfAborted()
    base.checkTag(tag)
    const ranks = this.ranksOf(group)
    const service = groupTag(tag, ranks, this.#count(`group ${tag} ${ranks}`))
    const exchange = new SubExchange(this.exchangeFor(service), ranks)
    return this.begun(this.run(this.#created(exchange, group), service), options)
  }

  /**
   * IDENT: the same communicator; CONGRUENT: the same processes in the same order; SIMILAR: in another order; UNEQUAL.
   * @see MPI 4.1, 7.4.1
   */
  compare(other: CommunicatorBase): Comparison {
    if (!(other instanceof CommunicatorBase)) throw new TypeError(`a communicator is needed, got ${String(other)}`)
    this.base.usable()
    other.base.usable()
    if (other === this) return IDENT
    if (!(other instanceof Communicator)) return UNEQUAL
    const groups = this.group.compare(other.group)
    return groups === IDENT ? CONGRUENT : groups
  }

  /**
   * Joins this communicator's ranks and those of another one, with which they share no process, for messages from one side to
   * the other. Every rank of both calls it on its own side.
   * @param localLeader a rank here; the only one whose `peer` and `remoteLeader` are looked at
   * @param peer a communicator that both leaders are in
   * @param remoteLeader the other leader's rank in `peer`
   * @param tag keeps calls apart that overlap on `peer`
   * @throws TypeError when the groups have processes in common
   * @see MPI 4.1, 7.6.2
   */
  createIntercomm(
    localLeader: number,
    peer: Communicator | null,
    remoteLeader: number,
    tag = 0,
    options?: WaitOptions,
  ): Request<Intercommunicator> {
    const { base } = this
    base.checkRank(localLeader)
    base.checkTag(tag)
    // a call that is refused must not count: the next one's tag would be another than the other leader's
    options?.signal?.throwIfAborted()
    let bridge: Exchange | null = null
    let service = -1
    if (this.rank === localLeader) {
      if (!(peer instanceof Communicator)) throw new TypeError('the local leader must give a communicator as peer')
      peer.base.open()
      peer.base.checkRank(remoteLeader)
      const [one, other] = [peer.rank, remoteLeader]
      service = joinTag(tag, one, other, peer.#count(`join ${tag} ${Math.min(one, other)} ${Math.max(one, other)}`))
      bridge = peer.exchangeFor(service)
    }
    const { job, name, rank, size } = this
    const followers = Array.from({ length: size }, (_, other) => other).filter((other) => other !== localLeader)
    return this.collective((exchange) => {
      const local = new SubExchange(exchange, [localLeader, ...followers])
      // who does not lead speaks to nobody there
      const remote = bridge === null ? new SubExchange(exchange, []) : new SubExchange(bridge, [remoteLeader])
      const made = mapped(meet({ local, remote }, job, 0, rank), (meeting) =>
        this.inherit(Intercommunicator.between(job, meeting as Meeting, `${name} and others`), false),
      )
      // the other side must not wait for a leader whose own side has failed
      if (service < 0) return made
      return new ToldSchedule(made, (error) => {
        base.engine.breakOff(peer!.base.context + 1, service, seenFromOutside(error))
      })
    }, options)
  }

  /**
   * A communicator of the ranks that have not failed, in the same order; works where this one has been revoked. All living ranks
   * call it.
   * @see ULFM, MPIX_Comm_shrink
   */
  shrink(): Request<Communicator> {
    return this.shrinking((service, ended) => this.#survivors(service, ended))
  }

  // --- other jobs

  /**
   * Starts `size` processes that run `script`, as a job of their own with a world of their own, and gives the
   * intercommunicator to them; they find it by `parent()`. Every rank calls it.
   *
   * The children belong to this job: if one of them fails, so does it, and they end with it, until `disconnect`. They cannot be called
   * back: `cancel` has no effect.
   * @throws TypeError where there is no such script; OnecopyError ERR_EARLY_EXIT, ERR_START_TIMEOUT when the children do not
   *   all call init(), ERR_UNAVAILABLE, ERR_NO_SHM, ERR_LIMIT when they cannot be started.
   * @see MPI 4.1, 11.8.2 and, for a list of programs, 11.8.3
   */
  spawn(script: string | URL, size: number, options?: SpawnOptions): Request<Intercommunicator>
  spawn(programs: readonly SpawnProgram[], options?: SpawnOptions): Request<Intercommunicator>
  spawn(
    script: string | URL | readonly SpawnProgram[],
    size?: number | SpawnOptions,
    options?: SpawnOptions,
  ): Request<Intercommunicator> {
    const [programs, given] = programsOf(script, size, options)
    return this.agreeing((exchange) => spawnJob(this.job, exchange, this.members, programs, given))
  }

  /**
   * Waits under `name` for one other job of the same user to connect, and gives the intercommunicator to it; jobs that connect
   * meanwhile are for the next calls. Every rank calls it. Each job goes on when the other fails. `signal` gives it up, and at
   * the root `cancel`, on all ranks.
   * @throws OnecopyError ERR_UNAVAILABLE when the name is taken, ERR_TIMEOUT, ERR_CANCELLED.
   * @see MPI 4.1, 11.9.2 and 11.9.4 (MPI_Open_port, MPI_Publish_name, MPI_Comm_accept)
   */
  listen(name: string, options?: JoinOptions): Request<Intercommunicator> {
    const asking = new Asking()
    return this.agreeing(
      (exchange) => listenForJob(this.job, exchange, this.members, name, options, asking),
      () => asking.isOpen,
    )
  }

  /**
   * Connects to another job of the same user that listens under `name`, or will within 30 seconds, and gives the intercommunicator
   * to it. Every rank calls it. Given up as `listen`.
   * @throws OnecopyError ERR_TIMEOUT when nobody listens, ERR_CANCELLED, ERR_UNAVAILABLE.
   * @see MPI 4.1, 11.9.3 and 11.9.4 (MPI_Lookup_name, MPI_Comm_connect)
   */
  connect(name: string, options?: JoinOptions): Request<Intercommunicator> {
    const asking = new Asking()
    return this.agreeing(
      (exchange) => connectToJob(this.job, exchange, this.members, name, options, asking),
      () => asking.isOpen,
    )
  }

  #count(service: string): number {
    const count = this.#served.get(service) ?? 0
    this.#served.set(service, count + 1)
    return count
  }

  *#created(exchange: SubExchange, group: Group): Schedule<Communicator | null> {
    if (exchange.rank < 0) return null
    const context = yield* agreeOnContext(exchange, this.job)
    return this.#make(context, group.members, `group of ${this.name}`, false)
  }

  *#survivors(service: number, ended: readonly number[]): Schedule<Communicator> {
    const survivors = this.members.filter((member) => !ended.includes(member))
    const ranks = survivors.map((member) => this.members.indexOf(member))
    const context = yield* agreeOnContext(new SubExchange(this.exchangeFor(service), ranks), this.job)
    return this.#make(context, survivors, `${this.name}, shrunk`, false)
  }

  #makeOf(ranks: NewRanks | null, name: string): Communicator | null {
    if (ranks === null) return null
    const members = ranks.ranks.map((rank) => this.members[rank] as number)
    return this.#make(ranks.context, members, name, false)
  }

  #make(context: number, members: readonly number[], name: string, isDuplicate: boolean): Communicator {
    const made = communicatorOver(this.job, context, members, name)
    return this.inherit(made, isDuplicate)
  }
}

/** A communicator of these world ranks, which know each other under `context`. */
export function communicatorOver(job: Job, context: number, members: readonly number[], name: string): Communicator {
  const rank = members.indexOf(job.link.rank)
  // where ranks are the world's own numbers, nothing has to be translated
  const translated = members.every((member, local) => member === local) ? null : members
  const base = new PointToPoint(job.engine, rank, context, translated, members.length)
  return new Communicator(job, base, name, members)
}

/** What one side has failed with, as the other one is told: a death it may know, what befell this side alone it cannot. */
function seenFromOutside(error: unknown): unknown {
  if (error instanceof OnecopyError && error.code === 'ERR_PROC_FAILED') return error
  return new OnecopyError('ERR_COLLECTIVE', 'the other side has failed in createIntercomm', { cause: error })
}

function* mapped<A, B>(schedule: Schedule<A>, map: (value: A) => B): Schedule<B> {
  return map(yield* schedule)
}
