import { type FrameReceiver, OnecopyError } from '@onecopy/transport'
import { Arrival } from './arrival.js'
import { PROC_NULL } from './constants.js'
import { Delivery } from './delivery.js'
import { EagerProtocol } from './eager.js'
import { VALUE } from './element-type.js'
import {
  ANNOUNCE,
  ANNOUNCE_WORDS,
  BROKEN,
  CANCEL,
  CANCELLED,
  CREDIT,
  copyRegion,
  DATA,
  EAGER,
  EAGER_WORDS,
  FINISH,
  FLAG_ACKNOWLEDGE,
  FLAG_MORE,
  FLAG_WAITING,
  joinLength,
  KIND_MASK,
  MORE,
  OFFER,
  OFFER_WORDS,
  PULL,
  REGION_AT,
  REVOKE,
  TYPE_SHIFT,
  WAITING,
  WRITTEN,
} from './envelope.js'
import { MatchQueues } from './matching.js'
import { copyOf } from './memory.js'
import { Outbox } from './outbox.js'
import { Outgoing } from './outgoing.js'
import type { PeerLink } from './peer-link.js'
import { isEagerToSelf } from './protocol.js'
import { Rendezvous } from './rendezvous.js'
import type { RequestRecord } from './request.js'
import type { ValuePacker } from './value-packer.js'

type Queues = MatchQueues<RequestRecord, Arrival>

/** What a send does besides arriving. @see MPI 4.1, 3.4 */
export const STANDARD = 0
export const SYNCHRONOUS = 1

/** The fewest words of each kind of frame, by kind; 0 for numbers that are no kind. */
const WORDS_MIN = [0, EAGER_WORDS, 1, ANNOUNCE_WORDS, 2, OFFER_WORDS, 3, 5, 2, 3, 2, 2, 2, 2, 5]

/** What the messenger asks and tells about communicators, of which it knows only the contexts. */
export interface MessengerConcerns {
  /** Whether a message that nobody waits for need not be kept: its communicator or its collective is over. */
  isUnwanted(context: number, tag: number): boolean
  /** Whether the context has been given up here. */
  isOver(context: number): boolean
  /** Another rank has revoked a communicator. */
  revoked(context: number): void
  /** Another rank cannot go on with a collective; `rank` is whom it blames, or -1. */
  broken(context: number, tag: number, rank: number, codeIndex: number): void
}

/** Arrivals kept for reuse. */
const SPARE_ARRIVALS_MAX = 256

/**
 * The meeting point of messages and receives on one rank: takes frames from the transports, sends from the verbs, and
 * keeps one pair of queues per context. Ranks here are world ranks.
 */
export class Messenger implements FrameReceiver {
  readonly rank: number
  readonly outbox = new Outbox()
  readonly eager: EagerProtocol
  readonly rendezvous: Rendezvous
  readonly delivery: Delivery
  readonly packer: ValuePacker
  /** The link to a peer, made when first asked for. */
  private readonly linkTo: (rank: number) => PeerLink
  private readonly linkByRank: (PeerLink | undefined)[] = []
  private readonly contexts = new Map<number, Queues>()
  /** What others have said of a communicator, or of a collective on it, as a whole. */
  private readonly concerns: MessengerConcerns
  /** Called when a message to this rank itself waits for its receive: a probe may be waiting for it. */
  onSelfArrival: () => void = () => undefined
  private readonly spare: Arrival[] = []
  private lastContext = -1
  private lastQueues: Queues | null = null
  /** The job is over: every link made from now on is dead from the start. */
  failure: OnecopyError | null = null
  /** A frame that could not be believed: the engine ends the job with it. */
  broken: OnecopyError | null = null

  constructor(rank: number, packer: ValuePacker, linkTo: (rank: number) => PeerLink, concerns: MessengerConcerns) {
    this.rank = rank
    this.concerns = concerns
    this.packer = packer
    this.delivery = new Delivery(packer)
    this.eager = new EagerProtocol(this.outbox, this.delivery)
    this.rendezvous = new Rendezvous(this.outbox, this.delivery, packer)
    this.linkTo = linkTo
  }

