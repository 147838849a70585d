/** What a rank remembers of one peer it has talked to. One shape, plain numbers: it is touched for every frame. */
export class PeerLink {
  readonly peer: number
  /** The peer's inbox, open for writing; -1 until the first frame to it. */
  descriptor = -1
  /** Sequence numbers of the next record to the peer and of the next one from it; int32, they wrap. */
  sequenceOut = 0
  sequenceIn = 0
  /** Bulk slots written to the peer, and how many of them it has reported as taken; modulo 2^32. */
  slotsWritten = 0
  slotsFreed = 0
  /** Whether a frame was refused because all slots were under way. */
  isRefused = false
  /** Bulk slots of the peer that were read, and how many of them were reported to it; modulo 2^32. */
  slotsRead = 0
  slotsReported = 0
  /** Whether the ring to the peer has its memory. */
  isReserved = false
  /** Whether a report could not be written yet, because the peer's inbox was full. */
  owesReport = false
  /** The peer has ended. */
  isGone = false
  /** The peer has broken the protocol: what still comes from it is dropped. */
  isDistrusted = false

  constructor(peer: number) {
    this.peer = peer
  }
}
