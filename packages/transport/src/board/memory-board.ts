import { type Board, type BoardChannel, NOT_TOLD, TOLD_ILL, TOLD_WELL } from './board.js'
import {
  awayWord,
  BOARD_SLOTS,
  BOARD_STAGES,
  type BoardLayout,
  boardLayout,
  boardPartWord,
  channelBytesMax,
  DONE_WORD,
  FIRST_SLOT_WORD,
  longPartWord,
  longPlaceWord,
  SLOT_HEADER_BYTES,
  SLOT_KIND_WORD,
  SLOT_LENGTH_WORD,
  SLOT_NUMBER_WORD,
  slotsFor,
  WISH_WORD,
} from './board-layout.js'

/** Up to here a byte loop is faster than `set`. */
const LOOP_BYTES_MAX = 24
/** Who is done says so once for so many postings: an ordered store, and a look at who waits for room. */
const DONE_PART = BOARD_SLOTS / 2

/** What a {@link MemoryBoard} lies in. */
export interface BoardMemory {
  readonly words: Int32Array
  readonly bytes: Uint8Array
  /** Where in them the board begins: at a page. Zeros at first. */
  readonly byteOffset: number
  readonly rank: number
  readonly size: number
  /** No load overtakes another, or an atomic store before it: so it is on x64. */
  readonly loadsAreOrdered: boolean
  /** Wakes a rank if it sleeps. Called after an atomic store. */
  wake(rank: number): void
}

/** A board in memory that all ranks see: everything but the memory, and how to wake a rank. */
export class MemoryBoard implements Board {
  readonly channels: number
  readonly slots = BOARD_SLOTS
  readonly bytesMax: number
  readonly bytes: Uint8Array
  isDue: () => boolean = () => false
  private readonly memory: BoardMemory
  private readonly layout: BoardLayout
  private readonly away: number

  constructor(memory: BoardMemory) {
    this.memory = memory
    this.layout = boardLayout(memory.size)
    this.bytes = memory.bytes
    this.away = memory.byteOffset / 4 + awayWord(memory.rank)
    this.channels = this.layout.channels
    this.bytesMax = this.layout.bytesMax
  }

  /** Whether this rank has offered its core to others: what {@link BoardChannel.isAway} tells them. */
  set isAway(isAway: boolean) {
    // a hint, so no more than a plain store
    if (this.channels > 0) this.memory.words[this.away] = isAway ? 1 : 0
  }

  slotsFor(byteLength: number): number {
    return slotsFor(this.layout, byteLength)
  }

  channel(index: number, ranks: readonly number[]): BoardChannel {
    if (!(Number.isInteger(index) && index >= 0 && index < this.channels)) {
      throw new RangeError(`the board has channels 0 to ${this.channels - 1}, not ${index}`)
    }
    return new MemoryChannel(this.memory, this.layout, index, ranks)
  }
}

class MemoryChannel implements BoardChannel {
  readonly bytesMax: number
  private readonly words: Int32Array
  private readonly bytes: Uint8Array
  private readonly loadsAreOrdered: boolean
  private readonly wake: (rank: number) => void
  /** By member: the word at which its part starts. */
  private readonly parts: readonly number[]
  private readonly longParts: readonly number[]
  private readonly aways: readonly number[]
  private readonly own: number
  private readonly ownLong: number
  private readonly others: readonly number[]
  private readonly otherParts: readonly number[]
  private readonly slotWords: number
  private readonly stageWord: number
  private readonly shortBytesMax: number
  private saidDone = 0

  constructor(memory: BoardMemory, layout: BoardLayout, index: number, ranks: readonly number[]) {
    const { words, bytes, byteOffset, rank } = memory
    this.slotWords = layout.slotWords
    this.stageWord = layout.stageWord
    this.words = words
    this.bytes = bytes
    this.loadsAreOrdered = memory.loadsAreOrdered
    this.wake = (other) => memory.wake(other)
    this.bytesMax = channelBytesMax(layout, index)
    this.shortBytesMax = layout.bytesMax
    const partOf = (member: number): number => byteOffset / 4 + boardPartWord(layout, index, member)
    const longPartOf = (member: number): number => byteOffset / 4 + longPartWord(layout, index, member)
    this.parts = ranks.map(partOf)
    this.longParts = ranks.map(longPartOf)
    this.aways = ranks.map((member) => byteOffset / 4 + awayWord(member))
    this.own = partOf(rank)
    this.ownLong = longPartOf(rank)
    this.others = ranks.filter((member) => member !== rank)
    this.otherParts = this.others.map(partOf)
  }