  get hasWork(): boolean {
    return this.outbox.hasBacklog || this.rendezvous.hasWork
  }

  /** Pushes backlogs and moves one segment of every long message under way. */
  work(): number {
    return this.outbox.flush() + this.rendezvous.step()
  }

  link(rank: number): PeerLink {
    const link = this.linkByRank[rank]
    if (link !== undefined) return link
    const made = this.linkTo(rank)
    made.ended = this.failure
    this.linkByRank[rank] = made
    return made
  }

  /** Every link made so far. */
  links(): PeerLink[] {
    return this.linkByRank.filter((link): link is PeerLink => link !== undefined)
  }

  queues(context: number): Queues {
    if (context === this.lastContext) return this.lastQueues!
    let queues = this.contexts.get(context)
    if (queues === undefined) {
      // also for a context this rank has not made yet: the others may be ahead of us in dup()
      queues = new MatchQueues()
      this.contexts.set(context, queues)
    }
    this.lastContext = context
    this.lastQueues = queues
    return queues
  }

  /** Forgets a context: its posted receives fail with `error`, its unreceived messages are gone. */
  dropContext(context: number, error: OnecopyError): void {
    const queues = this.queues(context)
    for (const request of queues.withdraw(() => true)) request.fail(error)
    for (const arrival of queues.arrivals()) {
      queues.remove(arrival)
      this.discard(arrival)
    }
    this.forget(context)
  }

  /** Lets go of the messages on `context` whose tags nobody will receive. */
  discardStored(context: number, isUnwanted: (tag: number) => boolean): void {
    const queues = this.queues(context)
    for (const arrival of queues.arrivals()) {
      if (!isUnwanted(arrival.tag)) continue
      queues.remove(arrival)
      this.discard(arrival)
    }
  }

  /** Tells `members` (world ranks) something about a communicator: the words are in the outbox, from 0 on. */
  tell(members: readonly number[], words: readonly number[]): void {
    for (const member of members) {
      if (member === this.rank) continue
      const link = this.link(member)
      if (link.ended !== null) continue
      this.outbox.words.set(words)
      this.outbox.post(link, words.length)
    }
  }

  /** Keeps a message that nothing matched; or lets go of it, when its context has been given up. */
  private store(queues: Queues, arrival: Arrival): void {
    if (!this.concerns.isUnwanted(arrival.context, arrival.tag)) {
      queues.store(arrival)
      return
    }
    // asking for the queues may have made them anew
    if (this.concerns.isOver(arrival.context)) this.forget(arrival.context)
    this.discard(arrival)
  }

  private forget(context: number): void {
    this.contexts.delete(context)
    this.lastContext = -1
    this.lastQueues = null
  }

  // --- down

  /** The hot path of blocking and non-blocking sends: true when the message is out and nothing is left to wait for. */
  trySend(context: number, dest: number, tag: number, type: number, bytes: Uint8Array): boolean {
    if (dest === this.rank || dest === PROC_NULL) return dest === PROC_NULL
    return this.eager.trySend(this.link(dest), context, tag, type, bytes)
  }

  /**
   * Starts a send; `request` completes when `bytes` and `parts` may be changed again. `waiting`: the caller does nothing
   * until then.
   */
  send(
    context: number,
    dest: number,
    tag: number,
    type: number,
    bytes: Uint8Array,
    parts: Uint8Array[],
    sendMode: number,
    request: RequestRecord,
    waiting: boolean,
  ): void {
    if (dest === PROC_NULL) {
      request.complete(undefined)
      return
    }
    if (dest === this.rank) {
      this.sendToSelf(context, tag, type, bytes, parts, sendMode, request)
      return
    }
    const link = this.link(dest)
    if (link.ended !== null) {
      request.fail(link.ended)
      return
    }
    let isEager = false
    try {
      isEager = parts.length === 0 && this.eager.accepts(link, bytes.byteLength)
    } catch (error) {
      // single copy is required, and refused
      request.fail(error)
      return
    }
    if (!isEager) {
      this.rendezvous.announce(link, context, tag, type, bytes, parts, request, waiting)
    } else if (sendMode === SYNCHRONOUS) {
      const outgoing = new Outgoing(request, link, context, bytes, [])
      request.sendId = this.rendezvous.sends.add(outgoing)
      request.detail = outgoing
      try {
        this.eager.send(link, context, tag, type, bytes, request, request.sendId)
      } catch (error) {
        this.rendezvous.release(outgoing)
        throw error
      }
    } else {
      request.detail = link
      this.eager.send(link, context, tag, type, bytes, request, -1)
    }
  }

