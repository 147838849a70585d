import type { Board } from '../board/board.js'
import { OnecopyError } from '../errors.js'
import type { FrameReceiver } from '../frame-receiver.js'
import { Random } from '../random.js'
import type { RemoteMemory } from '../remote-memory.js'
import type { Transport, TransportLimits } from '../transport.js'
import type { FaultOptions, PeerCorruption } from './fault-options.js'
import { FaultyRemoteMemory } from './faulty-remote-memory.js'
import { HeldFrames } from './held-frames.js'
import { PeerFates } from './peer-fates.js'

const DELAY_POLLS_MAX = 5
/** Frames taken out of the transport underneath before they are asked for: enough to delay, too few to defeat its bounds. */
const HELD_FRAMES_MAX = 64

// Each concern draws from its own sequence, so that the caller's rhythm in one does not change the faults of another.
const SEND_SALT = 0x51ed270b
const ARRIVAL_SALT = 0x2545f491
const MEMORY_SALT = 0x7f4a7c15

/** A transport that misbehaves as it was told to, within the contract. */
export class FaultyTransport implements Transport {
  readonly name: string
  readonly remoteMemory: RemoteMemory | null
  /** The seed that makes the same faults again. */
  readonly seed: number

  private readonly inner: Transport
  private readonly refuse: number
  private readonly delay: number
  private readonly delayPollsMax: number
  private readonly fates: PeerFates
  private readonly sendRandom: Random
  private readonly arrivalRandom: Random
  private readonly held = new HeldFrames()
  private readonly sentIntoTheVoid = new Map<number, number>()
  private readonly told = new Set<number>()
  private readonly corruptions: PeerCorruption[]
  private readonly distrusted = new Set<number>()
  private readonly framesOf = new Map<number, number>()
  private polls = 0
  private isPolling = false
  private isClosed = false
  private readonly arrivals: FrameReceiver

  constructor(inner: Transport, options: FaultOptions) {
    this.inner = inner
    this.name = `${inner.name} with faults`
    this.seed = options.seed
    this.refuse = probability('refuse', options.refuse)
    this.delay = probability('delay', options.delay)
    this.delayPollsMax = options.delayPollsMax ?? DELAY_POLLS_MAX
    this.fates = new PeerFates(options)
    this.corruptions = [...(options.corruptions ?? [])]
    this.sendRandom = new Random(options.seed ^ SEND_SALT)
    this.arrivalRandom = new Random(options.seed ^ ARRIVAL_SALT)
    const memory = inner.remoteMemory
    const faults = options.remoteMemory ?? []
    const memoryRandom = new Random(options.seed ^ MEMORY_SALT)
    this.remoteMemory = memory === null ? null : new FaultyRemoteMemory(memory, faults, memoryRandom, this.fates)
    this.arrivals = {
      frame: (peer, words, wordCount, bytes, byteOffset, byteLength) => {
        if (this.fates.isDead(peer) || this.distrusted.has(peer)) return
        this.fates.count(peer)
        const isHeld = this.arrivalRandom.chance(this.delay)
        const duePoll = this.polls + (isHeld ? this.arrivalRandom.between(1, this.delayPollsMax) : 0)
        this.held.hold(peer, words, wordCount, bytes, byteOffset, byteLength, duePoll)
      },
    }
  }

  get limits(): TransportLimits {
    return this.inner.limits
  }

  /** Without faults: what is posted is there, or it is not. */
  get board(): Board | null {
    return this.inner.board
  }

  /**
   * Lets a peer die, as this rank sees it: what it sends from now on is lost, what is sent to it goes nowhere until the
   * queue is full, remote memory answers ESRCH. Nobody is told: `peerGone` is the caller's.
   */
  killPeer(peer: number): void {
    this.fates.kill(peer)
  }

  reaches(peer: number): boolean {
    return this.inner.reaches(peer)
  }

  whyNot(peer: number): string | null {
    return this.inner.whyNot(peer)
  }

