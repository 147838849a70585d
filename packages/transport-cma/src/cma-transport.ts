import {
  FRAME_WORDS_MAX,
  type FrameReceiver,
  MemoryBoard,
  OnecopyError,
  type RemoteMemory,
  type Transport,
  type TransportLimits,
} from '@onecopy/transport'
import type { CmaRemoteMemory } from './cma-remote-memory.js'
import type { Doorbell } from './doorbell.js'
import { hasJoined, type Identity } from './identity.js'
import type { Libc } from './libc/libc.js'
import { LOADS_ARE_ORDERED } from './memory-order.js'
import { INLINE_BYTES_MIN } from './ring-layout.js'
import { NOT_BELIEVED, RingReader } from './ring-reader.js'
import { CORRUPT, FULL, RingWriter } from './ring-writer.js'
import type { Segment } from './segment.js'

/** So many rings are polled however quiet they are; beyond, a quiet one is left and its sender has to summon. */
const WATCHED_QUIET_MAX = 4
/** Empty polls in a row after which a ring counts as quiet. */
const QUIET_POLLS = 1000

/** A frame through a ring costs some 0.1 us. */
const FRAME_COST_BYTES = 1024

/** Where a transport's life is; POLLING while a receiver has the word. */
const IDLE = 0
const POLLING = 1
const CLOSED = 2

/** What a {@link CmaTransport} is made of; it takes care of giving all of it back. */
export interface CmaTransportParts {
  readonly rank: number
  readonly size: number
  readonly libc: Libc
  readonly segment: Segment
  readonly identity: Identity
  readonly doorbell: Doorbell
  readonly remoteMemory: CmaRemoteMemory
  /** Called once, last of all: takes back what `open` did to the process. */
  readonly undo: () => void
}

/** One rank's end: rings in the job's shared segment for frames, process_vm_readv and writev for remote memory. */
export class CmaTransport implements Transport {
  readonly name = 'cma'
  readonly limits: TransportLimits
  readonly remoteMemory: RemoteMemory
  readonly board: MemoryBoard
  private readonly parts: CmaTransportParts
  private readonly doorbell: Doorbell
  private readonly words: Int32Array
  private readonly frameBytesMax: number
  /** By peer; undefined before the first frame and after the last, so that the usual path asks one question only. */
  private readonly writers: (RingWriter | undefined)[]
  private readonly readers: (RingReader | undefined)[]
  /** The rings that are polled. */
  private readonly watched: RingReader[] = []
  /** Writers that found their ring full and may be waiting for room. */
  private readonly blocked: RingWriter[] = []
  private readonly gone: boolean[]
  /** By peer: why its ring is not believed any more. */
  private readonly problems: (string | undefined)[]
  /** The problem that the next poll has to tell of. */
  private untold: OnecopyError | null = null
  private readonly header = new Int32Array(FRAME_WORDS_MAX)
  private readonly isBusy = (): boolean => this.hasWork()
  private turn = 0
  private phase = IDLE

  constructor(parts: CmaTransportParts) {
    const { size, segment } = parts
    const { frameBytesMax, payloadBytes } = segment.layout
    this.limits = {
      frameBytesMax,
      inlineBytesMax: INLINE_BYTES_MIN,
      frameCostBytes: FRAME_COST_BYTES,
      queueBytesMax: payloadBytes,
    }
    this.remoteMemory = parts.remoteMemory
    const { doorbell } = parts
    this.board = new MemoryBoard({
      words: segment.words,
      bytes: segment.bytes,
      byteOffset: segment.layout.boardOffset,
      rank: parts.rank,
      size,
      loadsAreOrdered: LOADS_ARE_ORDERED,
      wake: (rank) => doorbell.wake(rank),
    })
    this.parts = parts
    this.doorbell = parts.doorbell
    this.words = segment.words
    this.frameBytesMax = frameBytesMax
    this.writers = new Array<RingWriter | undefined>(size).fill(undefined)
    this.readers = new Array<RingReader | undefined>(size).fill(undefined)
    this.gone = new Array<boolean>(size).fill(false)
    this.problems = new Array<string | undefined>(size).fill(undefined)
  }

  reaches(peer: number): boolean {
    return this.whyNot(peer) === null
  }

  whyNot(peer: number): string | null {
    if (this.phase === CLOSED) return 'this transport has been closed'
    if (!this.isPeer(peer)) return `${peer} is not another rank of this job`
    if (!hasJoined(this.words, peer)) return `rank ${peer} has not opened the shared segment`
    return this.gone[peer] === true ? `rank ${peer} has ended` : null
  }

