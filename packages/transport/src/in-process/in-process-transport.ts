import type { Board } from '../board/board.js'
import { OnecopyError } from '../errors.js'
import { checkFrame } from '../frame-check.js'
import type { FrameReceiver } from '../frame-receiver.js'
import type { RemoteMemory } from '../remote-memory.js'
import { FRAME_WORDS_MAX, type Transport, type TransportLimits } from '../transport.js'
import { FrameQueue } from './frame-queue.js'
import type { Inbox } from './inbox.js'

const ESRCH = 3

/** What one end of the network must know about the others. */
export interface InProcessPeers {
  readonly size: number
  inboxOf(rank: number): Inbox
  /** Null where the two ranks reach each other, else why not. */
  whyNot(rank: number, peer: number): string | null
  /** The rank's end of the job's board. */
  boardOf(rank: number): Board
  /** Takes back what `rank` had exposed. */
  left(rank: number): void
}

/** One simulated rank's end: frames are copied into the receiver's queue by the sender. */
export class InProcessTransport implements Transport {
  readonly name = 'in-process'
  readonly limits: TransportLimits
  readonly remoteMemory: RemoteMemory | null
  readonly rank: number

  private readonly peers: InProcessPeers
  private readonly inbox: Inbox
  private readonly queueFramesMax: number
  private readonly outgoing = new Map<number, FrameQueue>()
  private readonly gone = new Set<number>()
  private readonly words = new Int32Array(FRAME_WORDS_MAX)
  private ownBoard: Board | null = null
  private isPolling = false
  private isClosed = false

  constructor(
    rank: number,
    limits: TransportLimits,
    queueFramesMax: number,
    peers: InProcessPeers,
    makeRemoteMemory: ((end: InProcessTransport) => RemoteMemory) | null,
  ) {
    this.rank = rank
    this.limits = limits
    this.queueFramesMax = queueFramesMax
    this.peers = peers
    this.inbox = peers.inboxOf(rank)
    this.remoteMemory = makeRemoteMemory === null ? null : makeRemoteMemory(this)
  }

  /** Made when it is first asked for: most simulated jobs never do. */
  get board(): Board {
    this.ownBoard ??= this.peers.boardOf(this.rank)
    return this.ownBoard
  }

  reaches(peer: number): boolean {
    return this.whyNot(peer) === null
  }

  whyNot(peer: number): string | null {
    this.checkPeer(peer)
    return this.peers.whyNot(this.rank, peer)
  }

  trySend(
    peer: number,
    words: Int32Array,
    wordCount: number,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
  ): boolean {
    this.checkOpen()
    this.checkPeer(peer)
    checkFrame(this.limits, words, wordCount, bytes, byteOffset, byteLength)
    if (this.gone.has(peer)) throw goneError(peer)
    const queue = this.outgoing.get(peer) ?? this.connect(peer)
    if (!queue.push(words, wordCount, bytes, byteOffset, byteLength)) return false
    queue.inbox.add(queue)
    return true
  }

  poll(receiver: FrameReceiver, framesMax: number): number {
    this.checkOpen()
    if (this.isPolling) {
      throw new Error('poll was called from inside receiver.frame: return from frame first, then poll again')
    }
    this.isPolling = true
    try {
      return this.handOver(receiver, framesMax)
    } finally {
      this.isPolling = false
    }
  }

  /** Returns at once: the ranks that could send something run on this very thread, so sleeping would only hold them up. */
  park(_milliseconds: number): void {}

  /** Does nothing, for the same reason as {@link park}. */
  yield(): void {}

  onWake(listener: (() => void) | null): boolean {
    if (listener === null) {
      this.inbox.arm(null)
      return true
    }
    this.checkOpen()
    if (!this.inbox.isEmpty || this.ownBoard?.isDue() === true) return false
    this.inbox.arm(listener)
    return true
  }

  /** Always false: an accepted frame lies in the receiver's queue already. */
  get hasUnsent(): boolean {
    return false
  }

  peerGone(peer: number): void {
    this.checkPeer(peer)
    this.gone.add(peer)
  }

  async close(): Promise<void> {
    this.abort()
  }

  abort(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.inbox.clear()
    this.outgoing.clear()
    this.peers.left(this.rank)
  }

  /** Whether {@link peerGone} was told of this peer. */
  isGone(peer: number): boolean {
    return this.gone.has(peer)
  }

  /** @throws OnecopyError ERR_CLOSED after close or abort. */
  checkOpen(): void {
    if (this.isClosed) {
      throw new OnecopyError('ERR_CLOSED', `Rank ${this.rank}'s in-process transport has been closed`, {
        rank: this.rank,
      })
    }
  }

  /** @throws RangeError unless `peer` is another rank of the job. */
  checkPeer(peer: number): void {
    if (Number.isInteger(peer) && peer >= 0 && peer < this.peers.size && peer !== this.rank) return
    throw new RangeError(`Rank ${this.rank} has no peer ${peer}: a peer is another rank, 0 to ${this.peers.size - 1}`)
  }

  private handOver(receiver: FrameReceiver, framesMax: number): number {
    const words = this.words
    let count = 0
    while (count < framesMax) {
      const queue = this.inbox.take()
      if (queue === null) break
      const wordCount = queue.peekWords(words)
      const bytes = queue.payloadBytes
      const position = queue.peekPosition()
      count++
      try {
        receiver.frame(queue.sender, words, wordCount, bytes, position, queue.peekByteLength())
      } finally {
        // Empty only when the receiver has closed this very transport, which forgets every frame.
        if (!queue.isEmpty) queue.pop(bytes, position)
        if (!queue.isEmpty) this.inbox.add(queue)
      }
      if (this.isClosed) {
        this.inbox.clear()
        break
      }
    }
    return count
  }

  private connect(peer: number): FrameQueue {
    const why = this.peers.whyNot(this.rank, peer)
    if (why !== null) throw new OnecopyError('ERR_UNAVAILABLE', why, { rank: peer })
    const inbox = this.peers.inboxOf(peer)
    const queue = new FrameQueue(this.rank, inbox, this.limits.queueBytesMax, this.queueFramesMax)
    this.outgoing.set(peer, queue)
    return queue
  }
}

function goneError(peer: number): OnecopyError {
  return new OnecopyError('ERR_PROC_FAILED', `Rank ${peer} has ended: nothing can be sent to it any more`, {
    rank: peer,
    errno: ESRCH,
  })
}
