import { closeSync, constants, writeSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import {
  checkFrame,
  type FrameReceiver,
  OnecopyError,
  type Transport,
  type TransportJob,
  type TransportLimits,
} from '@onecopy/transport'
import { derivePairSecret } from './authentication.js'
import { BulkFile } from './bulk-file.js'
import { inboxPathOf, openFifo, whyNotOurs } from './fifo.js'
import type { BulkGeometry } from './geometry.js'
import { Inbox } from './inbox.js'
import { LookSchedule } from './look-schedule.js'
import { PeerLink } from './peer-link.js'
import { INLINE_BYTES_MAX, KIND_BULK, KIND_CREDIT } from './record.js'
import { FOUND_BROKEN, FOUND_NOTHING, READ_BYTES_MAX, RecordReader } from './record-reader.js'
import { RecordWriter } from './record-writer.js'
import { Sleeper } from './sleeper.js'
import { errorFields, failedWith } from './system-error.js'
import { TICK_MILLISECONDS, Waker } from './waker.js'

/** Linux's default; what inline frames can add to a pair's full ring. */
const FIFO_BYTES = 65536

/** A frame costs both ends two system calls and more, some 5 us each (1 MiB in frames of 16 KiB: 380 us, 32: 240, 64: 180 to 250). */
const FRAME_COST_BYTES = 64 * 1024

/**
 * With a CPU for each rank, only every so many calls of `yield` sleep: other programs may want that CPU, and two spinning ranks
 * that share one hold each other up for a time slice per frame.
 */
const CALM_YIELDS = 16

/**
 * A rank's end of the pipes: records in the receiver's inbox FIFO, long payloads through the pair's ring in the bulk file.
 *
 * A frame that `trySend` has accepted is in the kernel, whole: nothing is ever kept in this process, so it may exit at once.
 */
export class PipeTransport implements Transport {
  readonly name = 'pipe'
  readonly limits: TransportLimits
  readonly board = null
  readonly remoteMemory = null

  private readonly job: TransportJob
  private readonly geometry: BulkGeometry
  private readonly bulkFile: BulkFile
  private readonly reader: RecordReader
  private readonly writer: RecordWriter
  private readonly inbox: Inbox
  private readonly waker: Waker
  private readonly sleeper = new Sleeper()
  private readonly schedule = new LookSchedule()
  private readonly payload: Uint8Array
  private readonly links: (PeerLink | null)[]
  /** Two words per peer: what a record to that peer must carry. */
  private readonly secretsOut: Int32Array
  /** Slots read from a peer before it is told, so that it can fill the others meanwhile. */
  private readonly reportEvery: number
  /** More ranks than CPUs: a spinning rank then holds up the one it waits for. */
  private readonly isCrowded: boolean
  /** Calls of `yield` since a frame was last handed over. */
  private yields = 0
  private reportsOwed = 0
  /** A frame was refused for want of room that only its receiver can make, silently: do not sleep for long. */
  private isHeldUp = false
  /** A frame that was refused would be accepted now, and whoever sent it may not have tried since: do not sleep at all. */
  private hasNewRoom = false
  private isPolling = false
  private isClosed = false
  private hasNoticedStrangers = false

  /**
   * @throws OnecopyError ERR_AUTH, ERR_CORRUPT when what the launcher made has been replaced.
   * @throws the system's error when the inbox cannot be opened.
   */
  constructor(job: TransportJob, geometry: BulkGeometry, bulkFile: number | string) {
    const { rank, size, token } = job
    this.job = job
    this.geometry = geometry
    const { frameBytesMax, slotCount } = geometry
    this.limits = {
      frameBytesMax,
      inlineBytesMax: INLINE_BYTES_MAX,
      frameCostBytes: Math.min(FRAME_COST_BYTES, frameBytesMax),
      queueBytesMax: frameBytesMax * slotCount + FIFO_BYTES,
    }
    const secretsIn = new Int32Array(2 * size)
    this.secretsOut = new Int32Array(2 * size)
    for (let peer = 0; peer < size; peer++) {
      derivePairSecret(token, peer, rank, secretsIn, 2 * peer)
      derivePairSecret(token, rank, peer, this.secretsOut, 2 * peer)
    }
    this.links = new Array<PeerLink | null>(size).fill(null)
    this.payload = new Uint8Array(frameBytesMax)
    this.reportEvery = Math.max(1, slotCount >> 1)
    this.isCrowded = size > (Number(job.settings.cores) || availableParallelism())
    this.writer = new RecordWriter(rank)
    this.reader = new RecordReader(rank, size, secretsIn, frameBytesMax)
    this.bulkFile = new BulkFile(geometry, bulkFile)
    try {
      this.inbox = new Inbox(inboxPathOf(job.directory, rank), this.reader)
    } catch (error) {
      this.bulkFile.close()
      throw error
    }
    this.waker = new Waker(this.inbox.path, this.reader, () => this.tick())
  }

  reaches(peer: number): boolean {
    return this.whyNot(peer) === null
  }

  whyNot(peer: number): string | null {
    this.checkPeer(peer)
    if ((this.links[peer]?.descriptor ?? -1) >= 0) return null
    const why = whyNotOurs(inboxPathOf(this.job.directory, peer))
    return why === null ? null : `rank ${peer}'s inbox cannot be used: ${why}`
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
    checkFrame(this.limits, words, wordCount, bytes, byteOffset, byteLength)
    const link = this.links[peer] ?? this.meet(peer)
    if (link.isGone) throw goneError(peer)
    if (link.descriptor < 0 && !this.connect(link)) return this.heldUp()

    let recordBytes: number
    if (byteLength <= INLINE_BYTES_MAX) {
      recordBytes = this.writer.inline(
        this.secretsOut,
        2 * peer,
        link.sequenceOut,
        words,
        wordCount,
        bytes,
        byteOffset,
        byteLength,
      )
    } else {
      if ((link.slotsWritten - link.slotsFreed) >>> 0 >= this.geometry.slotCount) {
        // The peer's report will arrive in the inbox and end any sleep.
        link.isRefused = true
        return false
      }
      if (!link.isReserved) {
        this.bulkFile.reserve(this.job.rank, peer)
        link.isReserved = true
      }
      const slot = link.slotsWritten % this.geometry.slotCount
      this.bulkFile.write(this.job.rank, peer, slot, bytes, byteOffset, byteLength)
      recordBytes = this.writer.bulk(this.secretsOut, 2 * peer, link.sequenceOut, words, wordCount, byteLength)
    }
    if (!this.writeRecord(link, recordBytes)) return this.heldUp()
    if (byteLength > INLINE_BYTES_MAX) link.slotsWritten = (link.slotsWritten + 1) >>> 0
    this.schedule.expect()
    this.sleeper.refresh()
    return true
  }

  /**
   * As the contract says, and: bytes in the inbox that no rank of this job wrote are skipped and reported once, by a notice;
   * they cost no rank anything.
   */
  poll(receiver: FrameReceiver, framesMax: number): number {
    this.checkOpen()
    if (this.isPolling) {
      throw new Error('poll was called from inside receiver.frame: return from frame first, then poll again')
    }
    this.isPolling = true
    try {
      if (this.reportsOwed > 0) this.payReports()
      return this.handOver(receiver, framesMax)
    } finally {
      this.isPolling = false
      if (this.waker.isArmed && this.reader.hasRecord()) this.waker.fireSoon()
    }
  }

  park(milliseconds: number): void {
    if (this.isPolling || this.isClosed || this.takeNewRoom()) return
    if (this.reader.hasRecord()) return
    let left = this.isHeldUp ? Math.min(milliseconds, TICK_MILLISECONDS) : milliseconds
    this.isHeldUp = false
    const { schedule, sleeper } = this
    for (;;) {
      if (schedule.isDue(sleeper.patience)) {
        if (this.inbox.look() > 0) {
          sleeper.refresh()
          schedule.expect()
          return
        }
        schedule.lookedAsleep()
      }
      if (!(left > 0)) break
      left -= sleeper.sleep(left)
      if (this.reportsOwed > 0) this.payReports()
    }
    schedule.slept(sleeper.patience)
  }

  /** Costs nothing at first where every rank can have a CPU; sleeps for some 0.1 ms, the kernel's shortest, otherwise. */
  yield(): void {
    this.yields++
    if (!this.isCrowded && this.yields % CALM_YIELDS !== 0) return
    this.sleeper.pause()
  }

  onWake(listener: (() => void) | null): boolean {
    if (listener === null) {
      this.waker.disarm()
      return true
    }
    this.checkOpen()
    if (this.isPolling || this.takeNewRoom() || this.reader.hasRecord() || this.inbox.look() > 0) return false
    this.schedule.expect()
    this.waker.arm(listener, this.isHeldUp || this.reportsOwed > 0)
    return true
  }

  /** Always false: an accepted frame is in the kernel already. */
  get hasUnsent(): boolean {
    return false
  }

  peerGone(peer: number): void {
    this.checkPeer(peer)
    const link = this.links[peer] ?? this.meet(peer)
    link.isGone = true
    this.disconnect(link)
    // its last frames may lie in the inbox, and nobody will look for them again
    this.schedule.expect()
  }

  async close(): Promise<void> {
    this.abort()
  }

  abort(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.waker.close()
    this.inbox.close()
    this.bulkFile.close()
    for (const link of this.links) if (link !== null) this.disconnect(link)
  }

  private handOver(receiver: FrameReceiver, framesMax: number): number {
    const reader = this.reader
    let count = 0
    let mayLook = true
    while (count < framesMax && !this.isClosed) {
      const found = reader.next()
      if (found === FOUND_NOTHING) {
        if (!mayLook || (count === 0 && !this.schedule.isTime())) break
        const arrived = this.inbox.look()
        this.schedule.looked(arrived > 0)
        if (reader.strangeBytes > 0) this.noticeStrangers()
        if (arrived === 0) break
        mayLook = arrived === READ_BYTES_MAX
      } else if (this.admit(found)) {
        count += this.take(receiver)
      }
    }
    if (count > 0) {
      this.sleeper.refresh()
      this.yields = 0
    }
    return count
  }

  /** Whether the record just found may be believed; throws when its peer loses all credit by it. */
  private admit(found: number): boolean {
    const { source, sequence } = this.reader
    const link = this.links[source] ?? this.meet(source)
    if (link.isDistrusted) return false
    if (found === FOUND_BROKEN) throw this.distrust(link, this.reader.complaint)
    if (sequence !== link.sequenceIn) {
      throw this.distrust(link, `record ${sequence} where record ${link.sequenceIn} was due`)
    }
    link.sequenceIn = (sequence + 1) | 0
    return true
  }

  /** Hands over the record just admitted; answers 1 when it was a frame. */
  private take(receiver: FrameReceiver): number {
    const reader = this.reader
    const { source, length } = reader
    const link = this.links[source] as PeerLink
    if (reader.kind === KIND_CREDIT) {
      const freed = (length - link.slotsFreed) >>> 0
      const underWay = (link.slotsWritten - link.slotsFreed) >>> 0
      if (freed > underWay) throw this.distrust(link, `${freed} slots freed where ${underWay} were written`)
      link.slotsFreed = length
      if (link.isRefused) {
        link.isRefused = false
        this.hasNewRoom = true
      }
      return 0
    }
    if (reader.kind === KIND_BULK) {
      const slot = link.slotsRead % this.geometry.slotCount
      this.readBulk(link, slot, length)
      link.slotsRead = (link.slotsRead + 1) >>> 0
      if ((link.slotsRead - link.slotsReported) >>> 0 >= this.reportEvery) this.report(link)
      receiver.frame(source, reader.words, reader.wordCount, this.payload, 0, length)
    } else {
      receiver.frame(source, reader.words, reader.wordCount, reader.bytes, reader.payloadAt, length)
    }
    return 1
  }

  private readBulk(link: PeerLink, slot: number, byteLength: number): void {
    try {
      this.bulkFile.read(link.peer, this.job.rank, slot, this.payload, byteLength)
    } catch (error) {
      // A frame of the peer is lost: what follows it must not pass for the next one.
      link.isDistrusted = true
      throw error
    }
  }

  /** Tells a peer how many of its bulk slots are free again; remembers to do so later when its inbox is full. */
  private report(link: PeerLink): void {
    let isDone = link.isGone
    if (!isDone && (link.descriptor >= 0 || this.connect(link))) {
      const { secretsOut } = this
      const recordBytes = this.writer.credit(secretsOut, 2 * link.peer, link.sequenceOut, link.slotsRead)
      try {
        isDone = this.writeRecord(link, recordBytes)
      } catch (error) {
        // The peer has ended: it needs no report. The launcher will say so in its turn.
        if (!(error instanceof OnecopyError)) throw error
        isDone = true
      }
    }
    if (isDone) link.slotsReported = link.slotsRead
    if (isDone === link.owesReport) this.reportsOwed += isDone ? -1 : 1
    link.owesReport = !isDone
  }

  private payReports(): void {
    for (const link of this.links) if (link?.owesReport) this.report(link)
  }

  /** Writes the writer's record into the peer's inbox, whole, or answers false when it is full. */
  private writeRecord(link: PeerLink, recordBytes: number): boolean {
    const stackTraceLimit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    try {
      writeSync(link.descriptor, this.writer.bytes, 0, recordBytes, null)
    } catch (error) {
      if (failedWith(error, 'EAGAIN') || failedWith(error, 'EINTR')) return false
      Error.stackTraceLimit = stackTraceLimit
      throw new OnecopyError(
        'ERR_PROC_FAILED',
        `Rank ${link.peer} has closed its inbox: nothing can be sent to it any more`,
        { rank: link.peer, ...errorFields(error) },
      )
    } finally {
      Error.stackTraceLimit = stackTraceLimit
    }
    link.sequenceOut = (link.sequenceOut + 1) | 0
    return true
  }

  /** Opens the peer's inbox; false while the peer has not opened it itself. */
  private connect(link: PeerLink): boolean {
    const why = this.whyNot(link.peer)
    if (why !== null) throw new OnecopyError('ERR_UNAVAILABLE', why, { rank: link.peer })
    try {
      link.descriptor = openFifo(inboxPathOf(this.job.directory, link.peer), constants.O_WRONLY)
      return true
    } catch (error) {
      if (failedWith(error, 'ENXIO')) return false
      if (error instanceof OnecopyError) throw error
      throw new OnecopyError(
        'ERR_UNAVAILABLE',
        `Rank ${link.peer}'s inbox cannot be opened: ${(error as Error).message}`,
        { rank: link.peer, ...errorFields(error) },
      )
    }
  }

  private disconnect(link: PeerLink): void {
    if (link.descriptor < 0) return
    closeSync(link.descriptor)
    link.descriptor = -1
  }

  private meet(peer: number): PeerLink {
    this.checkPeer(peer)
    const link = new PeerLink(peer)
    this.links[peer] = link
    return link
  }

  private takeNewRoom(): boolean {
    const hasNewRoom = this.hasNewRoom
    this.hasNewRoom = false
    return hasNewRoom
  }

  private heldUp(): boolean {
    this.isHeldUp = true
    return false
  }

  /** What a sleeping event loop does now and then; true when whoever sleeps should try again. */
  private tick(): boolean {
    if (this.reportsOwed > 0) this.payReports()
    const isHeldUp = this.isHeldUp
    this.isHeldUp = false
    return isHeldUp
  }

  private distrust(link: PeerLink, complaint: string): OnecopyError {
    link.isDistrusted = true
    return new OnecopyError(
      'ERR_PROTOCOL',
      `Rank ${link.peer} broke the pipe protocol: ${complaint}. Its frames are dropped from now on`,
      { rank: link.peer },
    )
  }

  private noticeStrangers(): void {
    if (this.hasNoticedStrangers) return
    this.hasNoticedStrangers = true
    this.job.notice(
      'pipe-stranger',
      `ERR_AUTH: something that is not a rank of this job wrote to rank ${this.job.rank}'s inbox ${this.inbox.path}; ` +
        'the bytes were skipped',
    )
  }

  private checkOpen(): void {
    if (!this.isClosed) return
    const { rank } = this.job
    throw new OnecopyError('ERR_CLOSED', `Rank ${rank}'s pipe transport has been closed`, { rank })
  }

  private checkPeer(peer: number): void {
    const { rank, size } = this.job
    if (Number.isInteger(peer) && peer >= 0 && peer < size && peer !== rank) return
    throw new RangeError(`Rank ${rank} has no peer ${peer}: a peer is another rank, 0 to ${size - 1}`)
  }
}

function goneError(peer: number): OnecopyError {
  return new OnecopyError('ERR_PROC_FAILED', `Rank ${peer} has ended: nothing can be sent to it any more`, {
    rank: peer,
  })
}