  post(number: number, kind: number, bytes: Uint8Array): void {
    const { length } = bytes
    if (length > LOOP_BYTES_MAX) {
      this.bytes.set(bytes, this.ownOffset(number, length))
    } else {
      const own = this.bytes
      const at = 4 * (this.own + this.slotWord(number)) + SLOT_HEADER_BYTES
      for (let i = 0; i < length; i++) own[at + i] = bytes[i] as number
    }
    this.publish(number, kind, length)
  }

  fill(number: number, byteLength: number, offset: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, this.ownOffset(number, byteLength) + offset)
  }

  publish(number: number, kind: number, byteLength: number): void {
    const words = this.words
    const slot = this.own + this.slotWord(number)
    words[slot + SLOT_KIND_WORD] = kind
    words[slot + SLOT_LENGTH_WORD] = byteLength
    Atomics.store(words, slot + SLOT_NUMBER_WORD, number)
    const others = this.others
    for (let i = 0; i < others.length; i++) this.wake(others[i] as number)
  }

  forget(number: number): void {
    const slot = this.own + this.slotWord(number)
    Atomics.store(this.words, slot + SLOT_NUMBER_WORD, (number - BOARD_SLOTS) | 0)
    for (let stage = 0; stage < BOARD_STAGES; stage++) Atomics.store(this.words, slot + this.stageWord + stage, 0)
  }

  has(member: number, number: number): boolean {
    const word = (this.parts[member] as number) + this.slotWord(number) + SLOT_NUMBER_WORD
    // a plain look first, ten times cheaper: this is where a waiting rank spends its life
    if (this.words[word] !== number) return false
    return this.loadsAreOrdered || Atomics.load(this.words, word) === number
  }

  isAway(member: number): boolean {
    return this.words[this.aways[member] as number] !== 0
  }

  kindOf(member: number, number: number): number {
    return this.words[(this.parts[member] as number) + this.slotWord(number) + SLOT_KIND_WORD] as number
  }

  byteLengthOf(member: number, number: number): number {
    return this.words[(this.parts[member] as number) + this.slotWord(number) + SLOT_LENGTH_WORD] as number
  }

  offsetOf(member: number, number: number, byteLength: number): number {
    return this.placeOffset(this.parts[member] as number, this.longParts[member] as number, number, byteLength)
  }

  tell(number: number, stage: number, isWell: boolean): void {
    const word = this.own + this.slotWord(number) + this.stageWord + stage
    // a complement belongs to another slot than its number, so neither is ever taken for the other
    Atomics.store(this.words, word, isWell ? number : ~number)
    const others = this.others
    for (let i = 0; i < others.length; i++) this.wake(others[i] as number)
  }

  told(member: number, number: number, stage: number): number {
    const word = (this.parts[member] as number) + this.slotWord(number) + this.stageWord + stage
    const said = this.loadsAreOrdered ? (this.words[word] as number) : Atomics.load(this.words, word)
    if (said === number) return TOLD_WELL
    return said === ~number ? TOLD_ILL : NOT_TOLD
  }

  done(number: number, atOnce = false): void {
    const news = (number - this.saidDone) | 0
    if (news < DONE_PART && !(atOnce && news > 0)) return
    this.saidDone = number
    Atomics.store(this.words, this.own + DONE_WORD, number)
    const parts = this.otherParts
    for (let i = 0; i < parts.length; i++) {
      if (Atomics.load(this.words, (parts[i] as number) + WISH_WORD) !== 0) this.wake(this.others[i] as number)
    }
  }

  doneBy(member: number): number {
    return Atomics.load(this.words, (this.parts[member] as number) + DONE_WORD)
  }

  wishForRoom(wishes: boolean): void {
    Atomics.store(this.words, this.own + WISH_WORD, wishes ? 1 : 0)
  }

  private ownOffset(number: number, byteLength: number): number {
    return this.placeOffset(this.own, this.ownLong, number, byteLength)
  }

  private placeOffset(part: number, longPart: number, number: number, byteLength: number): number {
    if (byteLength > this.shortBytesMax) return 4 * (longPart + longPlaceWord(number, byteLength))
    return 4 * (part + this.slotWord(number)) + SLOT_HEADER_BYTES
  }

  /** Counted from a rank's part. */
  private slotWord(number: number): number {
    return FIRST_SLOT_WORD + (number & (BOARD_SLOTS - 1)) * this.slotWords
  }
}
