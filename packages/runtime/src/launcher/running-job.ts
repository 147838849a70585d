import type net from 'node:net'
import os from 'node:os'
import { type ErrorCode, OnecopyError } from '@onecopy/transport'
import { FFI_TRANSPORTS } from '../transports.js'
import { AdoptedProcess } from './adopted-process.js'
import { Agreements } from './agreements.js'
import { allocatorVariables } from './allocator.js'
import type { BridgeDesk, MemberEnd } from './bridge-desk.js'
import { abortFields, abortText, type LauncherMessage, type RankMessage } from './control-message.js'
import { Exchange, listRanks, startTimeoutText } from './exchange.js'
import { type ChildHandle, Extensions, type Home } from './extensions.js'
import type { JobResult } from './job-result.js'
import type { JobOptions } from './launch-options.js'
import { scriptNodeArgs, typeStrippingAdvice } from './node-command.js'
import { OutputSink } from './output.js'
import { bootUrl, inheritTransports, rankCommand } from './rank-command.js'
import { type JobProcess, type RankEvents, RankProcess } from './rank-process.js'
import type { SharedResources } from './shared-resources.js'
import { isForAll } from './signals.js'
import { type RankReport, statisticsTable } from './statistics.js'

/** Between SIGTERM and SIGKILL (RELIABILITY, row 11). */
const KILL_GRACE_MS = 500

/** After SIGKILL, how long a process that does not go (uninterruptible) is waited for. */
const REAP_MS = 5000

/** A rank that says it dies of another's failure: how long that failure is waited for before it counts itself. */
const CULPRIT_MS = 150

/** A pipe that a grandchild holds open counts as finished after this silence: short when a job fails, else longer. */
const OUTPUT_QUIET_MS = 60
const OUTPUT_QUIET_WELL_MS = 500

/** Errors whose cause a rank may have told on its standard error. */
const ABOUT_A_RANK: ReadonlySet<ErrorCode> = new Set(['ERR_PROC_FAILED', 'ERR_EARLY_EXIT', 'ERR_START_TIMEOUT'])

/** Exit code of a job that ran out of time: what timeout(1) gives. */
const TIMEOUT_EXIT_CODE = 124

/**
 * How long survivors may handle a failure before they get SIGTERM. Half of the time in which everything should be over
 * (RELIABILITY, T1: 250 ms, 1 s, 2 s), which grows with the ranks that have to get a turn on a core.
 */
function failureGraceMs(size: number): number {
  if (size <= 8) return 125
  return size <= 32 ? 500 : 1000
}

/** The line of a spawned job's bridge to its parents: the first one that is opened. */
const PARENT_LINE = 0

/** A job that this one has spawned. */
interface Child {
  readonly job: RunningJob
  /** A failure of one is a failure of the other. */
  isPart: boolean
  isOver: boolean
}

/** Where a job comes from that nobody has launched. */
export interface Origin {
  /** The bridge to the ranks that have spawned it; its own are members from `firstMember` on. */
  readonly parents?: {
    readonly desk: BridgeDesk
    readonly firstMember: number
    readonly stdout: OutputSink
    readonly stderr: OutputSink
    onEnding(ending: Ending): void
  }
  /** The line to the process that has started this launcher, and is its job's only rank. */
  readonly adopted?: net.Socket
}

export interface Ending {
  readonly exitCode: number
  readonly signal: string | null
  readonly failedRank: number | null
  readonly error: OnecopyError | null
}

