import type { Transport } from '@onecopy/transport'

/** What the event-loop face needs of the engine. */
export interface LoopProgress {
  readonly transports: readonly Transport[]
  /** One round; answers how much happened. */
  progress(): number
  /** Somebody waits for something, or something is still on its way out. */
  readonly wanted: boolean
  /** Work that no frame will wake us for: backlogs, transfers, unsent bytes. */
  readonly hasWork: boolean
}

/** Polls at most this long in one turn of the event loop: below what anybody's timer would notice. */
const TURN_MILLISECONDS = 0.02
/** After this long without traffic the wake-up is armed and the loop sleeps in epoll. */
const HOT_MILLISECONDS = 0.3
/** Between two looks while frames wait for room at a sleeping peer. */
const RETRY_MILLISECONDS = 1
const ROUNDS_PER_LOOK = 32

/**
 * The event-loop face's way to wait: a few turns of setImmediate that poll while traffic is hot, then the transports'
 * wake-ups and sleep. Does nothing, and keeps nothing alive, while nobody waits.
 */
export class LoopDriver {
  readonly #engine: LoopProgress
  readonly #crowded: boolean
  readonly #turn = () => this.#onTurn()
  readonly #wake = () => this.#onWake()
  #scheduled = false
  #armed = false
  #stopped = false
  #hotUntil = 0

  constructor(engine: LoopProgress, crowded: boolean) {
    this.#engine = engine
    this.#crowded = crowded
  }

  /** Makes sure that progress is made from now on, until nobody waits any more. */
  activate(): void {
    if (this.#scheduled || this.#stopped) return
    this.#hotUntil = 0
    this.#schedule()
  }

  /** Never drives again: the end of the job. */
  stop(): void {
    this.#stopped = true
    this.#disarm()
  }

  #schedule(): void {
    this.#scheduled = true
    setImmediate(this.#turn)
  }

  #onTurn(): void {
    this.#scheduled = false
    if (this.#stopped) return
    const engine = this.#engine
    const start = performance.now()
    if (this.#hotUntil === 0) this.#hotUntil = start + HOT_MILLISECONDS
    let now = start
    let moved = 0
    do {
      for (let round = 0; round < ROUNDS_PER_LOOK && moved === 0; round++) moved = engine.progress()
      now = performance.now()
    } while (moved === 0 && !this.#crowded && now - start < TURN_MILLISECONDS)
    if (moved > 0) this.#hotUntil = now + HOT_MILLISECONDS
    if (!engine.wanted) {
      this.#disarm()
    } else if (now < this.#hotUntil || engine.hasWork) {
      if (moved === 0 && now >= this.#hotUntil) this.#retryLater()
      else this.#schedule()
    } else {
      this.#sleep()
    }
  }

  #retryLater(): void {
    this.#scheduled = true
    setTimeout(this.#turn, RETRY_MILLISECONDS)
  }

  #sleep(): void {
    if (this.#armed) return
    this.#armed = true
    for (const transport of this.#engine.transports) {
      if (transport.onWake(this.#wake)) continue
      this.#onWake()
      return
    }
  }

  #onWake(): void {
    this.#disarm()
    this.activate()
  }

  #disarm(): void {
    if (!this.#armed) return
    this.#armed = false
    for (const transport of this.#engine.transports) transport.onWake(null)
  }
}
