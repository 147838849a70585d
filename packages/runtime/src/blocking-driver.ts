// Node's global `performance` is an accessor, which costs as much as asking the clock.
import { performance } from 'node:perf_hooks'
import type { Transport } from '@onecopy/transport'

/** What a blocked thread needs of the engine. */
export interface Progressing {
  readonly transports: readonly Transport[]
  /** Where notices about other ranks come from: see `JobLink.pump`. */
  readonly link: { pump(): void }
  /** One round, which takes that many frames from each transport; answers how much happened. */
  progress(framesMax: number): number
  /** The thread goes on with something else: what is left to do is the event loop's. */
  handOver(): void
}

/** What a blocked thread waits for. */
export interface Waited {
  readonly done: boolean
  /** Whether who brings it about has offered its core to others; undefined, or not there, where that is not known. */
  readonly isAway?: boolean | undefined
}

/**
 * A thread that waits takes one frame at a time and looks whether it may go on: the frame behind is often meant for the receive
 * that it is about to post, and would be kept as unexpected (two ranks in step, one a little late, stay so: 0.45 us instead of 0.22).
 */
const FRAMES_PER_ROUND = 1
/** Empty rounds before the clock is read: some 5 us of spinning on rings. */
const ROUNDS_PER_LOOK = 1024
/** With more ranks than cores somebody else needs this core to answer us: offer it after a few rounds … */
const CROWDED_ROUNDS = 8
/** … at once if whom we wait for is away, and if not, look for as long as it would take to get this core back. */
const CROWDED_ROUNDS_MAX = 32
/** So often before the clock is read, which takes a tenth of what it takes to offer the core to ranks that wait, and get it back. */
const OFFERS_PER_LOOK = 8
/**
 * Where somebody computes on this core, an offer may last for milliseconds, longer than this rank should stay awake. After one that did, so
 * many others are made without going on before the clock has been read.
 */
const WARY_OFFERS = 64
/**
 * How long a rank stays awake before it sleeps: spinning where it has a core, else yielding. It never yields where it has one:
 * two ranks that the scheduler happened to put on the same core would take turns there for ever (220 us a hop), and it would
 * see no reason to use the other. To be woken costs 50 us and more; a pause this short is most likely a peer that computes.
 */
const AWAKE_MILLISECONDS = 4
/**
 * Where ranks take turns, all that are awake get theirs before the one that has something to do (a token around 8 ranks on 2
 * cores: 180 us a hop for 550).
 */
const AWAKE_MILLISECONDS_CROWDED = 0.2
/** Rounds between two sleeps. */
const SLEEPY_ROUNDS = 8
/** The longest sleep: notices about other ranks come by the link, and a sleeping thread must look for them. */
const PARK_MILLISECONDS_MAX = 40
/** With several transports only one can be slept on at a time. */
const PARK_MILLISECONDS_SHARED = 1
/**
 * With several jobs, a rank that has waited for long sleeps longer where it waits, or its wake-ups alone would take 4 % of a
 * core. What comes in another job waits this long for an answer then.
 */
const PARK_MILLISECONDS_OWN = 10
const LONG_MILLISECONDS = 100
const PUMP_MILLISECONDS = 10

/**
 * The blocking face's way to wait: spin or yield a little, then park in the kernel. Uses no CPU once parked; reads the link
 * now and then, so that a dead peer or a lost launcher ends the wait.
 */
export class BlockingDriver {
  /** What a blocked thread moves: one job's engine, or all of the process's. */
  engine: Progressing
  private readonly own: Progressing
  private readonly crowded: boolean
  private readonly awakeMilliseconds: number
  private pumpedAt = 0
  /** Offers of this core that are still to be made one by one, with a look at the clock after each. */
  private wary = 0

  constructor(engine: Progressing, crowded: boolean) {
    this.engine = engine
    this.own = engine
    this.crowded = crowded
    this.awakeMilliseconds = crowded ? AWAKE_MILLISECONDS_CROWDED : AWAKE_MILLISECONDS
  }

  /** Blocks until `until.done`. */
  block(until: Waited): void {
    if (!this.crowded) {
      const engine = this.engine
      let quiet = 0
      while (quiet < ROUNDS_PER_LOOK) {
        if (engine.progress(FRAMES_PER_ROUND) !== 0) quiet = 0
        else quiet++
        if (until.done) return
      }
    } else if (this.wary === 0) {
      this.takeTurns(until, 1)
      if (until.done) return
    }
    this.wait(until)
  }

  /** The slow half, apart so that the hot half stays small enough to inline. */
  private wait(until: Waited): void {
    let lookedAt = performance.now()
    let quietSince = lookedAt
    let quiet = 0
    let offers = 1
    for (;;) {
      const isAwake = quiet < this.awakeMilliseconds
      let moved = 0
      if (!isAwake) moved = this.spin(until, SLEEPY_ROUNDS)
      else moved = this.crowded ? this.takeTurns(until, offers) : this.spin(until, ROUNDS_PER_LOOK)
      const isOver = until.done
      if (isOver && this.wary === 0) return
      const now = performance.now()
      if (this.crowded && isAwake) {
        if (now - lookedAt >= offers * this.awakeMilliseconds) this.wary = WARY_OFFERS
        else if (this.wary > 0) this.wary--
      }
      if (isOver) return
      lookedAt = now
      offers = this.wary > 0 ? 1 : OFFERS_PER_LOOK
      // another job may have come to this process, or gone
      const engine = this.engine
      if (moved !== 0) quietSince = now
      if (now - this.pumpedAt >= PUMP_MILLISECONDS) {
        this.pumpedAt = now
        engine.link.pump()
      }
      quiet = now - quietSince
      if (quiet >= this.awakeMilliseconds) this.park(quiet)
    }
  }

  /** Looks for a moment and offers this core to others, so many times; answers how much has happened. */
  private takeTurns(until: Waited, offers: number): number {
    let moved = 0
    for (let offer = 0; offer < offers; offer++) {
      moved += this.spinBetweenOffers(until)
      if (until.done) return moved
      this.engine.transports[0]?.yield()
      if (until.done) return moved
    }
    return moved
  }

  /** Looks for as long as is worth it before the next offer, and while something comes; answers how much has happened. */
  private spinBetweenOffers(until: Waited): number {
    const engine = this.engine
    let moved = 0
    let quiet = 0
    for (let round = 0; round < ROUNDS_PER_LOOK && quiet < CROWDED_ROUNDS_MAX; round++) {
      if (engine.progress(FRAMES_PER_ROUND) === 0) quiet++
      else {
        moved++
        quiet = 0
      }
      if (until.done) return moved
      const { isAway } = until
      if (isAway ?? quiet >= CROWDED_ROUNDS) return moved
    }
    return moved
  }

  private spin(until: Waited, rounds: number): number {
    const engine = this.engine
    let moved = 0
    for (let round = 0; round < rounds && !until.done; round++) moved += engine.progress(FRAMES_PER_ROUND)
    return moved
  }

  private park(quiet: number): void {
    const { transports } = this.engine
    if (transports.length === 1) {
      transports[0]!.park(PARK_MILLISECONDS_MAX)
    } else {
      const own = this.engine !== this.own && quiet >= LONG_MILLISECONDS ? this.own.transports : []
      for (const transport of transports) {
        transport.park(own.includes(transport) ? PARK_MILLISECONDS_OWN : PARK_MILLISECONDS_SHARED)
      }
      if (transports.length === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PARK_MILLISECONDS_MAX)
    }
  }
}
