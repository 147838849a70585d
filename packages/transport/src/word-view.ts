const NO_BYTES: Uint8Array = new Uint8Array(0)
const NO_WORDS: Int32Array = new Int32Array(0)

/**
 * The memory of an array by words of four bytes, for arrays that are copied from, or to, again and again: a few words are copied
 * in a third of the time that their bytes take. Knows one array at a time.
 */
export class WordView {
  private readonly bytesMax: number
  private known = NO_BYTES
  private words = NO_WORDS
  /** Seen once: to make a view costs more than to copy a few bytes without it. */
  private candidate = NO_BYTES

  /** @param bytesMax arrays over longer memory are not taken: it would be kept alive by this. */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Empty when `bytes` does not begin at a word, for arrays not seen before, and once the memory is gone. */
  of(bytes: Uint8Array): Int32Array {
    return bytes === this.known ? this.words : this.meet(bytes)
  }

  private meet(bytes: Uint8Array): Int32Array {
    const { buffer, byteOffset, length } = bytes
    if (buffer.byteLength > this.bytesMax) return NO_WORDS
    if (bytes !== this.candidate) {
      this.candidate = bytes
      return NO_WORDS
    }
    // divided, not shifted: a segment may be longer than 2 GiB
    const words = byteOffset % 4 === 0 ? new Int32Array(buffer, byteOffset, Math.floor(length / 4)) : NO_WORDS
    this.candidate = NO_BYTES
    this.known = bytes
    this.words = words
    return words
  }
}

/**
 * Copies the whole words of `byteLength` bytes and answers how many bytes those were: up to three may be left. Both offsets, in bytes,
 * are multiples of 4; answers 0, with nothing copied, where one of the arrays is too short.
 */
export function copyWords(
  into: Int32Array,
  intoOffset: number,
  from: Int32Array,
  fromOffset: number,
  byteLength: number,
): number {
  const count = byteLength >> 2
  let to = intoOffset / 4
  let at = fromOffset / 4
  const end = at + count
  if (end > from.length || to + count > into.length) return 0
  // two a turn: V8 checks anew in each turn what it knows of the arrays
  while (at + 1 < end) {
    into[to] = from[at] as number
    into[to + 1] = from[at + 1] as number
    at += 2
    to += 2
  }
  if (at < end) into[to] = from[at] as number
  return byteLength & ~3
}
