import { bytesOf, elementTypeOf, VALUE } from './element-type.js'

/** What is to be known of an array before its memory can travel. */
export interface KnownArray {
  readonly array: unknown
  /** Its element type; {@link VALUE} for what is no array at all. */
  readonly type: number
  /** Its memory, byteOffset honoured; empty for a value. */
  readonly bytes: Uint8Array
  /** As long as `bytes` is of this length, its memory is still there. */
  readonly length: number
}

/** Arrays kept: a handful covers a loop over what it sends and what it receives into. */
const KEPT = 4
/** Memory of larger arrays is not kept alive. */
const KEPT_BYTES_MAX = 64 * 1024

const NO_BYTES = new Uint8Array(0)
const NOTHING: KnownArray = { array: null, type: VALUE, bytes: NO_BYTES, length: 0 }

/**
 * Element types and bytes of the caller's arrays. A loop sends the same few small arrays again and again: the last {@link KEPT}
 * of them are kept, so that nothing has to be found out, and no view be made, each time.
 */
export class KnownArrays {
  private last: KnownArray = NOTHING
  private readonly kept: KnownArray[] = new Array(KEPT).fill(NOTHING)
  private next = 0

  /** @throws TypeError when the array's memory has been transferred away. */
  of(array: unknown): KnownArray {
    const { last } = this
    return last.array === array && last.bytes.length === last.length ? last : this.find(array)
  }

  private find(array: unknown): KnownArray {
    for (let i = 0; i < KEPT; i++) {
      const known = this.kept[i]!
      if (known.array !== array || known.bytes.length !== known.length) continue
      this.last = known
      return known
    }
    return this.learn(array)
  }

  private learn(array: unknown): KnownArray {
    const type = elementTypeOf(array)
    if (type === VALUE) return NOTHING
    // length 0 may be memory that has been transferred away: the long way finds out
    const bytes = array instanceof Uint8Array && array.length > 0 ? array : bytesOf(array)
    const known = { array, type, bytes, length: bytes.length }
    const { buffer } = bytes
    const mayBeKept = bytes.length > 0 || array instanceof Uint8Array
    if (mayBeKept && buffer.byteLength <= KEPT_BYTES_MAX && !isResizable(buffer)) {
      this.kept[this.next] = known
      this.next = (this.next + 1) % KEPT
      this.last = known
    }
    return known
  }
}

/** Whether arrays over `buffer` may grow. */
function isResizable(buffer: ArrayBufferLike): boolean {
  return 'resizable' in buffer ? buffer.resizable : buffer.growable
}
