import type { FrameReceiver } from '../frame-receiver.js'
import { FRAME_WORDS_MAX } from '../transport.js'

/** A frame as it arrived, copied. */
export interface Frame {
  readonly peer: number
  readonly words: Int32Array
  readonly bytes: Uint8Array
}

/** A receiver that keeps copies, and watches whether the transport keeps to the rules of `FrameReceiver`. */
export class Recorder implements FrameReceiver {
  readonly frames: Frame[] = []
  /** Runs inside `frame`, after the copy; what it throws is kept as a violation, since `frame` must not throw. */
  onFrame: ((frame: Frame) => void) | null = null
  /** Set while the suite is inside `poll`. */
  isPolled = false
  /** The first rule that was broken. */
  violation: string | null = null

  private readonly rank: number
  private readonly size: number
  private readonly frameBytesMax: number
  private isInside = false

  constructor(rank: number, size: number, frameBytesMax: number) {
    this.rank = rank
    this.size = size
    this.frameBytesMax = frameBytesMax
  }

  frame(
    peer: number,
    words: Int32Array,
    wordCount: number,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
  ): void {
    if (this.isInside) this.blame('receiver.frame was called from inside receiver.frame')
    if (!this.isPolled) this.blame('receiver.frame was called outside poll')
    this.isInside = true
    try {
      this.take(peer, words, wordCount, bytes, byteOffset, byteLength)
    } finally {
      this.isInside = false
    }
  }

  from(peer: number): Frame[] {
    return this.frames.filter((frame) => frame.peer === peer)
  }

  blame(what: string): void {
    this.violation ??= `rank ${this.rank}: ${what}`
  }

  private take(
    peer: number,
    words: Int32Array,
    wordCount: number,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
  ): void {
    if (!(Number.isInteger(peer) && peer >= 0 && peer < this.size && peer !== this.rank)) {
      this.blame(`a frame came from rank ${peer}, who is no peer in a job of ${this.size}`)
    }
    if (!(words instanceof Int32Array && wordCount >= 1 && wordCount <= Math.min(FRAME_WORDS_MAX, words.length))) {
      this.blame(`a frame has ${wordCount} header words, in an array of ${words.length}`)
      return
    }
    if (!(byteOffset >= 0 && byteLength >= 0 && byteOffset + byteLength <= bytes.byteLength)) {
      this.blame(`${byteLength} payload bytes at ${byteOffset} were lent, in an array of ${bytes.byteLength}`)
      return
    }
    if (byteLength > this.frameBytesMax) this.blame(`a payload of ${byteLength} bytes exceeds limits.frameBytesMax`)
    const frame = { peer, words: words.slice(0, wordCount), bytes: copyOf(bytes, byteOffset, byteLength) }
    // The words are this receiver's private copy: spoiling them must not spoil any frame to come.
    words.fill(-1)
    this.frames.push(frame)
    try {
      this.onFrame?.(frame)
    } catch (error) {
      this.blame(String(error))
    }
  }
}

/** Copies without `slice`, which on Node's Buffer makes a view instead. */
function copyOf(bytes: Uint8Array, byteOffset: number, byteLength: number): Uint8Array {
  const copy = new Uint8Array(byteLength)
  for (let i = 0; i < byteLength; i++) copy[i] = bytes[byteOffset + i] as number
  return copy
}
