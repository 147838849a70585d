import { OnecopyError } from '@onecopy/transport'

/**
 * The numbers that keep communicators apart. A communicator has two contexts, one for point-to-point and the next for
 * collectives, so a number here stands for a pair:
 *
 *     context = 2 * (generation * SLOTS + slot) [+ 1]        slot = 1 + index * size + minter;  0 is the world's
 *
 * Every rank mints from slots of its own, so no two mint the same and nothing has to be agreed but who mints. A slot serves
 * again, under its next generation, once its minter has given the communicator up, whatever the others do: a number never
 * comes again, so a rank that still has the old one, has heard of one that was not made in the end, or has died, takes
 * nothing for something else and holds up nobody. Each rank remembers what it has given up, a bit per generation: a frame
 * that is late for it finds nobody.
 */
export class ContextTable {
  readonly #rank: number
  readonly #size: number
  /** By index of an own slot: the generation that is in use, or comes next. */
  readonly #generations: number[] = []
  readonly #free: number[] = []
  /** By slot: the generations that were given up here. */
  readonly #over = new Map<number, Uint32Array>()

  /** `rank` of `size`: of the job, not of some communicator. */
  constructor(rank: number, size: number) {
    this.#rank = rank
    this.#size = size
  }

  /**
   * A number for a communicator that this rank will be in. Nobody else has it.
   * @throws OnecopyError ERR_LIMIT when this rank holds all that it can have.
   */
  mint(): number {
    const index = this.#free.pop() ?? this.#generations.length
    const slot = 1 + index * this.#size + this.#rank
    if (slot >= SLOTS)
      throw new OnecopyError('ERR_LIMIT', `this rank has made ${index} communicators that are not freed`)
    if (index === this.#generations.length) this.#generations.push(0)
    return 2 * ((this.#generations[index] as number) * SLOTS + slot)
  }

  /** Takes back a number of its own that nobody will ever use. */
  unmint(context: number): void {
    this.#free.push(this.#indexOf(context))
  }

  /** This rank has given `context` up, or could not make the communicator. */
  freed(context: number): void {
    const pair = context >>> 1
    const generation = Math.floor(pair / SLOTS)
    let over = this.#over.get(pair % SLOTS)
    if (over === undefined) {
      over = new Uint32Array(GENERATIONS / 32)
      this.#over.set(pair % SLOTS, over)
    }
    over[generation >>> 5]! |= 1 << (generation & 31)
    const index = this.#indexOf(context)
    const isOwn = ((pair % SLOTS) - 1) % this.#size === this.#rank
    if (!isOwn || this.#generations[index] !== generation) return
    this.#generations[index] = generation + 1
    // a number never comes again: a slot whose generations are used up is retired
    if (generation + 1 < GENERATIONS) this.#free.push(index)
  }

  /** Whether `context` has been given up here: what comes on it is late. */
  isOver(context: number): boolean {
    const pair = context >>> 1
    const generation = Math.floor(pair / SLOTS)
    const over = this.#over.get(pair % SLOTS)
    return over !== undefined && ((over[generation >>> 5] as number) & (1 << (generation & 31))) !== 0
  }

  /** How many own slots there have ever been: flat when communicators are freed as they are made. */
  get slotCount(): number {
    return this.#generations.length
  }

  #indexOf(context: number): number {
    return Math.floor((((context >>> 1) % SLOTS) - 1) / this.#size)
  }
}

/** The slot of a context that is the first on its slot in the life of the job; -1 for those that came later. */
export function firstUseOf(context: number): number {
  const pair = context >>> 1
  return pair < SLOTS ? pair : -1
}

/** Contexts are int32 words. */
const GENERATIONS = 1024
const SLOTS = 2 ** 30 / GENERATIONS
