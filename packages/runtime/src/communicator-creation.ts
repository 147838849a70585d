import { OnecopyError } from '@onecopy/transport'
import { type Across, heardOnBothSides } from './collectives/across.js'
import { allgather } from './collectives/index.js'
import { UNDEFINED } from './constants.js'
import type { Job } from './job.js'
import type { Exchange, Schedule } from './schedule.js'

/** A new communicator: its context, and its ranks as ranks of the old one. */
export interface NewRanks {
  readonly context: number
  readonly ranks: readonly number[]
}

/** A context for all ranks of the exchange, minted by its rank 0. */
export function* agreeOnContext(exchange: Exchange, job: Job): Schedule<number> {
  const minted = exchange.rank === 0 ? [job.contexts.mint()] : []
  try {
    const said = yield* allgather(exchange, minted)
    return said[0]![0] as number
  } catch (error) {
    giveBack(job, minted, error)
    throw error
  }
}

/** What MPI_Comm_split does: null for UNDEFINED. One round: everybody mints, and who turns out to lead no group takes it back. */
export function* splitRanks(exchange: Exchange, job: Job, color: number, key: number): Schedule<NewRanks | null> {
  const minted = color === UNDEFINED ? [] : [job.contexts.mint()]
  try {
    const said = yield* allgather(exchange, { color, key, minted })
    if (color === UNDEFINED) return null
    const ranks = ranksOfColor(said, color)
    const leader = ranks[0] as number
    const context = said[leader]!.minted[0] as number
    keepOnly(job, minted, [context])
    return { context, ranks }
  } catch (error) {
    giveBack(job, minted, error)
    throw error
  }
}

/** Two groups that have met: what every rank of either needs to make the intercommunicator. */
export interface Meeting {
  /** For messages between the sides. */
  readonly context: number
  /** For what a side does by itself. */
  readonly localContext: number
  /** Ranks of the job. */
  readonly members: readonly number[]
  readonly remoteMembers: readonly number[]
}

/**
 * Those of both sides that give the same colour meet, each side in the order of its keys; null for UNDEFINED, and where the
 * other side has nobody of this colour. One round, as in a split: everybody mints. Of the two first ranks the lower one's
 * context is taken: both sides know which that is.
 */
export function* meet(both: Across, job: Job, color: number, key: number): Schedule<Meeting | null> {
  const minted: number[] = []
  try {
    while (color !== UNDEFINED && minted.length < 2) minted.push(job.contexts.mint())
    const said = yield* heardOnBothSides(both, { color, key, minted, member: job.link.rank })
    if (color === UNDEFINED) return null
    const ours = ranksOfColor(said.ours, color).map((rank) => said.ours[rank]!)
    const theirs = ranksOfColor(said.theirs, color).map((rank) => said.theirs[rank]!)
    const [we, they] = [ours[0]!, theirs[0]]
    if (they === undefined) {
      keepOnly(job, minted, [])
      return null
    }
    const members = ours.map(({ member }) => member)
    const remoteMembers = theirs.map(({ member }) => member)
    if (members.some((member) => remoteMembers.includes(member))) {
      throw new TypeError('the two groups of an intercommunicator may not have processes in common')
    }
    const context = (we.member < they.member ? we : they).minted[0] as number
    const localContext = we.minted[1] as number
    keepOnly(job, minted, [context, localContext])
    return { context, localContext, members, remoteMembers }
  } catch (error) {
    giveBack(job, minted, error)
    throw error
  }
}

/** One communicator of two groups: its context, and its members as ranks of the job. */
export interface NewMembers {
  readonly context: number
  readonly members: readonly number[]
}

/**
 * What MPI_Intercomm_merge does. A side's word is its rank 0's, so that a side which disagrees does so with itself only; where both
 * say the same, the side with the lowest member goes first. Its context is taken.
 */
export function* meetToMerge(
  both: Across,
  job: Job,
  ours: readonly number[],
  theirs: readonly number[],
  high: boolean,
): Schedule<NewMembers> {
  const minted = both.local.rank === 0 ? [job.contexts.mint()] : []
  try {
    const said = yield* heardOnBothSides(both, { high, minted })
    const [we, they] = [said.ours[0]!, said.theirs[0]!]
    const weAreFirst = we.high === they.high ? Math.min(...ours) < Math.min(...theirs) : they.high
    const context = (weAreFirst ? we : they).minted[0] as number
    keepOnly(job, minted, [context])
    return { context, members: weAreFirst ? [...ours, ...theirs] : [...theirs, ...ours] }
  } catch (error) {
    giveBack(job, minted, error)
    throw error
  }
}

/** A creation has failed with what this rank has minted for it. Others may have heard the numbers: they count as used. */
function giveBack(job: Job, minted: readonly number[], cause: unknown): void {
  const unmade = new OnecopyError('ERR_CLOSED', 'this communicator has not been made', { cause })
  for (const context of minted) job.dropContext(context, unmade)
}

/** Takes back what has not been chosen. */
function keepOnly(job: Job, minted: readonly number[], chosen: readonly number[]): void {
  for (const context of minted) if (!chosen.includes(context)) job.contexts.unmint(context)
}

/** The ranks that say `color`, in the order of their keys, then of their ranks. */
function ranksOfColor(said: readonly { readonly color: number; readonly key: number }[], color: number): number[] {
  const ranks = said.flatMap((theirs, rank) => (theirs.color === color ? [rank] : []))
  return ranks.sort((a, b) => said[a]!.key - said[b]!.key || a - b)
}
