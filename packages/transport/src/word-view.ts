/**
 * The memory of an array by words of four bytes, for arrays that are copied from, or to, again and again: a few words are copied
 * in a third of the time that their bytes take. Knows one array at a time.
 */
export class WordView {
  private readonly bytesMax: number
  private known: Uint8Array | null = null
  private words: Int32Array | null = null
  /** Seen once: to make a view costs more than to copy a few bytes without it. */
  private candidate: Uint8Array | null = null

  /** @param bytesMax arrays over longer memory are not taken: it would be kept alive by this. */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }

  /** Null when `bytes` does not begin at a word, and for arrays not seen before. Its length is 0 once the memory is gone. */
  of(bytes: Uint8Array): Int32Array | null {
    return bytes === this.known ? this.words : this.meet(bytes)
  }

  private meet(bytes: Uint8Array): Int32Array | null {
    if (bytes !== this.candidate) {
      this.candidate = bytes
      return null
    }
    this.candidate = null
    const { buffer, byteOffset, length } = bytes
    if (buffer.byteLength > this.bytesMax) return null
    this.known = bytes
    this.words = byteOffset % 4 === 0 ? new Int32Array(buffer, byteOffset, length >> 2) : null
    return this.words
  }
}

/**
 * Copies whole words while there are two, and answers how many bytes that were. Both offsets are multiples of 4; answers 0 where
 * one of the arrays is too short.
 */
export function copyWords(
  into: Int32Array,
  intoOffset: number,
  from: Int32Array,
  fromOffset: number,
  byteLength: number,
): number {
  let to = intoOffset / 4
  let at = fromOffset / 4
  const end = at + (byteLength >> 2)
  if (end > from.length || to + (byteLength >> 2) > into.length) return 0
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
