import { NESTING_MAX } from './msgpack.js'
import { survivesUtf8 } from './value-table.js'

/** Looking through this many objects one by one is quicker than a Set. */
const FEW = 16

/**
 * Tells which values can be written as they stand: trees of primitives, dense arrays and plain objects, nothing met twice,
 * nested {@link NESTING_MAX} deep at most. Nearly every small message is one. Kept from call to call for its memory.
 */
export class PlainTree {
  readonly #few: (object | undefined)[] = new Array<object | undefined>(FEW).fill(undefined)
  readonly #many = new Set<object>()
  #count = 0
  #isBusy = false

  /** Whether `value` is such a tree. Reads getters; what they throw comes through. */
  holds(value: unknown): boolean {
    // A getter may send something itself, and so come here again.
    if (this.#isBusy) return new PlainTree().holds(value)
    this.#isBusy = true
    try {
      return this.#isPlain(value, NESTING_MAX)
    } finally {
      if (this.#count > FEW) this.#many.clear()
      const used = Math.min(this.#count, FEW)
      for (let i = 0; i < used; i++) this.#few[i] = undefined
      this.#count = 0
      this.#isBusy = false
    }
  }

  #isPlain(value: unknown, levels: number): boolean {
    switch (typeof value) {
      case 'string':
        return survivesUtf8(value)
      case 'number':
        return value !== 0 || 1 / value > 0
      case 'object':
        break
      case 'function':
      case 'symbol':
        return false
      default:
        return true
    }
    if (value === null) return true
    if (levels === 0) return false
    if (Array.isArray(value)) {
      if (this.#isMetAgain(value)) return false
      for (let i = 0; i < value.length; i++) {
        const item: unknown = value[i]
        if (item === undefined ? !(i in value) : !this.#isPlain(item, levels - 1)) return false
      }
      return true
    }
    if (Object.getPrototypeOf(value) !== Object.prototype || this.#isMetAgain(value)) return false
    for (const key in value) {
      if (key === '__proto__' || !survivesUtf8(key)) return false
      if (!this.#isPlain((value as Record<string, unknown>)[key], levels - 1)) return false
    }
    return true
  }

  #isMetAgain(object: object): boolean {
    const count = this.#count++
    if (count >= FEW) {
      if (count === FEW) for (const one of this.#few) this.#many.add(one as object)
      if (this.#many.has(object)) return true
      this.#many.add(object)
      return false
    }
    for (let i = 0; i < count; i++) if (this.#few[i] === object) return true
    this.#few[count] = object
    return false
  }
}
