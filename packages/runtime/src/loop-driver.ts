// Node's global `performance` is an accessor, which costs as much as asking the clock.
import { performance } from 'node:perf_hooks'
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
/**
 * After this long without traffic the wake-up is armed and the loop sleeps in epoll. To be woken there takes 0.1 to 1 ms, so a
 * shorter wait would have two ranks in conversation put each other to sleep in turn.
 */
const HOT_MILLISECONDS = 2
/**
 * With more ranks than cores somebody else needs this core to answer us: each turn that finds nothing offers it, and the loop
 * sleeps sooner (a barrier of 4 ranks on 2 cores, all on this face, us: 30; without the offer 340; asleep at once 70).
 */
const HOT_MILLISECONDS_CROWDED = 0.2
/**
 * While ranks are in conversation the answer comes sooner than the event loop gets round (1 to 2 us), so an await looks for it
 * this long on the spot …
 */
const SPIN_MILLISECONDS = 0.004
/** … but a chain of awaits only this long after a turn of the loop with traffic: timers and sockets must have theirs. */
const SPIN_MILLISECONDS_PER_TURN = 0.05
const ROUNDS_PER_SPIN_LOOK = 8
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
  readonly #hotMilliseconds: number
  readonly #turn = () => this.#onTurn()
  readonly #wake = () => this.#onWake()
  #scheduled = false
  #armed = false
  #stopped = false
  #hotUntil = 0
  #spinUntil = 0

  constructor(engine: LoopProgress, crowded: boolean) {
    this.#engine = engine
    this.#crowded = crowded
    this.#hotMilliseconds = crowded ? HOT_MILLISECONDS_CROWDED : HOT_MILLISECONDS
  }

  /** Makes sure that progress is made from now on, until nobody waits any more. */
  activate(): void {
    if (this.#scheduled || this.#stopped) return
    this.#hotUntil = 0
    this.#schedule()
  }

  /** Nobody waits any more: lets go of an armed wake-up, which would keep the process alive for a frame that need not come. */
  relax(): void {
    if (this.#armed) this.activate()
  }

  /** Looks a moment for what `until` waits for, where it is likely to come at once. */
  spin(until: { readonly done: boolean }): void {
    if (this.#crowded) return
    let now = performance.now()
    const end = Math.min(now + SPIN_MILLISECONDS, this.#spinUntil)
    while (now < end) {
      for (let round = 0; round < ROUNDS_PER_SPIN_LOOK; round++) {
        this.#engine.progress()
        if (until.done) return
      }
      now = performance.now()
    }
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
    if (this.#hotUntil === 0) this.#hotUntil = start + this.#hotMilliseconds
    let now = start
    let moved = 0
    do {
      for (let round = 0; round < ROUNDS_PER_LOOK && moved === 0; round++) moved = engine.progress()
      now = performance.now()
    } while (moved === 0 && !this.#crowded && now - start < TURN_MILLISECONDS)
    if (moved > 0) {
      this.#hotUntil = now + this.#hotMilliseconds
      this.#spinUntil = now + SPIN_MILLISECONDS_PER_TURN
    }
    if (!engine.wanted) {
      this.#disarm()
    } else if (now < this.#hotUntil || engine.hasWork) {
      if (moved === 0 && now >= this.#hotUntil) {
        this.#retryLater()
      } else {
        if (moved === 0 && this.#crowded) engine.transports[0]?.yield()
        this.#schedule()
      }
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