  trySend(
    peer: number,
    words: Int32Array,
    wordCount: number,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
  ): boolean {
    if (wordCount < 1 || wordCount > FRAME_WORDS_MAX || byteLength < 0 || byteLength > this.frameBytesMax) {
      throw new RangeError(`a frame has 1 to ${FRAME_WORDS_MAX} words and up to ${this.frameBytesMax} bytes`)
    }
    const writer = this.writers[peer] ?? this.openWriter(peer)
    const wasBlocked = writer.blocked
    const result = writer.write(words, wordCount, bytes, byteOffset, byteLength)
    if (result === FULL) {
      if (!wasBlocked) this.blocked.push(writer)
      return false
    }
    if (result === CORRUPT) throw this.distrust(peer, 'its ring’s tail cannot be')
    // After the store that published, which on x64 no later load overtakes.
    const watched = LOADS_ARE_ORDERED
      ? (this.words[writer.watchedWord] as number)
      : Atomics.load(this.words, writer.watchedWord)
    if (watched === 0) this.doorbell.summon(peer)
    return true
  }

  poll(receiver: FrameReceiver, framesMax: number): number {
    if (this.phase !== IDLE) return this.refusePoll()
    const { watched, doorbell } = this
    // The usual: one peer talks, and there is nothing else to see to. A rank that spins on it spends its life in these lines.
    const only = watched.length === 1 && this.untold === null && !doorbell.seemsBusy ? watched[0] : undefined
    if (only !== undefined && !only.seemsReady) return 0
    this.phase = POLLING
    try {
      return only !== undefined ? this.takeFrom(only, receiver, framesMax) : this.pollAll(receiver, framesMax)
    } finally {
      if (this.phase === POLLING) this.phase = IDLE
      // Someone relies on the wake-up that is armed, so nobody may rely on being polled.
      if (doorbell.isArmed && !this.leaveAllRings()) doorbell.wakeSelf()
    }
  }

  park(milliseconds: number): void {
    if (this.phase === CLOSED || milliseconds <= 0) return
    if (this.leaveAllRings()) this.doorbell.sleep(milliseconds, this.isBusy)
    if (this.doorbell.isArmed && this.hasWork()) this.doorbell.wakeSelf()
  }

  yield(): void {
    this.board.isAway = true
    this.parts.libc.schedYield()
    this.board.isAway = false
  }

  onWake(listener: (() => void) | null): boolean {
    if (this.phase === CLOSED) return false
    this.doorbell.disarm()
    if (listener === null) return false
    return this.leaveAllRings() && this.doorbell.arm(listener, this.isBusy)
  }

  /** Frames are in shared memory once accepted; only a ring of a bell can be owed. */
  get hasUnsent(): boolean {
    return this.doorbell.owesRing
  }

  peerGone(peer: number): void {
    if (this.phase === CLOSED || !this.isPeer(peer) || this.gone[peer] === true) return
    this.gone[peer] = true
    this.writers[peer] = undefined
    this.parts.remoteMemory.peerGone(peer)
    // It may have died between publishing and summoning.
    this.watch(peer)
  }

  close(): Promise<void> {
    if (this.phase !== CLOSED) {
      this.doorbell.retry()
      this.abort()
    }
    return Promise.resolve()
  }

  abort(): void {
    if (this.phase === CLOSED) return
    this.phase = CLOSED
    this.writers.fill(undefined)
    this.watched.length = 0
    this.blocked.length = 0
    const { identity, rank, doorbell, remoteMemory, segment, undo } = this.parts
    identity.withdraw(this.words, rank)
    doorbell.close()
    remoteMemory.close()
    segment.release()
    undo()
  }

  private isPeer(peer: number): boolean {
    return Number.isInteger(peer) && peer >= 0 && peer < this.parts.size && peer !== this.parts.rank
  }

  /** The first frame to a peer: its ring gets memory. */
  private openWriter(peer: number): RingWriter {
    if (this.phase === CLOSED) throw new OnecopyError('ERR_CLOSED', 'the transport has been closed', { rank: peer })
    if (!this.isPeer(peer)) throw new RangeError(`${peer} is not another rank of this job`)
    if (this.gone[peer] === true) throw new OnecopyError('ERR_PROC_FAILED', `rank ${peer} has ended`, { rank: peer })
    const problem = this.problems[peer]
    if (problem !== undefined) throw new OnecopyError('ERR_CORRUPT', `rank ${peer}: ${problem}`, { rank: peer })
    const { rank, segment } = this.parts
    segment.reserveRing(rank, peer)
    const writer = new RingWriter(segment, rank, peer)
    this.writers[peer] = writer
    return writer
  }

