import { OnecopyError } from '@onecopy/transport'
import { checkView } from './arguments.js'
import { type AttributeKey, Attributes } from './attributes.js'
import { BlockingRun } from './blocking-run.js'
import { CollectiveExchange } from './collective-exchange.js'
import { type Call, CallWatch, checkedFirst, checks, type Describe } from './collectives/check.js'
import { nextTag, persistentTag, shrinkTag } from './collectives/tags.js'
import { ANY_SOURCE, ANY_TAG, ERRORS_ARE_FATAL, ERRORS_RETURN, PROC_NULL } from './constants.js'
import { Group } from './group.js'
import type { Job } from './job.js'
import type { Agreed } from './job-link.js'
import type { MemoryCollective } from './kept-steps.js'
import { MatchedMessage } from './matched-message.js'
import type { Message } from './message.js'
import { STANDARD, SYNCHRONOUS } from './messenger.js'
import { PersistentRequest } from './persistent-request.js'
import { BUFFERED, type PointToPoint, type SendrecvOptions, type WaitOptions } from './point-to-point.js'
import type { Postings } from './postings.js'
import { MESSAGE_OF, type Request, RequestRecord, VALUE_OF } from './request.js'
import type { Exchange, Schedule } from './schedule.js'
import type { MayGiveUp } from './schedule-run.js'
import type { Status } from './status.js'
import type { SyncPointToPoint } from './sync-point-to-point.js'

/** Where `messages()` listens. */
export interface MessagesOptions extends WaitOptions {
  /** A rank; default any. */
  readonly source?: number | undefined
  /** Default any. */
  readonly tag?: number | undefined
}

/** What a communicator does with errors: ERRORS_RETURN or ERRORS_ARE_FATAL. */
export type ErrorHandler = typeof ERRORS_RETURN | typeof ERRORS_ARE_FATAL

type View = ArrayBufferView

/**
 * What all communicators share, between ranks of one group or of two: messages from rank to rank, attributes, error handling,
 * and what there is to do after a failure. Nothing sent on one communicator is ever seen on another.
 * @see MPI 4.1, chapters 3, 7 and 9
 */
export abstract class CommunicatorBase {
  /** This process's number in its group, 0 to size-1. @see MPI 4.1, 7.4.1 */
  readonly rank: number
  /** How many ranks this process's group has. @see MPI 4.1, 7.4.1 */
  readonly size: number
  /** A name for people: 'world', or what you set. @see MPI 4.1, 7.8 */
  name: string
  /** The same verbs, blocking. */
  abstract readonly sync: SyncPointToPoint
  /** @internal */
  readonly job: Job
  /** @internal Point-to-point: with the ranks of the other group, where there is one. */
  readonly base: PointToPoint
  /** @internal World ranks of this process's group, by rank. */
  readonly members: readonly number[]
  readonly #attributes = new Attributes()
  #collectiveTag = 0
  #persistents = 0
  #blocking: BlockingRun | null = null
  /** Who calls what from where: only in a job with --check. */
  #calls: CallWatch | null = null
  #agreements = 0
  #shrinks = 0

  /** @internal Communicators come from init() and from other communicators. */
  constructor(job: Job, base: PointToPoint, name: string, members: readonly number[]) {
    this.job = job
    this.base = base
    this.rank = base.rank
    this.members = members
    this.size = members.length
    this.name = name
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
    return this.base.send(data, dest, tag, STANDARD, options) as Request<void>
  }

  /** Synchronous mode: done when the receive has matched. @see MPI 4.1, 3.4 */
  ssend(data: unknown, dest: number, tag = 0, options?: WaitOptions): Request<void> {
    return this.base.send(data, dest, tag, SYNCHRONOUS, options) as Request<void>
  }

  /** Buffered mode: copies `data` and is done at once. @see MPI 4.1, 3.4 */
  bsend(data: unknown, dest: number, tag = 0, options?: WaitOptions): Request<void> {
    return this.base.send(data, dest, tag, BUFFERED, options) as Request<void>
  }

  /** Ready mode: you promise that the receive is posted. Works like `send`, whether or not. @see MPI 4.1, 3.4 */
  rsend(data: unknown, dest: number, tag = 0, options?: WaitOptions): Request<void> {
    return this.base.send(data, dest, tag, STANDARD, options) as Request<void>
  }

