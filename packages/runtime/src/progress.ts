import { type Board, OnecopyError, type Transport } from '@onecopy/transport'
import { BlockingDriver, type Progressing } from './blocking-driver.js'
import type { CommunicatorStates } from './communicator-states.js'
import { ANY_SOURCE } from './constants.js'
import type { JobLink, PeerEnd } from './job-link.js'
import { abortFields, abortText } from './launcher/control-message.js'
import { LoopDriver, type LoopProgress } from './loop-driver.js'
import type { Messenger } from './messenger.js'
import { FAILED, type RequestOwner, RequestRecord } from './request.js'
import type { Schedule, Watched } from './schedule.js'
import { type MayGiveUp, ScheduleRun } from './schedule-run.js'

/** Frames that a round takes from each transport where nothing is known of who waits for what. */
const FRAMES_PER_ROUND = 16
/** Polls that empty a dead peer's ring: far more than any ring holds frames. */
const DRAIN_POLLS_MAX = 100_000

/** Looked at on every round: a probe or a collective that waits. Answers true once it needs no further look. */
export interface Watcher {
  look(): boolean
  /** Whether what it waits for is there, where no transport's frame would tell. */
  readonly isDue?: boolean
}

/**
 * The one place where things move: polls transports, feeds the messenger, resumes schedules, and learns who has ended. It
 * has two drivers, one per face; both call {@link progress}.
 */
export class ProgressEngine implements RequestOwner, Progressing, LoopProgress {
  readonly transports: readonly Transport[]
  readonly messenger: Messenger
  readonly link: JobLink
  private readonly blocking: BlockingDriver
  private readonly loop: LoopDriver
  private readonly ready: ScheduleRun[] = []
  private readonly enqueue = (run: ScheduleRun) => {
    this.ready.push(run)
    this.extra = 1
  }
  private readonly watchers = new Set<Watcher>()
  /** As many as there are channels with places for long postings: one or two. */
  private readonly beforeSleep: (() => void)[] = []
  /** What the blocked thread waits for. */
  private until: { readonly done: boolean; readonly isDue?: boolean } | null = null
  private readonly ended = new Map<number, PeerEnd>()
  private readonly expected = new Set<RequestRecord>()
  /** Somebody has ended, or the job is over: receives have to be looked at when they are posted. */
  private someEnded = false
  private toDrain: PeerEnd[] = []
  private readonly communicators: CommunicatorStates
  private readonly keepGoing: boolean
  /** Not 0 when a round has more to do than frames. A number: V8 tests it in two instructions, a boolean field in nine. */
  private extra = 0
  private pending = 0
  private stopped = false
  /** Once set, every call fails with it: the job is over. */
  failure: OnecopyError | null = null

  constructor(
    messenger: Messenger,
    transports: readonly Transport[],
    link: JobLink,
    options: { readonly crowded: boolean; readonly communicators: CommunicatorStates },
  ) {
    this.messenger = messenger
    this.communicators = options.communicators
    this.communicators.onTrouble = () => {
      this.someEnded = true
      this.failHopeless()
    }
    this.transports = transports
    this.link = link
    this.keepGoing = link.settings.onFailure === 'continue'
    this.blocking = new BlockingDriver(this, options.crowded)
    this.loop = new LoopDriver(this, options.crowded)
    messenger.outbox.onBacklog = () => this.loop.activate()
    messenger.onSelfArrival = () => {
      if (this.watchers.size > 0) this.loop.activate()
    }
    link.listen({
      peerEnded: (end) => this.peerEnded(end),
      aborted: (byRank, exitCode, reason) => {
        const fields = abortFields(byRank, exitCode, reason)
        this.failJob(new OnecopyError('ERR_ABORTED', abortText(byRank, reason), fields))
      },
      launcherLost: () => this.failJob(new OnecopyError('ERR_LAUNCHER_LOST', 'the launcher of this job is gone')),
    })
  }

  get wanted(): boolean {
    return this.pending > 0 || this.hasWork
  }

  get hasWork(): boolean {
    if (this.ready.length > 0 || this.toDrain.length > 0 || this.messenger.hasWork) return true
    for (let i = 0; i < this.transports.length; i++) if (this.transports[i]!.hasUnsent) return true
    return false
  }

