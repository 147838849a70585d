import { FRAME_WORDS_MAX, type FrameReceiver } from '@onecopy/transport'
import { LOADS_ARE_ORDERED } from './memory-order.js'
import {
  FIRST_SLOT_WORD,
  HEAD_SLOTS_WORD,
  inlineOffset,
  LINE_BYTES,
  META_LENGTH_SHIFT,
  META_MARK_SHIFT,
  META_WORDS_MASK,
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

/**
 * The room is given back in quarters of the ring, not per frame: that is one ordered store per many frames, and a sender
 * that finds the ring full can still be sure to hear of it. A ring that has been emptied always has room for one frame: of
 * its payload area a quarter may be unreported, and a frame takes a quarter at most, twice when it has to skip the wrap.
 */
const REPORT_PARTS = 4

/** What {@link RingReader.take} answers when the ring's contents cannot be believed. */
export const NOT_BELIEVED = -1

/**
 * The receiving end of one ring. Everything in the ring is somebody else's writing: each word is read once, checked, then
 * used.
 */
export class RingReader {
  readonly peer: number
  /** Polls in a row that found nothing; kept by whoever decides which rings to watch. */
  emptyPolls = 0
  /** Whether this ring is among those that are polled. */
  watched = false
  /** What was wrong, once `take` has answered {@link NOT_BELIEVED}. */
  problem = ''
  private readonly words: Int32Array
  private readonly bytes: Uint8Array
  private readonly header: Int32Array
  private readonly ringWord: number
  private readonly firstSlotWord: number
  private readonly endSlotWord: number
  private readonly slotCount: number
  private readonly stepWords: number
  private readonly lapWords: number
  private readonly payloadStart: number
  private readonly payloadBytes: number
  private readonly frameBytesMax: number
  private readonly slotsUnreportedMax: number
  private readonly payloadUnreportedMax: number
  private slotWord: number
  private consumed: number
  private payloadConsumed: number
  private slotsReported: number
  private payloadReported: number
  /** What an unwritten slot holds: the sequence of one lap ago. */
  private stale = 0
  private lap = 0
  private suspected = false
  /** Whether room was reported since the sender's wish to be woken was last looked for. */
  private reported = false

  /**
   * @param header private words that frames' headers are copied to; may be shared by all readers of a rank.
   * @param first what the counters start from, other than 0 only in tests of their wrap.
   */
  constructor(segment: Segment, rank: number, peer: number, header: Int32Array, first = 0) {
    const start = ringOffset(segment.layout, peer, rank)
    this.consumed = first
    this.slotsReported = first
    this.payloadConsumed = (first * LINE_BYTES) | 0
    this.payloadReported = this.payloadConsumed
    this.peer = peer
    this.words = segment.words
    this.bytes = segment.bytes
    this.header = header
    this.ringWord = start / 4
    const { slotCount, slotStep, payloadBytes, frameBytesMax } = segment.layout
    this.slotCount = slotCount
    this.stepWords = slotStep * SLOT_WORDS
    this.firstSlotWord = this.ringWord + FIRST_SLOT_WORD
    this.lapWords = slotCount * SLOT_WORDS
    this.endSlotWord = this.firstSlotWord + this.lapWords
    this.payloadStart = 4 * this.endSlotWord
    this.payloadBytes = payloadBytes
    this.frameBytesMax = frameBytesMax
    this.slotsUnreportedMax = Math.ceil(slotCount / REPORT_PARTS)
    this.payloadUnreportedMax = payloadBytes / REPORT_PARTS
    this.slotWord = this.firstSlotWord
  }

  /** Whether a frame (or something that should not be there) waits. One load. */
  hasFrame(): boolean {
    return Atomics.load(this.words, this.slotWord) !== this.stale
  }

  /** The same by a plain look, ten times cheaper: may be late by a moment. */
  get seemsReady(): boolean {
    return this.words[this.slotWord] !== this.stale
  }

  /** Hands up to `framesMax` frames over; answers how many, or {@link NOT_BELIEVED}, with nothing handed over. */
  take(receiver: FrameReceiver, framesMax: number): number {
    const words = this.words
    let taken = 0
    while (taken < framesMax) {
      const slot = this.slotWord
      // A plain look first, ten times cheaper: this is where a spinning rank spends its life. It only has to be right in the
      // end; what it finds is believed after an ordered load, which x64's loads are by themselves.
      if (words[slot] === this.stale) break
      const sequence = LOADS_ARE_ORDERED ? (words[slot] as number) : Atomics.load(words, slot)
      if (sequence !== ((this.consumed + 1) | 0)) return this.doubt(taken, 'sequence', sequence)
      const meta = words[slot + SLOT_META_WORD] as number
      const wordCount = meta & META_WORDS_MASK
      const byteLength = meta >>> META_LENGTH_SHIFT
      const wellFormed =
        ((meta >>> META_MARK_SHIFT) & 0xf) === SLOT_MARK && wordCount >= 1 && wordCount <= FRAME_WORDS_MAX
      if (!wellFormed || byteLength > this.frameBytesMax) return this.doubt(taken, 'meta', meta)

      let at = 4 * slot + inlineOffset(wordCount)
      let payloadAfter = this.payloadConsumed
      if (inlineOffset(wordCount) + byteLength > SLOT_BYTES) {
        const position = words[slot + SLOT_HEADER_WORD + wordCount] as number
        const room = payloadRoom(byteLength, this.payloadBytes)
        if (position !== this.expectedPosition(room)) return this.doubt(taken, 'payload at', position)
        at = this.payloadStart + (position & (this.payloadBytes - 1))
        payloadAfter = (position + room) | 0
      }
      const header = this.header
      const first = slot + SLOT_HEADER_WORD
      if (wordCount === WORDS_USUAL) {
        header[0] = words[first] as number
        header[1] = words[first + 1] as number
        header[2] = words[first + 2] as number
      } else {
        for (let i = 0; i < wordCount; i++) header[i] = words[first + i] as number
      }

      // Moved on before the call, so that a receiver which throws has consumed its frame all the same.
      this.payloadConsumed = payloadAfter
      this.advance(slot)
      taken++
      receiver.frame(this.peer, header, wordCount, this.bytes, at, byteLength)
      if (
        ((this.consumed - this.slotsReported) | 0) >= this.slotsUnreportedMax ||
        ((this.payloadConsumed - this.payloadReported) | 0) >= this.payloadUnreportedMax
      ) {
        this.report()
      }
    }
    return taken
  }

  /** Whether the sender asked to be woken when there is room, and room has been reported since. Clears the wish. */
  takeWakeWish(): boolean {
    if (!this.reported) return false
    this.reported = false
    if (Atomics.load(this.words, this.ringWord + WAITING_WORD) === 0) return false
    Atomics.store(this.words, this.ringWord + WAITING_WORD, 0)
    return true
  }

  watch(): void {
    this.watched = true
    this.emptyPolls = 0
    Atomics.store(this.words, this.ringWord + WATCHED_WORD, 1)
  }

  /**
   * Stops the sender from counting on being polled, and looks once more: true when the ring is empty and left; false when
   * a frame slipped in, and it stays watched.
   */
  unwatch(): boolean {
    Atomics.store(this.words, this.ringWord + WATCHED_WORD, 0)
    if (this.hasFrame() || this.isSuspect()) {
      this.watch()
      return false
    }
    this.watched = false
    return true
  }

  /**
   * The sender's head says that more was published than can be found: pages were lost. The head lags, so it is never ahead
   * of an honest slot; but a store may overtake another on some processors, so only the second look counts.
   */
  private isSuspect(): boolean {
    const ahead = (Atomics.load(this.words, this.ringWord + HEAD_SLOTS_WORD) - this.consumed) | 0
    if (ahead <= 0 || this.hasFrame()) {
      this.suspected = false
      return false
    }
    if (this.suspected) this.problem = `head says ${ahead} more frames than there are`
    this.suspected = true
    return true
  }

  private expectedPosition(room: number): number {
    const place = this.payloadConsumed & (this.payloadBytes - 1)
    const skipped = place + room > this.payloadBytes ? this.payloadBytes - place : 0
    return (this.payloadConsumed + skipped) | 0
  }

  private advance(slot: number): void {
    this.consumed = (this.consumed + 1) | 0
    const next = slot + this.stepWords
    this.slotWord = next < this.endSlotWord ? next : next - this.lapWords
    if (this.slotWord === this.firstSlotWord) this.lap = 1
    this.stale = this.lap === 0 ? 0 : (this.consumed + 1 - this.slotCount) | 0
  }

  private report(): void {
    this.slotsReported = this.consumed
    this.payloadReported = this.payloadConsumed
    Atomics.store(this.words, this.ringWord + TAIL_PAYLOAD_WORD, this.payloadConsumed)
    Atomics.store(this.words, this.ringWord + TAIL_SLOTS_WORD, this.consumed)
    this.reported = true
  }

  private doubt(taken: number, what: string, found: number): number {
    if (taken > 0) return taken
    this.problem = `a slot has ${what} ${found} after ${this.consumed >>> 0} frames`
    return NOT_BELIEVED
  }
}
