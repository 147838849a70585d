import { checkRoot } from '../arguments.js'
import type { Job } from '../job.js'
import { askForBridge, type Bridge, type Members } from './bridge.js'

/** How two jobs find each other. Only what the root says counts. */
export interface JoinOptions {
  /** The rank whose launcher looks for the other job. Default: 0. */
  readonly root?: number
  /** Seconds to wait for the other job. Default: 30 to connect; to listen, for as long as it takes. */
  readonly timeout?: number
  /** Gives it up, with the signal's reason at the root and ERR_CANCELLED at the others. */
  readonly signal?: AbortSignal
}

const CONNECT_TIMEOUT_SECONDS = 30

/** setTimeout's longest time is 2^31-1 ms. */
const SECONDS_MAX = 2_147_483

/** Waits for another job of this user to connect; every rank of `members` calls it. This side's group is the first. */
export function listenBridge(job: Job, members: Members, name: string, options: JoinOptions = {}): Promise<Bridge> {
  return joinBridge(job, members, 'listen', name, options, null)
}

/** Connects to another job of this user that listens; every rank of `members` calls it. */
export function connectBridge(job: Job, members: Members, name: string, options: JoinOptions = {}): Promise<Bridge> {
  return joinBridge(job, members, 'connect', name, options, CONNECT_TIMEOUT_SECONDS)
}

function joinBridge(
  job: Job,
  members: Members,
  verb: 'listen' | 'connect',
  name: string,
  options: JoinOptions,
  usualTimeout: number | null,
): Promise<Bridge> {
  const { root = 0, signal } = options
  checkRoot(root, members.communicator.size)
  return askForBridge(job, members, root, signal, () => {
    if (typeof name !== 'string' || name === '') throw new TypeError(`the name must be a word, not ${String(name)}`)
    const timeout = options.timeout ?? usualTimeout
    if (timeout !== null && !(timeout > 0 && timeout <= SECONDS_MAX)) {
      throw new RangeError(`timeout must be a number of seconds from above 0 to ${SECONDS_MAX}, not ${timeout}`)
    }
    const timeoutMs = timeout === null ? null : Math.ceil(timeout * 1000)
    return { verb, name, members: members.ranks, timeoutMs }
  })
}
