import {
  AUTH,
  endMarkOf,
  HEADER_WORDS,
  KIND,
  KIND_BULK,
  KIND_CREDIT,
  KIND_INLINE,
  LENGTH,
  MAGIC,
  RECORD_BYTES,
  RECORD_BYTES_MAX,
  RECORD_MAGIC,
  recordBytesOf,
  SEQUENCE,
  SOURCE,
  WORD_COUNT_SHIFT,
} from './record.js'

/** Below this many bytes a plain loop is faster than making a view of the caller's array. */
const LOOP_BYTES_MAX = 64

/** Puts records together, one at a time, in memory that is used again for the next one. */
export class RecordWriter {
  /** The record, from byte 0 on, until the next one is put together. */
  readonly bytes = new Uint8Array(RECORD_BYTES_MAX)
  private readonly words = new Int32Array(this.bytes.buffer)

  constructor(source: number) {
    this.words[MAGIC] = RECORD_MAGIC
    this.words[SOURCE] = source
  }

  /** A frame with its payload in the record; answers the record's length in bytes. `byteLength` is at most INLINE_BYTES_MAX. */
  inline(
    secrets: Int32Array,
    secretAt: number,
    sequence: number,
    words: Int32Array,
    wordCount: number,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
  ): number {
    const recordBytes = recordBytesOf(wordCount, byteLength)
    // The padding is the last bytes before the end mark: cleared first, so that no old bytes travel.
    this.words[(recordBytes >> 2) - 2] = 0
    this.copyWords(words, wordCount)
    this.copyPayload((HEADER_WORDS + wordCount) << 2, bytes, byteOffset, byteLength)
    this.finish(secrets, secretAt, sequence, KIND_INLINE | (wordCount << WORD_COUNT_SHIFT), byteLength, recordBytes)
    return recordBytes
  }

  /** A frame whose payload lies in the bulk file; answers the record's length in bytes. */
  bulk(
    secrets: Int32Array,
    secretAt: number,
    sequence: number,
    words: Int32Array,
    wordCount: number,
    byteLength: number,
  ): number {
    const recordBytes = recordBytesOf(wordCount, 0)
    this.copyWords(words, wordCount)
    this.finish(secrets, secretAt, sequence, KIND_BULK | (wordCount << WORD_COUNT_SHIFT), byteLength, recordBytes)
    return recordBytes
  }

  /** The news that so many bulk slots have been taken so far; answers the record's length in bytes. */
  credit(secrets: Int32Array, secretAt: number, sequence: number, slotsTaken: number): number {
    const recordBytes = recordBytesOf(0, 0)
    this.finish(secrets, secretAt, sequence, KIND_CREDIT, slotsTaken, recordBytes)
    return recordBytes
  }

  private copyWords(words: Int32Array, wordCount: number): void {
    const record = this.words
    for (let i = 0; i < wordCount; i++) record[HEADER_WORDS + i] = words[i] as number
  }

  private copyPayload(at: number, bytes: Uint8Array, byteOffset: number, byteLength: number): void {
    const record = this.bytes
    if (byteLength <= LOOP_BYTES_MAX) {
      for (let i = 0; i < byteLength; i++) record[at + i] = bytes[byteOffset + i] as number
    } else if (byteLength === bytes.length) {
      record.set(bytes, at)
    } else {
      record.set(bytes.subarray(byteOffset, byteOffset + byteLength), at)
    }
  }

  private finish(
    secrets: Int32Array,
    secretAt: number,
    sequence: number,
    kind: number,
    length: number,
    recordBytes: number,
  ): void {
    const record = this.words
    const authLow = secrets[secretAt] as number
    record[RECORD_BYTES] = recordBytes
    record[AUTH] = authLow
    record[AUTH + 1] = secrets[secretAt + 1] as number
    record[SEQUENCE] = sequence
    record[KIND] = kind
    record[LENGTH] = length
    record[(recordBytes >> 2) - 1] = endMarkOf(authLow, sequence, recordBytes)
  }
}
