import { OnecopyError, REGION_WORDS } from '@onecopy/transport'
import type { Arrival } from './arrival.js'
import type { Delivery } from './delivery.js'
import { allocate, VALUE } from './element-type.js'
import {
  ANNOUNCE,
  ANNOUNCE_WORDS,
  copyRegion,
  DATA,
  FINISH,
  FLAG_PARTS,
  FLAG_REGION,
  FLAG_WAITING,
  highWord,
  joinLength,
  OFFER,
  OFFER_REGION_AT,
  OFFER_WORDS,
  OUTCOME_BUFFER_GONE,
  OUTCOME_DONE,
  OUTCOME_REFUSED,
  PULL,
  REGION_AT,
  TYPE_SHIFT,
  WAITING,
  WRITTEN,
} from './envelope.js'
import { Incoming } from './incoming.js'
import type { Outbox } from './outbox.js'
import { Outgoing } from './outgoing.js'
import type { PeerLink } from './peer-link.js'
import { isExposable, isReadable, isRoundOver, looksBeforeReading, readLength, splitAt } from './protocol.js'
import { INTO, type RequestRecord } from './request.js'
import { SlotTable } from './slot-table.js'
import type { ValuePacker } from './value-packer.js'
import { WorkSet } from './work-set.js'

/**
 * Long messages: the sender announces, the receiver matches first and then fetches, by remote memory where it can (alone or
 * with both ends copying), else as a stream of frames. Every step moves about one segment, however many messages are under
 * way, so that an event loop is never held for long; the engine calls {@link step} until nothing is.
 */
export class Rendezvous {
  readonly sends = new SlotTable<Outgoing>()
  readonly receives = new SlotTable<Incoming>()
  private readonly outbox: Outbox
  private readonly words: Int32Array
  private readonly delivery: Delivery
  private readonly packer: ValuePacker
  /** What has a segment to move: removed when done, or when it waits for the peer. */
  private readonly incoming = new WorkSet<Incoming>()
  private readonly outgoing = new WorkSet<Outgoing>()
  /** In the current round. */
  private bytesMoved = 0

  constructor(outbox: Outbox, delivery: Delivery, packer: ValuePacker) {
    this.outbox = outbox
    this.words = outbox.words
    this.delivery = delivery
    this.packer = packer
  }

  get hasWork(): boolean {
    return this.incoming.size !== 0 || this.outgoing.size !== 0
  }

  /** Sender: announces a message. `waiting`: the caller's thread does nothing until it is gone. */
  announce(
    link: PeerLink,
    context: number,
    tag: number,
    type: number,
    body: Uint8Array,
    parts: Uint8Array[],
    request: RequestRecord,
    waiting: boolean,
  ): void {
    const outgoing = new Outgoing(request, link, context, body, parts)
    const sendId = this.sends.add(outgoing)
    request.sendId = sendId
    request.detail = outgoing
    outgoing.toldWaiting = waiting
    const words = this.words
    let flags = waiting ? FLAG_WAITING : 0
    if (parts.length > 0) flags |= FLAG_PARTS
    if (outgoing.expose()) flags |= FLAG_REGION
    copyRegion(outgoing.region, 0, words, REGION_AT)
    words[0] = ANNOUNCE | (type << TYPE_SHIFT) | flags
    words[1] = context
    words[2] = tag
    words[3] = sendId
    words[4] = outgoing.main.byteLength | 0
    words[5] = highWord(outgoing.main.byteLength)
    try {
      this.outbox.post(link, ANNOUNCE_WORDS)
    } catch (error) {
      // nobody has heard of it, so nobody will ever finish it
      this.release(outgoing)
      throw error
    }
  }

  /** Sender: somebody awaits this send, so this side has time to copy. */
  nowWaiting(request: RequestRecord): void {
    const outgoing = this.sends.get(request.sendId)
    if (outgoing === null || outgoing.toldWaiting) return
    if (outgoing.main.byteLength < outgoing.link.thresholds.bothEndsBytesMin) return
    outgoing.toldWaiting = true
    this.words[0] = WAITING
    this.words[1] = request.sendId
    this.outbox.post(outgoing.link, 2)
  }

