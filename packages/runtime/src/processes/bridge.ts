import { type ErrorCode, type ErrorFields, OnecopyError } from '@onecopy/transport'
import type { Communicator } from '../communicator.js'
import type { Intercommunicator } from '../intercommunicator.js'
import { Job } from '../job.js'
import type { Asked } from '../job-link.js'
import type { Question } from '../launcher/control-message.js'
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

/** The ranks that open a bridge together: those of a communicator. */
export interface Members {
  readonly communicator: Communicator
  /** In its job, by rank of the communicator. */
  readonly ranks: readonly number[]
}

/**
 * Meets everybody on the bridge whose line has this number; done when all ranks of both groups have come.
 * @throws OnecopyError ERR_EARLY_EXIT, ERR_START_TIMEOUT, ERR_UNAVAILABLE when they cannot all meet.
 */
export async function openBridge(home: Job, line: number): Promise<Bridge> {
  const link = await BridgeLink.open(home.link, await extensionOf(home), line)
  try {
    const job = await Job.start(link, TRANSPORTS, home.group)
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
 * Has one rank, `root`, ask its launcher for a bridge, and everybody open it. When the root cannot, nobody can, for the same
 * reason.
 */
export async function askForBridge(
  job: Job,
  { communicator }: Members,
  root: number,
  signal: AbortSignal | undefined,
  question: () => Question,
): Promise<Bridge> {
  const isRoot = communicator.rank === root
  const agreed = await communicator.bcast(isRoot ? await ask(job, signal, question) : null, root)
  if (agreed === null) throw new OnecopyError('ERR_PROTOCOL', 'the root has told nothing')
  if ('line' in agreed) return openBridge(job, agreed.line)
  if (isRoot && signal?.aborted) throw signal.reason
  // Made here on every rank, so that the stack leads to the call.
  const { code, message, fields } = agreed
  throw code === 'TypeError' ? new TypeError(message) : new OnecopyError(code, message, fields)
}

/** The bridge as users get it: its two groups, each of which speaks to the other. */
export async function intercommunicatorOver(
  { job, localSize, localFirst }: Bridge,
  name: string,
): Promise<Intercommunicator> {
  const { world } = job
  const firstSize = localFirst ? localSize : world.size - localSize
  try {
    const local = (await world.split(localFirst ? 0 : 1)) as Communicator
    const inter = await local.createIntercomm(0, local.rank === 0 ? world : null, localFirst ? firstSize : 0)
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

async function ask(job: Job, signal: AbortSignal | undefined, question: () => Question): Promise<Told> {
  let asked: Asked | null = null
  const giveUp = (): void => asked?.cancel()
  try {
    signal?.throwIfAborted()
    const said = question()
    asked = (await extensionOf(job)).ask(said)
    signal?.addEventListener('abort', giveUp, { once: true })
    if (signal?.aborted) giveUp()
    return { line: (await asked.answer) as number }
  } catch (error) {
    if (signal?.aborted) return { code: 'ERR_CANCELLED', message: 'the root has given it up', fields: {} }
    const { message } = error as Error
    if (!(error instanceof OnecopyError)) return { code: 'TypeError', message, fields: {} }
    const { name: _, code, ...fields } = error
    return { code, message, fields }
  } finally {
    signal?.removeEventListener('abort', giveUp)
  }
}

function extensionOf(job: Job): ReturnType<NonNullable<Job['link']['extension']>> {
  const { link } = job
  if (link.extension === undefined) {
    throw new OnecopyError('ERR_UNAVAILABLE', 'nobody can start or join other jobs for this one')
  }
  return link.extension()
}
