import { OnecopyError } from '@onecopy/transport'
import { checkColorAndKey, colorOfType } from './arguments.js'
import { CollectiveExchange } from './collective-exchange.js'
import * as across from './collectives/across.js'
import type { Call } from './collectives/check.js'
import { checkedAcrossFirst, VERBS_ACROSS } from './collectives/check-across.js'
import type { ExchangeLayout, ScatterLayout } from './collectives/index.js'
import { type Communicator, communicatorOver } from './communicator.js'
import { CommunicatorBase } from './communicator-base.js'
import { type Meeting, meet, meetToMerge } from './communicator-creation.js'
import { CONGRUENT, IDENT, SIMILAR, UNDEFINED, UNEQUAL } from './constants.js'
import { type Comparison, Group } from './group.js'
import type { Job } from './job.js'
import type { Operation } from './operation.js'
import type { PersistentRequest } from './persistent-request.js'
import { PointToPoint, type WaitOptions } from './point-to-point.js'
import type { Request } from './request.js'
import type { Exchange, Schedule } from './schedule.js'
import { SubExchange } from './sub-exchange.js'
import { SyncIntercommunicator } from './sync-intercommunicator.js'

type View = ArrayBufferView

/**
 * Two groups of ranks that talk to each other: `rank`, `size` and `group` are this side's, and every dest and source is a rank
 * of the other side. In collectives data goes across; where there is a root, it gives ROOT, the rest of its group PROC_NULL,
 * and the other group the root's rank.
 * @see MPI 4.1, 7.6 and 6.2.3
 */
export class Intercommunicator extends CommunicatorBase {
  readonly sync: SyncIntercommunicator
  /** How many ranks the other group has. @see MPI 4.1, 7.6.1 */
  readonly remoteSize: number
  /** What this side does by itself. */
  readonly #local: Communicator
  readonly #remoteMembers: readonly number[]

  private constructor(
    job: Job,
    base: PointToPoint,
    name: string,
    local: Communicator,
    remoteMembers: readonly number[],
  ) {
    super(job, base, name, local.members)
    this.#local = local
    this.#remoteMembers = remoteMembers
    this.remoteSize = remoteMembers.length
    this.sync = new SyncIntercommunicator(this, base)
    this.watchCalls(VERBS_ACROSS, this.remoteSize)
    // the two halves of this side live and die together
    base.onRevoked = () => job.engine.revoke(local.base.context)
    local.base.onRevoked = () => job.engine.revoke(base.context)
    // others were ahead of us
    if (local.base.revoked !== null) local.base.onRevoked()
    if (base.revoked !== null) base.onRevoked()
  }

  /** @internal The two groups that have met, as this side sees it. */
  static between(job: Job, meeting: Meeting, name: string): Intercommunicator {
    const { context, localContext, members, remoteMembers } = meeting
    const local = communicatorOver(job, localContext, members, `${name}, this side`)
    const base = new PointToPoint(job.engine, local.rank, context, remoteMembers, remoteMembers.length)
    return new Intercommunicator(job, base, name, local, remoteMembers)
  }

