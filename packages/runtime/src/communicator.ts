import { OnecopyError } from '@onecopy/transport'
import { checkView } from './arguments.js'
import { CollectiveExchange } from './collective-exchange.js'
import { CallWatch, checkedFirst, checks } from './collectives/check.js'
import * as collectives from './collectives/index.js'
import { nextTag, persistentTag } from './collectives/tags.js'
import { ANY_SOURCE, ANY_TAG, type IN_PLACE, PROC_NULL } from './constants.js'
import type { Job } from './job.js'
import { MatchedMessage } from './matched-message.js'
import type { Message } from './message.js'
import { STANDARD, SYNCHRONOUS } from './messenger.js'
import type { Operation } from './operation.js'
import { PersistentRequest } from './persistent-request.js'
import { BUFFERED, PointToPoint, type SendrecvOptions, type WaitOptions } from './point-to-point.js'
import { MESSAGE_OF, type Request, type RequestRecord, VALUE_OF } from './request.js'
import type { Exchange, Schedule } from './schedule.js'
import type { ScheduleRun } from './schedule-run.js'
import type { Status } from './status.js'
import { SyncCommunicator } from './sync-communicator.js'

/** Where `messages()` listens. */
export interface MessagesOptions extends WaitOptions {
  readonly source?: number | undefined
  readonly tag?: number | undefined
}

type View = ArrayBufferView

/**
 * A group of ranks that talk among themselves: nothing sent on one communicator is ever seen on another. Every verb
 * returns a {@link Request} at once; await it, or use the same verb on {@link sync} to block the thread.
 * @see MPI 4.1, chapter 7
 */
export class Communicator {
  /** This process's number in the communicator, 0 to size-1. @see MPI 4.1, 7.4.1 */
  readonly rank: number
  /** How many ranks there are. @see MPI 4.1, 7.4.1 */
  readonly size: number
  /** A name for people: 'world', or what you set. @see MPI 4.1, 7.8 */
  name: string
  /** The same verbs, blocking. */
  readonly sync: SyncCommunicator
  readonly #job: Job
  readonly #base: PointToPoint
  #collectiveTag = 0
  #persistents = 0
  /** Who calls what from where: only in a job with --check. */
  readonly #calls: CallWatch | null

  /** @internal Communicators come from init() and from other communicators. */
  constructor(job: Job, base: PointToPoint, name: string) {
    this.#job = job
    this.#base = base
    this.rank = base.rank
    this.size = base.size
    this.name = name
    this.sync = new SyncCommunicator(this, base)
    this.#calls = checks(job.link.settings) ? new CallWatch(this.rank, this.size, [this, this.sync]) : null
  }

  // --- point to point

  /**
   * Sends `data` to rank `dest`; done when `data` may be changed again.
   * Short messages are done at once; long ones when they have been received.
   * @param data typed array, DataView, Buffer, ArrayBuffer (as bytes), or any value msgpackr can carry
   * @param dest rank, or PROC_NULL
   * @param tag 0 to 2^31-1; default 0
   * @throws TypeError, RangeError for bad arguments, before any traffic
   * @throws OnecopyError ERR_PROC_FAILED when `dest` has ended
   * @see MPI 4.1, 3.2.1 and 3.7.2
   */
  send(data: unknown, dest: number, tag = 0, options?: WaitOptions): Request<void> {
    return this.#base.send(data, dest, tag, STANDARD, options) as Request<void>
  }

  /** Synchronous mode: done when the receive has matched. @see MPI 4.1, 3.4 */
  ssend(data: unknown, dest: number, tag = 0, options?: WaitOptions): Request<void> {
    return this.#base.send(data, dest, tag, SYNCHRONOUS, options) as Request<void>
  }

  /** Buffered mode: copies `data` and is done at once. @see MPI 4.1, 3.4 */
  bsend(data: unknown, dest: number, tag = 0, options?: WaitOptions): Request<void> {
    return this.#base.send(data, dest, tag, BUFFERED, options) as Request<void>
  }

  /** Ready mode: you promise that the receive is posted. Works like `send`, whether or not. @see MPI 4.1, 3.4 */
  rsend(data: unknown, dest: number, tag = 0, options?: WaitOptions): Request<void> {
    return this.#base.send(data, dest, tag, STANDARD, options) as Request<void>
  }

