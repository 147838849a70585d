import { OnecopyError, type RemoteMemory, type Transport } from '@onecopy/transport'
import type { Arrival } from './arrival.js'
import type { Thresholds } from './protocol.js'
import type { RequestRecord } from './request.js'

/** A frame that did not fit yet, with the request that is done once it has been copied out. */
export interface BacklogFrame {
  readonly words: Int32Array
  readonly bytes: Uint8Array
  readonly byteOffset: number
  readonly byteLength: number
  request: RequestRecord | null
}

/** An eager message in several frames that is coming in from one peer: there is at most one per peer. */
export interface EagerInflow {
  /** Where the bytes go; null when the message is being discarded. */
  target: Uint8Array | null
  at: number
  total: number
  request: RequestRecord | null
  arrival: Arrival | null
  /** The send that wants to hear once all of it is here; -1 when none does. */
  acknowledgeId: number
}

/** What one rank knows of another: the way to it, and what is under way. One shape, made at first contact. */
export class PeerLink {
  readonly rank: number
  readonly transport: Transport
  readonly remote: RemoteMemory | null
  readonly thresholds: Thresholds
  /** Frames waiting for room, in order. */
  readonly backlog: BacklogFrame[] = []
  /** How many of them, from the front, have gone out: they are dropped many at a time. */
  backlogSent = 0
  /** Eager bytes sent that the peer has not said it has received. */
  eagerOutstanding = 0
  /** Eager bytes received that we have not yet told the peer about. */
  eagerConsumed = 0
  inflow: EagerInflow | null = null
  /** Set once the peer has ended: what every further call to it fails with. */
  ended: OnecopyError | null = null

  // for --stats and comm.transport(): payload bytes received, by the way they came
  bytesEager = 0
  bytesSingleCopy = 0
  bytesStreamed = 0
  messages = 0

  constructor(rank: number, transport: Transport, thresholds: Thresholds) {
    this.rank = rank
    this.transport = transport
    this.remote = transport.remoteMemory
    this.thresholds = thresholds
  }

  /**
   * Hands one frame to the transport. A peer may close its end before the launcher has said that it left, with its last frames
   * to us still unread: what we have for it then waits, and is dropped, or fails, with that word.
   */
  trySend(words: Int32Array, wordCount: number, bytes: Uint8Array, byteOffset: number, byteLength: number): boolean {
    try {
      return this.transport.trySend(this.rank, words, wordCount, bytes, byteOffset, byteLength)
    } catch (error) {
      if (error instanceof OnecopyError && error.code === 'ERR_PROC_FAILED') return false
      throw error
    }
  }
}
