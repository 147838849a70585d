import { OnecopyError } from '@onecopy/transport'

/**
 * The numbers that keep communicators apart. A communicator has two contexts, one for point-to-point and the next for
 * collectives, so a number here stands for a pair:
 *
 *     context = 2 * (generation * SLOTS + slot) [+ 1]        slot = 1 + index * size + minter;  0 is the world's
 *
 * Every rank mints from slots of its own, so no two mint the same and nothing has to be agreed but who mints. Giving a
 * communicator up is not collective; each rank tells the minter when they next make a communicator together. When all have,
 * the slot serves again, under its next generation: a frame that was late for the old one finds nobody.
 */
export class ContextTable {
  readonly #rank: number
  readonly #size: number
  /** By index of an own slot: the members that have not given it up; 0 when it is free. */
  readonly #holders: number[] = []
  readonly #generations: number[] = []
  readonly #free: number[] = []
  /** By slot: the last generations that were given up here. */
  readonly #over = new Map<number, number[]>()
  /** Given up here, and their minters have not been told. */
  #untold: number[] = []

  /** `rank` of `size`: of the job, not of some communicator. */
  constructor(rank: number, size: number) {
    this.#rank = rank
    this.#size = size
  }

  /**
   * A number for a communicator of `memberCount` ranks. Nobody else has it.
   * @throws OnecopyError ERR_LIMIT when this rank holds all that it can have.
   */
  mint(memberCount: number): number {
    const index = this.#free.pop() ?? this.#holders.length
    const slot = this.#slot(index)
    if (slot >= SLOTS) {
      throw new OnecopyError('ERR_LIMIT', `this rank has made ${index} communicators that are not freed on all ranks`)
    }
    if (index === this.#holders.length) this.#generations.push(0)
    this.#holders[index] = memberCount
    return 2 * ((this.#generations[index] as number) * SLOTS + slot)
  }

  /** Says how many ranks the communicator has after all. */
  share(context: number, memberCount: number): void {
    this.#holders[this.#indexOf(context)] = memberCount
  }

  /** Takes a number back that nobody has heard of. */
  unmint(context: number): void {
    const index = this.#indexOf(context)
    this.#holders[index] = 0
    this.#free.push(index)
  }

  /** This rank has given `context` up. */
  freed(context: number): void {
    const pair = context >>> 1
    const generations = this.#over.get(pair % SLOTS)
    if (generations === undefined) this.#over.set(pair % SLOTS, [Math.floor(pair / SLOTS)])
    else {
      generations.push(Math.floor(pair / SLOTS))
      if (generations.length > REMEMBERED_MAX) generations.shift()
    }
    if (minterOf(context, this.#size) === this.#rank) this.#letGo(context)
    else this.#untold.push(context & ~1)
  }

  /** Whether `context` has been given up here: what comes on it is late. */
  isOver(context: number): boolean {
    const pair = context >>> 1
    return this.#over.get(pair % SLOTS)?.includes(Math.floor(pair / SLOTS)) === true
  }

  /** What `members` (ranks of the job) have to hear of contexts given up here: only what one of them has minted. */
  report(members: readonly number[]): number[] {
    const told: number[] = []
    if (this.#untold.length === 0) return told
    const present = new Set(members)
    this.#untold = this.#untold.filter((context) => {
      if (!present.has(minterOf(context, this.#size))) return true
      told.push(context)
      return false
    })
    return told
  }

  /** Another rank's report. */
  learn(contexts: readonly number[]): void {
    for (const context of contexts) if (minterOf(context, this.#size) === this.#rank) this.#letGo(context)
  }

  /** How many own slots there have ever been: flat when communicators are freed as they are made. */
  get slotCount(): number {
    return this.#holders.length
  }

  #letGo(context: number): void {
    const index = this.#indexOf(context)
    const generation = Math.floor((context >>> 1) / SLOTS)
    if (generation !== this.#generations[index] || (this.#holders[index] as number) === 0) return
    if (--(this.#holders[index] as number) > 0) return
    this.#generations[index] = generation + 1
    // a number never comes again: a slot whose generations are used up is retired
    if (generation + 1 < GENERATIONS) this.#free.push(index)
  }

  #slot(index: number): number {
    return 1 + index * this.#size + this.#rank
  }

  #indexOf(context: number): number {
    return Math.floor((((context >>> 1) % SLOTS) - 1) / this.#size)
  }
}

/** Contexts are int32 words. */
const GENERATIONS = 1024
/** Own past generations that late frames are told by: they are late by a message or two, not by many communicators. */
const REMEMBERED_MAX = 8
const SLOTS = 2 ** 30 / GENERATIONS

function minterOf(context: number, size: number): number {
  return (((context >>> 1) % SLOTS) - 1) % size
}
