import type { LauncherMessage } from './control-message.js'

export interface ExchangeOptions {
  readonly size: number
  /** How long the ranks that have arrived wait for the next one. */
  readonly startTimeoutMs: number
  /** What a rank is called in errors; by default `rank 3`. */
  readonly nameOf?: (rank: number) => string
  readonly send: (rank: number, message: LauncherMessage) => void
  /** Told once when the ranks that have arrived gave up waiting for the `missing` ones. */
  readonly onStartTimeout: (missing: readonly number[]) => void
}

/** Who ended too early, and how, in words. */
export interface EarlyEnd {
  readonly rank: number
  readonly text: string
}

/**
 * The launcher's side of `JobLink.allgather`: collects one card per rank and round, and hands everybody all of them. A
 * round that can never be complete is refused to everyone who waits for it.
 */
export class Exchange {
  readonly #options: ExchangeOptions
  readonly #cards: unknown[]
  /** The next round of each rank; a rank waits in round r when its next one is r+1 and r is the current round. */
  readonly #next: Int32Array
  readonly #ended = new Map<number, string>()
  #earlyEnd: EarlyEnd | null = null
  #round = 0
  #arrived = 0
  #timer: NodeJS.Timeout | null = null

  constructor(options: ExchangeOptions) {
    this.#options = options
    this.#cards = new Array(options.size).fill(null)
    this.#next = new Int32Array(options.size)
  }

  /** The rank that ended while others waited for its card; null when there was none. */
  get earlyEnd(): EarlyEnd | null {
    return this.#earlyEnd
  }

  /** Whether `rank` has joined the job: it has given its first card. */
  joined(rank: number): boolean {
    return (this.#next[rank] as number) > 0
  }

  /**
   * Takes `rank`'s card for `round`.
   * @throws Error when the rank is not in that round.
   */
  card(rank: number, round: number, card: unknown): void {
    if (round !== this.#round || this.#next[rank] !== round) throw new Error(`a card for round ${round} out of turn`)
    this.#next[rank] = round + 1
    this.#cards[rank] = card
    this.#arrived++
    if (this.#refuseWhatCannotComplete()) return
    if (this.#arrived === this.#options.size) this.#complete()
    else this.#restartTimer()
  }

  /** Learns that `rank` has ended, `how` in words; rounds that miss its card are refused from now on. */
  ended(rank: number, how: string): void {
    this.#ended.set(rank, how)
    this.#refuseWhatCannotComplete()
  }

  /** Stops waiting for anybody. Idempotent. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #complete(): void {
    this.close()
    const message: LauncherMessage = { type: 'gathered', round: this.#round, cards: [...this.#cards] }
    this.#cards.fill(null)
    this.#arrived = 0
    this.#round++
    for (let rank = 0; rank < this.#options.size; rank++) this.#options.send(rank, message)
  }

  #refuseWhatCannotComplete(): boolean {
    for (const [rank, how] of this.#ended) {
      if ((this.#next[rank] as number) > this.#round) continue
      const when = this.joined(rank) ? 'before the job had started' : 'before it called init()'
      this.#earlyEnd = { rank, text: `${this.#options.nameOf?.(rank) ?? `rank ${rank}`} ended ${when}: ${how}` }
      this.#refuse('ERR_EARLY_EXIT', this.#earlyEnd.text, rank)
      return true
    }
    return false
  }

  #refuse(code: 'ERR_EARLY_EXIT' | 'ERR_START_TIMEOUT', message: string, culprit: number): void {
    this.close()
    for (let rank = 0; rank < this.#options.size; rank++) {
      if (this.#next[rank] !== this.#round + 1) continue
      this.#options.send(rank, { type: 'refused', round: this.#round, code, message, rank: culprit })
    }
  }

  #restartTimer(): void {
    this.close()
    this.#timer = setTimeout(() => {
      const missing: number[] = []
      for (let rank = 0; rank < this.#options.size; rank++) if (this.#next[rank] === this.#round) missing.push(rank)
      this.#refuse(
        'ERR_START_TIMEOUT',
        startTimeoutText(missing, this.#options.startTimeoutMs, this.#options.nameOf),
        missing[0] as number,
      )
      this.#options.onStartTimeout(missing)
    }, this.#options.startTimeoutMs)
  }
}

/** What a start that did not happen in time is called. */
export function startTimeoutText(
  missing: readonly number[],
  milliseconds: number,
  nameOf: ((rank: number) => string) | null = null,
): string {
  const who =
    nameOf !== null && missing.length === 1
      ? nameOf(missing[0] as number)
      : `${missing.length === 1 ? 'rank' : 'ranks'} ${listRanks(missing)}`
  return `${who} did not call init() within ${milliseconds / 1000} s (--start-timeout)`
}

/** `0, 1, 2 and 61 more`: a list a line can hold. */
export function listRanks(ranks: readonly number[]): string {
  const shown = 8
  const list = ranks.slice(0, shown).join(', ')
  return ranks.length > shown ? `${list} and ${ranks.length - shown} more` : list
}