  /** Receiver: `arrival`, an announcement, has matched `request`. */
  begin(link: PeerLink, arrival: Arrival, request: RequestRecord): void {
    const { type, flags, byteLength, sendId, tag } = arrival
    this.delivery.describe(request, link.rank, tag, byteLength)
    if (link.ended !== null) {
      // announced before its sender ended: there is nobody left to fetch it from
      request.fail(link.ended)
      return
    }
    const refusal = this.delivery.refusal(request, type, byteLength)
    if (refusal !== null) {
      this.finish(link, sendId, OUTCOME_DONE)
      request.fail(refusal)
      return
    }
    const main = request.mode === INTO && type !== VALUE ? request.bytes! : allocateBytes(link, byteLength, request)
    if (main === null) {
      this.finish(link, sendId, OUTCOME_DONE)
      return
    }
    const incoming = new Incoming(request, link, type, (flags & FLAG_PARTS) !== 0, sendId, main, byteLength)
    copyRegion(arrival.region, 0, incoming.region, 0)
    const { remote } = link
    let isPullable = false
    try {
      isPullable =
        (flags & FLAG_REGION) !== 0 && remote !== null && isReadable(remote, main) && remote.canRead(link.rank)
    } catch (error) {
      // single copy is required, and refused
      this.finish(link, sendId, OUTCOME_DONE)
      request.fail(error)
      return
    }
    if (isPullable) {
      if ((flags & FLAG_WAITING) !== 0) this.offer(incoming)
      else incoming.looksLeft = looksBeforeReading(link.thresholds, byteLength, incoming.hasParts)
      if (incoming.looksLeft === 0) this.advance(incoming)
      if (!incoming.idle) this.incoming.add(incoming)
    } else {
      this.pull(incoming, 0)
    }
  }

  /** Moves what is under way on, about a segment's worth in all; answers how much moved. */
  step(): number {
    let moved = 0
    this.bytesMoved = 0
    // from the front to the back of the line, so that with many messages under way each gets its turn
    for (let left = this.incoming.size; left > 0 && !isRoundOver(this.bytesMoved); left--) {
      const incoming = this.incoming.takeFirst()
      if (incoming.looksLeft > 0) {
        incoming.looksLeft--
      } else {
        moved++
        this.advance(incoming)
      }
      if (!incoming.idle) this.incoming.add(incoming)
    }
    for (let left = this.outgoing.size; left > 0 && !isRoundOver(this.bytesMoved); left--) {
      const outgoing = this.outgoing.takeFirst()
      moved += this.push(outgoing)
      if (outgoing.hasWork) this.outgoing.add(outgoing)
    }
    return moved
  }

  // --- frames, receiver's side

  onWaiting(link: PeerLink, sendId: number): void {
    for (const incoming of this.incoming) {
      if (incoming.link !== link || incoming.sendId !== sendId) continue
      incoming.looksLeft = 0
      this.offer(incoming)
    }
  }

  onWritten(link: PeerLink, recvId: number, outcome: number): void {
    const incoming = this.incomingOf(link, recvId)
    incoming.awaitsWritten = false
    if (outcome === OUTCOME_BUFFER_GONE) {
      incoming.failure ??= bufferGone(
        link,
        'has transferred or detached the memory of its message before it was received',
      )
      incoming.outcome = OUTCOME_BUFFER_GONE
      this.concludeIfWhole(incoming)
      return
    }
    if (outcome !== OUTCOME_DONE) incoming.readEnd = incoming.byteLength
    else link.bytesSingleCopy += incoming.byteLength - incoming.readEnd
    this.advance(incoming)
    if (!incoming.idle) this.incoming.add(incoming)
  }

