import type { Desk, MemberEnd } from './bridge-desk.js'
import type { BridgeMessage, LauncherMessage } from './control-message.js'
import type { JoinLine } from './join-line.js'
import { GONE } from './remote-group.js'

type Tell = (message: LauncherMessage | BridgeMessage) => void

/** A desk in another launcher, seen from the launcher of the second group. */
export class RemoteDesk implements Desk {
  readonly #line: JoinLine
  readonly #groups: readonly [number, number]
  readonly #seats = new Map<number, Tell>()
  readonly #gone = new Set<number>()
  /** The round that each member waits in, should it wait. */
  readonly #rounds = new Map<number, number>()

  constructor(line: JoinLine, groups: readonly [number, number]) {
    this.#line = line
    this.#groups = groups
  }

  seat(member: number, tell: Tell): void {
    this.#seats.set(member, tell)
    if (this.#seats.size < this.#groups[1]) return
    this.#line.hear((message) => {
      if (message.type !== 'member') throw new Error(`'${message.type}' out of turn`)
      this.#seats.get(message.member)?.(message.message as LauncherMessage | BridgeMessage)
    })
    this.#line.whenClosed(() => this.#lost())
    if (this.#line.isClosed) this.#lost()
  }

  heard(member: number, message: unknown): void {
    const { type, round } = message as { type?: unknown; round?: unknown }
    if (type === 'card') this.#rounds.set(member, round as number)
    this.#line.say({ type: 'member', member, message: message as object })
    if (type === 'leave') this.#isGone(member)
  }

  ended(member: number, end: MemberEnd): void {
    if (this.#gone.has(member)) return
    this.#line.say({ type: 'ended', member, ...end })
    this.#isGone(member)
  }

  #isGone(member: number): void {
    this.#gone.add(member)
    if (this.#gone.size === this.#groups[1]) this.#line.end()
  }

  /** The other launcher has hung up, or is gone. */
  #lost(): void {
    for (const [member, tell] of this.#seats) {
      if (this.#gone.has(member)) continue
      for (let rank = 0; rank < this.#groups[0]; rank++) tell({ type: 'ended', rank, ...GONE })
      const round = this.#rounds.get(member)
      if (round === undefined) continue
      tell({ type: 'refused', round, code: 'ERR_EARLY_EXIT', message: 'the other job ended while they met', rank: 0 })
    }
  }
}
