/**
 * Every stable error code, with the one sentence the documentation's table shows.
 * By the largest thing lost: a message, a peer, a transport, the job.
 */
export const ERROR_CODES = {
  ERR_TRUNCATE:
    'The message is longer than the memory given for it; the message is consumed, the next one is readable.',
  ERR_TYPE: 'The message was sent as one kind of data (value or raw bytes) and received as another.',
  ERR_MISMATCH:
    'Ranks called different collectives, or with arguments that do not go together (found by `--check`); the message names both calls.',
  ERR_COLLECTIVE: 'Another rank failed in this collective; `rank` is its number.',
  ERR_CANCELLED: 'The request was cancelled before it matched. (An AbortSignal that fires gives its own reason.)',
  ERR_BUFFER_GONE: 'Memory that was named in a message can no longer be reached: transferred, detached or unmapped.',
  ERR_TIMEOUT: 'A call did not complete within the time given.',
  ERR_PROC_FAILED: 'The other rank is dead or has left the job.',
  ERR_CMA_DENIED: 'Single copy was required (ONECOPY_CMA=require) and is refused.',
  ERR_UNAVAILABLE: 'No transport, library or capability that the call needs is available; the message says why.',
  ERR_NO_SHM: 'Shared memory could not be created or reserved.',
  ERR_LIMIT: 'A named limit would be exceeded; nothing was allocated.',
  ERR_CORRUPT: 'Shared memory or a frame holds something that no rank of this job writes.',
  ERR_PROTOCOL: 'A peer broke the protocol.',
  ERR_AUTH: 'Somebody who is not a rank of this job knocked.',
  ERR_EARLY_EXIT: 'A rank ended before the job had started.',
  ERR_START_TIMEOUT: 'Not every rank called init() in time.',
  ERR_LAUNCHER_LOST: 'The launcher of this job is gone.',
  ERR_ABORTED: 'A rank ended the job by abort().',
  ERR_REVOKED: 'A rank has revoked the communicator; shrink() makes one of those that are left.',
  ERR_CLOSED: 'The job, communicator or transport has been closed.',
} as const

/** One of the keys of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES

/** What an error carries besides its words, so that no caller ever parses prose. */
export interface ErrorFields {
  /** The error below this one. */
  readonly cause?: unknown
  /**
   * The rank the error is about, by its number in the world. On a communicator to another job the ranks of both jobs are numbered
   * through for this, those first who spawned or listened.
   */
  readonly rank?: number
  /** The source that was asked for, or the sender, by its number in the communicator. */
  readonly source?: number
  /** The tag that was asked for, or the message's. */
  readonly tag?: number
  /** The positive errno of the system call that failed. */
  readonly errno?: number
  /** The system call that failed. */
  readonly syscall?: string
  /** Bytes moved before a remote read or write failed. */
  readonly bytesDone?: number
  /** What the rank, or the job, exits with. */
  readonly exitCode?: number
  /** The signal that ended the rank. */
  readonly signal?: string
  /** The rank that ended the job. */
  readonly byRank?: number
  /** Why the job was ended, in that rank's own words. */
  readonly reason?: string
  /** The call that did not complete, by its name as in `recv`. */
  readonly op?: string
  /** How long was waited, in milliseconds. */
  readonly ms?: number
}

/**
 * Everything that goes wrong in the world, as opposed to in the caller's arguments (those are plain `TypeError` and
 * `RangeError`). A process may hold this class twice, as ESM and as CommonJS: `instanceof` knows the errors of both.
 */
export class OnecopyError extends Error {
  /** What went wrong, in one stable word. */
  readonly code: ErrorCode
  // Only declared: a field that was not given is not there at all, or Node would print a dozen of them with every error.
  /**
   * The rank the error is about, by its number in the world. On a communicator to another job the ranks of both jobs are numbered
   * through for this, those first who spawned or listened.
   */
  declare readonly rank: number | undefined
  /** The source that was asked for, or the sender, by its number in the communicator. */
  declare readonly source: number | undefined
  /** The tag that was asked for, or the message's. */
  declare readonly tag: number | undefined
  /** The positive errno of the system call that failed. */
  declare readonly errno: number | undefined
  /** The system call that failed. */
  declare readonly syscall: string | undefined
  /** Bytes moved before a remote read or write failed. */
  declare readonly bytesDone: number | undefined
  /** What the rank, or the job, exits with. */
  declare readonly exitCode: number | undefined
  /** The signal that ended the rank. */
  declare readonly signal: string | undefined
  /** The rank that ended the job. */
  declare readonly byRank: number | undefined
  /** Why the job was ended, in that rank's own words. */
  declare readonly reason: string | undefined
  /** The call that did not complete, by its name as in `recv`. */
  declare readonly op: string | undefined
  /** How long was waited, in milliseconds. */
  declare readonly ms: number | undefined

  constructor(code: ErrorCode, message: string, fields: ErrorFields = {}) {
    const { cause, ...given } = fields
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'OnecopyError'
    this.code = code
    Object.assign(this, given)
  }
}

Object.defineProperty(OnecopyError, Symbol.hasInstance, {
  value: function isInstance(this: unknown, value: unknown): boolean {
    // a subclass knows its own
    if (this !== OnecopyError) return Function.prototype[Symbol.hasInstance].call(this, value)
    return value instanceof Error && value.name === 'OnecopyError' && 'code' in value
  },
})
