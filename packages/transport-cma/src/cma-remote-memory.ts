import { OnecopyError, REGION_WORDS, type RemoteMemory, type RemoteMemoryLimits } from '@onecopy/transport'
import { EAGAIN, EFAULT, EINTR, ENOMEM, ESRCH, errnoName } from './errno.js'
import type { HugePages } from './huge-pages.js'
import { type Identity, putNumber, readCard, takeNumber } from './identity.js'
import type { Libc } from './libc/libc.js'
import { CALL_BYTES_MAX } from './libc/numbers.js'
import { PeerProcess, type Refusal } from './peer-process.js'
import { MOVING_BYTES_MAX, PIECES_MAX, ProcessVm } from './process-vm.js'
import { describeRefusal } from './refusal.js'
import { NONCE_BYTES } from './ring-layout.js'

/** About 0.5 ms of copying at the slowest rate measured here: what an event loop may be held for. */
const SEGMENT_BYTES = 1024 * 1024
/** Calls in a row that move nothing before the kernel counts as refusing. */
const RETRIES_MAX = 16
const DATA_BYTES_MAX = CALL_BYTES_MAX - NONCE_BYTES

const READV = 'process_vm_readv'
const WRITEV = 'process_vm_writev'

/** How `ONECOPY_CMA` is understood. */
export type CmaMode = 'on' | 'off' | 'require' | 'no-write'

/** What {@link CmaRemoteMemory} is made of. */
export interface CmaRemoteMemoryParts {
  readonly libc: Libc
  readonly rank: number
  readonly size: number
  readonly identity: Identity
  /** The shared segment's words: where the cards are. */
  readonly words: Int32Array
  readonly mode: CmaMode
  readonly hugePages: HugePages
  /** A reason known beforehand why nobody may be asked, or null. */
  readonly ban: string | null
  notice(key: string, message: string): void
}

/** Remote memory by process_vm_readv and process_vm_writev. A region's words are its address and its length. */
export class CmaRemoteMemory implements RemoteMemory {
  readonly limits: RemoteMemoryLimits
  readonly #parts: CmaRemoteMemoryParts
  readonly #libc: Libc
  readonly #hugePages: HugePages
  readonly #vm: ProcessVm
  readonly #processes: (PeerProcess | undefined)[]
  readonly #gone: boolean[]
  #trials = 0
  #closed = false

  constructor(parts: CmaRemoteMemoryParts) {
    this.#parts = parts
    this.#libc = parts.libc
    this.#hugePages = parts.hugePages
    this.limits = {
      exposeBytesMin: MOVING_BYTES_MAX + 1,
      sharedArrayBuffers: parts.libc.name === 'koffi',
      segmentBytes: SEGMENT_BYTES,
    }
    this.#vm = new ProcessVm(parts.libc)
    this.#processes = new Array<PeerProcess | undefined>(parts.size).fill(undefined)
    this.#gone = new Array<boolean>(parts.size).fill(false)
  }

  expose(view: Uint8Array, words: Int32Array, at: number): void {
    const byteLength = view.byteLength
    if (byteLength <= MOVING_BYTES_MAX) {
      throw new RangeError(`a view of ${byteLength} bytes may move; at least ${MOVING_BYTES_MAX + 1} can be exposed`)
    }
    const address = this.#libc.addressOf(view)
    putNumber(words, at, address)
    putNumber(words, at + 2, byteLength)
    this.#hugePages.note(address, byteLength)
  }

  /** A region is an address, which nobody can take back: a late reader finds what the memory holds by then. */
  withdraw(): void {}

  canRead(peer: number): boolean {
    const process = this.#contact(peer)
    if (process === null) return false
    if (process.canRead === 'unknown') this.#proveRead(process)
    else if (process.canRead === 'refused') this.#checkRequired(process, READV, process.readRefusal)
    return process.canRead === 'granted'
  }

  canWrite(peer: number): boolean {
    const process = this.#contact(peer)
    if (process === null) return false
    if (process.canWrite === 'unknown') this.#proveWrite(process)
    else if (process.canWrite === 'refused') this.#checkRequired(process, WRITEV, process.writeRefusal)
    return process.canWrite === 'granted'
  }

