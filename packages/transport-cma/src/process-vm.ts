import type { Libc } from './libc/libc.js'
import { IOV_MAX } from './libc/numbers.js'
import { NONCE_BYTES, NONCE_WORDS } from './ring-layout.js'

/** Views up to this length may lie on the moving heap: their bytes go through {@link ProcessVm.bounce}. */
export const MOVING_BYTES_MAX = 64
/** Data pieces of one call; one iovec is the nonce's. */
export const PIECES_MAX = IOV_MAX - 1

const WORD_RANGE = 4294967296

/**
 * One rank's blocks for process_vm_readv and process_vm_writev: both iovec arrays, the place that the peer's nonce is read
 * to, and bounce cells for small pieces, all made once. A call is a few stores and one system call.
 *
 * In a read, piece 0 is the peer's nonce, so that data and proof of identity come from the same process.
 */
export class ProcessVm {
  /** One cell of {@link MOVING_BYTES_MAX} bytes per piece. */
  readonly bounce = new Uint8Array(IOV_MAX * MOVING_BYTES_MAX)
  readonly bounceAddress: number
  readonly #libc: Libc
  readonly #local: Int32Array
  readonly #remote: Int32Array
  readonly #localAddress: number
  readonly #remoteAddress: number
  readonly #strideWords: number
  readonly #baseWord: number
  readonly #lengthWord: number
  // Longer than 64 bytes, or it would move.
  readonly #nonce = new Int32Array(64)
  readonly #nonceAddress: number

  constructor(libc: Libc) {
    const { bytes, baseOffset, lengthOffset } = libc.iovec
    this.#libc = libc
    this.#strideWords = bytes / 4
    this.#baseWord = baseOffset / 4
    this.#lengthWord = lengthOffset / 4
    this.#local = new Int32Array(IOV_MAX * this.#strideWords)
    this.#remote = new Int32Array(IOV_MAX * this.#strideWords)
    this.#localAddress = libc.addressOf(this.#local)
    this.#remoteAddress = libc.addressOf(this.#remote)
    this.#nonceAddress = libc.addressOf(this.#nonce)
    this.bounceAddress = libc.addressOf(this.bounce)
    this.#put(this.#local, 0, this.#nonceAddress, NONCE_BYTES)
  }

  /** Sets data piece `index`, counted from 1. */
  setPiece(index: number, localAddress: number, remoteAddress: number, byteLength: number): void {
    this.#put(this.#local, index, localAddress, byteLength)
    this.#put(this.#remote, index, remoteAddress, byteLength)
  }

  /**
   * Reads the peer's nonce and data pieces 1 to `count`. @returns bytes moved, the nonce's included, or the negative errno.
   */
  read(pid: number, nonceAddress: number, count: number): number {
    // Cleared first: a kernel that only claims to have read must not be saved by what the last call left.
    for (let i = 0; i < NONCE_WORDS; i++) this.#nonce[i] = 0
    this.#put(this.#remote, 0, nonceAddress, NONCE_BYTES)
    return this.#libc.processVmReadv(pid, this.#localAddress, count + 1, this.#remoteAddress, count + 1)
  }

  /** Whether the last read found this nonce. */
  nonceIs(expected: Int32Array): boolean {
    for (let i = 0; i < NONCE_WORDS; i++) if (this.#nonce[i] !== expected[i]) return false
    return true
  }

  /** Reads data piece 1 alone, to learn the errno that a short count keeps to itself. What it reads is not believed. */
  readUnproven(pid: number): number {
    const skip = 4 * this.#strideWords
    return this.#libc.processVmReadv(pid, this.#localAddress + skip, 1, this.#remoteAddress + skip, 1)
  }

  /** Writes data piece 1. @returns bytes moved, or the negative errno. */
  write(pid: number): number {
    const skip = 4 * this.#strideWords
    return this.#libc.processVmWritev(pid, this.#localAddress + skip, 1, this.#remoteAddress + skip, 1)
  }

  #put(block: Int32Array, index: number, address: number, byteLength: number): void {
    const at = index * this.#strideWords
    block[at + this.#baseWord] = address
    block[at + this.#baseWord + 1] = Math.floor(address / WORD_RANGE)
    block[at + this.#lengthWord] = byteLength
    block[at + this.#lengthWord + 1] = 0
  }
}