/** One job from its first process to its last. The state machine of "A job's life"; the processes themselves are below it. */
export class RunningJob implements RankEvents, Home {
  readonly result: Promise<JobResult>
  readonly options: JobOptions
  readonly shared: SharedResources
  readonly #origin: Origin
  readonly #extensions: Extensions
  readonly #children: Child[] = []
  readonly #atEnd = new Set<() => void>()
  readonly #stdout: OutputSink
  readonly #stderr: OutputSink
  readonly #ranks: JobProcess[] = []
  readonly #exchange: Exchange
  readonly #agreements = new Agreements((rank, id, agreed) =>
    this.#ranks[rank]?.send({ type: 'agreed', id, ...agreed }),
  )
  readonly #notices = new Set<string>()
  readonly #reports = new Map<number, RankReport>()
  readonly #timers = new Set<NodeJS.Timeout>()
  readonly #startedAt = performance.now()
  #startTimer: NodeJS.Timeout | null = null
  #ending: Ending | null = null
  /** The first rank that ended badly without ending the job: after leave(), or with onFailure 'continue'. */
  #firstBad: Ending | null = null
  /** The first rank that said that an uncaught error is ending it. */
  #dying: JobProcess | null = null
  #said: Promise<void> = Promise.resolve()
  #finishing = false
  /** A signal that everybody gets has been waited for. */
  #isHeardOut = false
  #resolve: (result: JobResult) => void = () => {}

  constructor(options: JobOptions, shared: SharedResources, origin: Origin = {}) {
    this.options = options
    this.shared = shared
    this.#origin = origin
    this.#stdout = origin.parents?.stdout ?? new OutputSink(options.stdout)
    this.#stderr = origin.parents?.stderr ?? new OutputSink(options.stderr)
    this.#extensions = new Extensions(this, (rank, message) => this.#ranks[rank]?.send(message))
    this.result = new Promise((resolve) => {
      this.#resolve = resolve
    })
    this.#exchange = new Exchange({
      size: options.size,
      startTimeoutMs: options.startTimeoutMs,
      send: (rank, message) => this.#ranks[rank]?.send(message),
      onStartTimeout: (missing) => this.#startTimedOut(missing),
    })
    for (const [key, text] of shared.notices) this.notice(key, text)
    this.#start()
  }

  /** Ends the job because the launcher was told to: SIGTERM to every rank at once, SIGKILL 500 ms later. */
  interrupt(signal: NodeJS.Signals): void {
    if (this.#ending !== null) {
      this.kill()
      return
    }
    const exitCode = 128 + (os.constants.signals[signal] ?? 0)
    const reason = `the launcher got ${signal}`
    // first, or they would hear of it as of a failure
    for (const { job } of this.#children) job.interrupt(signal)
    this.#end({ exitCode, signal, failedRank: null, error: new OnecopyError('ERR_ABORTED', reason) })
    this.#broadcast({ type: 'aborted', byRank: -1, exitCode, reason })
    this.#stop(0)
  }

  /** Kills every rank that is left, now. */
  kill(): void {
    for (const rank of this.#ranks) if (!rank.ended) rank.kill('SIGKILL')
    for (const { job } of this.#children) job.kill()
  }

  /** Passes a signal on that does not end the job. */
  forward(signal: NodeJS.Signals): void {
    for (const rank of this.#ranks) if (!rank.ended) rank.kill(signal)
    for (const { job } of this.#children) job.forward(signal)
  }

  /** Ends the job because the one that has spawned it is being ended, which is known already. */
  endWithParents(reason: string): void {
    if (this.#ending !== null) return
    this.#end({ exitCode: 1, signal: null, failedRank: null, error: new OnecopyError('ERR_ABORTED', reason) })
    this.#quieten([])
    this.#broadcast({ type: 'aborted', byRank: -1, exitCode: 1, reason })
    this.#stop(failureGraceMs(this.options.size))
  }

  get isEnding(): boolean {
    return this.#ending !== null || this.#finishing
  }

  atEnd(close: () => void): () => void {
    this.#atEnd.add(close)
    return () => this.#atEnd.delete(close)
  }

  startChild(options: JobOptions, shared: SharedResources, desk: BridgeDesk, firstMember: number): ChildHandle {
    let child: Child | null = null
    const job = new RunningJob(options, shared, {
      parents: {
        desk,
        firstMember,
        stdout: this.#stdout,
        stderr: this.#stderr,
        onEnding: (ending) => {
          if (child === null || child.isPart) this.#childEnding(ending)
        },
      },
    })
    child = { job, isPart: true, isOver: false }
    const made = child
    this.#children.push(made)
    void job.result.then((result) => {
      made.isOver = true
      const { exitCode, signal, error } = result
      if (exitCode !== 0) this.#firstBad ??= { exitCode, signal, failedRank: null, error }
      this.#finishWhenAllEnded()
    })
    return {
      part() {
        made.isPart = false
      },
      startTimedOut: (missing) => job.#startTimedOut(missing),
    }
  }

  message(process: JobProcess, message: RankMessage): void {
    switch (message.type) {
      case 'hello':
        if (process.wrappedPid !== null) this.shared.guardian.watch(process.wrappedPid)
        this.#restartStartTimer()
        break
      case 'card':
        try {
          this.#exchange.card(process.rank, message.round, message.card)
        } catch (error) {
          this.garbled(process, error as Error)
        }
        break
      case 'notice':
        this.notice(message.key, message.message)
        break
      case 'abort':
        this.#aborted(process, message.exitCode & 0xff, message.reason)
        break
      case 'leave':
        if (process.left) break
        process.left = true
        this.#broadcast({ type: 'ended', rank: process.rank, how: 'left', exitCode: 0, signal: null })
        this.#agreements.ended(process.rank)
        break
      case 'agree':
        this.#agreements.propose(process.rank, message.id, message.members, message.flags)
        break
      case 'stats':
        this.#reports.set(process.rank, message.report as RankReport)
        break
      case 'dying':
        this.#heardDying(process, message.of)
        break
      case 'consequence':
        break
      default:
        try {
          this.#extensions.heard(process.rank, message)
        } catch (error) {
          this.garbled(process, error as Error)
        }
    }
  }

  garbled(process: JobProcess, error: Error): void {
    if (process.ended || this.#ending !== null) return
    const text = `${this.#nameOf(process.rank)} broke the launcher's protocol: ${error.message}`
    this.#say(`${text} (ERR_PROTOCOL)`)
    this.#fail(process, new OnecopyError('ERR_PROTOCOL', text, { rank: process.rank }), 1, null)
  }

  ended(process: JobProcess): void {
    const end = process.endedWell ? `exit code ${process.exitCode ?? 0}` : this.#endText(process)
    this.#exchange.ended(process.rank, end)
    this.#tellBridges(process)
    if (process.endedWell) {
      if (!process.left) this.#tellEnded(process, 'left')
      if (process.exitCode !== 0) this.#noteBad(process)
    } else if (this.#ending === null) {
      this.#failed(process)
    }
    this.#agreements.ended(process.rank)
    this.#restartStartTimer()
    this.#finishWhenAllEnded()
  }

  /** A rank's name in messages. */
  #nameOf(rank: number): string {
    return `${this.#origin.parents === undefined ? 'rank' : 'child'} ${rank}`
  }

  /** The bridges of a rank that has ended. */
  #tellBridges(process: JobProcess): void {
    const { exitCode, signal } = process
    const end: MemberEnd = { how: process.endedWell ? 'left' : 'failed', exitCode, signal }
    this.#extensions.ended(process.rank, end)
  }

  /** A spawned job fails, and with it this one, unless it goes on without. */
  #childEnding(ending: Ending): void {
    // A process that nobody has launched is not ours to end: it hears of the failure on the bridge.
    if (this.#ending !== null || this.options.continueOnFailure || this.#origin.adopted !== undefined) return
    const reason = `the job it has spawned failed: ${ending.error?.message ?? `exit code ${ending.exitCode}`}`
    this.#end({ ...ending, failedRank: null })
    this.#quieten([])
    this.#broadcast({ type: 'aborted', byRank: -1, exitCode: ending.exitCode, reason })
    this.#stop(failureGraceMs(this.options.size))
  }

  #start(): void {
    const { adopted, parents } = this.#origin
    if (adopted !== undefined) this.#ranks.push(new AdoptedProcess(adopted, this))
    else this.#startRanks()
    if (parents !== undefined) {
      const ranks = this.#ranks.map(({ rank }) => rank)
      this.#extensions.open(ranks, parents.desk, parents.firstMember)
    }
    this.#restartStartTimer()
    const { timeoutMs, signal } = this.options
    if (timeoutMs !== null) this.#after(timeoutMs, () => this.#timedOut(timeoutMs))
    if (signal !== null) {
      const onAbort = (): void => this.interrupt('SIGTERM')
      signal.addEventListener('abort', onAbort, { once: true })
      void this.result.then(() => signal.removeEventListener('abort', onAbort))
      if (signal.aborted) onAbort()
    }
  }

  #startRanks(): void {
    const options = this.options
    const shared = this.shared
    const { transports, descriptors } = inheritTransports(shared)
    let rank = 0
    for (const program of options.programs) {
      const scriptArgs = scriptNodeArgs(program.script)
      for (let index = 0; index < program.size; index++, rank++) {
        const args = [...options.nodeArgs, '--import', bootUrl(), ...scriptArgs, program.script, ...program.args]
        const label = options.label ? `[${this.#origin.parents === undefined ? rank : this.#nameOf(rank)}] ` : ''
        const command = rankCommand(rank, args, options, descriptors)
        const process = new RankProcess(rank, command, this, { stdout: this.#stdout, stderr: this.#stderr }, label)
        this.#ranks.push(process)
        if (process.pid !== null) this.shared.guardian.watch(process.pid)
        process.send({
          type: 'job',
          rank,
          size: options.size,
          launcherPid: globalThis.process.pid,
          directory: shared.directory,
          token: shared.token.toString('hex'),
          transports,
          settings: shared.settings,
          parentLine: this.#origin.parents === undefined ? null : PARENT_LINE,
          deathSignal: transports.some(({ name }) => FFI_TRANSPORTS.has(name)),
          spentVariables: Object.keys(allocatorVariables(options.env)),
        })
      }
    }
  }

  /** Node itself may hang before it comes to boot (no threads left): then nobody would ever tell. */
  #restartStartTimer(): void {
    if (this.#startTimer !== null) clearTimeout(this.#startTimer)
    this.#startTimer = null
    const missing = this.#ranks.filter((rank) => !rank.booted && !rank.ended)
    if (missing.length === 0 || this.#ending !== null) return
    this.#startTimer = setTimeout(() => {
      this.#startTimedOut(missing.map((rank) => rank.rank))
    }, this.options.startTimeoutMs)
  }

  #startTimedOut(missing: readonly number[]): void {
    if (this.#ending !== null) return
    const silent = missing.filter((rank) => !this.#ranks[rank]?.booted)
    const text =
      silent.length > 0
        ? `node did not start for ${silent.length === 1 ? 'rank' : 'ranks'} ${listRanks(silent)} within ` +
          `${this.options.startTimeoutMs / 1000} s (--start-timeout); check the limits on processes and memory (ulimit -a)`
        : startTimeoutText(missing, this.options.startTimeoutMs, (rank) => this.#nameOf(rank))
    this.#say(`${text} (ERR_START_TIMEOUT)`)
    const error = new OnecopyError('ERR_START_TIMEOUT', text, { rank: missing[0] as number })
    this.#end({ exitCode: 1, signal: null, failedRank: missing[0] as number, error })
    this.#quieten(missing)
    this.#broadcast({ type: 'aborted', byRank: -1, exitCode: 1, reason: text })
    this.#stop(failureGraceMs(this.options.size))
  }

  #timedOut(milliseconds: number): void {
    if (this.#ending !== null) return
    const text = `the job did not end within ${milliseconds / 1000} s (--timeout)`
    this.#say(`${text} (ERR_TIMEOUT)`)
    const error = new OnecopyError('ERR_TIMEOUT', text)
    this.#end({ exitCode: TIMEOUT_EXIT_CODE, signal: null, failedRank: null, error })
    this.#quieten([])
    this.#broadcast({ type: 'aborted', byRank: -1, exitCode: TIMEOUT_EXIT_CODE, reason: text })
    this.#stop(failureGraceMs(this.options.size))
  }

  #aborted(process: JobProcess, exitCode: number, reason: string): void {
    if (this.#ending !== null) return
    const text = abortText(process.rank, reason)
    this.#say(`${text} (exit code ${exitCode})`)
    const error = new OnecopyError('ERR_ABORTED', text, abortFields(process.rank, exitCode, reason))
    this.#end({ exitCode, signal: null, failedRank: process.rank, error })
    this.#quieten([process.rank])
    this.#broadcast({ type: 'aborted', byRank: process.rank, exitCode, reason })
    this.#stop(failureGraceMs(this.options.size))
  }

  /** Ranks that die of the same cause, a rank that has left too early, all have a stack to show: one is enough. */
  #heardDying(process: JobProcess, blamed: number): void {
    if (this.#dying !== null || this.#ending !== null || this.options.continueOnFailure) return
    // Blaming a rank that has not left: that one's failure is the news, and we are about to hear of it.
    if (blamed >= 0 && !this.#hasLeft(blamed)) return
    this.#dying = process
    this.#quieten([process.rank])
  }

  #hasLeft(rank: number): boolean {
    const process = this.#ranks[rank]
    return process !== undefined && (process.left || (process.ended && process.endedWell))
  }

  /** A rank's process ended badly while the job ran. */
  #failed(process: JobProcess): void {
    const culprit = process.consequenceOf
    const culpritToCome = culprit !== null && !this.#hasLeft(culprit)
    const anotherCameFirst = this.#dying !== null && this.#dying !== process && !this.#dying.ended
    if (culpritToCome || anotherCameFirst || isForAll(process.signal)) {
      // The rank has seen the failure before we have (pidfds are quick), or a Ctrl-C that went to this process as well. Let the
      // cause be named first.
      this.#after(CULPRIT_MS, () => {
        if (this.#ending === null) this.#declareFailed(process)
      })
    } else {
      this.#declareFailed(process)
    }
  }

  #declareFailed(process: JobProcess): void {
    const text = `${this.#nameOf(process.rank)} failed: ${this.#endText(process)}`
    const error = this.#failure(process, text)
    // Its own words come first: what it still has in its pipe is read before we say that it failed.
    const last = Promise.all([process.stdout?.finish(OUTPUT_QUIET_MS), process.stderr?.finish(OUTPUT_QUIET_MS)])
    this.#said = Promise.all([this.#said, last]).then(() => {
      this.#say(text)
      const advice = typeStrippingAdvice(this.options, process.stderr?.tail ?? '')
      if (advice !== null) this.#say(advice)
    })
    this.#fail(process, error, exitCodeOf(process), process.signal)
  }

  #failure(process: JobProcess, text: string): OnecopyError {
    const joined = this.#exchange.joined(process.rank)
    const early = this.#exchange.earlyEnd
    // It gave up because another one had ended, well, before the job had begun: that one is what the user has to look at.
    if (joined && early !== null && early.rank !== process.rank) {
      return new OnecopyError('ERR_EARLY_EXIT', `${early.text}; ${text}`, { rank: early.rank })
    }
    return new OnecopyError(joined ? 'ERR_PROC_FAILED' : 'ERR_EARLY_EXIT', text, {
      rank: process.rank,
      ...(process.exitCode === null ? {} : { exitCode: process.exitCode }),
      ...(process.signal === null ? {} : { signal: process.signal }),
      cause: process.startError ?? undefined,
    })
  }

  #fail(process: JobProcess, error: OnecopyError, exitCode: number, signal: string | null): void {
    const ending: Ending = { exitCode, signal, failedRank: process.rank, error }
    this.#tellEnded(process, 'failed')
    if (this.options.continueOnFailure && process.ended) {
      this.#firstBad ??= ending
      process.hangUp()
      this.#finishWhenAllEnded()
      return
    }
    this.#end(ending)
    this.#quieten([process.rank])
    this.#stop(failureGraceMs(this.options.size))
  }

  /** A rank that had already left, and then ended with another code than 0: no failure to the others, but not a success. */
  #noteBad(process: JobProcess): void {
    this.#firstBad ??= {
      exitCode: exitCodeOf(process),
      signal: process.signal,
      failedRank: process.rank,
      error: new OnecopyError('ERR_PROC_FAILED', `${this.#nameOf(process.rank)} ended: ${process.endText}`, {
        rank: process.rank,
      }),
    }
    if (this.#ending === null)
      this.#say(`${this.#nameOf(process.rank)} failed: ${process.endText}, after it had left the job`)
  }

  #end(ending: Ending): void {
    const isFirst = this.#ending === null
    this.#ending ??= ending
    this.#exchange.close()
    this.#extensions.close()
    if (isFirst) {
      const reason = `the job that has spawned it is being ended: ${ending.error?.message ?? 'it failed'}`
      for (const { job, isPart } of this.#children) if (isPart) job.endWithParents(reason)
      this.#origin.parents?.onEnding(ending)
    }
    this.#restartStartTimer()
  }

  /** After the first failure, what others print on standard error is its echo. `ONECOPY_LOG=debug` shows it. */
  #quieten(except: readonly number[]): void {
    if (this.shared.settings.log === 'debug') return
    for (const rank of this.#ranks) if (!except.includes(rank.rank)) rank.stderr?.suppress()
  }

  /** SIGTERM after `graceMs`, SIGKILL 500 ms later. */
  #stop(graceMs: number): void {
    this.#after(graceMs, () => {
      this.forward('SIGTERM')
      this.#after(KILL_GRACE_MS, () => {
        this.kill()
        this.#after(REAP_MS, () => void this.#finish())
      })
    })
    this.#finishWhenAllEnded()
  }

  #finishWhenAllEnded(): void {
    if (this.#ranks.length < this.options.size || this.#ranks.some((rank) => !rank.ended)) return
    if (this.#children.some((child) => !child.isOver)) return
    // A failure that waits for its cause to be named is not over.
    const undecided = this.#ending === null && this.#ranks.find((rank) => !rank.endedWell)
    if (undecided && this.#firstBad === null) {
      const cause = this.#cause(undecided)
      if (isForAll(cause.signal) && !this.#isHeardOut) {
        // a Ctrl-C has ended them all; this process is about to hear of it, and then nobody has failed
        this.#isHeardOut = true
        this.#after(CULPRIT_MS, () => this.#finishWhenAllEnded())
        return
      }
      this.#declareFailed(cause)
      if (this.#ending === null) return
    }
    void this.#finish()
  }

  /** Of the ranks that ended badly, the one that does not say that it died of another. */
  #cause(fallback: JobProcess): JobProcess {
    if (this.#dying?.endedWell === false) return this.#dying
    return this.#ranks.find((rank) => !rank.endedWell && rank.consequenceOf === null) ?? fallback
  }

  async #finish(): Promise<void> {
    if (this.#finishing) return
    this.#finishing = true
    for (const timer of this.#timers) clearTimeout(timer)
    if (this.#startTimer !== null) clearTimeout(this.#startTimer)
    this.#exchange.close()
    for (const rank of this.#ranks) {
      // A script that outlived its wrapper is at the other end of the line.
      if (this.#ending !== null) rank.kill('SIGKILL')
      rank.hangUp()
    }
    // One that has parted may take its time.
    await Promise.all(this.#children.map(({ job }) => job.result))
    for (const close of this.#atEnd) close()
    const quietMs = this.#ending === null ? OUTPUT_QUIET_WELL_MS : OUTPUT_QUIET_MS
    await Promise.all(this.#ranks.flatMap((rank) => [rank.stdout?.finish(quietMs), rank.stderr?.finish(quietMs)]))
    await this.#said
    this.#reportSuppressed()
    if (this.options.stats && this.#reports.size > 0) this.#stderr.write(Buffer.from(statisticsTable(this.#reports)))
    await this.shared.release()
    await Promise.all([this.#stdout.flush(), this.#stderr.flush()])
    if (this.#origin.parents === undefined) {
      this.#stdout.release()
      this.#stderr.release()
    }
    const ending = this.#ending ?? this.#firstBad
    this.#resolve({
      exitCode: ending?.exitCode ?? 0,
      signal: ending?.signal ?? null,
      failedRank: ending?.failedRank ?? null,
      error: this.#withLastWords(ending?.error ?? null),
      ranks: this.#ranks.map(({ rank, exitCode, signal }) => ({ rank, exitCode, signal })),
      stats: this.#reports,
      milliseconds: performance.now() - this.#startedAt,
    })
  }

  /** Whoever called launch() may have sent the ranks' output elsewhere, or nowhere. */
  #withLastWords(error: OnecopyError | null): OnecopyError | null {
    if (error?.rank === undefined || !ABOUT_A_RANK.has(error.code)) return error
    const words = this.#ranks[error.rank]?.stderr?.tail ?? ''
    if (words === '') return error
    const { code, message, rank, exitCode, signal, cause } = error
    return new OnecopyError(code, `${message}\n${words}`, { rank, exitCode, signal, cause })
  }

  #reportSuppressed(): void {
    const lines = this.#ranks.reduce((sum, rank) => sum + (rank.stderr?.suppressedLines ?? 0), 0)
    if (lines === 0) return
    this.#say(
      `${lines} ${lines === 1 ? 'line' : 'lines'} that other ranks wrote on stderr after that are left out (ONECOPY_LOG=debug shows them)`,
    )
  }

  #endText(process: JobProcess): string {
    if (this.#exchange.joined(process.rank) || process.startError !== null || this.options.size === 1)
      return process.endText
    return `${process.endText}, before it called init() (ERR_EARLY_EXIT)`
  }

  #tellEnded(process: JobProcess, how: 'left' | 'failed'): void {
    const { rank, exitCode, signal } = process
    this.#broadcast({ type: 'ended', rank, how, exitCode, signal })
  }

  /** To every rank that lives, but not to the one the message is about. */
  #broadcast(message: LauncherMessage & { type: 'ended' | 'aborted' }): void {
    const about = message.type === 'ended' ? message.rank : message.byRank
    for (const rank of this.#ranks) if (!rank.ended && rank.rank !== about) rank.send(message)
  }

  notice(key: string, text: string): void {
    if (this.#notices.has(key)) return
    this.#notices.add(key)
    this.#say(text)
  }

  #say(text: string): void {
    this.#stderr.write(Buffer.from(`onecopy: ${text}\n`))
  }

  #after(milliseconds: number, callback: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      callback()
    }, milliseconds)
    this.#timers.add(timer)
  }
}

function exitCodeOf(process: JobProcess): number {
  if (process.signal !== null) return 128 + (os.constants.signals[process.signal as NodeJS.Signals] ?? 0)
  return process.exitCode ?? 1
}