  whyNot(peer: number): string | null {
    const { ban, mode } = this.#parts
    if (ban !== null) return ban
    if (this.#gone[peer] === true) return `rank ${peer} has ended`
    const process = this.#processes[peer]
    if (process === undefined) return `rank ${peer} has not joined, or was not asked for yet`
    if (process.readRefusal !== null) return process.readRefusal.reason
    if (mode === 'no-write' && process.canWrite === 'refused') return 'ONECOPY_CMA=no-write'
    return process.writeRefusal === null ? null : process.writeRefusal.reason
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
    const address = regionAddress(words, at, offset, byteLength)
    checkPiece(into, intoOffset, byteLength)
    if (byteLength === 0) return
    const process = this.#readable(peer)
    const vm = this.#vm
    const bounced = into.byteLength <= MOVING_BYTES_MAX
    const target = bounced ? vm.bounceAddress : this.#libc.addressOf(into) + intoOffset
    let done = 0
    let retries = 0
    while (done < byteLength) {
      const wanted = Math.min(byteLength - done, DATA_BYTES_MAX)
      vm.setPiece(1, target + done, address + done, wanted)
      const moved = this.#readPieces(process, 1, wanted, retries, done)
      retries = moved === 0 ? retries + 1 : 0
      done += moved
    }
    if (bounced) for (let i = 0; i < byteLength; i++) into[intoOffset + i] = vm.bounce[i] as number
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
    const address = regionAddress(words, at, offset, byteLength)
    checkPiece(from, fromOffset, byteLength)
    if (byteLength === 0) return
    const process = this.#writable(peer)
    const vm = this.#vm
    const bounced = from.byteLength <= MOVING_BYTES_MAX
    if (bounced) for (let i = 0; i < byteLength; i++) vm.bounce[i] = from[fromOffset + i] as number
    const source = bounced ? vm.bounceAddress : this.#libc.addressOf(from) + fromOffset
    let done = 0
    let retries = 0
    while (done < byteLength) {
      const wanted = Math.min(byteLength - done, SEGMENT_BYTES)
      vm.setPiece(1, source + done, address + done, wanted)
      const moved = this.#writePiece(process, wanted, retries, done)
      retries = moved === 0 ? retries + 1 : 0
      done += moved
    }
  }

  readMany(peer: number, words: Int32Array, at: number, count: number, into: readonly Uint8Array[]): void {
    if (count > into.length) throw new RangeError(`${count} regions, but memory for ${into.length}`)
    for (let i = 0; i < count; i++) regionAddress(words, at + i * REGION_WORDS, 0, (into[i] as Uint8Array).byteLength)
    const process = this.#readable(peer)
    const vm = this.#vm
    let index = 0
    let offset = 0
    let done = 0
    let retries = 0
    while (index < count) {
      // One call's worth, from where the last one stopped.
      let pieces = 0
      let wanted = 0
      let start = offset
      for (let i = index; i < count && pieces < PIECES_MAX && wanted < DATA_BYTES_MAX; i++) {
        const view = into[i] as Uint8Array
        const length = Math.min(view.byteLength - start, DATA_BYTES_MAX - wanted)
        const moving = view.byteLength <= MOVING_BYTES_MAX
        pieces++
        const local = moving ? vm.bounceAddress + pieces * MOVING_BYTES_MAX : this.#libc.addressOf(view) + start
        vm.setPiece(pieces, local, takeNumber(words, at + i * REGION_WORDS) + start, length)
        wanted += length
        start = 0
      }
      const moved = wanted === 0 ? 0 : this.#readPieces(process, pieces, wanted, retries, done)
      retries = moved === 0 ? retries + 1 : 0
      done += moved
      // Hand out what came, piece by piece; the call may have stopped in the middle of one.
      let left = moved
      for (let piece = 1; piece <= pieces; piece++) {
        const view = into[index] as Uint8Array
        const length = Math.min(left, view.byteLength - offset)
        if (view.byteLength <= MOVING_BYTES_MAX) {
          const cell = piece * MOVING_BYTES_MAX
          for (let i = 0; i < length; i++) view[offset + i] = vm.bounce[cell + i] as number
        }
        left -= length
        offset += length
        if (offset < view.byteLength) break
        index++
        offset = 0
      }
    }
  }

  /** From now on calls to `peer` answer that it has ended. */
  peerGone(peer: number): void {
    this.#gone[peer] = true
    this.#processes[peer]?.close()
    this.#processes[peer] = undefined
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const process of this.#processes) process?.close()
    this.#processes.fill(undefined)
  }

  /** The peer's process, or null while it cannot be asked: not joined, gone, closed, or nobody may be asked. */
  #contact(peer: number): PeerProcess | null {
    const known = this.#processes[peer]
    if (known !== undefined) return known
    if (this.#parts.ban !== null || this.#closed || this.#gone[peer] === true) return null
    const card = readCard(this.#parts.words, peer)
    if (card === null) return null
    const process = new PeerProcess(this.#libc, peer, card)
    this.#processes[peer] = process
    return process
  }

  #readable(peer: number): PeerProcess {
    if (this.canRead(peer)) return this.#processes[peer] as PeerProcess
    throw this.#unavailable(peer, this.#processes[peer]?.readRefusal ?? null, READV)
  }

  #writable(peer: number): PeerProcess {
    if (this.canWrite(peer)) return this.#processes[peer] as PeerProcess
    throw this.#unavailable(peer, this.#processes[peer]?.writeRefusal ?? null, WRITEV)
  }

  #unavailable(peer: number, refusal: Refusal | null, syscall: string): OnecopyError {
    if (this.#closed) return new OnecopyError('ERR_CLOSED', 'the transport has been closed', { rank: peer })
    if (this.#gone[peer] === true) return this.#failed(peer, syscall, null, 0, 'has ended')
    const unasked: Refusal = { reason: this.whyNot(peer) ?? 'no reason is known', errno: null }
    return this.#denied(peer, syscall, refusal ?? unasked, 0)
  }

  #denied(rank: number, syscall: string, refusal: Refusal, bytesDone: number): OnecopyError {
    return new OnecopyError('ERR_UNAVAILABLE', `rank ${rank}: ${refusal.reason}`, {
      rank,
      syscall,
      bytesDone,
      ...errnoField(refusal.errno),
    })
  }

  #proveRead(process: PeerProcess): void {
    const { pid, nonce } = process.card
    const result = this.#readPatiently(process, 0)
    if (result === NONCE_BYTES && this.#vm.nonceIs(nonce)) {
      process.confirm()
      process.canRead = 'granted'
    } else if (result === -ESRCH || result === -EFAULT || result === NONCE_BYTES) {
      const why = result < 0 ? errnoName(-result) : 'another process answers'
      this.#refuse(process, READV, {
        reason: `${READV}: ${why}: pid ${pid} is not that rank from here (another pid namespace, or it has ended)`,
        errno: errnoOf(result),
      })
    } else {
      this.#refuse(process, READV, refusalOf(READV, result))
    }
  }

  /** A read, tried again as long as the errno is a passing one. */
  #readPatiently(process: PeerProcess, pieces: number): number {
    let result = -EAGAIN
    for (let i = 0; i < RETRIES_MAX && isPassing(result); i++) {
      result = this.#vm.read(process.card.pid, process.card.nonceAddress, pieces)
    }
    return result
  }

  #proveWrite(process: PeerProcess): void {
    if (this.#parts.mode === 'no-write') {
      process.canWrite = 'refused'
      return
    }
    // Asked first: reading the nonce is what dispels the doubt.
    this.canRead(process.rank)
    const { doubt } = process
    const refusal: Refusal | null =
      doubt === null
        ? this.#tryWrite(process)
        : { reason: `remote writes need proof of who is written to, and ${doubt}`, errno: null }
    if (refusal === null) process.canWrite = 'granted'
    else this.#refuse(process, WRITEV, refusal)
  }

  /** Writes into this rank's cell in the peer's memory and, where it may, reads that back. @returns what is wrong, or null. */
  #tryWrite(process: PeerProcess): Refusal | null {
    const { identity, rank } = this.#parts
    const { pid, cellsAddress, nonce } = process.card
    const vm = this.#vm
    // The cell after the first, in which the bytes of a write that is under way may lie.
    const local = vm.bounceAddress + MOVING_BYTES_MAX
    const trial = vm.bounce.subarray(MOVING_BYTES_MAX, MOVING_BYTES_MAX + NONCE_BYTES)
    trial.set(new Uint8Array(identity.nonce.buffer, identity.nonce.byteOffset, NONCE_BYTES))
    // Different each time, or what an earlier trial has left would be taken for this one's.
    trial[0] = ++this.#trials
    const sent = trial.slice()
    vm.setPiece(1, local, cellsAddress + rank * NONCE_BYTES, NONCE_BYTES)
    let result = -EAGAIN
    for (let i = 0; i < RETRIES_MAX && isPassing(result); i++) result = process.hasExited() ? -ESRCH : vm.write(pid)
    if (result !== NONCE_BYTES) return refusalOf(WRITEV, result)
    if (process.canRead !== 'granted') return null
    trial.fill(0)
    const back = this.#readPatiently(process, 1)
    const same = sent.every((byte, i) => trial[i] === byte)
    if (back === 2 * NONCE_BYTES && vm.nonceIs(nonce) && same) return null
    return { reason: `${WRITEV} claims to have written what cannot be read back`, errno: null }
  }

  /**
   * One read of pieces set in the block. @returns data bytes moved; 0 when it is worth another try.
   */
  #readPieces(process: PeerProcess, pieces: number, wanted: number, retries: number, done: number): number {
    const { pid, nonceAddress, nonce } = process.card
    const vm = this.#vm
    const result = vm.read(pid, nonceAddress, pieces)
    const isCount = result >= NONCE_BYTES && result <= NONCE_BYTES + wanted
    if (result === -EFAULT || (isCount && !vm.nonceIs(nonce))) throw this.#withoutNonce(process, result, done)
    if (!isCount) return this.#handle(process, READV, result, retries, done)
    if (result > NONCE_BYTES) return result - NONCE_BYTES
    // The nonce came and the data did not. Only a call without the nonce tells why.
    const alone = vm.readUnproven(pid)
    if (alone === -EFAULT) throw this.#bufferGone(process.rank, READV, done)
    return this.#handle(process, READV, alone, retries, done)
  }

  /**
   * For a read that did not find the peer's nonce: the pid means another process by now. Unless the peer lives and has not left:
   * then its nonce is where it was, and the answer is nonsense.
   */
  #withoutNonce(process: PeerProcess, result: number, done: number): OnecopyError {
    const { rank, doubt, card } = process
    const isThere = doubt === null && !process.hasExited() && readCard(this.#parts.words, rank) !== null
    if (isThere) return this.#refused(process, READV, refusalOf(READV, result), done)
    const what = `is gone: pid ${card.pid} belongs to another process now`
    return this.#failed(rank, READV, errnoOf(result), done, what)
  }

  /** One write of piece 1. @returns bytes moved; 0 when it is worth another try. */
  #writePiece(process: PeerProcess, wanted: number, retries: number, done: number): number {
    if (process.hasExited()) throw this.#failed(process.rank, WRITEV, ESRCH, done, 'has ended')
    const result = this.#vm.write(process.card.pid)
    if (result === wanted) return result
    if (result > 0 && result < wanted) {
      // The kernel stops short where memory ends, and hardly anywhere else: is it still true that it writes?
      const refusal = this.#tryWrite(process)
      if (refusal !== null) throw this.#refused(process, WRITEV, refusal, done)
      return result
    }
    if (result === -EFAULT) throw this.#bufferGone(process.rank, WRITEV, done)
    return this.#handle(process, WRITEV, result, retries, done)
  }

  /** For a call that moved nothing: answers 0 when another try may help, else throws what it means. */
  #handle(process: PeerProcess, syscall: string, result: number, retries: number, done: number): 0 {
    if (result === -ESRCH) throw this.#failed(process.rank, syscall, ESRCH, done, 'has ended')
    if ((isPassing(result) || result >= 0) && retries < RETRIES_MAX) return 0
    throw this.#refused(process, syscall, refusalOf(syscall, result), done)
  }

  /** Remembers a refusal that came in the middle of a copy. @returns the error of that copy. */
  #refused(process: PeerProcess, syscall: string, refusal: Refusal, done: number): OnecopyError {
    this.#refuse(process, syscall, refusal)
    return this.#denied(process.rank, syscall, refusal, done)
  }

  /** Remembers that this direction is refused for this peer, and tells the user once per job. */
  #refuse(process: PeerProcess, syscall: string, refusal: Refusal): void {
    if (syscall === READV) {
      process.canRead = 'refused'
      process.readRefusal = refusal
    } else {
      process.canWrite = 'refused'
      process.writeRefusal = refusal
    }
    if (hasEnded(process, refusal)) return
    this.#checkRequired(process, syscall, refusal)
    const message = this.#refusalText(process, syscall, refusal.reason)
    this.#parts.notice(
      'cma-refused',
      `single copy is off where it is refused: ${message}. Messages go through shared memory instead`,
    )
  }

  /** @throws OnecopyError ERR_CMA_DENIED, as often as it is asked, where the user cannot do without. */
  #checkRequired(process: PeerProcess, syscall: string, refusal: Refusal | null): void {
    if (this.#parts.mode !== 'require' || refusal === null || hasEnded(process, refusal)) return
    const { reason, errno } = refusal
    const message = this.#refusalText(process, syscall, reason)
    throw new OnecopyError('ERR_CMA_DENIED', `single copy is required (ONECOPY_CMA=require), but ${message}`, {
      rank: process.rank,
      syscall,
      ...errnoField(errno),
    })
  }

  #refusalText(process: PeerProcess, syscall: string, reason: string): string {
    return `rank ${this.#parts.rank} may not ${syscall === READV ? 'read' : 'write to'} rank ${process.rank}: ${reason}`
  }

  #failed(rank: number, syscall: string, errno: number | null, bytesDone: number, what: string): OnecopyError {
    const fields = { rank, syscall, bytesDone, ...errnoField(errno) }
    return new OnecopyError('ERR_PROC_FAILED', `rank ${rank} ${what}`, fields)
  }

  #bufferGone(rank: number, syscall: string, bytesDone: number): OnecopyError {
    return new OnecopyError(
      'ERR_BUFFER_GONE',
      `${syscall}: EFAULT: memory that rank ${rank} named is not there any more`,
      {
        rank,
        syscall,
        errno: EFAULT,
        bytesDone,
      },
    )
  }
}