  /** Starts a receive whose criteria and memory are in `request`. */
  receive(request: RequestRecord): void {
    if (request.source === PROC_NULL) {
      this.delivery.describe(request, PROC_NULL, -1, 0)
      request.complete(undefined)
      return
    }
    const arrival = this.queues(request.context).post(request)
    if (arrival !== null) this.claim(arrival, request)
  }

  /** Gives `arrival`, already out of its queue, to `request`. */
  claim(arrival: Arrival, request: RequestRecord): void {
    if (arrival.local !== null) {
      this.deliverLocal(arrival, request)
      return
    }
    const link = this.link(arrival.peer)
    if (arrival.payload === null) {
      this.rendezvous.begin(link, arrival, request)
    } else {
      this.eager.deliverArrival(link, arrival, request)
      if (arrival.claimant !== null) return
    }
    this.recycle(arrival)
  }

  /** Lets go of a message that nobody will receive, so that its sender does not wait for ever. */
  private discard(arrival: Arrival): void {
    if (arrival.local !== null) {
      if (!arrival.local.done) arrival.local.complete(undefined)
      return
    }
    const link = this.link(arrival.peer)
    if (arrival.payload !== null) this.eager.consumed(link, arrival.byteLength)
    this.eager.acknowledge(link, arrival.sendId)
  }

  /** Fails the posted receives for which `reason` gives an error. */
  failPosted(reason: (request: RequestRecord) => OnecopyError | null): void {
    for (const queues of this.contexts.values()) {
      for (const request of queues.withdraw((posted) => reason(posted) !== null)) request.fail(reason(request))
    }
  }

  /** Fails sends to this rank itself that nobody has received. */
  failLocal(error: OnecopyError): void {
    for (const queues of this.contexts.values()) {
      for (const { local } of queues.arrivals()) if (local !== null && !local.done) local.fail(error)
    }
  }

  /** Takes a posted receive back; or asks the receiver to let go of an announced send; false when it is too late. */
  giveUp(request: RequestRecord, reason: unknown): boolean {
    if (request.context >= 0) {
      if (!this.queues(request.context).cancel(request)) return false
      request.failCancelled(reason)
      return true
    }
    const { detail } = request
    if (detail instanceof Arrival) {
      if (!detail.stored) return false
      this.queues(detail.context).remove(detail)
      request.failCancelled(reason)
      return true
    }
    if (detail instanceof Outgoing) {
      if (detail.cancelReason !== undefined) return true
      detail.cancelReason = reason
      this.outbox.words[0] = CANCEL
      this.outbox.words[1] = request.sendId
      this.outbox.post(detail.link, 2)
      return true
    }
    if (detail !== null && this.outbox.withdraw(detail as PeerLink, request)) {
      request.failCancelled(reason)
      return true
    }
    return false
  }

  // --- up

  frame(
    peer: number,
    words: Int32Array,
    wordCount: number,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
  ): void {
    const head = words[0]!
    const kind = head & KIND_MASK
    if (kind === EAGER && wordCount === EAGER_WORDS && (head & ~0xffff) === 0) {
      const queues = words[1] === this.lastContext ? this.lastQueues! : this.queues(words[1]!)
      const tag = words[2]!
      const request = queues.match(peer, tag)
      if (request !== null) {
        this.eager.consumed(this.link(peer), byteLength)
        this.delivery.deliver(request, peer, tag, head >>> TYPE_SHIFT, bytes, byteOffset, byteLength, false)
      } else {
        this.keep(peer, words, bytes, byteOffset, byteLength, -1)
      }
      return
    }
    const link = this.link(peer)
    try {
      if (kind >= WORDS_MIN.length || wordCount < WORDS_MIN[kind]!) {
        throw new OnecopyError('ERR_PROTOCOL', `rank ${peer} sent a frame of kind ${kind} with ${wordCount} words`, {
          rank: peer,
        })
      }
      this.dispatch(link, kind, words, bytes, byteOffset, byteLength)
    } catch (error) {
      if (!(error instanceof OnecopyError)) throw error
      this.broken = error
    }
  }