  /** The other side's processes. @see MPI 4.1, 7.6.1 */
  get remoteGroup(): Group {
    this.base.usable()
    return new Group(this.job, this.job.link.rank, this.#remoteMembers)
  }

  /** Done when every rank of the other group has called it. @see MPI 4.1, 6.3 */
  barrier(options?: WaitOptions): Request<void> {
    return this.#across((both) => across.barrierAcross(both), options)
  }

  /** Gives the other group what ROOT has; ROOT's own group gets undefined. @see MPI 4.1, 6.4 */
  bcast<T>(data: T, root: number, options?: WaitOptions): Request<T | undefined> {
    return this.#across((both) => across.bcastAcross(both, data, root), options)
  }

  /** Fills the other group's memory with ROOT's; null for PROC_NULL. @see MPI 4.1, 6.4 */
  bcastInto(view: View | null, root: number, options?: WaitOptions): Request<void> {
    return this.#across((both) => across.bcastIntoAcross(both, view, root), options)
  }

  /** Gives ROOT an array of the other group's values, by rank; undefined elsewhere. @see MPI 4.1, 6.5 */
  gather<T>(data: T, root: number, options?: WaitOptions): Request<T[] | undefined> {
    return this.#across((both) => across.gatherAcross(both, data, root), options)
  }

  /** Collects the other group's memory in ROOT's `recv`; null for what a rank does not need. @see MPI 4.1, 6.5 */
  gatherInto(
    send: View | null,
    recv: View | null,
    options: across.LayoutAcross & WaitOptions & { readonly root: number },
  ): Request<void> {
    return this.#across((both) => across.gatherIntoAcross(both, send, recv, options.root, options), options)
  }

  /** Gives rank i of the other group ROOT's `values[i]`; ROOT's own group gets undefined. @see MPI 4.1, 6.6 */
  scatter<T>(values: readonly T[] | undefined, root: number, options?: WaitOptions): Request<T | undefined> {
    return this.#across((both) => across.scatterAcross(both, values, root), options)
  }

  /** Fills the other group's memory with the blocks of ROOT's `send`. @see MPI 4.1, 6.6 */
  scatterInto(
    send: View | null,
    recv: View | null,
    options: across.LayoutAcross & WaitOptions & { readonly root: number },
  ): Request<void> {
    return this.#across((both) => across.scatterIntoAcross(both, send, recv, options.root, options), options)
  }

  /** An array of the other group's values, on every rank. @see MPI 4.1, 6.7 */
  allgather<T>(data: T, options?: WaitOptions): Request<T[]> {
    return this.#across((both) => across.allgatherAcross(both, data), options)
  }

  /** Collects the other group's memory in every rank's `recv`. @see MPI 4.1, 6.7 */
  allgatherInto(send: View, recv: View, options: across.LayoutAcross & WaitOptions = {}): Request<void> {
    return this.#across((both) => across.allgatherIntoAcross(both, send, recv, options), options)
  }

  /** Sends `values[i]` to rank i of the other group; gives what each of them had for this one. @see MPI 4.1, 6.8 */
  alltoall<T>(values: readonly T[], options?: WaitOptions): Request<T[]> {
    return this.#across((both) => across.alltoallAcross(both, values), options)
  }

  /** The same between memory of one's own, block by block. @see MPI 4.1, 6.8 */
  alltoallInto(send: View, recv: View, options: ExchangeLayout & WaitOptions = {}): Request<void> {
    return this.#across((both) => across.alltoallIntoAcross(both, send, recv, options), options)
  }

  /** Gives ROOT the combination of the other group's values; undefined elsewhere. @see MPI 4.1, 6.9 */
  reduce<T>(data: T, op: Operation, root: number, options?: WaitOptions): Request<T | undefined> {
    return this.#across((both) => across.reduceAcross(both, data, op, root), options)
  }

  /** The same, element by element, into ROOT's `recv`. @see MPI 4.1, 6.9 */
  reduceInto(send: View | null, recv: View | null, op: Operation, root: number, options?: WaitOptions): Request<void> {
    return this.#across((both) => across.reduceIntoAcross(both, send, recv, op, root), options)
  }

  /** The combination of the other group's values, on every rank. @see MPI 4.1, 6.9.6 */
  allreduce<T>(data: T, op: Operation, options?: WaitOptions): Request<T> {
    return this.#across((both) => across.allreduceAcross(both, data, op), options)
  }

  /** The same, element by element, into every rank's `recv`. @see MPI 4.1, 6.9.6 */
  allreduceInto(send: View, recv: View, op: Operation, options?: WaitOptions): Request<void> {
    return this.#across((both) => across.allreduceIntoAcross(both, send, recv, op), options)
  }

  /** Rank i gets the combination of the other group's `values[i]`. @see MPI 4.1, 6.10.2 */
  reduceScatter<T>(values: readonly T[], op: Operation, options?: WaitOptions): Request<T> {
    return this.#across((both) => across.reduceScatterAcross(both, values, op), options)
  }

  /**
   * Combines the other group's `send` element by element and divides it among this group's ranks, in rank order: `counts` says how
   * many elements each rank here gets in its `recv`. Both groups give `send` of one length, whatever their sizes.
   * @see MPI 4.1, 6.10.2
   */
  reduceScatterInto(send: View, recv: View, op: Operation, options: ScatterLayout & WaitOptions = {}): Request<void> {
    return this.#across((both) => across.reduceScatterIntoAcross(both, send, recv, op, options), options)
  }

  /** The same with equal blocks, of `recv`'s length. @see MPI 4.1, 6.10.1 */
  reduceScatterBlockInto(send: View, recv: View, op: Operation, options?: WaitOptions): Request<void> {
    return this.#across((both) => across.reduceScatterBlockIntoAcross(both, send, recv, op), options)
  }

  /** As {@link reduceScatter}. @see MPI 4.1, 6.10.1 */
  reduceScatterBlock<T>(values: readonly T[], op: Operation, options?: WaitOptions): Request<T> {
    return this.#across((both) => across.reduceScatterBlockAcross(both, values, op), options)
  }

  // --- persistent collectives: as for one group

  /** @see MPI 4.1, 6.13.1 */
  barrierInit(): PersistentRequest<void> {
    return this.#persistentAcross((both) => across.barrierAcross(both))
  }

  /** @see MPI 4.1, 6.13.2 */
  bcastInit(view: View | null, root: number): PersistentRequest<void> {
    return this.#persistentAcross((both) => across.bcastIntoAcross(both, view, root))
  }

  /** @see MPI 4.1, 6.13.3 */
  gatherInit(
    send: View | null,
    recv: View | null,
    options: across.LayoutAcross & { readonly root: number },
  ): PersistentRequest<void> {
    return this.#persistentAcross((both) => across.gatherIntoAcross(both, send, recv, options.root, options))
  }

  /** @see MPI 4.1, 6.13.4 */
  scatterInit(
    send: View | null,
    recv: View | null,
    options: across.LayoutAcross & { readonly root: number },
  ): PersistentRequest<void> {
    return this.#persistentAcross((both) => across.scatterIntoAcross(both, send, recv, options.root, options))
  }

  /** @see MPI 4.1, 6.13.5 */
  allgatherInit(send: View, recv: View, options: across.LayoutAcross = {}): PersistentRequest<void> {
    return this.#persistentAcross((both) => across.allgatherIntoAcross(both, send, recv, options))
  }

  /** @see MPI 4.1, 6.13.6 */
  alltoallInit(send: View, recv: View, options: ExchangeLayout = {}): PersistentRequest<void> {
    return this.#persistentAcross((both) => across.alltoallIntoAcross(both, send, recv, options))
  }

  /** @see MPI 4.1, 6.13.7 */
  reduceInit(send: View | null, recv: View | null, op: Operation, root: number): PersistentRequest<void> {
    return this.#persistentAcross((both) => across.reduceIntoAcross(both, send, recv, op, root))
  }

  /** @see MPI 4.1, 6.13.8 */
  allreduceInit(send: View, recv: View, op: Operation): PersistentRequest<void> {
    return this.#persistentAcross((both) => across.allreduceIntoAcross(both, send, recv, op))
  }

  /** @see MPI 4.1, 6.13.10 */
  reduceScatterInit(send: View, recv: View, op: Operation, options: ScatterLayout = {}): PersistentRequest<void> {
    return this.#persistentAcross((both) => across.reduceScatterIntoAcross(both, send, recv, op, options))
  }

  /** @see MPI 4.1, 6.13.9 */
  reduceScatterBlockInit(send: View, recv: View, op: Operation): PersistentRequest<void> {
    return this.#persistentAcross((both) => across.reduceScatterBlockIntoAcross(both, send, recv, op))
  }

  // --- other communicators

  /** An intercommunicator between the same groups with a life of its own. @see MPI 4.1, 7.4.2 */
  dup(options?: WaitOptions): Request<Intercommunicator> {
    return this.#across(
      (both) =>
        made(meet(both, this.job, 0, this.rank), (meeting) =>
          this.#make(meeting as Meeting, `dup of ${this.name}`, true),
        ),
      options,
    )
  }

