import { allgather, bcast } from './collectives/index.js'
import { UNDEFINED } from './constants.js'
import type { ContextTable } from './context-table.js'
import type { Exchange, Schedule } from './schedule.js'

/** A new communicator: its context, and its ranks as ranks of the old one. */
export interface NewRanks {
  readonly context: number
  readonly ranks: readonly number[]
}

/**
 * A context for all ranks of the exchange, minted by its rank 0. In passing, everybody hears which contexts the others have
 * given up, so that their numbers can serve again.
 * @param members world ranks, by rank of the exchange
 */
export function* agreeOnContext(
  exchange: Exchange,
  contexts: ContextTable,
  members: readonly number[],
): Schedule<number> {
  const minted = exchange.rank === 0 ? contexts.mint(exchange.size) : -1
  const said = yield* allgather<[minted: number, over: number[]]>(exchange, [minted, contexts.report(members)])
  for (const [, over] of said) contexts.learn(over)
  return said[0]![0]
}

/** What MPI_Comm_split does: null for UNDEFINED. One round: everybody mints, and who turns out to lead no group takes it back. */
export function* splitRanks(
  exchange: Exchange,
  contexts: ContextTable,
  members: readonly number[],
  color: number,
  key: number,
): Schedule<NewRanks | null> {
  type Said = [color: number, key: number, minted: number, over: number[]]
  const minted = color === UNDEFINED ? -1 : contexts.mint(1)
  const said = yield* allgather<Said>(exchange, [color, key, minted, contexts.report(members)])
  for (const [, , , over] of said) contexts.learn(over)
  if (color === UNDEFINED) return null
  const ranks = said.flatMap(([theirs], rank) => (theirs === color ? [rank] : []))
  ranks.sort((a, b) => said[a]![1] - said[b]![1] || a - b)
  const leader = ranks[0]!
  if (leader === exchange.rank) contexts.share(minted, ranks.length)
  else contexts.unmint(minted)
  return { context: said[leader]![2], ranks }
}

/** What two sides tell each other to become an intercommunicator. */
interface Side {
  readonly members: readonly number[]
  readonly minted: number
}

/** Two groups that have met: what every rank of either needs. */
export interface Meeting {
  /** For messages between the sides. */
  readonly context: number
  /** For what a side does by itself. */
  readonly localContext: number
  readonly remoteMembers: readonly number[]
}

/**
 * Two groups meet: their leaders exchange who they are over `bridge` (null elsewhere), and tell their own sides. The context of
 * the side with the lowest world rank is taken: both sides know which that is.
 */
export function* meet(
  exchange: Exchange,
  contexts: ContextTable,
  members: readonly number[],
  localLeader: number,
  bridge: Exchange | null,
  remoteLeader: number,
): Schedule<Meeting> {
  const localContext = yield* agreeOnContext(exchange, contexts, members)
  if (bridge === null) {
    const [context, remoteMembers] = yield* bcast<[number, number[]]>(exchange, null as never, localLeader)
    return { context, localContext, remoteMembers }
  }
  const minted = contexts.mint(1)
  const mine: Side = { members, minted }
  const receive = bridge.receiveValue(remoteLeader)
  yield [bridge.sendValue(mine, remoteLeader), receive]
  const theirs = receive.result() as Side
  const weMint = Math.min(...members) < Math.min(...theirs.members)
  if (weMint) contexts.share(minted, members.length + theirs.members.length)
  else contexts.unmint(minted)
  const context = weMint ? minted : theirs.minted
  yield* bcast(exchange, [context, theirs.members], localLeader)
  return { context, localContext, remoteMembers: theirs.members }
}
