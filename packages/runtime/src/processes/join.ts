import { checkRoot } from '../arguments.js'
import type { Intercommunicator } from '../intercommunicator.js'
import type { Job } from '../job.js'
import type { Question } from '../launcher/control-message.js'
import type { Exchange, Schedule } from '../schedule.js'
import { type Asking, askForBridge, type Bridge, intercommunicatorOver } from './bridge.js'

/** How two jobs find each other. Only what the root says counts. */
export interface JoinOptions {
  /** The rank whose launcher looks for the other job. Default: 0. */
  readonly root?: number
  /** Seconds to wait for the other job. Default: 30 to connect; to listen, for as long as it takes. */
  readonly timeout?: number
  /** Gives it up, on all ranks: with the signal's reason at the root and ERR_CANCELLED at the others. */
  readonly signal?: AbortSignal
}

const CONNECT_TIMEOUT_SECONDS = 30

/** setTimeout's longest time is 2^31-1 ms. */
const SECONDS_MAX = 2_147_483

/** Waits for another job of this user to connect; every rank of `members` calls it. This side's group is the first. */
export function listenForJob(
  home: Job,
  exchange: Exchange,
  members: readonly number[],
  name: string,
  options: JoinOptions | undefined,
  asking: Asking,
): Schedule<Intercommunicator> {
  return intercommunicatorOver(home, joined(home, exchange, members, 'listen', name, options, null, asking), name)
}

/** Connects to another job of this user that listens; every rank of `members` calls it. */
export function connectToJob(
  home: Job,
  exchange: Exchange,
  members: readonly number[],
  name: string,
  options: JoinOptions | undefined,
  asking: Asking,
): Schedule<Intercommunicator> {
  const bridge = joined(home, exchange, members, 'connect', name, options, CONNECT_TIMEOUT_SECONDS, asking)
  return intercommunicatorOver(home, bridge, name)
}

function joined(
  home: Job,
  exchange: Exchange,
  members: readonly number[],
  verb: 'listen' | 'connect',
  name: string,
  options: JoinOptions = {},
  usualTimeout: number | null,
  asking: Asking,
): Schedule<Bridge> {
  const { root = 0, signal } = options
  checkRoot(root, members.length)
  const question = (): Question => {
    if (typeof name !== 'string' || name === '') throw new TypeError(`the name must be a word, not ${String(name)}`)
    const timeout = options.timeout ?? usualTimeout
    if (timeout !== null && !(timeout > 0 && timeout <= SECONDS_MAX)) {
      throw new RangeError(`timeout must be a number of seconds from above 0 to ${SECONDS_MAX}, not ${timeout}`)
    }
    const timeoutMs = timeout === null ? null : Math.ceil(timeout * 1000)
    return { verb, name, members, timeoutMs }
  }
  return askForBridge(home, exchange, root, signal, question, asking)
}
