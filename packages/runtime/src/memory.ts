/** Up to here a byte loop beats `set`; measured with transport-cma/bench/copy-cost.mjs, Node 20. */
const LOOP_BYTES_MAX = 24
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
  readonly #sources: (Uint8Array | null)[] = new Array(PLACES).fill(null)
  readonly #views: Uint8Array[] = new Array(PLACES).fill(new Uint8Array(0))
  readonly #offsets = new Float64Array(PLACES)

  copy(into: Uint8Array, intoOffset: number, from: Uint8Array, fromOffset: number, byteLength: number): void {
    if (byteLength <= LOOP_BYTES_MAX) {
      for (let i = 0; i < byteLength; i++) into[intoOffset + i] = from[fromOffset + i]!
    } else if (fromOffset === 0 && byteLength === from.length) {
      into.set(from, intoOffset)
    } else {
      into.set(this.#viewOf(from, fromOffset, byteLength), intoOffset)
    }
  }

  #viewOf(from: Uint8Array, offset: number, byteLength: number): Uint8Array {
    const place = Math.imul(offset >>> PLACE_SHIFT, 0x9e3779b1) >>> PLACES_SHIFT
    if (this.#sources[place] === from && this.#offsets[place] === offset) {
      const kept = this.#views[place]!
      if (kept.length === byteLength) return kept
    }
    const view = new Uint8Array(from.buffer, from.byteOffset + offset, byteLength)
    this.#sources[place] = from
    this.#offsets[place] = offset
    this.#views[place] = view
    return view
  }
}

/** Memory of its own with the same bytes. Not `slice`: a Buffer's slice shares memory. */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}

/** Views kept by {@link ByteViews}: a handful covers a loop over its send and receive arrays. */
const KEPT_VIEWS = 4
/** Memory of larger arrays is not kept alive by the cache. */
const KEPT_BYTES_MAX = 64 * 1024

/**
 * Bytes of the caller's arrays, without making a view each time the same small array is sent again. Holds on to the last
 * {@link KEPT_VIEWS} small arrays; nothing larger.
 */
export class ByteViews {
  readonly #keys: (ArrayBufferView | null)[] = new Array(KEPT_VIEWS).fill(null)
  readonly #views: Uint8Array[] = new Array(KEPT_VIEWS).fill(new Uint8Array(0))
  #next = 0

  /** `view`'s memory as bytes, byteOffset honoured. Uint8Arrays and Buffers come back as they are. */
  of(view: ArrayBufferView): Uint8Array {
    if (view instanceof Uint8Array) return view
    for (let i = 0; i < KEPT_VIEWS; i++) {
      if (this.#keys[i] === view) {
        const kept = this.#views[i]!
        // a detached or resized buffer shows in the length
        if (kept.byteLength === view.byteLength) return kept
      }
    }
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
    if (view.buffer.byteLength <= KEPT_BYTES_MAX) {
      this.#keys[this.#next] = view
      this.#views[this.#next] = bytes
      this.#next = (this.#next + 1) % KEPT_VIEWS
    }
    return bytes
  }
}
