import { FRAME_WORDS_MAX } from '../transport.js'
import type { Inbox } from './inbox.js'

/*
 * A slot, in int32 words:
 *
 *     0          1           2         3         4 … 15
 *     wordCount  byteLength  position  (unused)  header words
 *
 * Payloads lie in a byte ring, each in one piece: a payload that does not fit before the end starts at 0 again. Both rings
 * start small and double, because a simulated job has many pairs and most of them say little.
 */
const WORD_COUNT = 0
const BYTE_LENGTH = 1
const POSITION = 2
const HEADER = 4
const SLOT_WORDS = HEADER + FRAME_WORDS_MAX

const SLOTS_AT_FIRST = 8
const PAYLOAD_BYTES_AT_FIRST = 256

/** What a frame's memory is overwritten with once the receiver has returned, so that nobody reads lent bytes later. */
export const SCRIBBLE = 0xdb
const SCRIBBLE_WORD = 0xdbdbdbdb | 0

/** Frames under way from one rank to one other: a bounded queue of copies. */
export class FrameQueue {
  readonly sender: number
  readonly inbox: Inbox
  /** The next queue with frames in the same inbox. Belongs to {@link Inbox}. */
  nextReady: FrameQueue | null = null
  isReady = false

  private readonly bytesMax: number
  private readonly framesMax: number
  private slots = new Int32Array(SLOTS_AT_FIRST * SLOT_WORDS)
  private payload = new Uint8Array(PAYLOAD_BYTES_AT_FIRST)
  private slotCount = SLOTS_AT_FIRST
  private firstSlot = 0
  private frameCount = 0
  private queuedBytes = 0
  private readAt = 0
  private writeAt = 0

  constructor(sender: number, inbox: Inbox, bytesMax: number, framesMax: number) {
    this.sender = sender
    this.inbox = inbox
    this.bytesMax = bytesMax
    this.framesMax = framesMax
  }

  get isEmpty(): boolean {
    return this.frameCount === 0
  }

  /** Copies a frame in, or answers false where it would exceed the bounds. */
  push(words: Int32Array, wordCount: number, bytes: Uint8Array, byteOffset: number, byteLength: number): boolean {
    if (this.frameCount === this.framesMax || this.queuedBytes + byteLength > this.bytesMax) return false
    if (this.frameCount === this.slotCount) this.growSlots()
    const position = this.place(byteLength)

    const slot = this.slotAt(this.frameCount)
    const slots = this.slots
    slots[slot + WORD_COUNT] = wordCount
    slots[slot + BYTE_LENGTH] = byteLength
    slots[slot + POSITION] = position
    for (let i = 0; i < wordCount; i++) slots[slot + HEADER + i] = words[i] as number
    const payload = this.payload
    for (let i = 0; i < byteLength; i++) payload[position + i] = bytes[byteOffset + i] as number
    this.writeAt = position + byteLength
    this.queuedBytes += byteLength
    this.frameCount++
    return true
  }

  /** Copies the first frame's header into `words` and answers its word count. */
  peekWords(words: Int32Array): number {
    const slot = this.slotAt(0)
    const wordCount = this.slots[slot + WORD_COUNT] as number
    for (let i = 0; i < FRAME_WORDS_MAX; i++) {
      words[i] = i < wordCount ? (this.slots[slot + HEADER + i] as number) : SCRIBBLE_WORD
    }
    return wordCount
  }

  peekByteLength(): number {
    return this.slots[this.slotAt(0) + BYTE_LENGTH] as number
  }

  peekPosition(): number {
    return this.slots[this.slotAt(0) + POSITION] as number
  }

  /** The memory that {@link peekPosition} counts in. A push may replace it; what was lent stays as it was. */
  get payloadBytes(): Uint8Array {
    return this.payload
  }

  /** Ends the loan of the first frame: overwrites `lent` (its memory when it was lent) and drops the frame. */
  pop(lent: Uint8Array, lentPosition: number): void {
    const byteLength = this.peekByteLength()
    lent.fill(SCRIBBLE, lentPosition, lentPosition + byteLength)
    this.firstSlot = (this.firstSlot + 1) % this.slotCount
    this.frameCount--
    this.queuedBytes -= byteLength
    if (this.frameCount === 0) {
      this.readAt = 0
      this.writeAt = 0
    } else {
      this.readAt = this.peekPosition()
    }
  }

  /** Forgets every frame and gives the memory back. */
  clear(): void {
    this.slots = new Int32Array(SLOTS_AT_FIRST * SLOT_WORDS)
    this.payload = new Uint8Array(PAYLOAD_BYTES_AT_FIRST)
    this.slotCount = SLOTS_AT_FIRST
    this.firstSlot = 0
    this.frameCount = 0
    this.queuedBytes = 0
    this.readAt = 0
    this.writeAt = 0
  }

  private slotAt(index: number): number {
    return ((this.firstSlot + index) % this.slotCount) * SLOT_WORDS
  }

  /** Finds `byteLength` free bytes in one piece, making room where there is none. */
  private place(byteLength: number): number {
    if (this.writeAt >= this.readAt) {
      if (this.payload.length - this.writeAt >= byteLength) return this.writeAt
      // Strictly more than needed, so that writeAt can only catch up with readAt when nothing is queued between them.
      if (this.readAt > byteLength) return 0
    } else if (this.readAt - this.writeAt > byteLength) {
      return this.writeAt
    }
    this.growPayload(byteLength)
    return this.writeAt
  }

  private growSlots(): void {
    const slots = new Int32Array(this.slotCount * 2 * SLOT_WORDS)
    for (let i = 0; i < this.frameCount; i++) {
      const slot = this.slotAt(i)
      slots.set(this.slots.subarray(slot, slot + SLOT_WORDS), i * SLOT_WORDS)
    }
    this.slots = slots
    this.slotCount *= 2
    this.firstSlot = 0
  }

  private growPayload(byteLength: number): void {
    let capacity = this.payload.length * 2
    while (capacity < this.queuedBytes + byteLength) capacity *= 2
    const payload = new Uint8Array(capacity)
    let writeAt = 0
    for (let i = 0; i < this.frameCount; i++) {
      const slot = this.slotAt(i)
      const position = this.slots[slot + POSITION] as number
      const length = this.slots[slot + BYTE_LENGTH] as number
      payload.set(this.payload.subarray(position, position + length), writeAt)
      this.slots[slot + POSITION] = writeAt
      writeAt += length
    }
    this.payload = payload
    this.readAt = 0
    this.writeAt = writeAt
  }
}
