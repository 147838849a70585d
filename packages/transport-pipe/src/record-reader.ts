import { FRAME_WORDS_MAX } from '@onecopy/transport'
import {
  AUTH,
  endMarkOf,
  HEADER_BYTES,
  HEADER_WORDS,
  KIND,
  KIND_BULK,
  KIND_CREDIT,
  KIND_INLINE,
  KIND_MASK,
  LENGTH,
  MAGIC,
  RECORD_BYTES,
  RECORD_BYTES_MAX,
  RECORD_BYTES_MIN,
  RECORD_MAGIC,
  recordBytesOf,
  SEQUENCE,
  SOURCE,
  WORD_COUNT_SHIFT,
} from './record.js'

/** What {@link RecordReader.next} found. */
export const FOUND_NOTHING = 0
export const FOUND_RECORD = 1
/** A record that its source, which is proven, has put together wrongly: `source` and `complaint` say whose and how. */
export const FOUND_BROKEN = 2

/** What one look at a FIFO may bring: its whole capacity on Linux. */
export const READ_BYTES_MAX = 65536
/**
 * One look of each reader (the thread's own and the event loop's) on top of a record's beginning: a look is only taken
 * when no whole record waits.
 */
const CAPACITY = 2 * READ_BYTES_MAX + RECORD_BYTES_MAX + HEADER_BYTES

const NO_COMPLAINT = ''
const MAGIC_BYTES: Readonly<Uint8Array> = new Uint8Array(new Int32Array([RECORD_MAGIC]).buffer)

/**
 * Cuts the bytes of an inbox FIFO into records and believes none of them before it has been checked.
 *
 * Bytes that no rank of the job wrote are skipped: a record is found again by its magic, its source and the 8 secret bytes,
 * so a stranger's bytes, wherever they lie, cost nobody else a record. The reader knows nothing of files and peers.
 */
export class RecordReader {
  /** Where new bytes go: at {@link end}, at most {@link room} of them. Then call {@link added}. */
  readonly bytes = new Uint8Array(CAPACITY)
  private readonly buffer = new Int32Array(this.bytes.buffer)
  private start = 0
  private endOfBytes = 0

  // The last record found. Plain fields, so that finding one allocates nothing.
  source = 0
  kind = 0
  sequence = 0
  /** Payload bytes, or slots taken (KIND_CREDIT), as an unsigned number. */
  length = 0
  wordCount = 0
  /** A private copy of the header words; `words[0 … wordCount-1]` count. */
  readonly words = new Int32Array(FRAME_WORDS_MAX)
  /** Where the inline payload begins in {@link bytes}. It stays until bytes are added. */
  payloadAt = 0
  /** What was wrong with the record, in words. */
  complaint = NO_COMPLAINT
  /** Bytes skipped so far because no rank of the job wrote them. */
  strangeBytes = 0

  private readonly rank: number
  private readonly size: number
  private readonly secrets: Int32Array
  private readonly frameBytesMax: number

  /** `secrets[2*source …]` are the two words that a record from `source` to this rank must carry. */
  constructor(rank: number, size: number, secrets: Int32Array, frameBytesMax: number) {
    this.rank = rank
    this.size = size
    this.secrets = secrets
    this.frameBytesMax = frameBytesMax
  }

  get end(): number {
    return this.endOfBytes
  }

  /** How many bytes can be added now. At least READ_BYTES_MAX when {@link next} has just answered FOUND_NOTHING. */
  get room(): number {
    return CAPACITY - this.endOfBytes
  }

  added(byteLength: number): void {
    this.endOfBytes += byteLength
  }

  /** Whether {@link next} would find something. Makes {@link room} where it would not. */
  hasRecord(): boolean {
    if (this.endOfBytes - this.start >= RECORD_BYTES_MIN) {
      this.skipStrangeBytes()
      const available = this.endOfBytes - this.start
      if (available >= RECORD_BYTES_MIN) {
        const recordBytes = this.buffer[(this.start >> 2) + RECORD_BYTES] as number
        if (!isRecordLength(recordBytes) || available >= recordBytes) return true
      }
    }
    this.moveToFront()
    return false
  }

  /** Looks for the next record and copies its header out. Moves what is left to the front when there is none. */
  next(): number {
    if (this.endOfBytes - this.start >= RECORD_BYTES_MIN) {
      this.skipStrangeBytes()
      const available = this.endOfBytes - this.start
      if (available >= RECORD_BYTES_MIN) {
        const recordBytes = this.buffer[(this.start >> 2) + RECORD_BYTES] as number
        if (!isRecordLength(recordBytes)) return this.broken(`a record of ${recordBytes} bytes`)
        if (available >= recordBytes) return this.take(recordBytes)
      }
    }
    this.moveToFront()
    return FOUND_NOTHING
  }

