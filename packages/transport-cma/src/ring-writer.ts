import { copyWords, WordView } from '@onecopy/transport'
import {
  FIRST_SLOT_WORD,
  HEAD_SLOTS_WORD,
  inlineOffset,
  LINE_BYTES,
  META_LENGTH_SHIFT,
  META_MARK_SHIFT,
  payloadRoom,
  ringOffset,
  SLOT_BYTES,
  SLOT_HEADER_WORD,
  SLOT_MARK,
  SLOT_META_WORD,
  SLOT_WORDS,
  TAIL_PAYLOAD_WORD,
  TAIL_SLOTS_WORD,
  WAITING_WORD,
  WATCHED_WORD,
  WORDS_USUAL,
} from './ring-layout.js'
import type { Segment } from './segment.js'

// Measured with bench/copy-cost.mjs, whatever the length: `set` of a whole array 24 ns, of a fresh view of it 72 ns; a loop that
// builds words of four bytes 1 ns per byte, half of what a byte loop takes.
/** Up to here a loop is the fastest even when the whole array is sent. */
const LOOP_BYTES_MAX = 20
/** Up to here a loop is faster than a view, when a part of an array is sent. */
const PART_LOOP_BYTES_MAX = 72

/** `set` by itself: to look it up in an array takes V8 a third of the whole call (Node 20). */
const setBytes = Uint8Array.prototype.set

/** Memory of longer arrays is not kept alive. */
const SOURCE_BYTES_MAX = 64 * 1024

/** What {@link RingWriter.write} answers. */
export const WRITTEN = 0
export const FULL = 1
export const CORRUPT = 2

/**
 * The sending end of one ring. The ring's memory must be reserved. Counters are int32 and wrap; differences are taken
 * modulo 2^32.
 */
export class RingWriter {
  readonly peer: number
  /** Index of the word that says whether the reader polls this ring. */
  readonly watchedWord: number
  /** Whether the last write found the ring full; cleared by whoever keeps the list of full rings. */
  blocked = false
  private readonly words: Int32Array
  private readonly bytes: Uint8Array
  private readonly ringWord: number
  private readonly endSlotWord: number
  private readonly slotCount: number
  private readonly stepWords: number
  private readonly lapWords: number
  private readonly payloadStart: number
  private readonly payloadBytes: number
  private readonly sources = new WordView(SOURCE_BYTES_MAX)
  private slotWord: number
  private published: number
  private payloadWritten: number
  // What the reader had consumed when last looked at: its line is read only when the ring seems full.
  private slotsFreed: number
  private payloadFreed: number

  /** @param first what the counters start from, other than 0 only in tests of their wrap. */
  constructor(segment: Segment, rank: number, peer: number, first = 0) {
    const start = ringOffset(segment.layout, rank, peer)
    this.published = first
    this.slotsFreed = first
    this.payloadWritten = (first * LINE_BYTES) | 0
    this.payloadFreed = this.payloadWritten
    this.peer = peer
    this.words = segment.words
    this.bytes = segment.bytes
    this.ringWord = start / 4
    this.watchedWord = this.ringWord + WATCHED_WORD
    const { slotCount, slotStep, payloadBytes } = segment.layout
    this.slotCount = slotCount
    this.stepWords = slotStep * SLOT_WORDS
    this.lapWords = slotCount * SLOT_WORDS
    this.slotWord = this.ringWord + FIRST_SLOT_WORD
    this.endSlotWord = this.slotWord + this.lapWords
    this.payloadStart = 4 * this.endSlotWord
    this.payloadBytes = payloadBytes
  }

  /** Copies one frame in and publishes it. Trusts the measures it is given. */
  write(words: Int32Array, wordCount: number, bytes: Uint8Array, byteOffset: number, byteLength: number): number {
    const ring = this.words
    const slot = this.slotWord
    if (((this.published - this.slotsFreed) | 0) >= this.slotCount && !this.lookAtTail()) return CORRUPT
    if (((this.published - this.slotsFreed) | 0) >= this.slotCount) return this.full()

    const inline = inlineOffset(wordCount)
    if (inline + byteLength <= SLOT_BYTES) {
      if (byteLength !== 0) this.copyIn(4 * slot + inline, bytes, byteOffset, byteLength)
    } else {
      const result = this.writePayload(slot + SLOT_HEADER_WORD + wordCount, bytes, byteOffset, byteLength)
      if (result !== WRITTEN) return result
    }
    const first = slot + SLOT_HEADER_WORD
    if (wordCount === WORDS_USUAL) {
      ring[first] = words[0] as number
      ring[first + 1] = words[1] as number
      ring[first + 2] = words[2] as number
    } else {
      for (let i = 0; i < wordCount; i++) ring[first + i] = words[i] as number
    }
    ring[slot + SLOT_META_WORD] = (byteLength << META_LENGTH_SHIFT) | (SLOT_MARK << META_MARK_SHIFT) | wordCount

    const before = this.published
    this.published = (before + 1) | 0
    Atomics.store(ring, slot, this.published)
    // From here on the reader is at work. The head is one frame behind on purpose: it must never be ahead of what a reader can see.
    ring[this.ringWord + HEAD_SLOTS_WORD] = before
    const next = slot + this.stepWords
    this.slotWord = next < this.endSlotWord ? next : next - this.lapWords
    return WRITTEN
  }

