import type { OnecopyError } from '@onecopy/transport'

/** How one rank's process ended; `exitCode` and `signal` are both null when it could not be started. */
export interface RankResult {
  /** Its number in the job. */
  readonly rank: number
  /** Null when a signal ended it. */
  readonly exitCode: number | null
  /** The signal's name; null when the process ended by itself. */
  readonly signal: string | null
}

/** How a job ended. */
export interface JobResult {
  /** 0 when every rank ended well; else the first failing rank's code, 128+n for signal n, 124 for a timeout. */
  readonly exitCode: number
  /** The signal that ended the first failing rank, or that the launcher was ended by; null when there was none. */
  readonly signal: string | null
  /** The rank that failed first; null when none did. */
  readonly failedRank: number | null
  /**
   * What went wrong, with its code; null when every rank ended well. About a rank that failed, that did not come in time or
   * that ended too early, the message goes on with the last lines it wrote on standard error.
   */
  readonly error: OnecopyError | null
  /** How each rank's process ended. */
  readonly ranks: readonly RankResult[]
  /** What the ranks reported, where they were asked to (`stats`). */
  readonly stats: ReadonlyMap<number, Readonly<Record<string, unknown>>>
  /** From the start of the first process to the end of the last one. */
  readonly milliseconds: number
}
