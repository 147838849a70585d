import { OnecopyError } from '@onecopy/transport'
import type { Arrival } from './arrival.js'
import type { Delivery } from './delivery.js'
import { allocate } from './element-type.js'
import {
  CREDIT,
  EAGER,
  EAGER_LONG_WORDS,
  EAGER_WORDS,
  FINISH,
  FLAG_ACKNOWLEDGE,
  FLAG_MORE,
  highWord,
  joinLength,
  MORE,
  OUTCOME_DONE,
  TYPE_SHIFT,
} from './envelope.js'
import type { Outbox } from './outbox.js'
import type { EagerInflow, PeerLink } from './peer-link.js'
import { CREDIT_BYTES, EAGER_OVERHEAD_BYTES, EAGER_WINDOW_BYTES, isEager, mattersRemote } from './protocol.js'
import { INTO, type RequestRecord } from './request.js'

/** Short messages: envelope and bytes leave at once, in one frame or in a row of them. Done when copied. */
export class EagerProtocol {
  private readonly outbox: Outbox
  private readonly words: Int32Array
  private readonly delivery: Delivery

  constructor(outbox: Outbox, delivery: Delivery) {
    this.outbox = outbox
    this.words = outbox.words
    this.delivery = delivery
  }

  /** The hot path: sends the whole message now and answers true, or does nothing and answers false. */
  trySend(link: PeerLink, context: number, tag: number, type: number, bytes: Uint8Array): boolean {
    // length, not byteLength: the latter is a call (10 ns)
    const byteLength = bytes.length
    if (byteLength > link.thresholds.eagerAtOnceBytesMax || link.backlog.length !== 0 || link.ended !== null)
      return false
    const outstanding = link.eagerOutstanding + byteLength + EAGER_OVERHEAD_BYTES
    if (outstanding > EAGER_WINDOW_BYTES) return false
    const words = this.words
    words[0] = EAGER | (type << TYPE_SHIFT)
    words[1] = context
    words[2] = tag
    if (!link.transport.trySend(link.rank, words, EAGER_WORDS, bytes, 0, byteLength)) return false
    link.eagerOutstanding = outstanding
    return true
  }

  /** Whether {@link send} may be used for a message of this length now. */
  accepts(link: PeerLink, byteLength: number): boolean {
    const { remote, thresholds } = link
    // asked only where it matters: where single copy is required, asking may be an error
    const hasRemote = remote !== null && mattersRemote(thresholds, byteLength) && remote.canRead(link.rank)
    return isEager(thresholds, byteLength, link.eagerOutstanding, hasRemote)
  }

  /**
   * Sends in as many frames as it takes; what does not fit waits in the backlog. `request` completes with the last frame,
   * or, when `acknowledgeId` is not -1, is left alone: FINISH completes it once the message has matched.
   */
  send(
    link: PeerLink,
    context: number,
    tag: number,
    type: number,
    bytes: Uint8Array,
    request: RequestRecord,
    acknowledgeId: number,
  ): void {
    const total = bytes.byteLength
    const part = link.thresholds.eagerPartBytes
    const words = this.words
    const whole = total <= part
    const acknowledged = acknowledgeId >= 0
    words[0] = EAGER | (type << TYPE_SHIFT) | (acknowledged ? FLAG_ACKNOWLEDGE : 0) | (whole ? 0 : FLAG_MORE)
    words[1] = context
    words[2] = tag
    words[3] = acknowledgeId
    words[4] = total | 0
    words[5] = highWord(total)
    const wordCount = whole && !acknowledged ? EAGER_WORDS : EAGER_LONG_WORDS
    let end = Math.min(part, total)
    const last = acknowledged ? null : request
    this.outbox.postBytes(link, wordCount, bytes, 0, end, end === total ? last : null)
    // after the post, which may throw: then nothing was sent
    link.eagerOutstanding += total + EAGER_OVERHEAD_BYTES
    while (end < total) {
      const from = end
      end = Math.min(total, from + part)
      words[0] = MORE
      this.outbox.postBytes(link, 1, bytes, from, end - from, end === total ? last : null)
    }
  }

