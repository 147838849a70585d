import type { Question } from './launcher/control-message.js'

/** How a rank ended. `left`: by itself, exit code 0 after the script was over; everything else is a failure. */
export interface PeerEnd {
  readonly rank: number
  readonly how: 'left' | 'failed'
  readonly exitCode: number | null
  readonly signal: string | null
}

/** What the launcher tells a rank while the job runs. */
export interface JobListener {
  /** Another rank's process has ended. Comes once per rank, after everything that rank had sent. */
  peerEnded(end: PeerEnd): void
  /** The job is being ended: `byRank` called abort(code), or -1 for the launcher (timeout, signal). */
  aborted(byRank: number, exitCode: number, reason: string): void
  /** The launcher is gone. The link ends this process by itself shortly after the call. */
  launcherLost(): void
}

/**
 * A rank's line to its launcher. Control traffic only: who is here, who has ended, abort. Everything here is slow path.
 *
 * Implementations: `launcher/rank-link.ts` (inherited socket), and {@link LoneLink} for a process without a launcher.
 */
export interface JobLink {
  readonly rank: number
  readonly size: number
  readonly launcherPid: number | null
  /** The job's private directory; '' for a lone process. */
  readonly directory: string
  readonly token: Uint8Array
  /** Transports in order of preference, with what the launcher's `prepare` gave for each. */
  readonly transports: readonly LinkTransport[]
  readonly settings: Readonly<Record<string, string | undefined>>

  /**
   * Tells `waiting` every rank's `card` (plain JSON), indexed by rank, once all have given theirs. Every rank calls it the same
   * number of times, in the same order. Fails with ERR_START_TIMEOUT, ERR_EARLY_EXIT, ERR_LAUNCHER_LOST, ERR_ABORTED.
   */
  allgather(card: unknown, waiting: Waiting<unknown[]>): void

  /** Who is told. Notices that came earlier are kept and told at once. */
  listen(listener: JobListener): void

  /**
   * Reads the line now, without the event loop, and tells the listener: for a thread that blocks. Never blocks; about 10 us
   * when nothing has come, so call it every 10 ms or so, not in a spin.
   */
  pump(): void

  /**
   * Agrees with the `members` (ranks of the job) that call it with the same `id`: `done` is told the bits that all of their
   * `flags` have, and which members have ended, the same on every rank. Members that have ended are not waited for.
   */
  agree(id: string, members: readonly number[], flags: number, done: (agreed: Agreed) => void): void

  /** Keeps the process alive for the link, or lets it end. A link starts out not keeping it alive. */
  ref(): void
  unref(): void

  /** One line for the user, once per job and key, printed by the launcher (on stderr, `onecopy: …`). */
  notice(key: string, message: string): void

  /** Hands the launcher what `--stats` shows for this rank: plain JSON, numbers and words by name. */
  stats(report: object): void

  /** Ends the job. Written out synchronously: the caller may exit right after. */
  abort(exitCode: number, reason: string): void

  /** This rank has finished cleanly; its exit from here on is no failure. */
  leave(): void

  /** What starts and joins other jobs. Absent where nobody is there who could. @throws OnecopyError ERR_UNAVAILABLE. */
  extension?(): Extension

  /** The line of the bridge to the ranks that have spawned this job; null, or absent, where nobody has. */
  readonly parentLine?: number | null
}

/** Who waits for a word of the launcher, on either face: told once, or never when the process ends first. */
export interface Waiting<T> {
  resolve(value: T): void
  reject(error: Error): void
}

/** What an agreement comes to: the same for everybody. */
export interface Agreed {
  readonly flags: number
  readonly ended: readonly number[]
}

export interface LinkTransport {
  readonly name: string
  readonly descriptor: number | null
  readonly data: unknown
  /** Why what the launcher has prepared cannot be had here, in words; null, or absent, when it can. */
  readonly problem?: string | null
}

/** A question to the launcher that may take its time. */
export interface Asked {
  /** Asks no longer: the answer is then an error, unless it is on its way. */
  cancel(): void
}

/** A rank's way to other jobs: questions to its launcher, and the lines of bridges, which travel on the same link. */
export interface Extension {
  ask(question: Question, waiting: Waiting<unknown>): Asked
  /** Hears what comes over `line`, and first what has come before. */
  open(line: number, hearer: { message(message: unknown): void; lost(): void }): void
  say(line: number, message: object): void
  close(line: number): void
  /** Keeps the process alive until as many calls of `release`. */
  hold(): void
  release(): void
}