  private takeFrom(reader: RingReader, receiver: FrameReceiver, framesMax: number): number {
    const taken = reader.take(receiver, framesMax)
    if (taken === 0) {
      reader.emptyPolls++
      return 0
    }
    if (taken === NOT_BELIEVED) {
      this.distrust(reader.peer, reader.problem)
      return 0
    }
    reader.emptyPolls = 0
    if (this.phase !== CLOSED && reader.takeWakeWish()) this.doorbell.wake(reader.peer)
    return taken
  }

  private refusePoll(): number {
    if (this.phase === POLLING) throw new Error('poll was called from inside a frame’s receiver')
    return 0
  }

  private pollAll(receiver: FrameReceiver, framesMax: number): number {
    const { watched, doorbell } = this
    if (doorbell.owesRing) doorbell.retry()
    if (doorbell.seemsSummoned) this.watchSummoners()
    if (this.untold !== null) this.tell()
    const count = watched.length
    let handled = 0
    for (let i = 0; i < count && handled < framesMax; i++) {
      let index = this.turn + i
      if (index >= count) index -= count
      handled += this.takeFrom(watched[index] as RingReader, receiver, framesMax - handled)
      if (this.phase === CLOSED) return handled
      // one was dropped: the others have other places now, and get their turn at the next poll
      if (watched.length !== count) break
    }
    if (watched.length > 1) this.turn = this.turn + 1 >= watched.length ? 0 : this.turn + 1
    if (watched.length > WATCHED_QUIET_MAX) this.leaveQuietRings()
    if (this.untold !== null && handled === 0) this.tell()
    return handled
  }

  /** Starts polling the rings of those who asked for it. */
  private watchSummoners(): void {
    this.doorbell.takeSummons()
    const { bitmapWords } = this.parts.segment.layout
    for (let index = 0; index < bitmapWords; index++) {
      let bits = this.doorbell.takePending(index)
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits)
        bits &= ~(1 << bit)
        this.watch(32 * index + bit)
      }
    }
  }

  /** Starts polling a ring, if there is one: a bitmap is somebody else's writing, and a ring without memory is a SIGBUS. */
  private watch(peer: number): void {
    const { rank, segment } = this.parts
    if (!this.isPeer(peer) || this.problems[peer] !== undefined || !segment.isReserved(peer, rank)) return
    let reader = this.readers[peer]
    if (reader === undefined) {
      reader = new RingReader(segment, rank, peer, this.header)
      this.readers[peer] = reader
    }
    if (reader.watched) return
    reader.watch()
    this.watched.push(reader)
  }

  private leaveQuietRings(): void {
    const watched = this.watched
    for (let i = watched.length - 1; i >= 0; i--) {
      if ((watched[i] as RingReader).emptyPolls >= QUIET_POLLS) this.leave(i)
    }
  }

  /** Stops polling every ring, so that senders summon; false when a frame is there, whose ring stays watched. */
  private leaveAllRings(): boolean {
    for (let i = this.watched.length - 1; i >= 0; i--) this.leave(i)
    return !this.hasWork()
  }

  private leave(index: number): void {
    const reader = this.watched[index] as RingReader
    if (reader.unwatch()) this.dropWatched(index)
    else if (reader.problem !== '') this.distrust(reader.peer, reader.problem)
  }

  private dropWatched(index: number): void {
    const watched = this.watched
    const last = watched.pop() as RingReader
    if (index < watched.length) watched[index] = last
    this.turn = 0
  }

  /** Whether there is a reason not to sleep, as far as it can be seen without polled rings. */
  private hasWork(): boolean {
    if (this.doorbell.isSummoned || this.untold !== null || this.watched.length !== 0) return true
    if (this.board.isDue()) return true
    return this.blocked.length !== 0 && this.findsRoom()
  }

  /** Whether a ring that was full has room now; forgets those, and has this rank woken for the others. */
  private findsRoom(): boolean {
    let found = false
    for (let i = this.blocked.length - 1; i >= 0; i--) {
      const writer = this.blocked[i] as RingWriter
      if (writer.awaitsRoom()) continue
      found = true
      writer.blocked = false
      this.blocked.splice(i, 1)
    }
    return found
  }

  /** Drops a peer whose shared memory holds what no rank writes; the next poll tells. */
  private distrust(peer: number, problem: string): OnecopyError {
    const error = new OnecopyError('ERR_CORRUPT', `shared memory of rank ${peer} cannot be believed: ${problem}`, {
      rank: peer,
    })
    this.problems[peer] = problem
    this.writers[peer] = undefined
    const index = this.watched.findIndex((reader) => reader.peer === peer)
    if (index >= 0) this.dropWatched(index)
    if (this.gone[peer] !== true) this.untold ??= error
    return error
  }

  private tell(): void {
    const error = this.untold
    this.untold = null
    if (error !== null) throw error
  }
}