  /**
   * Receives the next matching message, of any kind and size, into fresh memory: a typed array comes back as the same kind
   * of typed array, a value as an equal value.
   * @see MPI 4.1, 3.2.4
   */
  recv<T = unknown>(source: number = ANY_SOURCE, tag: number = ANY_TAG, options?: WaitOptions): Request<T> {
    return this.#base.recv(VALUE_OF, source, tag, options) as Request<T>
  }

  /**
   * Receives raw bytes straight into `view`, which is the request's until it is done. The message may be shorter.
   * @throws OnecopyError ERR_TRUNCATE when it is longer, ERR_TYPE when it is a packed value; it is consumed all the same.
   * @see MPI 4.1, 3.2.4
   */
  recvInto(view: View, source: number = ANY_SOURCE, tag: number = ANY_TAG, options?: WaitOptions): Request<Status> {
    return this.#base.recvInto(view, source, tag, options) as Request<Status>
  }

  /** Receives the next matching message with its envelope. */
  recvMessage<T = unknown>(
    source: number = ANY_SOURCE,
    tag: number = ANY_TAG,
    options?: WaitOptions,
  ): Request<Message<T>> {
    return this.#base.recv(MESSAGE_OF, source, tag, options) as unknown as Request<Message<T>>
  }

  /**
   * Sends to `dest` and receives from `source` at once; never deadlocks, however many ranks do it in a circle.
   * @see MPI 4.1, 3.10
   */
  sendrecv<T = unknown>(
    data: unknown,
    dest: number,
    source: number = ANY_SOURCE,
    options: SendrecvOptions = {},
  ): Request<T> {
    return this.#base.sendrecv(data, dest, source, options) as Request<T>
  }

  /** The same, receiving into memory you own, which must not overlap `data`. @see MPI 4.1, 3.10 */
  sendrecvInto(
    data: unknown,
    dest: number,
    view: View,
    source: number = ANY_SOURCE,
    options: SendrecvOptions = {},
  ): Request<Status> {
    return this.#base.sendrecvInto(data, dest, view, source, options) as Request<Status>
  }

  /** Sends `view`'s bytes and receives into the same memory. @see MPI 4.1, 3.10 */
  sendrecvReplace(
    view: View,
    dest: number,
    source: number = ANY_SOURCE,
    options: SendrecvOptions = {},
  ): Request<Status> {
    return this.#base.sendrecvReplace(view, dest, source, options) as Request<Status>
  }

  /** Waits until a matching message is there, and leaves it there. @see MPI 4.1, 3.8.1 */
  probe(source: number = ANY_SOURCE, tag: number = ANY_TAG, options: WaitOptions = {}): Request<Status> {
    const base = this.#base
    return base.probe(source, tag, false, (found) => base.statusOf(found), options) as Request<Status>
  }

  /** Makes progress once; the matching message's status, or null at once. @see MPI 4.1, 3.8.1 */
  iprobe(source: number = ANY_SOURCE, tag: number = ANY_TAG): Status | null {
    const found = this.#base.lookFor(source, tag, false)
    return found === null && source !== PROC_NULL ? null : this.#base.statusOf(found)
  }

  /** Waits for a matching message and takes it: only the holder can then receive it. @see MPI 4.1, 3.8.2 */
  mprobe(source: number = ANY_SOURCE, tag: number = ANY_TAG, options: WaitOptions = {}): Request<MatchedMessage> {
    const base = this.#base
    return base.probe(source, tag, true, (found) => new MatchedMessage(base, found), options) as Request<MatchedMessage>
  }