  private dispatch(
    link: PeerLink,
    kind: number,
    words: Int32Array,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
  ): void {
    switch (kind) {
      case EAGER:
        this.eagerArrived(link, words, bytes, byteOffset, byteLength)
        break
      case MORE:
        this.eager.more(link, bytes, byteOffset, byteLength)
        break
      case ANNOUNCE:
        this.announced(link, words)
        break
      case WAITING:
        this.senderWaits(link, words[1]!)
        break
      case OFFER:
        this.rendezvous.onOffer(link, words)
        break
      case WRITTEN:
        this.rendezvous.onWritten(link, words[1]!, words[2]!)
        break
      case PULL:
        this.rendezvous.onPull(link, words)
        break
      case DATA:
        this.rendezvous.onData(link, words[1]!, bytes, byteOffset, byteLength)
        break
      case FINISH:
        this.rendezvous.onFinish(link, words[1]!, words[2]!)
        break
      case CREDIT:
        this.eager.credited(link, words[1]!)
        break
      case CANCEL:
        this.cancelAsked(link, words[1]!)
        break
      case CANCELLED:
        this.cancelGranted(words[1]!)
        break
      case REVOKE:
        this.concerns.revoked(words[1]!)
        break
      case BROKEN:
        this.concerns.broken(words[1]!, words[2]!, words[3]!, words[4]!)
        break
    }
  }

  /** An eager message that is long, or wants to be acknowledged. */
  private eagerArrived(
    link: PeerLink,
    words: Int32Array,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
  ): void {
    const head = words[0]!
    const tag = words[2]!
    const type = (head >>> TYPE_SHIFT) & 0xff
    const request = this.queues(words[1]!).match(link.rank, tag)
    const acknowledgeId = (head & FLAG_ACKNOWLEDGE) !== 0 ? words[3]! : -1
    const inParts = (head & FLAG_MORE) !== 0
    if (request === null && inParts && this.concerns.isUnwanted(words[1]!, tag)) {
      if (this.concerns.isOver(words[1]!)) this.forget(words[1]!)
      this.eager.beginInflow(link, words, bytes, byteOffset, byteLength, null, null, type, tag)
      return
    }
    if (request === null) {
      const arrival = this.keep(link.rank, words, bytes, byteOffset, byteLength, acknowledgeId)
      if (inParts) this.eager.beginInflow(link, words, bytes, byteOffset, byteLength, null, arrival, type, tag)
      return
    }
    if (inParts) {
      this.eager.beginInflow(link, words, bytes, byteOffset, byteLength, request, null, type, tag)
    } else {
      this.eager.acknowledge(link, acknowledgeId)
      this.eager.consumed(link, byteLength)
      this.delivery.deliver(request, link.rank, tag, type, bytes, byteOffset, byteLength, false)
    }
  }

  private announced(link: PeerLink, words: Int32Array): void {
    const arrival = this.arrival(link.rank, words)
    arrival.byteLength = joinLength(words[4]!, words[5]!)
    arrival.sendId = words[3]!
    copyRegion(words, REGION_AT, arrival.region, 0)
    const queues = this.queues(arrival.context)
    const request = queues.match(arrival.peer, arrival.tag)
    if (request === null) {
      this.store(queues, arrival)
    } else {
      this.rendezvous.begin(link, arrival, request)
      this.recycle(arrival)
    }
  }

  private senderWaits(link: PeerLink, sendId: number): void {
    const arrival = this.findAnnouncement(link, sendId)
    if (arrival !== null) arrival.flags |= FLAG_WAITING
    else this.rendezvous.onWaiting(link, sendId)
  }