  /** The first frame of a long eager message has come and matched `request`, or nothing (`arrival`). */
  beginInflow(
    link: PeerLink,
    words: Int32Array,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
    request: RequestRecord | null,
    arrival: Arrival | null,
    type: number,
    tag: number,
  ): void {
    const total = joinLength(words[4]!, words[5]!)
    if (!(total > byteLength && total <= EAGER_WINDOW_BYTES) || link.inflow !== null) {
      throw new OnecopyError('ERR_PROTOCOL', `rank ${link.rank} sent an eager message of ${total} bytes`, {
        rank: link.rank,
      })
    }
    let target: Uint8Array | null = null
    if (arrival !== null) {
      target = new Uint8Array(allocate(total))
      arrival.payload = target
      arrival.byteLength = total
    } else if (request !== null) {
      this.delivery.describe(request, link.rank, tag, total)
      if (request.mode !== INTO) target = new Uint8Array(allocate(total))
      else if (this.delivery.refusal(request, type, total) === null) target = request.bytes
    }
    const acknowledgeId = (words[0]! & FLAG_ACKNOWLEDGE) !== 0 ? words[3]! : -1
    const inflow: EagerInflow = { target, at: byteLength, total, request, arrival, acknowledgeId }
    if (target !== null) this.delivery.copier.copy(target, 0, bytes, byteOffset, byteLength)
    if (arrival !== null) arrival.receivedBytes = byteLength
    if (request !== null) request.detail = type
    link.inflow = inflow
  }

  /** The next part. */
  more(link: PeerLink, bytes: Uint8Array, byteOffset: number, byteLength: number): void {
    const inflow = link.inflow
    if (inflow === null || inflow.at + byteLength > inflow.total) {
      throw new OnecopyError('ERR_PROTOCOL', `rank ${link.rank} sent more bytes than it had announced`, {
        rank: link.rank,
      })
    }
    // the receiver's memory may be gone by now: the rest is let pass, and the receive fails with that
    if (inflow.target !== null && inflow.target.length < inflow.at + byteLength) inflow.target = null
    if (inflow.target !== null) this.delivery.copier.copy(inflow.target, inflow.at, bytes, byteOffset, byteLength)
    inflow.at += byteLength
    const { arrival, request } = inflow
    if (arrival !== null) arrival.receivedBytes = inflow.at
    if (inflow.at < inflow.total) return
    link.inflow = null
    if (arrival !== null) {
      if (arrival.claimant !== null) this.deliverArrival(link, arrival, arrival.claimant)
      return
    }
    this.acknowledge(link, inflow.acknowledgeId)
    this.consumed(link, inflow.total)
    if (request === null) return
    const type = request.detail as number
    if (inflow.target === null) request.fail(this.delivery.refusal(request, type, inflow.total))
    else this.delivery.conclude(request, type, inflow.target, [])
  }

  /** A receive has matched an eager message that came before it. Waits for the rest if it is still coming. */
  deliverArrival(link: PeerLink, arrival: Arrival, request: RequestRecord): void {
    if (arrival.receivedBytes < arrival.byteLength) {
      if (link.ended !== null) {
        // taken by a matched probe before its sender ended: the rest will never come
        request.fail(link.ended)
        return
      }
      arrival.claimant = request
      return
    }
    this.acknowledge(link, arrival.sendId)
    this.consumed(link, arrival.byteLength)
    const { peer, tag, type, payload, byteLength } = arrival
    this.delivery.deliver(request, peer, tag, type, payload!, 0, byteLength, true)
  }

  /**
   * Tells a synchronous send (-1: none) that its message has matched. Not before all of it is here: until then the sender
   * may have parts in its backlog, which lie in the user's memory.
   */
  acknowledge(link: PeerLink, sendId: number): void {
    if (sendId < 0) return
    this.words[0] = FINISH
    this.words[1] = sendId
    this.words[2] = OUTCOME_DONE
    this.outbox.post(link, 3)
  }

  /** The peer has received this much of what was sent to it. */
  credited(link: PeerLink, byteLength: number): void {
    if (!(byteLength > 0 && byteLength <= link.eagerOutstanding)) {
      throw new OnecopyError('ERR_PROTOCOL', `rank ${link.rank} gives credit for ${byteLength} bytes it was not sent`, {
        rank: link.rank,
      })
    }
    link.eagerOutstanding -= byteLength
  }

  /** Counts a received eager message, and tells its sender when enough has come together. */
  consumed(link: PeerLink, byteLength: number): void {
    link.messages++
    link.bytesEager += byteLength
    link.eagerConsumed += byteLength + EAGER_OVERHEAD_BYTES
    if (link.eagerConsumed < CREDIT_BYTES) return
    this.words[0] = CREDIT
    this.words[1] = link.eagerConsumed
    link.eagerConsumed = 0
    this.outbox.post(link, 2)
  }
}
