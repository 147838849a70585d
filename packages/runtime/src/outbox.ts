import { FRAME_WORDS_MAX, OnecopyError } from '@onecopy/transport'
import { EAGER, KIND_MASK } from './envelope.js'
import type { PeerLink } from './peer-link.js'
import { EAGER_OVERHEAD_BYTES } from './protocol.js'
import type { RequestRecord } from './request.js'
import { WorkSet } from './work-set.js'

const NOTHING = new Uint8Array(0)

/** Sent frames that may stand at a backlog's front before they are cut off: cutting one by one is quadratic. */
const FRAMES_PER_CUT = 1024

/** Gets frames out in order: at once where there is room, else from a backlog that the engine keeps pushing. */
export class Outbox {
  /** The header of the next frame: filled in by the protocols, copied out by the transport. */
  readonly words = new Int32Array(FRAME_WORDS_MAX)
  /** Called when a frame has to wait: somebody has to push from now on, even when no request is left that waits. */
  onBacklog: () => void = () => undefined
  private readonly waiting = new WorkSet<PeerLink>()

  get hasBacklog(): boolean {
    return this.waiting.size !== 0
  }

  /** Sends `words` alone. */
  post(link: PeerLink, wordCount: number): void {
    this.postBytes(link, wordCount, NOTHING, 0, 0, null)
  }

  /** Sends `words` and a payload; `request` (if any) completes once both are copied out. */
  postBytes(
    link: PeerLink,
    wordCount: number,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
    request: RequestRecord | null,
  ): void {
    if (link.ended !== null) {
      if (request !== null && !request.done) request.fail(link.ended)
      return
    }
    if (link.backlog.length === 0 && link.trySend(this.words, wordCount, bytes, byteOffset, byteLength)) {
      if (request !== null) request.complete(undefined)
      return
    }
    const words = this.words.slice(0, wordCount)
    link.backlog.push({ words, bytes, byteOffset, byteLength, request })
    this.waiting.add(link)
    this.onBacklog()
  }

  /** Pushes backlogs out as far as there is room; answers how many frames went. */
  flush(): number {
    let sent = 0
    for (const link of this.waiting) {
      const backlog = link.backlog
      let next = link.backlogSent
      while (next < backlog.length) {
        const frame = backlog[next]!
        const gone = frame.bytes.byteLength < frame.byteOffset + frame.byteLength
        const fits = link.trySend(
          frame.words,
          frame.words.length,
          // the frame was promised; zeros keep the order of things, and the sender learns what it did
          gone ? new Uint8Array(frame.byteOffset + frame.byteLength) : frame.bytes,
          frame.byteOffset,
          frame.byteLength,
        )
        if (!fits) break
        // noted at once: what follows may throw, and a frame must not go out twice
        link.backlogSent = ++next
        sent++
        const { request } = frame
        if (request === null) continue
        // what has gone out stays in the list for a while, and its request may serve for something else by then
        frame.request = null
        if (gone) request.fail(bufferGone(link))
        else request.complete(undefined)
      }
      if (next === backlog.length) {
        backlog.length = 0
        link.backlogSent = 0
        this.waiting.delete(link)
      } else if (next >= FRAMES_PER_CUT) {
        backlog.splice(0, next)
        link.backlogSent = 0
      }
    }
    return sent
  }

  /** Takes a send that has not begun to go out back; false when it is not waiting here. */
  withdraw(link: PeerLink, request: RequestRecord): boolean {
    const at = link.backlog.findIndex((frame) => frame.request === request)
    const frame = link.backlog[at]
    // the last part of a message in parts: the first ones may be over there
    if (frame === undefined || (frame.words[0]! & KIND_MASK) !== EAGER) return false
    link.backlog.splice(at, 1)
    link.eagerOutstanding -= frame.byteLength + EAGER_OVERHEAD_BYTES
    if (link.backlog.length === link.backlogSent) {
      link.backlog.length = 0
      link.backlogSent = 0
      this.waiting.delete(link)
    }
    return true
  }

  /** Drops everything for a peer that has ended; its requests fail. */
  drop(link: PeerLink, error: unknown): void {
    this.waiting.delete(link)
    link.backlogSent = 0
    for (const frame of link.backlog.splice(0)) {
      if (frame.request !== null && !frame.request.done) frame.request.fail(error)
    }
  }
}

function bufferGone(link: PeerLink): OnecopyError {
  return new OnecopyError('ERR_BUFFER_GONE', 'the memory of a message was transferred or detached before it was sent', {
    rank: link.rank,
  })
}