  /**
   * Intercommunicators between those ranks of both groups that give the same `color`, on each side numbered by `key`, and by rank
   * where keys are equal. Every rank of both groups calls it; who gives UNDEFINED, or a colour that nobody of the other
   * group gives, gets null.
   * @param color 0 to 2^31-1, or UNDEFINED
   * @param key any int32; default 0
   * @see MPI 4.1, 7.4.2
   */
  split(color: number, key = 0, options?: WaitOptions): Request<Intercommunicator | null> {
    checkColorAndKey(color, key)
    return this.#across((both) => this.#split(both, color, key, `${this.name}, color ${color}`), options)
  }

  /**
   * Intercommunicators between ranks that share something, as `Communicator.splitType` has it: 'shared' or UNDEFINED, which gives null.
   * @see MPI 4.1, 7.4.2 (MPI_Comm_split_type)
   */
  splitType(type: 'shared' | typeof UNDEFINED, key = 0, options?: WaitOptions): Request<Intercommunicator | null> {
    return this.split(colorOfType(type), key, options)
  }

  /**
   * An intercommunicator between `group` of this side and the group that the other side gives. Every rank of both sides calls it,
   * all of a side with the same group. Who is not in it gets null, and so does everybody where one side's group is empty.
   * @throws TypeError when the group has processes that are not of this side
   * @see MPI 4.1, 7.4.2 (MPI_Comm_create)
   */
  create(group: Group, options?: WaitOptions): Request<Intercommunicator | null> {
    const place = this.ranksOf(group).indexOf(this.rank)
    return this.#across((both) => this.#split(both, place < 0 ? UNDEFINED : 0, place, `group of ${this.name}`), options)
  }