  onData(link: PeerLink, recvId: number, bytes: Uint8Array, byteOffset: number, byteLength: number): void {
    const incoming = this.receives.get(recvId)
    // on its way when this side gave the message up
    if (incoming === null || incoming.link !== link) return
    if (this.isOwnGone(incoming)) {
      this.concludeIfWhole(incoming)
      return
    }
    link.bytesStreamed += byteLength
    let taken = 0
    while (taken < byteLength) {
      if (incoming.streamDone) {
        throw new OnecopyError('ERR_PROTOCOL', `rank ${link.rank} streamed more than it had announced`, {
          rank: link.rank,
        })
      }
      taken += incoming.takeStreamed(this.delivery.copier, bytes, byteOffset + taken, byteLength - taken)
      if (incoming.mainStreamed && incoming.hasParts && incoming.parts === null) {
        if (!this.openParts(incoming)) return
      }
    }
    this.concludeIfWhole(incoming)
  }

  // --- frames, sender's side

  onOffer(link: PeerLink, words: Int32Array): void {
    const outgoing = this.outgoingOf(link, words[1]!)
    outgoing.pushRegion ??= new Int32Array(REGION_WORDS)
    copyRegion(words, OFFER_REGION_AT, outgoing.pushRegion, 0)
    outgoing.pushId = words[2]!
    outgoing.pushAt = joinLength(words[3]!, words[4]!)
    // memory that is gone has no length to compare with, and is no fault of the peer's
    if (!outgoing.isGone && !(outgoing.pushAt >= 0 && outgoing.pushAt < outgoing.main.byteLength)) {
      throw new OnecopyError(
        'ERR_PROTOCOL',
        `rank ${link.rank} offers memory for byte ${outgoing.pushAt} of a message`,
        {
          rank: link.rank,
        },
      )
    }
    this.push(outgoing)
    if (outgoing.hasWork) this.outgoing.add(outgoing)
  }

  onPull(link: PeerLink, words: Int32Array): void {
    const outgoing = this.outgoingOf(link, words[1]!)
    outgoing.streamId = words[2]!
    outgoing.streamAt = joinLength(words[3]!, words[4]!)
    this.push(outgoing)
    if (outgoing.hasWork) this.outgoing.add(outgoing)
  }

  onFinish(link: PeerLink, sendId: number, outcome: number): void {
    const outgoing = this.outgoingOf(link, sendId)
    this.release(outgoing)
    if (outgoing.request.done) return
    if (outcome === OUTCOME_BUFFER_GONE || outgoing.isGone) {
      outgoing.request.fail(bufferGone(link, 'could not read the message: its memory is gone'))
    } else {
      outgoing.request.complete(undefined)
    }
  }

  /** Sender: everything about a message is over; its memory is the user's again. */
  release(outgoing: Outgoing): void {
    this.sends.remove(outgoing.request.sendId)
    this.outgoing.delete(outgoing)
    outgoing.withdraw()
  }

  /** The peer has ended: what it had not finished fails. */
  drop(link: PeerLink, error: OnecopyError): void {
    for (const outgoing of this.sends.items()) {
      if (outgoing.link !== link) continue
      this.release(outgoing)
      if (!outgoing.request.done) outgoing.request.fail(error)
    }
    for (const incoming of this.incoming) {
      if (incoming.link === link) this.abandon(incoming, error)
    }
    for (const incoming of this.receives.items()) {
      if (incoming.link === link) this.abandon(incoming, error)
    }
  }

  // --- receiver's steps

  /** Offers the sender the second half of what is left, if that pays. */
  private offer(incoming: Incoming): void {
    const { link, main } = incoming
    if (incoming.offered || incoming.hasParts || incoming.readEnd < incoming.byteLength) return
    const from = splitAt(link.thresholds, incoming.readAt, incoming.byteLength)
    if (from >= incoming.byteLength || !isExposable(link.remote, main)) return
    incoming.offered = true
    incoming.awaitsWritten = true
    incoming.readEnd = from
    const words = this.words
    link.remote.expose(main, words, OFFER_REGION_AT)
    incoming.exposed = words.slice(OFFER_REGION_AT, OFFER_REGION_AT + REGION_WORDS)
    words[0] = OFFER
    words[1] = incoming.sendId
    words[2] = this.numbered(incoming)
    words[3] = from | 0
    words[4] = highWord(from)
    this.outbox.post(link, OFFER_WORDS)
  }