  private cancelAsked(link: PeerLink, sendId: number): void {
    const arrival = this.findAnnouncement(link, sendId)
    // matched already: FINISH is on its way
    if (arrival === null) return
    this.queues(arrival.context).remove(arrival)
    if (arrival.payload !== null) this.eager.consumed(link, arrival.byteLength)
    this.outbox.words[0] = CANCELLED
    this.outbox.words[1] = sendId
    this.outbox.post(link, 2)
  }

  private cancelGranted(sendId: number): void {
    const outgoing = this.rendezvous.sends.get(sendId)
    if (outgoing === null) return
    this.rendezvous.release(outgoing)
    outgoing.request.failCancelled(outgoing.cancelReason)
  }

  private findAnnouncement(link: PeerLink, sendId: number): Arrival | null {
    for (const queues of this.contexts.values()) {
      for (const arrival of queues.arrivals()) {
        if (arrival.peer === link.rank && arrival.sendId === sendId) return arrival
      }
    }
    return null
  }

  private keep(
    peer: number,
    words: Int32Array,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
    acknowledgeId: number,
  ): Arrival {
    const arrival = this.arrival(peer, words)
    arrival.sendId = acknowledgeId
    arrival.byteLength = byteLength
    arrival.receivedBytes = byteLength
    const payload = new Uint8Array(byteLength)
    if (byteLength > 0) payload.set(new Uint8Array(bytes.buffer, bytes.byteOffset + byteOffset, byteLength))
    arrival.payload = payload
    this.store(this.queues(arrival.context), arrival)
    return arrival
  }

  private arrival(peer: number, words: Int32Array): Arrival {
    const arrival = this.spare.pop() ?? new Arrival()
    const head = words[0]!
    arrival.peer = peer
    arrival.context = words[1]!
    arrival.tag = words[2]!
    arrival.type = (head >>> TYPE_SHIFT) & 0xff
    arrival.flags = head
    return arrival
  }

  private recycle(arrival: Arrival): void {
    arrival.payload = null
    arrival.local = null
    arrival.claimant = null
    arrival.sendId = -1
    if (this.spare.length < SPARE_ARRIVALS_MAX) this.spare.push(arrival)
  }

  // --- to oneself

  private sendToSelf(
    context: number,
    tag: number,
    type: number,
    bytes: Uint8Array,
    parts: Uint8Array[],
    sendMode: number,
    request: RequestRecord,
  ): void {
    const arrival = new Arrival()
    arrival.peer = this.rank
    arrival.context = context
    arrival.tag = tag
    arrival.type = type
    arrival.byteLength = bytes.byteLength
    arrival.payload = bytes
    arrival.localParts = parts
    arrival.local = request
    request.detail = arrival
    const queues = this.queues(context)
    const receive = queues.match(this.rank, tag)
    if (receive !== null) {
      this.deliverLocal(arrival, receive)
      return
    }
    if (sendMode !== SYNCHRONOUS && parts.length === 0 && isEagerToSelf(bytes.byteLength)) {
      arrival.payload = copyOf(bytes)
      request.detail = null
      request.complete(undefined)
    }
    queues.store(arrival)
    this.onSelfArrival()
  }

  private deliverLocal(arrival: Arrival, receive: RequestRecord): void {
    const { type, tag, byteLength, payload, localParts, local } = arrival
    if (payload!.byteLength !== byteLength) {
      const gone = new OnecopyError(
        'ERR_BUFFER_GONE',
        'the memory of this message to oneself has been transferred away',
        {
          rank: this.rank,
        },
      )
      receive.fail(gone)
      if (!local!.done) local!.fail(gone)
      return
    }
    if (type === VALUE && localParts.length > 0) {
      this.delivery.describe(receive, this.rank, tag, byteLength)
      const refusal = this.delivery.refusal(receive, type, byteLength)
      if (refusal !== null) receive.fail(refusal)
      // the parts become the receiver's: it must not see the sender's memory
      else this.delivery.conclude(receive, type, payload!, localParts.map(copyOf))
    } else {
      this.delivery.deliver(receive, this.rank, tag, type, payload!, 0, byteLength, false)
    }
    if (!local!.done) local!.complete(undefined)
  }
}