  trySend(
    peer: number,
    words: Int32Array,
    wordCount: number,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
  ): boolean {
    const isLost = this.fates.isDead(peer) && !this.told.has(peer) && !this.isClosed
    if (isLost) return this.sendIntoTheVoid(peer, byteLength)
    // A peer known to be gone, and a closed end, are not a matter of chance.
    if (!this.told.has(peer) && !this.isClosed && this.sendRandom.chance(this.refuse)) return false
    const isSent = this.inner.trySend(peer, words, wordCount, bytes, byteOffset, byteLength)
    if (isSent) this.fates.count(peer)
    return isSent
  }

  poll(receiver: FrameReceiver, framesMax: number): number {
    if (this.isPolling) {
      throw new Error('poll was called from inside receiver.frame: return from frame first, then poll again')
    }
    this.isPolling = true
    try {
      this.polls++
      // Polled even when nothing more can be held: it also pushes out what trySend had to keep.
      this.inner.poll(this.arrivals, Math.max(0, HELD_FRAMES_MAX - this.held.count))
      return this.handOver(receiver, framesMax)
    } finally {
      this.isPolling = false
    }
  }

  park(milliseconds: number): void {
    if (this.held.count === 0) this.inner.park(milliseconds)
  }

  yield(): void {
    this.inner.yield()
  }

  onWake(listener: (() => void) | null): boolean {
    if (listener !== null && this.held.count > 0) return false
    return this.inner.onWake(listener)
  }

  get hasUnsent(): boolean {
    return this.inner.hasUnsent
  }

  peerGone(peer: number): void {
    this.told.add(peer)
    this.inner.peerGone(peer)
  }

  close(): Promise<void> {
    this.isClosed = true
    this.held.clear()
    return this.inner.close()
  }

  abort(): void {
    this.isClosed = true
    this.held.clear()
    this.inner.abort()
  }

  private handOver(receiver: FrameReceiver, framesMax: number): number {
    if (this.corruptions.length === 0) return this.held.release(receiver, framesMax, this.polls)
    this.throwIfCorrupt()
    const trusted: FrameReceiver = {
      frame: (peer, words, wordCount, bytes, byteOffset, byteLength) => {
        this.framesOf.set(peer, (this.framesOf.get(peer) ?? 0) + 1)
        receiver.frame(peer, words, wordCount, bytes, byteOffset, byteLength)
      },
    }
    // One by one: a frame may be the last one before its peer becomes unbelievable.
    let count = 0
    while (count < framesMax && this.held.release(trusted, 1, this.polls) === 1) {
      count++
      if (this.corruptPeer() !== null) break
    }
    return count
  }

  private corruptPeer(): PeerCorruption | null {
    return this.corruptions.find(({ peer, afterFrames }) => (this.framesOf.get(peer) ?? 0) >= afterFrames) ?? null
  }

  private throwIfCorrupt(): void {
    const corruption = this.corruptPeer()
    if (corruption === null) return
    this.corruptions.splice(this.corruptions.indexOf(corruption), 1)
    const { peer, code = 'ERR_CORRUPT' } = corruption
    this.distrusted.add(peer)
    this.held.drop(peer)
    throw new OnecopyError(code, `Rank ${peer}'s frames cannot be believed any more ${this.fates.signature()}`, {
      rank: peer,
    })
  }

  /** A dead peer's queue: it takes frames until it is full, because nobody has noticed yet. */
  private sendIntoTheVoid(peer: number, byteLength: number): boolean {
    const bytes = (this.sentIntoTheVoid.get(peer) ?? 0) + Math.max(1, byteLength)
    if (bytes > this.limits.queueBytesMax) return false
    this.sentIntoTheVoid.set(peer, bytes)
    return true
  }
}

function probability(name: string, value = 0): number {
  if (value >= 0 && value <= 1) return value
  throw new RangeError(`${name} is a probability, from 0 to 1, not ${value}`)
}