  /** Reads one segment, or notices that everything has been read. */
  private advance(incoming: Incoming): void {
    if (incoming.streamAt >= 0 || incoming.failure !== null) {
      this.concludeIfWhole(incoming)
      return
    }
    if (this.isOwnGone(incoming)) {
      this.concludeIfWhole(incoming)
      return
    }
    const { link } = incoming
    const remote = link.remote!
    try {
      if (incoming.readAt < incoming.readEnd) {
        const length = readLength(
          link.thresholds,
          remote.limits.segmentBytes,
          incoming.readAt,
          incoming.readEnd,
          !incoming.offered && !incoming.hasParts,
        )
        remote.read(link.rank, incoming.region, 0, incoming.readAt, incoming.main, incoming.readAt, length)
        incoming.readAt += length
        this.bytesMoved += length
        link.bytesSingleCopy += length
        if (incoming.readAt < incoming.readEnd) return
      } else if (incoming.parts !== null && !incoming.partsRead) {
        const length = incoming.readParts(remote)
        this.bytesMoved += length
        link.bytesSingleCopy += length
      }
    } catch (error) {
      this.readFailed(incoming, error)
      return
    }
    if (incoming.mainRead && incoming.hasParts && incoming.parts === null) this.openParts(incoming)
    else this.concludeIfWhole(incoming)
  }

  /** Whether this side's memory has been transferred or shrunk since the receive was posted; then it fails with that. */
  private isOwnGone(incoming: Incoming): boolean {
    if (incoming.main.length >= incoming.byteLength) return false
    incoming.failure ??= this.delivery.gone(incoming.request)
    return true
  }

  private readFailed(incoming: Incoming, error: unknown): void {
    const code = error instanceof OnecopyError ? error.code : ''
    if (code === 'ERR_UNAVAILABLE') {
      this.pull(incoming, incoming.mainRead ? incoming.byteLength : incoming.readAt)
    } else {
      incoming.failure = error
      if (code === 'ERR_BUFFER_GONE') incoming.outcome = OUTCOME_BUFFER_GONE
      this.concludeIfWhole(incoming)
    }
  }

  /** Asks for the rest as frames. */
  private pull(incoming: Incoming, from: number): void {
    incoming.startStream(from)
    this.incoming.delete(incoming)
    if (incoming.whole) {
      // an empty message: nothing will come that could conclude it
      this.concludeIfWhole(incoming)
      return
    }
    const words = this.words
    words[0] = PULL
    words[1] = incoming.sendId
    words[2] = this.numbered(incoming)
    words[3] = from | 0
    words[4] = highWord(from)
    this.outbox.post(incoming.link, 5)
  }

  /** The body is here: makes memory for the parts it speaks of. */
  private openParts(incoming: Incoming): boolean {
    try {
      incoming.openParts(this.packer.partLengths(incoming.main))
      return true
    } catch (error) {
      incoming.failure = error
      this.concludeIfWhole(incoming)
      return false
    }
  }

  private concludeIfWhole(incoming: Incoming): void {
    if (incoming.awaitsWritten) return
    if (incoming.failure === null && !incoming.whole) return
    this.forget(incoming)
    this.finish(incoming.link, incoming.sendId, incoming.outcome)
    incoming.link.messages++
    if (incoming.failure !== null) incoming.request.fail(incoming.failure)
    else this.delivery.conclude(incoming.request, incoming.type, incoming.body, incoming.parts ?? [])
  }

  private abandon(incoming: Incoming, error: unknown): void {
    this.forget(incoming)
    if (!incoming.request.done) incoming.request.fail(error)
  }

  private forget(incoming: Incoming): void {
    incoming.concluded = true
    this.incoming.delete(incoming)
    if (incoming.recvId >= 0) this.receives.remove(incoming.recvId)
    if (incoming.exposed !== null) incoming.link.remote!.withdraw(incoming.exposed, 0)
  }

  private numbered(incoming: Incoming): number {
    if (incoming.recvId < 0) incoming.recvId = this.receives.add(incoming)
    return incoming.recvId
  }

  private finish(link: PeerLink, sendId: number, outcome: number): void {
    this.words[0] = FINISH
    this.words[1] = sendId
    this.words[2] = outcome
    this.outbox.post(link, 3)
  }

  // --- sender's steps

