import type { Agreed } from '../job-link.js'

interface Pending {
  readonly members: readonly number[]
  readonly heard: Set<number>
  flags: number
}

/**
 * The one place where ranks agree: whoever keeps a job together hears every member that lives, and learns of every end, so its
 * word is the same for all. Members that have ended are not waited for; what they gave before counts.
 */
export class Agreements {
  readonly #tell: (rank: number, id: string, agreed: Agreed) => void
  readonly #pending = new Map<string, Pending>()
  readonly #ended = new Set<number>()

  constructor(tell: (rank: number, id: string, agreed: Agreed) => void) {
    this.#tell = tell
  }

  /** `rank` proposes `flags` for the agreement `id` of `members`. */
  propose(rank: number, id: string, members: readonly number[], flags: number): void {
    let pending = this.#pending.get(id)
    if (pending === undefined) {
      pending = { members, heard: new Set(), flags: -1 }
      this.#pending.set(id, pending)
    }
    pending.heard.add(rank)
    pending.flags &= flags
    this.#decide(id, pending)
  }

  /** `rank` has ended: nobody waits for it. */
  ended(rank: number): void {
    if (this.#ended.has(rank)) return
    this.#ended.add(rank)
    for (const [id, pending] of this.#pending) this.#decide(id, pending)
  }

  #decide(id: string, { members, heard, flags }: Pending): void {
    if (!members.every((member) => heard.has(member) || this.#ended.has(member))) return
    this.#pending.delete(id)
    const ended = members.filter((member) => this.#ended.has(member))
    for (const rank of heard) if (!this.#ended.has(rank)) this.#tell(rank, id, { flags, ended })
  }
}
