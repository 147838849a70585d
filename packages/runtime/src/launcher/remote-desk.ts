import { Agreements } from './agreements.js'
import type { Desk, MemberEnd } from './bridge-desk.js'
import { type BridgeMessage, type LauncherMessage, type RankMessage, validRankMessage } from './control-message.js'
import type { JoinLine } from './join-line.js'
import { GONE } from './remote-group.js'

type Tell = (message: LauncherMessage | BridgeMessage) => void

type Proposal = Extract<RankMessage, { type: 'agree' }>

/**
 * A desk in another launcher, seen from the launcher of the second group. When that launcher is lost, this one says to its own group
 * what a desk would: who has ended, and what those who are left agree on.
 */
export class RemoteDesk implements Desk {
  readonly #line: JoinLine
  readonly #groups: readonly [number, number]
  readonly #onOver: () => void
  readonly #seats = new Map<number, Tell>()
  readonly #gone = new Set<number>()
  /** The round that each member waits in, should it wait. */
  readonly #rounds = new Map<number, number>()
  /** By member: what it has proposed and not heard of. */
  readonly #proposals = new Map<number, Map<string, Proposal>>()
  /** Once the desk is lost. */
  #agreements: Agreements | null = null

  /** `onOver`: every member of the second group has gone. */
  constructor(line: JoinLine, groups: readonly [number, number], onOver: () => void) {
    this.#line = line
    this.#groups = groups
    this.#onOver = onOver
  }

  seat(member: number, tell: Tell): void {
    this.#seats.set(member, tell)
    if (this.#seats.size < this.#groups[1]) return
    this.#line.hear((message) => {
      if (message.type !== 'member') throw new Error(`'${message.type}' out of turn`)
      const said = message.message as LauncherMessage | BridgeMessage
      if (said.type === 'agreed') this.#proposals.get(message.member)?.delete(said.id)
      this.#seats.get(message.member)?.(said)
    })
    this.#line.whenClosed(() => this.#lost())
    if (this.#line.isClosed) this.#lost()
  }

  heard(member: number, message: unknown): void {
    const { type, round } = message as { type?: unknown; round?: unknown }
    if (type === 'card') this.#rounds.set(member, round as number)
    if (type === 'agree') this.#propose(member, validRankMessage(message) as Proposal)
    this.#line.say({ type: 'member', member, message: message as object })
    if (type !== 'leave') return
    this.#isGone(member)
    if (this.#agreements === null) return
    this.#broadcast({ type: 'ended', rank: member, how: 'left', exitCode: 0, signal: null })
    this.#agreements.ended(member)
  }

  ended(member: number, end: MemberEnd): void {
    if (this.#gone.has(member)) return
    this.#line.say({ type: 'ended', member, ...end })
    this.#isGone(member)
    if (this.#agreements === null) return
    this.#broadcast({ type: 'ended', rank: member, ...end })
    this.#agreements.ended(member)
  }

  #isGone(member: number): void {
    this.#gone.add(member)
    if (this.#gone.size < this.#groups[1]) return
    this.#line.end()
    this.#onOver()
  }

  #propose(member: number, proposal: Proposal): void {
    if (this.#agreements !== null) {
      this.#agreements.propose(member, proposal.id, proposal.members, proposal.flags)
      return
    }
    const proposals = this.#proposals.get(member) ?? new Map<string, Proposal>()
    this.#proposals.set(member, proposals.set(proposal.id, proposal))
  }

  #broadcast(message: LauncherMessage): void {
    for (const [member, tell] of this.#seats) if (!this.#gone.has(member)) tell(message)
  }

  /** The other launcher has hung up, or is gone. */
  #lost(): void {
    const agreements = new Agreements((member, id, agreed) =>
      this.#seats.get(member)?.({ type: 'agreed', id, ...agreed }),
    )
    this.#agreements = agreements
    for (const [member, tell] of this.#seats) {
      if (this.#gone.has(member)) continue
      for (let rank = 0; rank < this.#groups[0]; rank++) tell({ type: 'ended', rank, ...GONE })
      const round = this.#rounds.get(member)
      if (round === undefined) continue
      tell({ type: 'refused', round, code: 'ERR_EARLY_EXIT', message: 'the other job ended while they met', rank: 0 })
    }
    for (let rank = 0; rank < this.#groups[0]; rank++) agreements.ended(rank)
    for (const member of this.#gone) agreements.ended(member)
    for (const [member, proposals] of this.#proposals) {
      if (this.#gone.has(member)) continue
      for (const proposal of proposals.values()) this.#propose(member, proposal)
    }
    this.#proposals.clear()
  }
}
