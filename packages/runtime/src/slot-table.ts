/**
 * Objects by a small number that can travel in a frame. Numbers are reused only after a whole round of the table, and carry
 * a generation, so that a late frame for a finished exchange finds nothing.
 */
export class SlotTable<T> {
  readonly #items: (T | null)[] = []
  readonly #generations: number[] = []
  readonly #free: number[] = []
  #count = 0

  get count(): number {
    return this.#count
  }

  add(item: T): number {
    let index = this.#free.pop()
    if (index === undefined) {
      index = this.#items.length
      if (index >= INDEX_LIMIT) throw new RangeError(`more than ${INDEX_LIMIT} large messages under way at once`)
      this.#items.push(null)
      this.#generations.push(0)
    }
    this.#items[index] = item
    this.#count++
    return (this.#generations[index]! << INDEX_BITS) | index
  }

  get(id: number): T | null {
    const index = id & INDEX_MASK
    if (index >= this.#items.length || this.#generations[index] !== id >>> INDEX_BITS) return null
    return this.#items[index]!
  }

  remove(id: number): void {
    const index = id & INDEX_MASK
    if (this.get(id) === null) return
    this.#items[index] = null
    this.#generations[index] = (this.#generations[index]! + 1) & GENERATION_MASK
    this.#free.push(index)
    this.#count--
  }

  /** A snapshot: safe to remove while walking. */
  items(): T[] {
    return this.#items.filter((item): item is NonNullable<typeof item> => item !== null)
  }
}

const INDEX_BITS = 20
const INDEX_LIMIT = 2 ** INDEX_BITS
const INDEX_MASK = INDEX_LIMIT - 1
const GENERATION_MASK = 0x7ff
