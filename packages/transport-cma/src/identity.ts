import { readFileSync, readlinkSync } from 'node:fs'
import type { Libc } from './libc/libc.js'
import { randomBytes } from './random.js'
import {
  CARD_CELLS_ADDRESS_WORD,
  CARD_CLOSED,
  CARD_NAMESPACE_WORD,
  CARD_NONCE_ADDRESS_WORD,
  CARD_NONCE_WORD,
  CARD_OPEN,
  CARD_PID_WORD,
  CARD_START_WORD,
  CARD_STATE_WORD,
  cardWord,
  NONCE_BYTES,
  NONCE_WORDS,
} from './ring-layout.js'

const WORD_RANGE = 4294967296
/** No process has an address at or beyond this one (56-bit addresses are the widest there are). */
const ADDRESS_END = 2 ** 56
/** Typed arrays of 64 bytes and less move; this one must not. */
const PRIVATE_BYTES_MIN = 4096

/**
 * A rank's private memory that peers may know of: a random nonce that proves who is read, and one cell per peer for trial
 * writes. Kept alive as long as its owner.
 */
export class Identity {
  readonly #words: Int32Array
  readonly #address: number
  readonly nonce: Int32Array

  constructor(libc: Libc, size: number) {
    this.#words = new Int32Array(Math.max(PRIVATE_BYTES_MIN, NONCE_BYTES * (size + 1)) / 4)
    this.#address = libc.addressOf(this.#words)
    this.nonce = this.#words.subarray(0, NONCE_WORDS)
    new Uint8Array(this.nonce.buffer, 0, NONCE_BYTES).set(randomBytes(NONCE_BYTES))
  }

  /** Writes this rank's card; from then on peers find it open. */
  publish(words: Int32Array, rank: number): void {
    const at = cardWord(rank)
    words[at + CARD_PID_WORD] = process.pid
    putNumber(words, at + CARD_START_WORD, startTime(process.pid) ?? 0)
    putNumber(words, at + CARD_NONCE_ADDRESS_WORD, this.#address)
    putNumber(words, at + CARD_CELLS_ADDRESS_WORD, this.#address + NONCE_BYTES)
    words.set(this.nonce, at + CARD_NONCE_WORD)
    words[at + CARD_NAMESPACE_WORD] = pidNamespace()
    Atomics.store(words, at + CARD_STATE_WORD, CARD_OPEN)
  }

  /** Marks the card as closed, and makes the nonce useless to whoever still reads it. */
  withdraw(words: Int32Array, rank: number): void {
    Atomics.store(words, cardWord(rank) + CARD_STATE_WORD, CARD_CLOSED)
    this.nonce.fill(0)
  }
}

/** A peer's card, copied out of the shared segment once and checked. */
export interface Card {
  readonly pid: number
  /** Start time in clock ticks since boot; 0 when unknown. */
  readonly startTime: number
  readonly nonceAddress: number
  readonly cellsAddress: number
  readonly nonce: Int32Array
  /** See {@link pidNamespace}. */
  readonly namespace: number
}

/** Whether `rank` has joined; it may have left again. */
export function hasJoined(words: Int32Array, rank: number): boolean {
  const state = Atomics.load(words, cardWord(rank) + CARD_STATE_WORD)
  return state === CARD_OPEN || state === CARD_CLOSED
}

/** The card of `rank`, or null when there is none or it cannot be one. */
export function readCard(words: Int32Array, rank: number): Card | null {
  const at = cardWord(rank)
  if (Atomics.load(words, at + CARD_STATE_WORD) !== CARD_OPEN) return null
  const card: Card = {
    pid: words[at + CARD_PID_WORD] as number,
    startTime: takeNumber(words, at + CARD_START_WORD),
    nonceAddress: takeNumber(words, at + CARD_NONCE_ADDRESS_WORD),
    cellsAddress: takeNumber(words, at + CARD_CELLS_ADDRESS_WORD),
    nonce: words.slice(at + CARD_NONCE_WORD, at + CARD_NONCE_WORD + NONCE_WORDS),
    namespace: words[at + CARD_NAMESPACE_WORD] as number,
  }
  const isAddress = (value: number): boolean => value > 0 && value < ADDRESS_END
  return card.pid > 0 && isAddress(card.nonceAddress) && isAddress(card.cellsAddress) ? card : null
}

/** When a process was started, in clock ticks since boot; null when /proc does not say. */
export function startTime(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the name in parentheses, which may hold anything; the start time is the 20th after it.
    const value = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
    return Number.isSafeInteger(value) ? value : null
  } catch {
    return null
  }
}

/**
 * The pid namespace of this process, as a word to compare; 0 when /proc does not say, or shows another namespace's processes,
 * as it does after `unshare --pid` without a /proc of its own. Two processes may both be pid 1: a start time identifies
 * one only among those of the same namespace.
 */
export function pidNamespace(): number {
  try {
    if (readlinkSync('/proc/self') !== String(process.pid)) return 0
    return Number(/\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? 0) | 0
  } catch {
    return 0
  }
}

/** A number below 2^53 as two words, low half first. */
export function putNumber(words: Int32Array, at: number, value: number): void {
  words[at] = value
  words[at + 1] = Math.floor(value / WORD_RANGE)
}

/** The mirror of {@link putNumber}; negative for what it never writes. */
export function takeNumber(words: Int32Array, at: number): number {
  return (words[at + 1] as number) * WORD_RANGE + ((words[at] as number) >>> 0)
}
