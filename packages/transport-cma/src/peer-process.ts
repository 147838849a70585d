import { closeSync } from 'node:fs'
import { EINTR, errnoName } from './errno.js'
import { type Card, pidNamespace, startTime } from './identity.js'
import type { Libc } from './libc/libc.js'

/** Signals in a row that may come between a question to the kernel and its answer. */
const INTERRUPTIONS_MAX = 1000

/** What is known of a permission: nothing yet, or the answer. */
export type Permission = 'unknown' | 'granted' | 'refused'

/** Why a permission is refused. */
export interface Refusal {
  /** In words, for the user. */
  readonly reason: string
  /** What the kernel said; null when it is not the kernel who refuses, or when what it says makes no sense. */
  readonly errno: number | null
}

/**
 * A peer as a process of this machine: its card, a pidfd, and what it has turned out to permit. A pid may come to mean
 * another process; the pidfd cannot.
 */
export class PeerProcess {
  readonly rank: number
  readonly card: Card
  canRead: Permission = 'unknown'
  canWrite: Permission = 'unknown'
  readRefusal: Refusal | null = null
  writeRefusal: Refusal | null = null
  readonly #libc: Libc
  /** Negative errno when there is none. */
  readonly #pidfd: number
  #verified: boolean

  constructor(libc: Libc, rank: number, card: Card) {
    this.#libc = libc
    this.rank = rank
    this.card = card
    this.#pidfd = libc.pidfdOpen(card.pid)
    // In another pid namespace, or with /proc hidden, the start time tells nothing: then the nonce has to.
    const comparable = card.startTime !== 0 && this.isNear
    this.#verified = this.#pidfd >= 0 && comparable && startTime(card.pid) === card.startTime
  }

  /** Whether its pid means the same here as there. */
  get isNear(): boolean {
    const { namespace } = this.card
    return namespace !== 0 && namespace === pidNamespace()
  }

  /** Takes note that the nonce was read under this pid after the pidfd was opened, so both mean the same process. */
  confirm(): void {
    this.#verified = this.#pidfd >= 0
  }

  /** Why this process cannot be told apart from a later one of the same pid, or null when it can. */
  get doubt(): string | null {
    if (this.#pidfd < 0) return `pidfd_open: ${errnoName(-this.#pidfd)}`
    return this.#verified ? null : 'neither its nonce nor its start time could be checked'
  }

  /** Whether the process has ended, asked of the kernel now. */
  hasExited(): boolean {
    if (this.#pidfd < 0) return false
    let answer = this.#libc.hasExited(this.#pidfd)
    // a signal (a profiler's, say) says nothing about the peer; any other error does not let it pass for alive
    for (let i = 0; i < INTERRUPTIONS_MAX && answer === -EINTR; i++) answer = this.#libc.hasExited(this.#pidfd)
    return answer !== 0
  }

  close(): void {
    if (this.#pidfd >= 0) closeSync(this.#pidfd)
  }
}