  progress(framesMax = FRAMES_PER_ROUND): number {
    const { transports, messenger } = this
    if (this.stopped) return 0
    let moved = 0
    try {
      for (let i = 0; i < transports.length; i++) moved += transports[i]!.poll(messenger, framesMax)
      if (this.extra !== 0 || messenger.hasWork || messenger.broken !== null) moved += this.work()
    } catch (error) {
      this.broken(error)
    }
    return moved
  }

  turn(): void {
    this.blocking.engine.progress(FRAMES_PER_ROUND)
    this.handOverAll()
  }

  /** Has a thread that blocks here move `all` of the process's engines, this one among them; null: this one alone. */
  blockOn(all: Progressing | null): void {
    this.blocking.engine = all ?? this
  }

  /**
   * A thread that has made progress itself goes on with something else: what is left to do is the event loop's, which may
   * sleep, and will not be woken for frames that are in already.
   */
  private handOverAll(): void {
    const { engine } = this.blocking
    if (engine !== this) engine.handOver()
    else this.handOver()
  }

  handOver(): void {
    if (this.pending > 0 && this.hasWork) this.loop.activate()
  }

  // --- requests

  /**
   * Takes a request that did not complete at once into the event loop's care: a turn of the loop that is to come, or an armed
   * wake-up of a transport, keeps the process alive for it.
   */
  began(request: RequestRecord): void {
    if (request.done) {
      this.reportUnobserved(request)
      return
    }
    request.counted = true
    this.pending++
    this.loop.activate()
  }

  settled(request: RequestRecord): void {
    if (!request.counted) return
    request.counted = false
    this.pending--
    if (this.pending === 0) this.loop.relax()
    this.reportUnobserved(request)
  }

  awaited(request: RequestRecord): void {
    if (request.sendId >= 0) this.messenger.rendezvous.nowWaiting(request)
    if (!request.counted) this.began(request)
    this.loop.spin(request)
  }

  blockUntilDone(request: RequestRecord): void {
    if (request.sendId >= 0) this.messenger.rendezvous.nowWaiting(request)
    this.block(request)
  }

  /** Blocks the thread until `until.done`. */
  block(until: { readonly done: boolean }): void {
    const outer = this.until
    this.until = until
    try {
      this.blocking.block(until)
    } finally {
      this.until = outer
    }
    this.handOverAll()
  }

  giveUp(request: RequestRecord, reason: unknown): void {
    if (request.done) return
    const { detail } = request
    if (detail instanceof ScheduleRun) detail.giveUp(reason)
    else if (this.watchers.delete(detail as Watcher)) request.failCancelled(reason)
    else this.messenger.giveUp(request, reason)
  }

  /** Posts a receive; it fails at once when nobody is left who could send to it. */
  receive(request: RequestRecord): void {
    this.messenger.receive(request)
    if (this.someEnded && request.posted) this.failHopeless()
  }

  /**
   * Starts a collective; the record completes with what the schedule returns. `mayGiveUp` is asked before it
   * is given up; null: it always may be. `onFailed` is told before the record fails.
   */
  run(
    schedule: Schedule<unknown>,
    mayGiveUp: MayGiveUp | null = null,
    onFailed: ((error: unknown) => void) | null = null,
  ): RequestRecord {
    const record = new RequestRecord(this)
    const run = new ScheduleRun(record, schedule, this.enqueue, mayGiveUp, onFailed)
    record.detail = run
    if (this.failure !== null) run.stop(this.failure)
    else run.advance()
    return record
  }

  /** Has `watcher` look on every round until it has seen what it wants. */
  watch(watcher: Watcher): void {
    this.watchers.add(watcher)
    this.extra = 1
  }

  /** A record that completes, or fails, once `watched` is done. */
  completedBy(watched: Watched): RequestRecord {
    const record = new RequestRecord(this)
    const watcher: Watcher = {
      look: () => {
        if (record.done) return true
        if (!watched.done) return false
        if (watched.error === undefined) record.complete(undefined)
        else record.fail(watched.error)
        return true
      },
      get isDue() {
        return watched.isDue
      },
    }
    record.detail = watcher
    this.watch(watcher)
    return record
  }

  /** What is waited for may be on `board` from now on. `beforeSleep` is called before a transport sleeps. */
  watchBoard(board: Board, beforeSleep: (() => void) | null): void {
    if (beforeSleep !== null) this.beforeSleep.push(beforeSleep)
    board.isDue = () => this.isDue()
  }

