import { copyWords, WordView } from '@onecopy/transport'

/** `set` by itself: to look it up in an array takes V8 a third of the whole call (Node 20). */
const setBytes = Uint8Array.prototype.set
/** Up to here a loop beats `set`; measured with transport-cma/bench/copy-cost.mjs, Node 20. */
const LOOP_BYTES_MAX = 24
/** Memory of longer arrays is not kept alive. */
const TARGET_BYTES_MAX = 64 * 1024
/** A power of two. A ring of 512 KiB has so many places of 512 bytes; a view is some 100 bytes. */
const PLACES_SHIFT = 20
const PLACES = 2 ** (32 - PLACES_SHIFT)
/** Payloads in shared memory begin at multiples of this. */
const PLACE_SHIFT = 6

/**
 * Copies bytes out of a transport's memory. `set` wants a view of exactly the bytes to copy, and to make one costs three times
 * what `set` itself does (70 ns); frames lie in the same places again and again, so the views of the last places are kept.
 */
export class ByteCopier {
  private readonly viewed: (Uint8Array | null)[] = new Array(PLACES).fill(null)
  private readonly views: Uint8Array[] = new Array(PLACES).fill(new Uint8Array(0))
  private readonly targets = new WordView(TARGET_BYTES_MAX)
  private readonly sources = new WordView(Number.POSITIVE_INFINITY)
  private readonly offsets = new Float64Array(PLACES)

  copy(into: Uint8Array, intoOffset: number, from: Uint8Array, fromOffset: number, byteLength: number): void {
    if (byteLength <= LOOP_BYTES_MAX) {
      this.copyShort(into, intoOffset, from, fromOffset, byteLength)
    } else if (fromOffset === 0 && byteLength === from.length) {
      setBytes.call(into, from, intoOffset)
    } else {
      setBytes.call(into, this.viewOf(from, fromOffset, byteLength), intoOffset)
    }
  }

  private copyShort(into: Uint8Array, intoOffset: number, from: Uint8Array, fromOffset: number, byteLength: number) {
    let done = 0
    if (((intoOffset | fromOffset) & 3) === 0) {
      done = copyWords(this.targets.of(into), intoOffset, this.sources.of(from), fromOffset, byteLength)
    }
    for (; done < byteLength; done++) into[intoOffset + done] = from[fromOffset + done]!
  }

  private viewOf(from: Uint8Array, offset: number, byteLength: number): Uint8Array {
    const place = Math.imul(offset >>> PLACE_SHIFT, 0x9e3779b1) >>> PLACES_SHIFT
    if (this.viewed[place] === from && this.offsets[place] === offset) {
      const kept = this.views[place]!
      if (kept.length === byteLength) return kept
    }
    const view = new Uint8Array(from.buffer, from.byteOffset + offset, byteLength)
    this.viewed[place] = from
    this.offsets[place] = offset
    this.views[place] = view
    return view
  }
}

/** Memory of its own with the same bytes. Not `slice`: a Buffer's slice shares memory. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}
