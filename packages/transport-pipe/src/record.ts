import { FRAME_WORDS_MAX } from '@onecopy/transport'

/*
 * What travels through an inbox FIFO, in int32 words of the machine's own byte order (both ends are one machine):
 *
 *     0      1            2       3     4     5         6                    7       8 …           …            last
 *     magic  recordBytes  source  auth  auth  sequence  kind | wordCount<<8  length  header words  payload, 0s  end mark
 *
 * A record is written by one write(2) of at most PIPE_BUF bytes, so that records of concurrent writers never mix.
 *
 *     INLINE  length = payload bytes, which follow the header words, padded to whole words
 *     BULK    length = payload bytes, which lie in the pair's ring of the bulk file, in the slot whose turn it is
 *     CREDIT  length = bulk slots taken so far, modulo 2^32; no header words
 *
 * `auth` are 8 bytes that only the job's processes can derive, for this source and destination. The end mark ties the end
 * of a record to its beginning: a record that was cut short can swallow nobody else's.
 */
export const MAGIC = 0
export const RECORD_BYTES = 1
export const SOURCE = 2
export const AUTH = 3
export const SEQUENCE = 5
export const KIND = 6
export const LENGTH = 7
export const HEADER_WORDS = 8

/** 'ocp' and the version of this layout. */
export const RECORD_MAGIC = 0x70636f_02

export const KIND_INLINE = 1
export const KIND_BULK = 2
export const KIND_CREDIT = 3
export const KIND_MASK = 0xff
export const WORD_COUNT_SHIFT = 8

const WORD_BYTES = 4
export const HEADER_BYTES = HEADER_WORDS * WORD_BYTES
/** Header and end mark: the shortest record. */
export const RECORD_BYTES_MIN = HEADER_BYTES + WORD_BYTES

/** PIPE_BUF: what one write puts into a pipe in one piece. Linux promises 4096, macOS and POSIX 512. */
export const RECORD_BYTES_MAX = process.platform === 'linux' ? 4096 : 512

/** The longest payload that fits into a record beside the longest header. */
export const INLINE_BYTES_MAX = RECORD_BYTES_MAX - RECORD_BYTES_MIN - FRAME_WORDS_MAX * WORD_BYTES

/** The whole record's length for so many header words and inline payload bytes. */
export function recordBytesOf(wordCount: number, inlineBytes: number): number {
  return RECORD_BYTES_MIN + wordCount * WORD_BYTES + ((inlineBytes + 3) & ~3)
}

/** What the last word of a record must be. */
export function endMarkOf(authLow: number, sequence: number, recordBytes: number): number {
  return ~(authLow ^ sequence ^ (recordBytes << 16))
}