  private take(recordBytes: number): number {
    const buffer = this.buffer
    const at = this.start >> 2
    const sequence = buffer[at + SEQUENCE] as number
    const authLow = buffer[at + AUTH] as number
    if (buffer[at + (recordBytes >> 2) - 1] !== endMarkOf(authLow, sequence, recordBytes)) {
      return this.broken('a record that was cut short or whose end does not belong to it')
    }
    const kindWord = buffer[at + KIND] as number
    const kind = kindWord & KIND_MASK
    const wordCount = kindWord >>> WORD_COUNT_SHIFT
    const length = (buffer[at + LENGTH] as number) >>> 0
    const complaint = this.complaintAbout(recordBytes, kind, wordCount, length)
    if (complaint !== NO_COMPLAINT) return this.broken(complaint)

    this.source = buffer[at + SOURCE] as number
    this.kind = kind
    this.sequence = sequence
    this.length = length
    this.wordCount = wordCount
    const words = this.words
    for (let i = 0; i < wordCount; i++) words[i] = buffer[at + HEADER_WORDS + i] as number
    this.payloadAt = this.start + ((HEADER_WORDS + wordCount) << 2)
    this.start += recordBytes
    return FOUND_RECORD
  }

  private complaintAbout(recordBytes: number, kind: number, wordCount: number, length: number): string {
    if (kind === KIND_CREDIT) {
      return wordCount === 0 && recordBytes === recordBytesOf(0, 0) ? NO_COMPLAINT : 'a credit with something in it'
    }
    if (kind !== KIND_INLINE && kind !== KIND_BULK) return `a record of unknown kind ${kind}`
    if (wordCount < 1 || wordCount > FRAME_WORDS_MAX) return `a frame with ${wordCount} header words`
    if (length > this.frameBytesMax) return `a frame of ${length} bytes`
    if (recordBytes !== recordBytesOf(wordCount, kind === KIND_INLINE ? length : 0)) {
      return `a record of ${recordBytes} bytes for ${wordCount} words and ${length} payload bytes`
    }
    return NO_COMPLAINT
  }

  /** Steps over the magic only, so that records that lie in the broken one's alleged bytes are found. */
  private broken(complaint: string): number {
    this.source = this.buffer[(this.start >> 2) + SOURCE] as number
    this.complaint = complaint
    this.start += 4
    return FOUND_BROKEN
  }

  private isProven(at: number): boolean {
    const buffer = this.buffer
    const source = buffer[at + SOURCE] as number
    if (source < 0 || source >= this.size || source === this.rank) return false
    const secrets = this.secrets
    // Both words are always compared: the time taken says nothing about which one was wrong.
    const differs =
      ((buffer[at + AUTH] as number) ^ (secrets[2 * source] as number)) |
      ((buffer[at + AUTH + 1] as number) ^ (secrets[2 * source + 1] as number))
    return differs === 0
  }

  /** Afterwards a proven header lies at `start`, word-aligned, or fewer than RECORD_BYTES_MIN bytes are left. */
  private skipStrangeBytes(): void {
    const at = this.start >> 2
    if (this.buffer[at + MAGIC] === RECORD_MAGIC && this.isProven(at)) return
    this.search()
  }

  private search(): void {
    const bytes = this.bytes
    const from = this.start
    let at = from
    for (;;) {
      at = bytes.indexOf(MAGIC_BYTES[0] as number, at)
      const last = this.endOfBytes - RECORD_BYTES_MIN
      if (at < 0 || at > last) {
        at = Math.max(from, last + 1)
        break
      }
      if (bytes[at + 1] === MAGIC_BYTES[1] && bytes[at + 2] === MAGIC_BYTES[2] && bytes[at + 3] === MAGIC_BYTES[3]) {
        if (at % 4 !== 0) {
          // Whole words are read, so what may be a record must lie at a whole word.
          const aligned = at & ~3
          bytes.copyWithin(aligned, at, this.endOfBytes)
          this.endOfBytes -= at - aligned
          this.strangeBytes += at - aligned
          at = aligned
        }
        if (this.isProven(at >> 2)) break
      }
      at++
    }
    this.strangeBytes += at - from
    this.start = at
    if (at % 4 !== 0) this.moveToFront()
  }

  private moveToFront(): void {
    if (this.start === 0) return
    if (this.start < this.endOfBytes) this.bytes.copyWithin(0, this.start, this.endOfBytes)
    this.endOfBytes -= this.start
    this.start = 0
  }
}

function isRecordLength(recordBytes: number): boolean {
  return recordBytes >= RECORD_BYTES_MIN && recordBytes <= RECORD_BYTES_MAX && (recordBytes & 3) === 0
}