  /**
   * One communicator of both groups, the group that gives `high` after the other one. When both give the same, the group
   * with the lowest process goes first.
   * @see MPI 4.1, 7.6.2
   */
  merge(high = false, options?: WaitOptions): Request<Communicator> {
    const { job, members, name } = this
    return this.#across(
      (both) =>
        made(meetToMerge(both, job, members, this.#remoteMembers, high), (merged) =>
          this.inherit(communicatorOver(job, merged.context, merged.members, `${name}, merged`), false),
        ),
      options,
    )
  }

  /**
   * An intercommunicator between the ranks of both groups that have not failed, in the same order; works where this one has been
   * revoked. All living ranks of both groups call it.
   * @throws OnecopyError ERR_PROC_FAILED when nobody of the other group is left.
   * @see ULFM, MPIX_Comm_shrink
   */
  shrink(): Request<Intercommunicator> {
    return this.shrinking((service, ended) => this.#survivors(service, ended))
  }

  /** IDENT, CONGRUENT, SIMILAR or UNEQUAL: both groups count. @see MPI 4.1, 7.4.1 */
  compare(other: CommunicatorBase): Comparison {
    if (!(other instanceof CommunicatorBase)) throw new TypeError(`a communicator is needed, got ${String(other)}`)
    this.base.usable()
    other.base.usable()
    if (other === this) return IDENT
    if (!(other instanceof Intercommunicator)) return UNEQUAL
    const sides = [this.group.compare(other.group), this.remoteGroup.compare(other.remoteGroup)]
    if (sides.includes(UNEQUAL)) return UNEQUAL
    return sides.includes(SIMILAR) ? SIMILAR : CONGRUENT
  }

  /** @internal */
  protected override checked<T>(remote: Exchange, call: Call, schedule: Schedule<T>): Schedule<T> {
    return checkedAcrossFirst({ local: this.#localExchange(remote), remote }, call, schedule)
  }

  /** @internal */
  protected override begin(): void {
    super.begin()
    this.base.engine.begin(this.#local.base.context)
  }

  /** @internal The ranks of this side wait for each other as well. */
  protected override breakOff(tag: number, error: unknown): void {
    super.breakOff(tag, error)
    this.base.engine.breakOff(this.#local.base.context + 1, tag, error)
  }

  override free(): void {
    super.free()
    this.#local.free()
  }

  /** @internal */
  startAcross(make: (both: across.Across) => Schedule<unknown>, options?: WaitOptions) {
    return this.startCollective((remote) => make({ local: this.#localExchange(remote), remote }), options)
  }

  #split(both: across.Across, color: number, key: number, name: string): Schedule<Intercommunicator | null> {
    return made(meet(both, this.job, color, key), (meeting) =>
      meeting === null ? null : this.#make(meeting, name, false),
    )
  }

  #survivors(service: number, ended: readonly number[]): Schedule<Intercommunicator> {
    const living = (members: readonly number[]) =>
      [...members.keys()].filter((rank) => !ended.includes(members[rank] as number))
    const theirs = living(this.#remoteMembers)
    if (theirs.length === 0) {
      throw new OnecopyError('ERR_PROC_FAILED', `all ranks of the other side of '${this.name}' have ended`)
    }
    const remote = this.exchangeFor(service)
    const both = {
      local: new SubExchange(this.#localExchange(remote), living(this.members)),
      remote: new SubExchange(remote, theirs),
    }
    return made(meet(both, this.job, 0, this.rank), (meeting) =>
      this.#make(meeting as Meeting, `${this.name}, shrunk`, false),
    )
  }

  #make(meeting: Meeting, name: string, isDuplicate: boolean): Intercommunicator {
    return this.inherit(Intercommunicator.between(this.job, meeting, name), isDuplicate)
  }

  #across<T>(make: (both: across.Across) => Schedule<T>, options?: WaitOptions): Request<T> {
    return this.begun(this.startAcross(make, options), options)
  }

  #persistentAcross(make: (both: across.Across) => Schedule<void>): PersistentRequest<void> {
    return this.persistent((remote) => make({ local: this.#localExchange(remote), remote }))
  }

  /** Both exchanges of a call use the same tag, each on its own context. */
  #localExchange(remote: Exchange): Exchange {
    const { base } = this.#local
    return new CollectiveExchange(base, base.context + 1, (remote as CollectiveExchange).tag, null)
  }
}

function* made<A, B>(schedule: Schedule<A>, make: (value: A) => B): Schedule<B> {
  return make(yield* schedule)
}