  /** Copies a payload that does not fit into its slot, and says in `positionWord` where it lies. */
  private writePayload(positionWord: number, bytes: Uint8Array, byteOffset: number, byteLength: number): number {
    const room = payloadRoom(byteLength, this.payloadBytes)
    const mask = this.payloadBytes - 1
    const place = this.payloadWritten & mask
    const skipped = place + room > this.payloadBytes ? this.payloadBytes - place : 0
    const taken = skipped + room
    if (((this.payloadWritten - this.payloadFreed) | 0) + taken > this.payloadBytes) {
      if (!this.lookAtTail()) return CORRUPT
      if (((this.payloadWritten - this.payloadFreed) | 0) + taken > this.payloadBytes) return this.full()
    }
    const position = (this.payloadWritten + skipped) | 0
    this.copyIn(this.payloadStart + (position & mask), bytes, byteOffset, byteLength)
    this.words[positionWord] = position
    this.payloadWritten = (position + room) | 0
    return WRITTEN
  }

  /**
   * Whether the reader has made room since the ring was found full; if not, the reader will wake this rank when it does.
   *
   * The wish is made anew at each look: the reader may be about to take back an old one, seen before this rank fell asleep, and
   * then nobody would be woken. Whoever sleeps announces that first, then asks this: the reader reports room, then takes the
   * wish, then looks for a sleeper, so it cannot miss all three.
   */
  awaitsRoom(): boolean {
    this.wishForRoom()
    const slots = Atomics.load(this.words, this.ringWord + TAIL_SLOTS_WORD)
    return (
      slots === this.slotsFreed && Atomics.load(this.words, this.ringWord + TAIL_PAYLOAD_WORD) === this.payloadFreed
    )
  }

  /** Learns how far the reader is; false when that cannot be. */
  private lookAtTail(): boolean {
    const slots = Atomics.load(this.words, this.ringWord + TAIL_SLOTS_WORD)
    const payload = Atomics.load(this.words, this.ringWord + TAIL_PAYLOAD_WORD)
    const slotsNew = (slots - this.slotsFreed) | 0
    const payloadNew = (payload - this.payloadFreed) | 0
    if (slotsNew < 0 || slotsNew > ((this.published - this.slotsFreed) | 0)) return false
    if (payloadNew < 0 || payloadNew > ((this.payloadWritten - this.payloadFreed) | 0)) return false
    this.slotsFreed = slots
    this.payloadFreed = payload
    return true
  }

  private full(): number {
    this.wishForRoom()
    this.blocked = true
    return FULL
  }

  /** Looks first, so that a sender that keeps trying does not keep taking the reader's line. */
  private wishForRoom(): void {
    const word = this.ringWord + WAITING_WORD
    if (Atomics.load(this.words, word) === 0) Atomics.store(this.words, word, 1)
  }

  /** @param at a multiple of 4. */
  private copyIn(at: number, bytes: Uint8Array, byteOffset: number, byteLength: number): void {
    const isWhole = byteLength === bytes.length
    if (byteLength <= (isWhole ? LOOP_BYTES_MAX : PART_LOOP_BYTES_MAX)) {
      this.copyShort(at, bytes, byteOffset, byteLength)
    } else {
      setBytes.call(this.bytes, isWhole ? bytes : bytes.subarray(byteOffset, byteOffset + byteLength), at)
    }
  }

  private copyShort(at: number, bytes: Uint8Array, byteOffset: number, byteLength: number): void {
    let done = 0
    if ((byteOffset & 3) === 0) done = copyWords(this.words, at, this.sources.of(bytes), byteOffset, byteLength)
    for (; done + 3 < byteLength; done += 4) {
      const from = byteOffset + done
      this.words[(at + done) / 4] =
        (bytes[from] as number) |
        ((bytes[from + 1] as number) << 8) |
        ((bytes[from + 2] as number) << 16) |
        ((bytes[from + 3] as number) << 24)
    }
    for (; done < byteLength; done++) this.bytes[at + done] = bytes[byteOffset + done] as number
  }
}
