import type { FrameReceiver } from '../frame-receiver.js'

interface HeldFrame {
  readonly peer: number
  readonly words: Int32Array
  readonly bytes: Uint8Array
  /** The poll from which on it may be handed over. */
  readonly duePoll: number
}

/** Frames that have arrived but are held back. Per peer they leave in the order they came in. */
export class HeldFrames {
  private frames: HeldFrame[] = []

  get count(): number {
    return this.frames.length
  }

  hold(
    peer: number,
    words: Int32Array,
    wordCount: number,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
    duePoll: number,
  ): void {
    const copy = new Uint8Array(byteLength)
    copy.set(bytes.subarray(byteOffset, byteOffset + byteLength))
    this.frames.push({ peer, words: words.slice(0, wordCount), bytes: copy, duePoll })
  }

  /** Hands over what is due, at most `framesMax`; answers how many. */
  release(receiver: FrameReceiver, framesMax: number, poll: number): number {
    const due: HeldFrame[] = []
    const kept: HeldFrame[] = []
    const waiting = new Set<number>()
    for (const frame of this.frames) {
      const isDue = due.length < framesMax && frame.duePoll <= poll && !waiting.has(frame.peer)
      if (isDue) {
        due.push(frame)
      } else {
        kept.push(frame)
        waiting.add(frame.peer)
      }
    }
    this.frames = kept
    for (const { peer, words, bytes } of due) receiver.frame(peer, words, words.length, bytes, 0, bytes.byteLength)
    return due.length
  }

  /** Forgets one peer's frames. */
  drop(peer: number): void {
    this.frames = this.frames.filter((frame) => frame.peer !== peer)
  }

  clear(): void {
    this.frames = []
  }
}
