import { OnecopyError } from '../errors.js'
import { REGION_WORDS, type RemoteMemory, type RemoteMemoryLimits } from '../remote-memory.js'
import type { RegionTable } from './region-table.js'

// The calls this stands in for: whoever reads `errno` and `syscall` should not need to know that it is a stand-in.
const READ = 'process_vm_readv'
const WRITE = 'process_vm_writev'
const EPERM = 1
const ESRCH = 3
const EFAULT = 14

/** Whether `actor` may read, or write, `target`'s memory. Asked once per pair and operation, on first use. */
export type RemoteMemoryPolicy = (actor: number, target: number, operation: 'read' | 'write') => boolean

/** What remote memory must know about the other ranks. */
export interface RemoteMemoryPeers {
  /** Throws unless `peer` is another rank of the job. */
  checkPeer(peer: number): void
  /** Whether the rank's process, if it were one, still ran. */
  isAlive(peer: number): boolean
  /** Throws ERR_CLOSED after close or abort. */
  checkOpen(): void
}

/** Remote memory between ranks of one process: a copy between two arrays of the same heap, by name. */
export class InProcessRemoteMemory implements RemoteMemory {
  readonly limits: RemoteMemoryLimits
  private readonly rank: number
  private readonly table: RegionTable
  private readonly policy: RemoteMemoryPolicy
  private readonly peers: RemoteMemoryPeers
  private readonly mayRead = new Map<number, boolean>()
  private readonly mayWrite = new Map<number, boolean>()

  constructor(
    rank: number,
    limits: RemoteMemoryLimits,
    table: RegionTable,
    policy: RemoteMemoryPolicy,
    peers: RemoteMemoryPeers,
  ) {
    this.rank = rank
    this.limits = limits
    this.table = table
    this.policy = policy
    this.peers = peers
  }

  expose(view: Uint8Array, words: Int32Array, at: number): void {
    this.peers.checkOpen()
    if (view.byteLength < this.limits.exposeBytesMin) {
      throw new RangeError(
        `A view of ${view.byteLength} bytes cannot be exposed, ${this.limits.exposeBytesMin} is the least: send it in a frame`,
      )
    }
    if (!(at >= 0 && at + REGION_WORDS <= words.length)) {
      throw new RangeError(`A region's name takes ${REGION_WORDS} words; words[${at}…] of ${words.length} are too few`)
    }
    this.table.add(this.rank, view, words, at)
  }

  withdraw(words: Int32Array, at: number): void {
    this.table.remove(this.rank, words, at)
  }

  canRead(peer: number): boolean {
    this.peers.checkPeer(peer)
    return this.peers.isAlive(peer) && this.isAllowed(this.mayRead, peer, 'read')
  }

  canWrite(peer: number): boolean {
    this.peers.checkPeer(peer)
    return this.peers.isAlive(peer) && this.isAllowed(this.mayWrite, peer, 'write')
  }

  whyNot(peer: number): string | null {
    this.peers.checkPeer(peer)
    if (this.mayRead.get(peer) === false) return this.refusal(peer, 'read')
    if (this.mayWrite.get(peer) === false) return this.refusal(peer, 'write')
    if (!this.peers.isAlive(peer)) return `rank ${peer} has ended`
    return null
  }

  read(
    peer: number,
    words: Int32Array,
    at: number,
    offset: number,
    into: Uint8Array,
    intoOffset: number,
    byteLength: number,
  ): void {
    this.checkCall(peer, 'read', 0)
    const region = this.regionOf(peer, words, at, READ, 0)
    checkPiece('the region', offset, byteLength, region.byteLength)
    checkPiece('into', intoOffset, byteLength, into.byteLength)
    into.set(region.subarray(offset, offset + byteLength), intoOffset)
  }

  write(
    peer: number,
    words: Int32Array,
    at: number,
    offset: number,
    from: Uint8Array,
    fromOffset: number,
    byteLength: number,
  ): void {
    this.checkCall(peer, 'write', 0)
    const region = this.regionOf(peer, words, at, WRITE, 0)
    checkPiece('the region', offset, byteLength, region.byteLength)
    checkPiece('from', fromOffset, byteLength, from.byteLength)
    region.set(from.subarray(fromOffset, fromOffset + byteLength), offset)
  }

  readMany(peer: number, words: Int32Array, at: number, count: number, into: readonly Uint8Array[]): void {
    if (!(count >= 0 && count <= into.length)) {
      throw new RangeError(`readMany was asked for ${count} regions but given ${into.length} arrays to read into`)
    }
    let bytesDone = 0
    this.checkCall(peer, 'read', bytesDone)
    for (let i = 0; i < count; i++) {
      const target = into[i] as Uint8Array
      const region = this.regionOf(peer, words, at + i * REGION_WORDS, READ, bytesDone)
      checkPiece('the region', 0, target.byteLength, region.byteLength)
      target.set(region.subarray(0, target.byteLength))
      bytesDone += target.byteLength
    }
  }

  private isAllowed(known: Map<number, boolean>, peer: number, operation: 'read' | 'write'): boolean {
    let allowed = known.get(peer)
    if (allowed === undefined) {
      allowed = this.policy(this.rank, peer, operation)
      known.set(peer, allowed)
    }
    return allowed
  }

  private refusal(peer: number, operation: 'read' | 'write'): string {
    return (
      `rank ${this.rank} may not ${operation} rank ${peer}'s memory: EPERM; ` +
      "the in-process network's remoteMemory option answered false for this pair"
    )
  }

  private checkCall(peer: number, operation: 'read' | 'write', bytesDone: number): void {
    this.peers.checkOpen()
    this.peers.checkPeer(peer)
    const syscall = operation === 'read' ? READ : WRITE
    if (!this.peers.isAlive(peer)) {
      throw new OnecopyError('ERR_PROC_FAILED', `Rank ${peer} has ended (ESRCH), its memory went with it`, {
        rank: peer,
        errno: ESRCH,
        syscall,
        bytesDone,
      })
    }
    if (!this.isAllowed(operation === 'read' ? this.mayRead : this.mayWrite, peer, operation)) {
      throw new OnecopyError('ERR_UNAVAILABLE', this.refusal(peer, operation), {
        rank: peer,
        errno: EPERM,
        syscall,
        bytesDone,
      })
    }
  }

  private regionOf(peer: number, words: Int32Array, at: number, syscall: string, bytesDone: number): Uint8Array {
    const region = this.table.bytesOf(peer, words, at)
    if (region !== null) return region
    throw new OnecopyError(
      'ERR_BUFFER_GONE',
      `No memory of rank ${peer} goes by this name (EFAULT): it was withdrawn, or its buffer was transferred or resized`,
      { rank: peer, errno: EFAULT, syscall, bytesDone },
    )
  }
}

function checkPiece(where: string, offset: number, byteLength: number, available: number): void {
  if (Number.isInteger(offset) && Number.isInteger(byteLength)) {
    if (offset >= 0 && byteLength >= 0 && offset + byteLength <= available) return
  }
  throw new RangeError(`${byteLength} bytes at ${offset} do not lie in ${where}, which has ${available} bytes`)
}
