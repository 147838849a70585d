/**
 * A set that is looked at on every poll and nearly always empty: whether it is, is a plain field, because `Set.size` is a
 * call (5 ns, three times per poll; a hop between two ranks takes 60).
 */
export class WorkSet<T> implements Iterable<T> {
  isEmpty = true
  readonly #items = new Set<T>()

  add(item: T): void {
    this.#items.add(item)
    this.isEmpty = false
  }

  delete(item: T): void {
    this.#items.delete(item)
    this.isEmpty = this.#items.size === 0
  }

  [Symbol.iterator](): IterableIterator<T> {
    return this.#items[Symbol.iterator]()
  }
}