/** Whether it is no refusal: a process that has ended, or is about to, is not there. */
function hasEnded(process: PeerProcess, { errno }: Refusal): boolean {
  return errno === ESRCH && process.isNear
}

/** What an answer that is no success means. */
function refusalOf(syscall: string, result: number): Refusal {
  const errno = errnoOf(result)
  return { reason: errno === null ? `${syscall} answers nonsense (${result})` : describeRefusal(syscall, errno), errno }
}

/** The positive errno of a result, or null when it is none. */
function errnoOf(result: number): number | null {
  return result < 0 ? -result : null
}

function errnoField(errno: number | null): { readonly errno?: number } {
  return errno === null ? {} : { errno }
}

function isPassing(result: number): boolean {
  return result === -EINTR || result === -EAGAIN || result === -ENOMEM
}

/** Where in the peer's memory a piece of a region starts. Regions come in frames, so nothing in them is taken on trust. */
function regionAddress(words: Int32Array, at: number, offset: number, byteLength: number): number {
  const address = takeNumber(words, at)
  const regionBytes = takeNumber(words, at + 2)
  const inside = offset >= 0 && byteLength >= 0 && offset + byteLength <= regionBytes
  if (!inside || !(address > 0) || !Number.isSafeInteger(address + regionBytes)) {
    throw new RangeError(
      `${byteLength} bytes at ${offset} do not lie in a region of ${regionBytes} bytes at ${address}`,
    )
  }
  return address + offset
}

function checkPiece(view: Uint8Array, offset: number, byteLength: number): void {
  if (offset >= 0 && byteLength >= 0 && offset + byteLength <= view.byteLength) return
  throw new RangeError(`${byteLength} bytes at ${offset} do not lie in a view of ${view.byteLength} bytes`)
}