  /**
   * Receives the next matching message, of any kind and size, into fresh memory: a typed array comes back as the same kind
   * of typed array, a value as an equal value.
   * @see MPI 4.1, 3.2.4
   */
  recv<T = unknown>(source: number = ANY_SOURCE, tag: number = ANY_TAG, options?: WaitOptions): Request<T> {
    return this.base.recv(VALUE_OF, source, tag, options) as Request<T>
  }

  /**
   * Receives raw bytes straight into `view`, which is the request's until it is done. The message may be shorter.
   * @throws OnecopyError ERR_TRUNCATE when it is longer, ERR_TYPE when it is a packed value; it is consumed all the same.
   * @see MPI 4.1, 3.2.4
   */
  recvInto(view: View, source: number = ANY_SOURCE, tag: number = ANY_TAG, options?: WaitOptions): Request<Status> {
    return this.base.recvInto(view, source, tag, options) as Request<Status>
  }

  /** Receives the next matching message with its envelope. */
  recvMessage<T = unknown>(
    source: number = ANY_SOURCE,
    tag: number = ANY_TAG,
    options?: WaitOptions,
  ): Request<Message<T>> {
    return this.base.recv(MESSAGE_OF, source, tag, options) as unknown as Request<Message<T>>
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
    return this.base.sendrecv(data, dest, source, options) as Request<T>
  }

  /** The same, receiving into memory you own, which must not overlap `data`. @see MPI 4.1, 3.10 */
  sendrecvInto(
    data: unknown,
    dest: number,
    view: View,
    source: number = ANY_SOURCE,
    options: SendrecvOptions = {},
  ): Request<Status> {
    return this.base.sendrecvInto(data, dest, view, source, options) as Request<Status>
  }

  /** Sends `view`'s bytes and receives into the same memory. @see MPI 4.1, 3.10 */
  sendrecvReplace(
    view: View,
    dest: number,
    source: number = ANY_SOURCE,
    options: SendrecvOptions = {},
  ): Request<Status> {
    return this.base.sendrecvReplace(view, dest, source, options) as Request<Status>
  }

  /** Waits until a matching message is there, and leaves it there. @see MPI 4.1, 3.8.1 */
  probe(source: number = ANY_SOURCE, tag: number = ANY_TAG, options: WaitOptions = {}): Request<Status> {
    const base = this.base
    return base.probe(source, tag, false, (found) => base.statusOf(found), options) as Request<Status>
  }

  /** Makes progress once; the matching message's status, or null at once. @see MPI 4.1, 3.8.1 */
  iprobe(source: number = ANY_SOURCE, tag: number = ANY_TAG): Status | null {
    const found = this.base.lookFor(source, tag, false)
    return found === null && source !== PROC_NULL ? null : this.base.statusOf(found)
  }

  /** Waits for a matching message and takes it: only the holder can then receive it. @see MPI 4.1, 3.8.2 */
  mprobe(source: number = ANY_SOURCE, tag: number = ANY_TAG, options: WaitOptions = {}): Request<MatchedMessage> {
    const base = this.base
    return base.probe(source, tag, true, (found) => new MatchedMessage(base, found), options) as Request<MatchedMessage>
  }

  /** Makes progress once; takes the matching message, or null at once. @see MPI 4.1, 3.8.2 */
  improbe(source: number = ANY_SOURCE, tag: number = ANY_TAG): MatchedMessage | null {
    const found = this.base.lookFor(source, tag, true)
    return found === null && source !== PROC_NULL ? null : new MatchedMessage(this.base, found)
  }

  /**
   * Every matching message, one after the other: a server loop. Ends when every rank that could send has left; throws the
   * signal's reason when it fires.
   */
  messages<T = unknown>(options: MessagesOptions = {}): AsyncGenerator<Message<T>, void, void> {
    const { source = ANY_SOURCE, tag = ANY_TAG } = options
    this.base.checkReceive(source, tag)
    return this.#messages(source, tag, options)
  }