  /** Makes progress once; takes the matching message, or null at once. @see MPI 4.1, 3.8.2 */
  improbe(source: number = ANY_SOURCE, tag: number = ANY_TAG): MatchedMessage | null {
    const found = this.#base.lookFor(source, tag, true)
    return found === null && source !== PROC_NULL ? null : new MatchedMessage(this.#base, found)
  }

  /**
   * Every matching message, one after the other: a server loop. Ends when every rank that could send has left; throws the
   * signal's reason when it fires.
   */
  async *messages<T = unknown>(options: MessagesOptions = {}): AsyncGenerator<Message<T>, void, void> {
    const { source = ANY_SOURCE, tag = ANY_TAG } = options
    for (;;) {
      let message: Message<T>
      try {
        message = await this.recvMessage<T>(source, tag, options)
      } catch (error) {
        if (this.#haveLeft(error)) return
        throw error
      }
      yield message
    }
  }

  /**
   * A send that can be started again and again. @see MPI 4.1, 3.9
   * @example const request = world.sendInit(row, 1); for (;;) { fill(row); await request.start() }
   */
  sendInit(view: View, dest: number, tag = 0): PersistentRequest<void> {
    checkView('view', view)
    this.#base.checkSend(dest, tag)
    return new PersistentRequest((options) => this.#base.send(view, dest, tag, STANDARD, options))
  }

  /** A receive that can be started again and again. @see MPI 4.1, 3.9 */
  recvInit(view: View, source: number = ANY_SOURCE, tag: number = ANY_TAG): PersistentRequest<Status> {
    checkView('view', view)
    this.#base.checkReceive(source, tag)
    return new PersistentRequest((options) => this.#base.recvInto(view, source, tag, options))
  }

  // --- collectives: see collectives/ for what each gives where. A signal gives up this rank's part only: the others still wait
  // for it, so the communicator is then good for nothing but free().

  /** Done when every rank has called it. @see MPI 4.1, 6.3 */
  barrier(options?: WaitOptions): Request<void> {
    return this.#collective((exchange) => collectives.barrier(exchange), options)
  }

  /** Gives every rank what `root` has; the others' `data` is not looked at. @see MPI 4.1, 6.4 */
  bcast<T>(data: T, root = 0, options?: WaitOptions): Request<T> {
    return this.#collective((exchange) => collectives.bcast(exchange, data, root), options) as Request<T>
  }

  /** Fills every rank's `view` with `root`'s: same length everywhere. @see MPI 4.1, 6.4 */
  bcastInto(view: View, root = 0, options?: WaitOptions): Request<void> {
    return this.#collective((exchange) => collectives.bcastInto(exchange, view, root), options)
  }

  /** At `root`, an array of everybody's `data` by rank; undefined elsewhere. @see MPI 4.1, 6.5 */
  gather<T>(data: T, root = 0, options?: WaitOptions): Request<T[] | undefined> {
    return this.#collective((exchange) => collectives.gather(exchange, data, root), options) as Request<T[] | undefined>
  }

  /** The same into memory `root` owns; see {@link collectives.Layout} for unequal lengths. @see MPI 4.1, 6.5 */
  gatherInto(
    send: View | typeof IN_PLACE,
    recv: View | null,
    options: Partial<collectives.RootedLayout> & WaitOptions = {},
  ): Request<void> {
    return this.#collective(
      (exchange) => collectives.gatherInto(exchange, send, recv, { root: 0, ...options }),
      options,
    )
  }

  /** Gives rank i `values[i]` of `root`'s array; the others' argument is not looked at. @see MPI 4.1, 6.6 */
  scatter<T>(values: readonly T[] | undefined, root = 0, options?: WaitOptions): Request<T> {
    return this.#collective((exchange) => collectives.scatter(exchange, values, root), options) as Request<T>
  }

  scatterInto(
    send: View | null,
    recv: View | typeof IN_PLACE,
    options: Partial<collectives.RootedLayout> & WaitOptions = {},
  ): Request<void> {
    return this.#collective(
      (exchange) => collectives.scatterInto(exchange, send, recv, { root: 0, ...options }),
      options,
    )
  }

  /** An array of everybody's `data` by rank, on every rank. @see MPI 4.1, 6.7 */
  allgather<T>(data: T, options?: WaitOptions): Request<T[]> {
    return this.#collective((exchange) => collectives.allgather(exchange, data), options) as Request<T[]>
  }

  allgatherInto(
    send: View | typeof IN_PLACE,
    recv: View,
    options: collectives.Layout & WaitOptions = {},
  ): Request<void> {
    return this.#collective((exchange) => collectives.allgatherInto(exchange, send, recv, options), options)
  }

  /** Sends `values[i]` to rank i; gives what each rank had for this one. @see MPI 4.1, 6.8 */
  alltoall<T>(values: readonly T[], options?: WaitOptions): Request<T[]> {
    return this.#collective((exchange) => collectives.alltoall(exchange, values), options) as Request<T[]>
  }

  alltoallInto(
    send: View | typeof IN_PLACE,
    recv: View,
    options: collectives.ExchangeLayout & WaitOptions = {},
  ): Request<void> {
    return this.#collective((exchange) => collectives.alltoallInto(exchange, send, recv, options), options)
  }

  /** Everybody's `data` combined by `op` in rank order, at `root`; undefined elsewhere. @see MPI 4.1, 6.9 */
  reduce<T>(data: T, op: Operation, root = 0, options?: WaitOptions): Request<T | undefined> {
    return this.#collective((exchange) => collectives.reduce(exchange, data, op, root), options) as Request<
      T | undefined
    >
  }

  reduceInto(
    send: View | typeof IN_PLACE,
    recv: View | null,
    op: Operation,
    root = 0,
    options?: WaitOptions,
  ): Request<void> {
    return this.#collective((exchange) => collectives.reduceInto(exchange, send, recv, op, root), options)
  }

  /** Everybody's `data` combined by `op`, the same result on every rank. @see MPI 4.1, 6.9.6 */
  allreduce<T>(data: T, op: Operation, options?: WaitOptions): Request<T> {
    return this.#collective((exchange) => collectives.allreduce(exchange, data, op), options) as Request<T>
  }

  allreduceInto(send: View | typeof IN_PLACE, recv: View, op: Operation, options?: WaitOptions): Request<void> {
    return this.#collective((exchange) => collectives.allreduceInto(exchange, send, recv, op), options)
  }

  /** Rank i gets the combination of ranks 0 to i. @see MPI 4.1, 6.11.1 */
  scan<T>(data: T, op: Operation, options?: WaitOptions): Request<T> {
    return this.#collective((exchange) => collectives.scan(exchange, data, op), options) as Request<T>
  }

  scanInto(send: View | typeof IN_PLACE, recv: View, op: Operation, options?: WaitOptions): Request<void> {
    return this.#collective((exchange) => collectives.scanInto(exchange, send, recv, op), options)
  }

  /** Rank i gets the combination of ranks 0 to i-1; rank 0 gets undefined. @see MPI 4.1, 6.11.2 */
  exscan<T>(data: T, op: Operation, options?: WaitOptions): Request<T | undefined> {
    return this.#collective((exchange) => collectives.exscan(exchange, data, op), options) as Request<T | undefined>
  }

  exscanInto(send: View | typeof IN_PLACE, recv: View, op: Operation, options?: WaitOptions): Request<void> {
    return this.#collective((exchange) => collectives.exscanInto(exchange, send, recv, op), options)
  }

  /** Rank i gets everybody's `values[i]` combined by `op`. @see MPI 4.1, 6.10.2 */
  reduceScatter<T>(values: readonly T[], op: Operation, options?: WaitOptions): Request<T> {
    return this.#collective((exchange) => collectives.reduceScatter(exchange, values, op), options) as Request<T>
  }

  /** Rank i gets block i of the combined arrays, with `counts` for unequal blocks. @see MPI 4.1, 6.10.2 */
  reduceScatterInto(
    send: View | typeof IN_PLACE,
    recv: View,
    op: Operation,
    options: collectives.ScatterLayout & WaitOptions = {},
  ): Request<void> {
    return this.#collective((exchange) => collectives.reduceScatterInto(exchange, send, recv, op, options), options)
  }

  /** Rank i gets everybody's `values[i]` combined by `op`. @see MPI 4.1, 6.10.1 */
  reduceScatterBlock<T>(values: readonly T[], op: Operation, options?: WaitOptions): Request<T> {
    return this.#collective((exchange) => collectives.reduceScatterBlock(exchange, values, op), options) as Request<T>
  }

  /** Rank i gets block i of the combined arrays, all of `recv`'s length. @see MPI 4.1, 6.10.1 */
  reduceScatterBlockInto(
    send: View | typeof IN_PLACE,
    recv: View,
    op: Operation,
    options?: WaitOptions,
  ): Request<void> {
    return this.#collective((exchange) => collectives.reduceScatterBlockInto(exchange, send, recv, op), options)
  }

  // --- persistent collectives: initialised by every rank in one order, on memory you own; each start() is one collective. Starts may
  // come in any order, and between other collectives. @see MPI 4.1, 6.13

  /** @see MPI 4.1, 6.13.1 */
  barrierInit(): PersistentRequest<void> {
    return this.#persistent((exchange) => collectives.barrier(exchange))
  }

  /** A broadcast to start again and again. @see MPI 4.1, 6.13.2 */
  bcastInit(view: View, root = 0): PersistentRequest<void> {
    return this.#persistent((exchange) => collectives.bcastInto(exchange, view, root))
  }

  /** @see MPI 4.1, 6.13.3 */
  gatherInit(
    send: View | typeof IN_PLACE,
    recv: View | null,
    options: Partial<collectives.RootedLayout> = {},
  ): PersistentRequest<void> {
    return this.#persistent((exchange) => collectives.gatherInto(exchange, send, recv, { root: 0, ...options }))
  }

  /** @see MPI 4.1, 6.13.4 */
  scatterInit(
    send: View | null,
    recv: View | typeof IN_PLACE,
    options: Partial<collectives.RootedLayout> = {},
  ): PersistentRequest<void> {
    return this.#persistent((exchange) => collectives.scatterInto(exchange, send, recv, { root: 0, ...options }))
  }

  /** @see MPI 4.1, 6.13.5 */
  allgatherInit(send: View | typeof IN_PLACE, recv: View, options: collectives.Layout = {}): PersistentRequest<void> {
    return this.#persistent((exchange) => collectives.allgatherInto(exchange, send, recv, options))
  }

  /** @see MPI 4.1, 6.13.6 */
  alltoallInit(
    send: View | typeof IN_PLACE,
    recv: View,
    options: collectives.ExchangeLayout = {},
  ): PersistentRequest<void> {
    return this.#persistent((exchange) => collectives.alltoallInto(exchange, send, recv, options))
  }

  /** @see MPI 4.1, 6.13.7 */
  reduceInit(send: View | typeof IN_PLACE, recv: View | null, op: Operation, root = 0): PersistentRequest<void> {
    return this.#persistent((exchange) => collectives.reduceInto(exchange, send, recv, op, root))
  }

  /**
   * @see MPI 4.1, 6.13.8
   * @example const sum = world.allreduceInit(part, total, SUM); for (;;) { fill(part); await sum.start() }
   */
  allreduceInit(send: View | typeof IN_PLACE, recv: View, op: Operation): PersistentRequest<void> {
    return this.#persistent((exchange) => collectives.allreduceInto(exchange, send, recv, op))
  }

  /** @see MPI 4.1, 6.13.10 */
  reduceScatterInit(
    send: View | typeof IN_PLACE,
    recv: View,
    op: Operation,
    options: collectives.ScatterLayout = {},
  ): PersistentRequest<void> {
    return this.#persistent((exchange) => collectives.reduceScatterInto(exchange, send, recv, op, options))
  }

  /** @see MPI 4.1, 6.13.9 */
  reduceScatterBlockInit(send: View | typeof IN_PLACE, recv: View, op: Operation): PersistentRequest<void> {
    return this.#persistent((exchange) => collectives.reduceScatterBlockInto(exchange, send, recv, op))
  }

  /** @see MPI 4.1, 6.13.11 */
  scanInit(send: View | typeof IN_PLACE, recv: View, op: Operation): PersistentRequest<void> {
    return this.#persistent((exchange) => collectives.scanInto(exchange, send, recv, op))
  }

  /** @see MPI 4.1, 6.13.12 */
  exscanInit(send: View | typeof IN_PLACE, recv: View, op: Operation): PersistentRequest<void> {
    return this.#persistent((exchange) => collectives.exscanInto(exchange, send, recv, op))
  }

  // --- the communicator itself

  /** A communicator with the same ranks and a life of its own. Every rank calls it. @see MPI 4.1, 7.4.2 */
  dup(options?: WaitOptions): Request<Communicator> {
    return this.#collective((exchange) => {
      const context = this.rank === 0 ? this.#job.newContext() : -1
      return duplicate(exchange, context, (agreed) => this.#sibling(agreed))
    }, options)
  }

  /**
   * Gives the communicator up: calls to it throw from now on, receives and probes that wait fail with ERR_CLOSED. Messages
   * that nobody has received are gone.
   * @see MPI 4.1, 7.4.3
   */
  free(): void {
    this.#base.open()
    if (this.#base.context === WORLD_CONTEXT) throw new TypeError('the world cannot be freed: use finalize()')
    const message = `communicator '${this.name}' has been freed`
    const freed = new OnecopyError('ERR_CLOSED', message)
    this.#base.closed = new TypeError(message)
    this.#base.freed = freed
    this.#base.engine.dropContext(this.#base.context, freed)
    this.#base.engine.dropContext(this.#base.context + 1, freed)
  }

  /** How messages travel to `rank`, in words: 'cma (single copy)', 'cma (rings: …)', 'pipe', 'self'. */
  transport(rank: number): string {
    this.#base.checkRank(rank)
    return this.#job.describeRoute(this.#base.world(rank))
  }

  /** Where one way of sending ends and the next begins, in bytes. */
  get thresholds(): Job['thresholds'] {
    return this.#job.thresholds
  }

  /** Payload bytes this rank has received, by the way they came. */
  get statistics(): ReturnType<Job['statistics']> {
    return this.#job.statistics()
  }

  /** Ends every rank of the job; the launcher exits with `code`. @see MPI 4.1, 9.3 */
  abort(code = 1, reason = `abort(${code})`): never {
    this.#job.abort(code, reason)
  }

  /**
   * Ends this rank's part: waits until what it has sent is out of its hands, then closes everything. Calls throw ERR_CLOSED
   * from then on. Leaving the script does the same. @see MPI 4.1, 11.2.3
   */
  finalize(): Promise<void> {
    return this.#job.finalize()
  }

  /** Leaving an `await using` block: the world is finalized, every other communicator is freed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#base.context === WORLD_CONTEXT) await this.#job.finalize()
    else if (this.#base.closed === null) this.free()
  }

  // --- for the sync face

  /** @internal Starts a collective: checks first, then traffic. A persistent one has a tag and a call of its own. */
  startCollective(
    make: (exchange: Exchange) => Schedule<unknown>,
    { signal }: WaitOptions = {},
    persistentTag = -1,
    call = this.#calls?.current ?? null,
  ): RequestRecord {
    const base = this.#base
    base.open()
    signal?.throwIfAborted()
    const tag = persistentTag < 0 ? this.#collectiveTag : persistentTag
    const exchange = new CollectiveExchange(base, base.context + 1, tag)
    let schedule = make(exchange)
    if (call !== null) schedule = checkedFirst(exchange, call, schedule)
    if (persistentTag < 0) this.#collectiveTag = nextTag(tag)
    const record = base.engine.run(schedule)
    if (!record.done) (record.detail as ScheduleRun).onFailure = exchange
    else if (record.error !== undefined) exchange.failed(record.error)
    return record
  }

  #persistent(make: (exchange: Exchange) => Schedule<void>): PersistentRequest<void> {
    const base = this.#base
    base.open()
    // for its checks alone: a schedule does nothing until it is run
    make(new CollectiveExchange(base, base.context + 1, 0))
    const index = this.#persistents++
    const call = this.#calls?.current ?? null
    let starts = 0
    return new PersistentRequest((options) => {
      const record = this.startCollective(make, options, persistentTag(index, starts), call)
      starts++
      base.engine.began(record)
      return options?.signal === undefined ? record : record.listenTo(options.signal)
    })
  }

  #collective<T>(make: (exchange: Exchange) => Schedule<T>, options: WaitOptions = {}): Request<T> {
    const { signal } = options
    const record = this.startCollective(make, options)
    this.#base.engine.began(record)
    return (signal === undefined ? record : record.listenTo(signal)) as unknown as Request<T>
  }

  #sibling(context: number): Communicator {
    const { engine, rank, members, size } = this.#base
    return new Communicator(this.#job, new PointToPoint(engine, rank, context, members, size), `dup of ${this.name}`)
  }

  #haveLeft(error: unknown): boolean {
    return error instanceof OnecopyError && error.code === 'ERR_PROC_FAILED' && this.#base.engine.failure === null
  }
}

/** The world's context; its collectives use the next number, and so on for every communicator. */
export const WORLD_CONTEXT = 0
export const CONTEXTS_PER_COMMUNICATOR = 2

/** Takes rank 0's context number, which nobody else can have made: so any number of these may go on at once. */
function* duplicate(
  exchange: Exchange,
  context: number,
  make: (context: number) => Communicator,
): Schedule<Communicator> {
  return make(yield* collectives.bcast(exchange, context, 0))
}