  /** Whether something that is waited for is on a board: asked before a transport sleeps. */
  private isDue(): boolean {
    for (const say of this.beforeSleep) say()
    const until = this.until
    if (until !== null && (until.isDue ?? until.done)) return true
    for (const watcher of this.watchers) if (watcher.isDue === true) return true
    return false
  }

  unwatch(watcher: Watcher): void {
    this.watchers.delete(watcher)
  }

  /** Tells who belongs to a communicator, and whom to tell when it is revoked. */
  addContext(context: number, members: readonly number[], onRevoked: (error: OnecopyError) => void): void {
    this.communicators.add(context, members, onRevoked)
  }

  /** Revokes a communicator here and tells the others. */
  revoke(context: number): void {
    this.communicators.revoke(context)
    this.loop.activate()
  }

  /** A collective begins on `context`. */
  begin(context: number): void {
    this.communicators.begin(context)
  }

  /** This rank cannot go on with a collective: tells the others, unless it is all over anyway. */
  breakOff(context: number, tag: number, error: unknown): void {
    if (this.failure !== null || this.stopped) return
    this.communicators.breakOff(context, tag, error)
    this.loop.activate()
  }

  /** `record` is to be completed from outside, by {@link met}; false, and it has failed, when the job is over. */
  expect(record: RequestRecord): boolean {
    if (this.failure !== null) {
      record.fail(this.failure)
      return false
    }
    this.expected.add(record)
    return true
  }

  /** What an expected record waited for has come; a schedule that goes on with it does so in the next round. */
  met(record: RequestRecord, value: unknown): void {
    if (!this.expected.delete(record)) return
    record.complete(value)
    this.loop.activate()
  }

  acknowledge(context: number, ranks: readonly number[]): void {
    this.communicators.acknowledge(context, ranks)
  }

  /** Forgets a communicator: what waits on it fails with `error`. */
  dropContext(context: number, error: OnecopyError): void {
    this.communicators.drop(context)
    this.messenger.dropContext(context, error)
    this.messenger.dropContext(context + 1, error)
    for (const watcher of this.watchers) if (watcher.look()) this.watchers.delete(watcher)
    // collectives that have just failed go on, even in a loop that sleeps
    if (this.hasWork) this.loop.activate()
  }

  // --- endings

  /** Whether somebody has ended, or a communicator is not whole any more: then waiting may be {@link hopeless}. */
  get isTroubled(): boolean {
    return this.someEnded
  }

  /** How `rank` ended, if it has. */
  endOf(rank: number): PeerEnd | null {
    return this.ended.get(rank) ?? null
  }

  /** Why a receive of `source` and `tag` on `context` can never complete, or null. */
  hopeless(context: number, source: number, tag: number): OnecopyError | null {
    if (this.failure !== null) return this.failure
    const over = this.communicators.whyOver(context, tag)
    if (over !== null || this.ended.size === 0) return over
    const me = this.messenger.rank
    if (source !== ANY_SOURCE) {
      const end = this.ended.get(source)
      return end === undefined || source === me ? null : endError(end)
    }
    const others = this.communicators.membersOf(context).filter((rank) => rank !== me)
    const unnoticed = others.find(
      (rank) => this.ended.get(rank)?.how === 'failed' && !this.communicators.isAcknowledged(context, rank),
    )
    if (unnoticed !== undefined) return endError(this.ended.get(unnoticed)!)
    const alive = others.some((rank) => !this.ended.has(rank))
    return alive || others.length === 0 ? null : endError(this.ended.get(others.at(-1)!)!)
  }

  peerEnded(end: PeerEnd): void {
    if (this.stopped) return
    this.toDrain.push(end)
    this.extra = 1
    if (this.wanted) this.loop.activate()
  }

  /** Done, without using the CPU, once everything this rank has sent is out of its hands. */
  flush(): RequestRecord {
    const flushed = new RequestRecord(this)
    const look = (): boolean => {
      if (!flushed.done && (this.failure !== null || !this.owes)) flushed.complete(undefined)
      return flushed.done
    }
    if (!look()) this.watch({ look })
    this.began(flushed)
    return flushed
  }