  async *#messages<T>(source: number, tag: number, options: WaitOptions): AsyncGenerator<Message<T>, void, void> {
    for (;;) {
      let message: Message<T>
      try {
        const request = this.recvMessage<T>(source, tag, options)
        // that everybody has left is how it ends, and no error
        ;(request as unknown as RequestRecord).fatal = null
        message = await request
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
    this.base.checkSend(dest, tag)
    return new PersistentRequest((options) => this.base.send(view, dest, tag, STANDARD, options))
  }

  /** A receive that can be started again and again. @see MPI 4.1, 3.9 */
  recvInit(view: View, source: number = ANY_SOURCE, tag: number = ANY_TAG): PersistentRequest<Status> {
    checkView('view', view)
    this.base.checkReceive(source, tag)
    return new PersistentRequest((options) => this.base.recvInto(view, source, tag, options))
  }

  // --- the communicator itself

  /** The processes of this communicator, of this side of it where there are two. @see MPI 4.1, 7.3.2 */
  get group(): Group {
    this.base.usable()
    return new Group(this.job, this.job.link.rank, this.members)
  }

  /**
   * Gives the communicator up: calls to it throw from now on, receives and probes that wait fail with ERR_CLOSED. Messages
   * that nobody has received are gone. Attributes are deleted first; what their callbacks throw comes through, and the
   * communicator stays.
   * @see MPI 4.1, 7.4.3
   */
  free(): void {
    const { base } = this
    base.usable()
    if (base.context === WORLD_CONTEXT) throw new TypeError('the world cannot be freed: use finalize()')
    this.#attributes.deleteAll(this)
    const message = `communicator '${this.name}' has been freed`
    const freed = new OnecopyError('ERR_CLOSED', message)
    base.closed = new TypeError(message)
    base.freed = freed
    this.job.dropContext(base.context, freed)
  }

  /**
   * What happens when a call fails: ERRORS_RETURN (it rejects or throws, the default) or ERRORS_ARE_FATAL (the job ends with
   * exit code 1). New communicators inherit it. A mistake in the arguments always throws.
   * @throws TypeError when set to anything else
   * @see MPI 4.1, 9.3
   */
  get errhandler(): ErrorHandler {
    return this.base.fatal === null ? ERRORS_RETURN : ERRORS_ARE_FATAL
  }

  /** Chooses what happens when a call fails. @see MPI 4.1, 9.3 */
  set errhandler(handler: ErrorHandler) {
    if (handler !== ERRORS_RETURN && handler !== ERRORS_ARE_FATAL) {
      throw new TypeError(`errhandler must be ERRORS_RETURN or ERRORS_ARE_FATAL, got ${String(handler)}`)
    }
    this.base.fatal = handler === ERRORS_RETURN ? null : (error) => this.#fatal(error)
  }

  /** Keeps `value` with the communicator under `key`; an earlier one is deleted first. @see MPI 4.1, 7.7.2 */
  setAttribute<T>(key: AttributeKey<T>, value: T): void {
    this.base.usable()
    this.#attributes.set(this, key as AttributeKey, value)
  }

  /** What is kept under `key`; undefined when there is nothing. @see MPI 4.1, 7.7.2 */
  getAttribute<T>(key: AttributeKey<T>): T | undefined {
    this.base.usable()
    return this.#attributes.get(key as AttributeKey) as T | undefined
  }

  /** Takes the attribute away, after its key's delete callback; answers whether there was one. @see MPI 4.1, 7.7.2 */
  deleteAttribute<T>(key: AttributeKey<T>): boolean {
    this.base.usable()
    return this.#attributes.delete(this, key as AttributeKey)
  }

  /** How messages travel to `rank`, in words: 'cma (single copy)', 'cma (rings: …)', 'pipe', 'self'. */
  transport(rank: number): string {
    this.base.checkRank(rank)
    return this.job.describeRoute(this.base.world(rank))
  }

  /** Where one way of sending ends and the next begins, in bytes: by the job's first transport. */
  get thresholds(): Job['thresholds'] {
    return this.job.thresholds
  }

  /** Payload bytes this rank has received, by the way they came. What collectives post in shared memory is not counted. */
  get statistics(): ReturnType<Job['statistics']> {
    return this.job.statistics()
  }

  /**
   * Ends every rank of the job; the launcher exits with `code`.
   * @param code 0 to 255, what a process can exit with
   * @throws TypeError, RangeError for any other code, and then nothing has happened
   * @see MPI 4.1, 9.3
   */
  abort(code = 1, reason = `abort(${code})`): never {
    if (!Number.isInteger(code)) throw new TypeError(`abort: the exit code must be an integer, got ${String(code)}`)
    if (code < 0 || code > 255) throw new RangeError(`abort: the exit code must be 0 to 255, got ${code}`)
    this.job.abort(code, reason)
  }

  /**
   * Ends this rank's part: waits until what it has sent is out of its hands, then closes everything. Calls throw ERR_CLOSED
   * from then on. Leaving the script does the same. @see MPI 4.1, 11.2.3
   */
  finalize(): Promise<void> {
    return this.job.finalize()
  }

  /**
   * Ends the connection that spawn, parent, listen or connect has made, once what this rank has sent is out of its hands. When
   * all ranks of a group have called it, the two jobs have nothing to do with each other any more.
   * @see MPI 4.1, 11.10.4
   */
  async disconnect(): Promise<void> {
    this.checkDisconnect()
    return this.job.finalize()
  }

  /** @internal Whether it has been freed, or its job finalized or disconnected. */
  get isOver(): boolean {
    return this.base.freed !== null || this.job.engine.failure?.code === 'ERR_CLOSED'
  }

  /** @internal @throws TypeError when this is the world's own job. */
  checkDisconnect(): void {
    if (!this.job.group.isHome(this.job)) return
    throw new TypeError(
      'only a communicator from spawn, parent, listen or connect can be disconnected: free() this one',
    )
  }

  /** Leaving an `await using` block: the world is finalized, every other communicator is freed. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.base.context === WORLD_CONTEXT) await this.job.finalize()
    else if (this.base.closed === null || this.base.closed === this.base.revoked) this.free()
  }

  // --- after a failure: for jobs that go on (`--on-failure continue`). See ULFM, MPI Forum ticket 20.

  /**
   * Ends all communication on this communicator, on all its ranks: calls that wait and calls to come fail with ERR_REVOKED,
   * but for `shrink`, `agree`, `getFailed`, `ackFailed` and `free`. One rank is enough to call it; returns at once.
   * @see ULFM, MPIX_Comm_revoke
   */
  revoke(): void {
    this.base.usable()
    this.base.engine.revoke(this.base.context)
  }

  /** Whether some rank has revoked this communicator, as far as this rank has heard. @see ULFM, MPIX_Comm_is_revoked */
  get isRevoked(): boolean {
    this.base.usable()
    return this.base.revoked !== null
  }

  /** The ranks that have failed, as far as this rank knows. @see ULFM, MPIX_Comm_get_failed */
  getFailed(): Group {
    this.base.usable()
    this.base.engine.turn()
    const { engine } = this.base
    const failed = this.#everybody().filter((world) => engine.endOf(world)?.how === 'failed')
    return new Group(this.job, this.job.link.rank, failed)
  }

  /**
   * Says that the failures known so far have been taken note of: receives from ANY_SOURCE, which fail with ERR_PROC_FAILED while
   * they might wait for a failed rank, work again. Answers how many failed ranks are acknowledged now.
   * @see ULFM, MPIX_Comm_ack_failed
   */
  ackFailed(): number {
    const failed = this.getFailed()
    this.base.engine.acknowledge(this.base.context, failed.members)
    return failed.size
  }

  /**
   * Agrees on a number with every rank of the communicator that has not failed: the bits that all of them have given. Works on
   * revoked communicators, and does not fail when ranks do: what the dead gave before they died counts where it was heard.
   * @param flags an int32; default all bits
   * @see ULFM, MPIX_Comm_agree
   */
  agree(flags = -1): Request<number> {
    this.base.usable()
    if (!Number.isInteger(flags) || flags !== (flags | 0)) throw new TypeError(`flags must be an int32, got ${flags}`)
    const record = this.#agreement(flags, (agreed) => agreed.flags)
    this.base.engine.began(record)
    return record as Request<number>
  }

  /** What all living ranks agree on next: the common bits, and who has ended (ranks of the job). */
  #agreement(flags: number, result: (agreed: Agreed) => unknown): RequestRecord {
    const { engine } = this.base
    const record = new RequestRecord(engine)
    record.mode = VALUE_OF
    const id = `${this.base.context}:${this.#agreements++}`
    if (engine.expect(record)) {
      this.job.link.agree(id, this.#everybody(), flags, (agreed) => engine.met(record, result(agreed)))
    }
    return record
  }

  /**
   * @internal Tries with the ranks that seem to live until all of them have got to the end of the same try. `attempt` makes the
   * communicator of who has not ended (ranks of the job), under the tag of a service.
   */
  protected shrinking<C extends CommunicatorBase>(
    attempt: (service: number, ended: readonly number[]) => Schedule<C>,
  ): Request<C> {
    this.base.usable()
    return this.begun(this.base.engine.run(this.#shrunk(attempt)))
  }

  *#shrunk<C extends CommunicatorBase>(
    attempt: (service: number, ended: readonly number[]) => Schedule<C>,
  ): Schedule<C> {
    for (;;) {
      const { ended } = yield* this.#agreed(-1)
      const service = shrinkTag(this.#shrinks++)
      const making = attempt(service, ended)
      let made: C | null = null
      try {
        made = yield* making
      } catch (error) {
        if (this.base.engine.failure !== null) throw error
        this.breakOff(service, error)
      }
      const verdict = yield* this.#agreed(made === null ? 0 : -1)
      if (verdict.flags !== 0 && made !== null) return made
      made?.free()
    }
  }

  *#agreed(flags: number): Schedule<Agreed> {
    const record = this.#agreement(flags, (agreed) => agreed)
    yield record
    return record.result() as Agreed
  }

  // --- for subclasses and the sync face

  /** @internal Starts a collective: checks first, then traffic. */
  startCollective(make: (exchange: Exchange) => Schedule<unknown>, options: WaitOptions = {}): RequestRecord {
    const tag = this.#collectiveTag
    return this.#startAs(tag, make, options, this.#calls?.current ?? null, this.postings, nextTag(tag))
  }

  /**
   * @internal Starts a collective whose ranks agree on what goes wrong: who fails breaks nothing off, or others would hear
   * of that before they have heard the reason. It cannot be cancelled but while `mayGiveUp` says so.
   */
  protected agreeing<T>(make: (exchange: Exchange) => Schedule<T>, mayGiveUp: MayGiveUp = NEVER): Request<T> {
    const tag = this.#collectiveTag
    return this.begun(this.#startAs(tag, make, {}, this.#calls?.current ?? null, null, nextTag(tag), mayGiveUp))
  }

  /** @internal As {@link startCollective}, and blocks until it is over: for the blocking face. */
  runCollective(make: (exchange: Exchange) => Schedule<unknown>, { signal }: WaitOptions = {}): unknown {
    const { base } = this
    base.open()
    signal?.throwIfAborted()
    const tag = this.#collectiveTag
    const call = this.#calls?.current ?? null
    this.#blocking ??= new BlockingRun(base, base.context + 1, this.postings)
    const exchange = this.#blocking.open(tag)
    const schedule = make(exchange)
    this.#collectiveTag = nextTag(tag)
    this.begin()
    return this.#blocking.run(exchange, call === null ? schedule : this.checked(exchange, call, schedule))
  }

  /**
   * @internal As {@link runCollective}, for a collective on memory with these arguments: one step may be kept, and is not checked
   * and laid out again for the next call with the same ones.
   */
  runMemoryCollective(
    options: WaitOptions | undefined,
    collective: MemoryCollective,
    a?: unknown,
    b?: unknown,
    c?: unknown,
    d?: unknown,
  ): void {
    const make = collective as (exchange: Exchange, ...args: unknown[]) => Schedule<void>
    if (this.#calls !== null) {
      this.runCollective((exchange) => make(exchange, a, b, c, d), options)
      return
    }
    const { base } = this
    base.open()
    options?.signal?.throwIfAborted()
    const tag = this.#collectiveTag
    this.#blocking ??= new BlockingRun(base, base.context + 1, this.postings)
    const kept = this.#blocking.kept(collective, a, b, c, d)
    const exchange = kept?.exchange ?? this.#blocking.open(tag)
    const schedule = kept?.step ?? make(exchange, a, b, c, d)
    this.#collectiveTag = nextTag(tag)
    this.begin()
    if (kept !== null) this.#blocking.runKept(kept, tag)
    else this.#blocking.runAndKeep(collective, [a, b, c, d], exchange, schedule)
  }

  /** @internal A collective to be started again and again, under tags of its own. */
  protected persistent(make: (exchange: Exchange) => Schedule<void>): PersistentRequest<void> {
    this.base.open()
    // for its checks alone: a schedule does nothing until it is run
    make(this.exchangeFor(0))
    const index = this.#persistents++
    const call = this.#calls?.current ?? null
    let starts = 0
    return new PersistentRequest((options = {}) => {
      const record = this.#startAs(persistentTag(index, starts), make, options, call, null)
      starts++
      this.base.engine.began(record)
      return options.signal === undefined ? record : record.listenTo(options.signal)
    })
  }

  /** @internal Has the verbs of both faces say who calls them from where, where the job is run with --check. */
  protected watchCalls(verbs: Readonly<Record<string, Describe>>, size: number): void {
    if (checks(this.job.link.settings)) this.#calls = new CallWatch(verbs, this.rank, size, [this, this.sync])
  }

  /** @internal The schedule with the check before it. */
  protected checked<T>(exchange: Exchange, call: Call, schedule: Schedule<T>): Schedule<T> {
    return checkedFirst(exchange, call, schedule)
  }

  #startAs(
    tag: number,
    make: (exchange: Exchange) => Schedule<unknown>,
    { signal }: WaitOptions,
    call: Call | null,
    postings: Postings | null,
    next = this.#collectiveTag,
    mayGiveUp: MayGiveUp | null = null,
  ): RequestRecord {
    this.base.open()
    signal?.throwIfAborted()
    const exchange = this.exchangeFor(tag, postings)
    const schedule = make(exchange)
    // before it runs: an operation of the user's may call a collective itself
    this.#collectiveTag = next
    this.begin()
    return this.run(call === null ? schedule : this.checked(exchange, call, schedule), tag, mayGiveUp)
  }

  /** @internal Where this communicator's ranks post short parts of collectives, if there is such a place. */
  protected get postings(): Postings | null {
    return null
  }

  /** @internal A collective begins: states of broken ones grow old. */
  protected begin(): void {
    this.base.engine.begin(this.base.context)
  }

  /** @internal */
  protected exchangeFor(tag: number, postings: Postings | null = null): Exchange {
    return new CollectiveExchange(this.base, this.base.context + 1, tag, postings)
  }

  /**
   * @internal Runs what uses `tag`; when it fails here, the other ranks that take part are told. They are not where `mayGiveUp` is given:
   * then the schedule itself tells them.
   */
  protected run(schedule: Schedule<unknown>, tag: number, mayGiveUp: MayGiveUp | null = null): RequestRecord {
    const { base } = this
    const onFailed = mayGiveUp === null ? (error: unknown) => this.breakOff(tag, error) : null
    const record = base.engine.run(schedule, mayGiveUp, onFailed)
    record.setFatal(base.fatal)
    return record
  }

  /** @internal This rank cannot go on with the collective of this tag. */
  protected breakOff(tag: number, error: unknown): void {
    this.base.engine.breakOff(this.base.context + 1, tag, error)
  }

  /** @internal */
  protected begun<T>(record: RequestRecord, { signal }: WaitOptions = {}): Request<T> {
    this.base.engine.began(record)
    return (signal === undefined ? record : record.listenTo(signal)) as unknown as Request<T>
  }

  /** @internal */
  protected collective<T>(make: (exchange: Exchange) => Schedule<T>, options: WaitOptions = {}): Request<T> {
    return this.begun(this.startCollective(make, options), options)
  }

  /** @internal What a communicator made from this one takes over; it is given up where an attribute refuses to be copied. */
  protected inherit<C extends CommunicatorBase>(made: C, withAttributes: boolean): C {
    made.errhandler = this.errhandler
    if (!withAttributes) return made
    try {
      this.#attributes.copyTo(this, made.#attributes)
    } catch (error) {
      made.free()
      throw error
    }
    return made
  }

  /** @internal */
  protected ranksOf(group: Group): number[] {
    if (!(group instanceof Group)) throw new TypeError(`a Group is needed, got ${String(group)}`)
    const ranks = group.membersIn(this.job).map((member) => this.members.indexOf(member))
    if (ranks.includes(-1)) throw new TypeError('the group has processes that are not in this communicator')
    return ranks
  }

  /** World ranks of all who can speak here. */
  #everybody(): readonly number[] {
    const others = this.base.members
    return others === null || others === this.members ? this.members : [...this.members, ...others]
  }

  #fatal(error: unknown): void {
    // free() and finalize() end what waits: nothing has failed
    if (error instanceof OnecopyError && error.code === 'ERR_CLOSED') return
    const reason = error instanceof Error ? error.message : String(error)
    this.job.abort(1, `an error on communicator '${this.name}', whose errhandler is ERRORS_ARE_FATAL: ${reason}`)
  }

  #haveLeft(error: unknown): boolean {
    return error instanceof OnecopyError && error.code === 'ERR_PROC_FAILED' && this.base.engine.failure === null
  }
}

const NEVER: MayGiveUp = () => false

/** The world's context; its collectives use the next number, and so on for every communicator. */
export const WORLD_CONTEXT = 0
