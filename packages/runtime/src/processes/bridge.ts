import { type ErrorCode, type ErrorFields, OnecopyError } from '@onecopy/transport'
import { bcast } from '../collectives/bcast.js'
import type { Communicator } from '../communicator.js'
import type { Intercommunicator } from '../intercommunicator.js'
import { Job } from '../job.js'
import type { Asked, Extension, Waiting } from '../job-link.js'
import type { Question } from '../launcher/control-message.js'
import { outsideWord, resultElsewhere } from '../outside-word.js'
import type { Exchange, Schedule } from '../schedule.js'
import { TRANSPORTS } from '../transports.js'
import { BridgeLink } from './bridge-link.js'

/** Two groups of ranks, of different jobs, that talk to each other: one more job in each of their processes. */
export interface Bridge {
  /** Its world are the ranks of both groups: the first group's in order, then the second's. */
  readonly job: Job
  /** Ranks of this process's group. */
  readonly localSize: number
  /** Whether this process's group is the first: it has spawned the other, or has listened for it. */
  readonly localFirst: boolean
}

/**
 * Meets everybody on the bridge whose line has this number; done when all ranks of both groups have come.
 * @throws OnecopyError ERR_EARLY_EXIT, ERR_START_TIMEOUT, ERR_UNAVAILABLE when they cannot all meet.
 */
export function* openBridge(home: Job, line: number): Schedule<Bridge> {
  const link = yield* BridgeLink.open(home, extensionOf(home), line)
  try {
    const job = yield* Job.join(link, TRANSPORTS, home)
    link.met()
    const [first, second] = link.groups
    const localFirst = link.rank < first
    return { job, localSize: localFirst ? first : second, localFirst }
  } catch (error) {
    link.leave()
    throw error
  }
}

/**
 * Has one rank of the exchange, `root`, ask its launcher for a bridge, and everybody open it. When the root cannot, nobody can,
 * for the same reason.
 */
export function* askForBridge(
  home: Job,
  exchange: Exchange,
  root: number,
  signal: AbortSignal | undefined,
  question: () => Question,
  asking: Asking = new Asking(),
): Schedule<Bridge> {
  const isRoot = exchange.rank === root
  const told = yield* bcast<Told | null>(
    exchange,
    isRoot ? yield* ask(home, exchange, signal, question, asking) : null,
    root,
  )
  if (told === null) throw new OnecopyError('ERR_PROTOCOL', 'the root has told nothing')
  if ('line' in told) return yield* openBridge(home, told.line)
  if (isRoot && signal?.aborted) throw signal.reason
  const { code, message, fields } = told
  throw code === 'TypeError' ? new TypeError(message) : new OnecopyError(code, message, fields)
}

/** The bridge as users get it: its two groups, each of which speaks to the other. */
export function* intercommunicatorOver(
  home: Job,
  opening: Schedule<Bridge>,
  name: string,
): Schedule<Intercommunicator> {
  const { job, localSize, localFirst } = yield* opening
  const { world } = job
  const firstSize = localFirst ? localSize : world.size - localSize
  try {
    const local = (yield* resultElsewhere(home.engine, world.split(localFirst ? 0 : 1))) as Communicator
    const peer = local.rank === 0 ? world : null
    const inter = yield* resultElsewhere(home.engine, local.createIntercomm(0, peer, localFirst ? firstSize : 0))
    local.free()
    inter.name = name
    return inter
  } catch (error) {
    // nobody has a handle to disconnect it
    void job.finalize()
    throw error
  }
}

/** What the root tells the others. */
type Told =
  | { readonly line: number }
  | { readonly code: ErrorCode | 'TypeError'; readonly message: string; readonly fields: ErrorFields }

/** Whether a launcher is being asked: until it has answered, the question can be taken back. */
export class Asking {
  isOpen = false
}

function* ask(
  home: Job,
  exchange: Exchange,
  signal: AbortSignal | undefined,
  question: () => Question,
  asking: Asking,
): Schedule<Told> {
  let asked: Asked | null = null
  const giveUp = (): void => asked?.cancel()
  try {
    signal?.throwIfAborted()
    const said = question()
    const extension = extensionOf(home)
    signal?.addEventListener('abort', giveUp, { once: true })
    asking.isOpen = true
    const begin = (waiting: Waiting<unknown>): void => {
      asked = extension.ask(said, waiting)
    }
    const line = yield* outsideWord<unknown>(home.engine, begin, exchange)
    return { line: line as number }
  } catch (error) {
    // where it was not the answer that has failed
    giveUp()
    if (signal?.aborted) return { code: 'ERR_CANCELLED', message: 'the root has given it up', fields: {} }
    const { message } = error as Error
    if (!(error instanceof OnecopyError)) return { code: 'TypeError', message, fields: {} }
    const { name: _, code, ...fields } = error
    return { code, message, fields }
  } finally {
    asking.isOpen = false
    signal?.removeEventListener('abort', giveUp)
  }
}

function extensionOf({ link }: Job): Extension {
  if (link.extension === undefined) {
    throw new OnecopyError('ERR_UNAVAILABLE', 'nobody can start or join other jobs for this one')
  }
  return link.extension()
}
