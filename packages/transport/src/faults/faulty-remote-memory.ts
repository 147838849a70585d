import { OnecopyError } from '../errors.js'
import type { Random } from '../random.js'
import { REGION_WORDS, type RemoteMemory, type RemoteMemoryLimits } from '../remote-memory.js'
import type { RemoteMemoryFault } from './fault-options.js'
import type { PeerFates } from './peer-fates.js'

const ERRNOS = { EPERM: 1, ESRCH: 3, EFAULT: 14, ENOSYS: 38 } as const

type Operation = 'read' | 'write'

/** Remote memory whose copies fail as they were told to. */
export class FaultyRemoteMemory implements RemoteMemory {
  private readonly inner: RemoteMemory
  private readonly faults: readonly RemoteMemoryFault[]
  private readonly callsSeen: number[]
  private readonly random: Random
  private readonly fates: PeerFates
  /** Why each peer refuses, by operation. */
  private readonly refusals = { read: new Map<number, string>(), write: new Map<number, string>() }

  constructor(inner: RemoteMemory, faults: readonly RemoteMemoryFault[], random: Random, fates: PeerFates) {
    this.inner = inner
    this.faults = faults
    this.callsSeen = faults.map(() => 0)
    this.random = random
    this.fates = fates
  }

  get limits(): RemoteMemoryLimits {
    return this.inner.limits
  }

  expose(view: Uint8Array, words: Int32Array, at: number): void {
    this.inner.expose(view, words, at)
  }

  withdraw(words: Int32Array, at: number): void {
    this.inner.withdraw(words, at)
  }

  canRead(peer: number): boolean {
    return this.isPermitted(peer, 'read') && this.inner.canRead(peer)
  }

  canWrite(peer: number): boolean {
    return this.isPermitted(peer, 'write') && this.inner.canWrite(peer)
  }

  whyNot(peer: number): string | null {
    const refusal = this.refusals.read.get(peer) ?? this.refusals.write.get(peer)
    if (refusal !== undefined) return refusal
    if (this.fates.isDead(peer)) return `rank ${peer} is dead ${this.fates.signature()}`
    return this.inner.whyNot(peer)
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
    const fault = this.faultOf(peer, 'read')
    if (fault === null) {
      this.inner.read(peer, words, at, offset, into, intoOffset, byteLength)
      return
    }
    const bytesDone = this.partOf(fault, byteLength)
    if (bytesDone > 0) this.inner.read(peer, words, at, offset, into, intoOffset, bytesDone)
    throw this.errorOf(fault, peer, 'read', bytesDone)
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
    const fault = this.faultOf(peer, 'write')
    if (fault === null) {
      this.inner.write(peer, words, at, offset, from, fromOffset, byteLength)
      return
    }
    const bytesDone = this.partOf(fault, byteLength)
    if (bytesDone > 0) this.inner.write(peer, words, at, offset, from, fromOffset, bytesDone)
    throw this.errorOf(fault, peer, 'write', bytesDone)
  }

  readMany(peer: number, words: Int32Array, at: number, count: number, into: readonly Uint8Array[]): void {
    const fault = this.faultOf(peer, 'read')
    if (fault === null) {
      this.inner.readMany(peer, words, at, count, into)
      return
    }
    const piecesDone = this.partOf(fault, count)
    if (piecesDone > 0) this.inner.readMany(peer, words, at, piecesDone, into)
    let bytesDone = 0
    for (let i = 0; i < piecesDone; i++) bytesDone += (into[i] as Uint8Array).byteLength
    if (fault.isPartial === true && piecesDone < count) bytesDone += this.readPartOf(peer, words, at, piecesDone, into)
    throw this.errorOf(fault, peer, 'read', bytesDone)
  }

  /** Reads a random part of one piece: the kernel does split pieces. */
  private readPartOf(peer: number, words: Int32Array, at: number, index: number, into: readonly Uint8Array[]): number {
    const target = into[index] as Uint8Array
    const byteLength = this.random.between(0, Math.max(0, target.byteLength - 1))
    if (byteLength > 0) this.inner.read(peer, words, at + index * REGION_WORDS, 0, target, 0, byteLength)
    return byteLength
  }

  private isPermitted(peer: number, operation: Operation): boolean {
    if (this.fates.isDead(peer)) return false
    for (const fault of this.faults) {
      const isRefusal = fault.error === 'EPERM' || fault.error === 'ENOSYS'
      if (isRefusal && fault.call === 0 && concerns(fault, peer, operation)) this.refuse(fault, peer, operation)
    }
    return !this.refusals[operation].has(peer)
  }

  /** The fault that this call runs into, or null where it is to succeed. */
  private faultOf(peer: number, operation: Operation): RemoteMemoryFault | null {
    this.fates.count(peer)
    if (this.fates.isDead(peer)) return { error: 'ESRCH' }
    if (!this.isPermitted(peer, operation)) return { error: 'EPERM' }
    let hit: RemoteMemoryFault | null = null
    this.faults.forEach((fault, i) => {
      if (!concerns(fault, peer, operation)) return
      const call = (this.callsSeen[i] as number) + 1
      this.callsSeen[i] = call
      // Drawn for every fault and every call, so that one fault's outcome does not move another's.
      const isDrawn = fault.probability !== undefined && this.random.chance(fault.probability)
      if (fault.call === call || isDrawn) hit ??= fault
    })
    return hit
  }

  private partOf(fault: RemoteMemoryFault, whole: number): number {
    return fault.isPartial === true && whole > 0 ? this.random.between(0, whole - 1) : 0
  }

  private refuse(fault: RemoteMemoryFault, peer: number, operation: Operation): string {
    const known = this.refusals[operation].get(peer)
    if (known !== undefined) return known
    const refusal = `rank ${peer} refused this rank's ${operation}s: ${fault.error} ${this.fates.signature()}`
    this.refusals[operation].set(peer, refusal)
    return refusal
  }

  private errorOf(fault: RemoteMemoryFault, peer: number, operation: Operation, bytesDone: number): OnecopyError {
    const fields = {
      rank: peer,
      errno: ERRNOS[fault.error],
      syscall: operation === 'read' ? 'process_vm_readv' : 'process_vm_writev',
      bytesDone,
    }
    if (fault.error === 'ESRCH') {
      this.fates.kill(peer)
      const message = `Rank ${peer}'s process is gone: ESRCH ${this.fates.signature()}`
      return new OnecopyError('ERR_PROC_FAILED', message, fields)
    }
    if (fault.error === 'EFAULT') {
      const message = `Rank ${peer}'s memory cannot be reached: EFAULT after ${bytesDone} bytes ${this.fates.signature()}`
      return new OnecopyError('ERR_BUFFER_GONE', message, fields)
    }
    return new OnecopyError('ERR_UNAVAILABLE', this.refuse(fault, peer, operation), fields)
  }
}

function concerns(fault: RemoteMemoryFault, peer: number, operation: Operation): boolean {
  return (fault.peer ?? peer) === peer && (fault.operation ?? operation) === operation
}
