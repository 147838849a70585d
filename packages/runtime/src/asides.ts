import { newLike, type TypedArray } from './collectives/arrays.js'
import { allocate, arrayOver, elementTypeOf } from './element-type.js'

/** Larger memory is given back at once: nobody may need it again. */
const KEPT_BYTES_MAX = 4 * 1024 * 1024

/**
 * Memory that collectives need while they run. It serves again for the next call: fresh memory of this size costs its page
 * faults (64 us for 512 KiB), and is in no cache.
 */
export class Asides {
  private readonly kept: ArrayBuffer[] = []
  private taken = 0

  /** Memory of the same kind as `like`, not filled; the caller's until {@link giveBack}. */
  take<T extends TypedArray>(like: T, length: number): T {
    const byteLength = length * like.BYTES_PER_ELEMENT
    if (byteLength > KEPT_BYTES_MAX) return newLike(like, length)
    const index = this.taken++
    let memory = this.kept[index]
    if (memory === undefined || memory.byteLength < byteLength) {
      memory = allocate(byteLength)
      this.kept[index] = memory
    }
    return arrayOver(elementTypeOf(like), memory, byteLength) as T
  }

  /** Keeps nothing for the next call. */
  drop(): void {
    this.kept.length = 0
  }

  /** Whatever was taken is free again. */
  giveBack(): void {
    this.taken = 0
  }
}