  /** Writes one segment into the receiver, and streams as many frames as fit. */
  private push(outgoing: Outgoing): number {
    if (outgoing.isGone) {
      this.tellGone(outgoing)
      return 1
    }
    let moved = 0
    if (outgoing.pushId >= 0) {
      moved++
      this.write(outgoing)
    }
    if (outgoing.streamId >= 0) moved += this.stream(outgoing)
    return moved
  }

  /** Memory that is gone can be neither written from nor streamed; said once, because the receiver then forgets the message. */
  private tellGone(outgoing: Outgoing): void {
    const recvId = outgoing.pushId >= 0 ? outgoing.pushId : outgoing.streamId
    outgoing.pushId = -1
    outgoing.streamId = -1
    if (outgoing.toldGone) return
    outgoing.toldGone = true
    this.words[0] = WRITTEN
    this.words[1] = recvId
    this.words[2] = OUTCOME_BUFFER_GONE
    this.outbox.post(outgoing.link, 3)
  }

  private write(outgoing: Outgoing): void {
    const { link, main } = outgoing
    const remote = link.remote
    let outcome = OUTCOME_DONE
    if (remote === null) {
      outcome = OUTCOME_REFUSED
    } else {
      const length = Math.min(remote.limits.segmentBytes, main.byteLength - outgoing.pushAt)
      try {
        remote.write(link.rank, outgoing.pushRegion!, 0, outgoing.pushAt, main, outgoing.pushAt, length)
        outgoing.pushAt += length
        this.bytesMoved += length
        if (outgoing.pushAt < main.byteLength) return
      } catch (error) {
        if (!(error instanceof OnecopyError)) throw error
        // whatever the reason, the receiver then fetches this part itself, and finds out more
        outcome = OUTCOME_REFUSED
      }
    }
    const words = this.words
    words[0] = WRITTEN
    words[1] = outgoing.pushId
    words[2] = outcome
    outgoing.pushId = -1
    this.outbox.post(link, 3)
  }

  private stream(outgoing: Outgoing): number {
    const { link } = outgoing
    const frameBytes = link.thresholds.streamFrameBytes
    const words = this.words
    words[0] = DATA
    words[1] = outgoing.streamId
    let sent = 0
    while (outgoing.streamAt < outgoing.totalBytes && !isRoundOver(this.bytesMoved)) {
      const piece = outgoing.pieceAt(outgoing.streamAt)
      const offset = outgoing.streamAt - outgoing.pieceFrom
      const length = Math.min(frameBytes, piece.byteLength - offset)
      if (link.backlog.length > 0 || !link.trySend(words, 2, piece, offset, length)) return sent
      outgoing.streamAt += length
      this.bytesMoved += length
      sent++
    }
    if (outgoing.streamAt === outgoing.totalBytes) outgoing.streamId = -1
    return sent
  }

  private outgoingOf(link: PeerLink, sendId: number): Outgoing {
    const outgoing = this.sends.get(sendId)
    if (outgoing === null || outgoing.link !== link) throw unknownNumber(link, sendId)
    return outgoing
  }

  private incomingOf(link: PeerLink, recvId: number): Incoming {
    const incoming = this.receives.get(recvId)
    if (incoming === null || incoming.link !== link) throw unknownNumber(link, recvId)
    return incoming
  }
}

function bufferGone(link: PeerLink, what: string): OnecopyError {
  return new OnecopyError('ERR_BUFFER_GONE', `rank ${link.rank} ${what}`, { rank: link.rank })
}

function unknownNumber(link: PeerLink, id: number): OnecopyError {
  return new OnecopyError('ERR_PROTOCOL', `rank ${link.rank} speaks of message ${id}, which is not under way`, {
    rank: link.rank,
  })
}

function allocateBytes(link: PeerLink, byteLength: number, request: RequestRecord): Uint8Array | null {
  try {
    return new Uint8Array(allocate(byteLength))
  } catch (cause) {
    request.fail(
      new OnecopyError('ERR_LIMIT', `no memory for the message of ${byteLength} bytes from rank ${link.rank}`, {
        cause,
        source: link.rank,
      }),
    )
    return null
  }
}