  /** Stops driving; everything still pending fails. */
  stop(error: OnecopyError): void {
    this.failJob(error)
    // what went on with the requests that have just failed fails as well
    while (this.ready.length > 0) this.ready.shift()!.advance()
    this.stopped = true
    this.toDrain.length = 0
    this.ready.length = 0
    this.loop.stop()
    this.link.unref()
  }

  /** Whether anything this rank has sent still needs this rank. */
  private get owes(): boolean {
    return this.messenger.rendezvous.sends.count > 0 || this.hasWork
  }

  // --- the slow half of a round

  private work(): number {
    let moved = this.messenger.work()
    if (this.messenger.broken !== null) {
      const error = this.messenger.broken
      this.messenger.broken = null
      this.broken(error)
    }
    if (this.extra === 0) return moved
    while (this.toDrain.length > 0) {
      this.drain(this.toDrain[0]!)
      this.toDrain.shift()
    }
    while (this.ready.length > 0) {
      moved++
      this.ready.shift()!.advance()
    }
    for (const watcher of this.watchers) {
      if (!watcher.look()) continue
      moved++
      this.watchers.delete(watcher)
    }
    this.extra = this.watchers.size + this.toDrain.length + this.ready.length
    return moved
  }

  /** A peer has ended: takes in all it had sent, then fails what only it could have completed. */
  private drain(end: PeerEnd): void {
    if (this.ended.has(end.rank)) return
    const { messenger } = this
    for (const transport of this.transports) {
      // first, because it has the transport look where the peer may have left its last frames
      transport.peerGone(end.rank)
      for (let polls = 0; polls < DRAIN_POLLS_MAX && transport.poll(messenger, FRAMES_PER_ROUND) > 0; polls++);
    }
    messenger.work()
    this.ended.set(end.rank, end)
    this.someEnded = true
    const error = endError(end)
    if (end.how === 'failed' && !this.keepGoing) {
      this.failJob(error)
      return
    }
    const link = messenger.link(end.rank)
    link.ended = error
    this.dropLink(link, error)
    this.failHopeless()
  }

  private dropLink(link: ReturnType<Messenger['link']>, error: OnecopyError): void {
    this.messenger.outbox.drop(link, error)
    this.messenger.rendezvous.drop(link, error)
    const { inflow } = link
    link.inflow = null
    const broken = inflow?.request ?? inflow?.arrival?.claimant ?? null
    if (broken !== null && !broken.done) broken.fail(error)
    if (inflow?.arrival?.stored === true) this.messenger.queues(inflow.arrival.context).remove(inflow.arrival)
  }

  private failHopeless(): void {
    this.messenger.failPosted((request) => this.hopeless(request.context, request.source, request.tag))
    for (const watcher of this.watchers) if (watcher.look()) this.watchers.delete(watcher)
  }

  private failJob(error: OnecopyError): void {
    if (this.failure !== null) return
    this.failure = error
    this.someEnded = true
    this.messenger.failure = error
    for (const link of this.messenger.links()) {
      link.ended ??= error
      this.dropLink(link, error)
    }
    this.messenger.failLocal(error)
    for (const record of this.expected) record.fail(error)
    this.expected.clear()
    this.failHopeless()
    if (this.pending > 0) this.loop.activate()
  }

  /** A peer's frames cannot be believed: nobody's data can, so the job ends, with the reason. */
  private broken(error: unknown): void {
    const known = error instanceof OnecopyError ? error : null
    if (known === null) throw error
    this.link.abort(1, known.message)
    this.failJob(known)
  }

  /** A failure that nobody looks at must not pass in silence: it becomes an unhandled rejection. */
  private reportUnobserved(request: RequestRecord): void {
    if (request.state !== FAILED || request.observed || request.continuation !== null) return
    setImmediate(() => {
      if (!request.observed) Promise.reject(request.error)
    })
  }
}

/** What calls to a rank that has ended fail with. */
export function endError(end: PeerEnd): OnecopyError {
  const { rank, exitCode, signal } = end
  const fields = {
    rank,
    ...(exitCode === null ? {} : { exitCode }),
    ...(signal === null ? {} : { signal }),
  }
  const how =
    end.how === 'left'
      ? `rank ${rank} has left the job`
      : `rank ${rank} has failed: ${signal === null ? `exit code ${exitCode}` : `killed by ${signal}`}`
  return new OnecopyError('ERR_PROC_FAILED', how, fields)
}
