import {
  FIRST_SLOT_WORD,
  HEAD_PAYLOAD_WORD,
  HEAD_SLOTS_WORD,
  inlineOffset,
  LINE_BYTES,
  META_LENGTH_SHIFT,
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
} from './ring-layout.js'
import type { Segment } from './segment.js'

/** Up to here a plain loop copies faster than making a view for `TypedArray.set` (measured: bench/copy-cost.mjs). */
const LOOP_BYTES_MAX = 64

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
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #ringWord: number
  readonly #firstSlotWord: number
  readonly #endSlotWord: number
  readonly #slotCount: number
  readonly #payloadStart: number
  readonly #payloadBytes: number
  #slotWord: number
  #published = 0
  #payloadWritten = 0
  // What the reader had consumed when last looked at: its line is read only when the ring seems full.
  #slotsFreed = 0
  #payloadFreed = 0

  constructor(segment: Segment, rank: number, peer: number) {
    const start = ringOffset(segment.layout, rank, peer)
    this.peer = peer
    this.#words = segment.words
    this.#bytes = segment.bytes
    this.#ringWord = start / 4
    this.watchedWord = this.#ringWord + WATCHED_WORD
    this.#slotCount = segment.layout.slotCount
    this.#firstSlotWord = this.#ringWord + FIRST_SLOT_WORD
    this.#endSlotWord = this.#firstSlotWord + this.#slotCount * SLOT_WORDS
    this.#payloadStart = 4 * this.#endSlotWord
    this.#payloadBytes = segment.layout.payloadBytes
    this.#slotWord = this.#firstSlotWord
  }

  /** Copies one frame in and publishes it. Trusts the measures it is given. */
  write(words: Int32Array, wordCount: number, bytes: Uint8Array, byteOffset: number, byteLength: number): number {
    const ring = this.#words
    const slot = this.#slotWord
    if (((this.#published - this.#slotsFreed) | 0) >= this.#slotCount && !this.#lookAtTail()) return CORRUPT
    if (((this.#published - this.#slotsFreed) | 0) >= this.#slotCount) return this.#full()

    const inline = inlineOffset(wordCount)
    if (inline + byteLength <= SLOT_BYTES) {
      if (byteLength !== 0) this.#copyIn(4 * slot + inline, bytes, byteOffset, byteLength)
    } else {
      const padded = (byteLength + LINE_BYTES - 1) & -LINE_BYTES
      const mask = this.#payloadBytes - 1
      const place = this.#payloadWritten & mask
      const skipped = place + padded > this.#payloadBytes ? this.#payloadBytes - place : 0
      const taken = skipped + padded
      if (((this.#payloadWritten - this.#payloadFreed) | 0) + taken > this.#payloadBytes) {
        if (!this.#lookAtTail()) return CORRUPT
        if (((this.#payloadWritten - this.#payloadFreed) | 0) + taken > this.#payloadBytes) return this.#full()
      }
      const position = (this.#payloadWritten + skipped) | 0
      this.#copyIn(this.#payloadStart + (position & mask), bytes, byteOffset, byteLength)
      ring[slot + SLOT_HEADER_WORD + wordCount] = position
      this.#payloadWritten = (position + padded) | 0
    }
    for (let i = 0; i < wordCount; i++) ring[slot + SLOT_HEADER_WORD + i] = words[i] as number
    ring[slot + SLOT_META_WORD] = (byteLength << META_LENGTH_SHIFT) | (SLOT_MARK << 4) | wordCount

    // The head is one frame behind on purpose: it must never be ahead of what a reader can see.
    ring[this.#ringWord + HEAD_SLOTS_WORD] = this.#published
    ring[this.#ringWord + HEAD_PAYLOAD_WORD] = this.#payloadWritten
    this.#published = (this.#published + 1) | 0
    Atomics.store(ring, slot, this.#published)
    const next = slot + SLOT_WORDS
    this.#slotWord = next === this.#endSlotWord ? this.#firstSlotWord : next
    return WRITTEN
  }

  /** Whether the reader has made room since the ring was found full. */
  hasNewRoom(): boolean {
    const slots = Atomics.load(this.#words, this.#ringWord + TAIL_SLOTS_WORD)
    return slots !== this.#slotsFreed || Atomics.load(this.#words, this.#ringWord + TAIL_PAYLOAD_WORD) !== this.#payloadFreed
  }

  /** Learns how far the reader is; false when that cannot be. */
  #lookAtTail(): boolean {
    const slots = Atomics.load(this.#words, this.#ringWord + TAIL_SLOTS_WORD)
    const payload = Atomics.load(this.#words, this.#ringWord + TAIL_PAYLOAD_WORD)
    const slotsNew = (slots - this.#slotsFreed) | 0
    const payloadNew = (payload - this.#payloadFreed) | 0
    if (slotsNew < 0 || slotsNew > ((this.#published - this.#slotsFreed) | 0)) return false
    if (payloadNew < 0 || payloadNew > ((this.#payloadWritten - this.#payloadFreed) | 0)) return false
    this.#slotsFreed = slots
    this.#payloadFreed = payload
    return true
  }

  /** Asks the reader for a wake-up. Whoever goes to sleep over it asks {@link hasNewRoom} first: room may just have come. */
  #full(): number {
    // Looked at first, so that a sender that keeps trying does not keep taking the reader's line.
    const word = this.#ringWord + WAITING_WORD
    if (Atomics.load(this.#words, word) === 0) Atomics.store(this.#words, word, 1)
    this.blocked = true
    return FULL
  }

  #copyIn(at: number, bytes: Uint8Array, byteOffset: number, byteLength: number): void {
    const ring = this.#bytes
    if (byteLength <= LOOP_BYTES_MAX) {
      for (let i = 0; i < byteLength; i++) ring[at + i] = bytes[byteOffset + i] as number
    } else if (byteLength === bytes.length) {
      ring.set(bytes, at)
    } else {
      ring.set(bytes.subarray(byteOffset, byteOffset + byteLength), at)
    }
  }
}
