import { closeSync, constants, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { OnecopyError } from '@onecopy/transport'
import { EOPNOTSUPP, errnoName, systemFields } from './errno.js'
import type { Libc } from './libc/libc.js'
import { F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK } from './libc/numbers.js'
import { randomBytes } from './random.js'
import {
  HEADER_ID_WORD,
  HEADER_ID_WORDS,
  HEADER_MAGIC_WORD,
  HEADER_PAYLOAD_WORD,
  HEADER_SIZE_WORD,
  HEADER_SLOTS_WORD,
  HEADER_VERSION_WORD,
  reservedWord,
  ringOffset,
  SEGMENT_MAGIC,
  SEGMENT_VERSION,
  type SegmentLayout,
} from './ring-layout.js'

/** What the launcher made: a descriptor to be inherited, and the id that ranks must find behind it. */
export interface CreatedSegment {
  readonly descriptor: number
  readonly id: readonly number[]
}

const ZEROS_BYTES = 65536

/**
 * Makes a job's shared segment: a sealed memfd or, where there is none, a file that is unlinked at once. Memory for the
 * control area is reserved here, for a ring by its sender: a full machine is an error and never a SIGBUS.
 * @throws OnecopyError ERR_NO_SHM with the size, the place and errno.
 */
export function createSegment(libc: Libc, layout: SegmentLayout, directory: string): CreatedSegment {
  const memfd = libc.memfdCreate('onecopy')
  if (memfd < 0) return createFileSegment(libc, layout, directory, errnoName(-memfd))
  try {
    orNoShm(libc.ftruncate(memfd, layout.totalBytes), 'ftruncate', 'a memfd', layout.totalBytes)
    reserve(libc, memfd, 0, layout.controlBytes, 'a memfd')
    const id = writeHeader(memfd, layout)
    orNoShm(libc.addSeals(memfd, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 'fcntl', 'a memfd', layout.totalBytes)
    return { descriptor: memfd, id }
  } catch (error) {
    closeSync(memfd)
    throw error
  }
}

/** A file has a file system that others fill too, so it is reserved whole: better no start than no ring later. */
function createFileSegment(libc: Libc, layout: SegmentLayout, directory: string, why: string): CreatedSegment {
  const failures: string[] = [`memfd_create: ${why}`]
  let last: unknown
  for (const place of ['/dev/shm', directory]) {
    const path = join(place, `onecopy-${randomBytes(12).toString('hex')}`)
    let descriptor = -1
    try {
      descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
      unlinkSync(path)
      ftruncateSync(descriptor, layout.totalBytes)
      reserve(libc, descriptor, 0, layout.totalBytes, path)
      return { descriptor, id: writeHeader(descriptor, layout) }
    } catch (error) {
      if (descriptor >= 0) closeSync(descriptor)
      failures.push(error instanceof Error ? error.message : String(error))
      last = error
    }
  }
  throw new OnecopyError(
    'ERR_NO_SHM',
    `no place for ${layout.totalBytes} bytes of shared memory: ${failures.join('; ')}. Use --transport pipe, or free some`,
    systemFields(last),
  )
}

/** posix_fallocate(3): reserves a range, by writing zeros where the file system knows no better. */
function reserve(libc: Libc, descriptor: number, offset: number, byteLength: number, place: string): void {
  const result = libc.fallocate(descriptor, offset, byteLength)
  if (result !== -EOPNOTSUPP) {
    orNoShm(result, 'fallocate', place, byteLength)
    return
  }
  const zeros = new Uint8Array(ZEROS_BYTES)
  try {
    for (let done = 0; done < byteLength; ) {
      done += writeSync(descriptor, zeros, 0, Math.min(ZEROS_BYTES, byteLength - done), offset + done)
    }
  } catch (error) {
    throw new OnecopyError(
      'ERR_NO_SHM',
      `no shared memory: ${byteLength} bytes in ${place}: ${(error as Error).message}`,
      systemFields(error),
    )
  }
}

function orNoShm(result: number, syscall: string, place: string, byteLength: number): void {
  if (result >= 0) return
  const why = errnoName(-result)
  throw new OnecopyError('ERR_NO_SHM', `no shared memory: ${syscall} of ${byteLength} bytes in ${place}: ${why}`, {
    errno: -result,
    syscall,
  })
}

function writeHeader(descriptor: number, layout: SegmentLayout): number[] {
  const header = new Int32Array(HEADER_ID_WORD + HEADER_ID_WORDS)
  const random = randomBytes(4 * HEADER_ID_WORDS)
  const id = Array.from({ length: HEADER_ID_WORDS }, (_, i) => random.readInt32LE(4 * i))
  header[HEADER_MAGIC_WORD] = SEGMENT_MAGIC
  header[HEADER_VERSION_WORD] = SEGMENT_VERSION
  header[HEADER_SIZE_WORD] = layout.size
  header[HEADER_SLOTS_WORD] = layout.slotCount
  header[HEADER_PAYLOAD_WORD] = layout.payloadBytes
  header.set(id, HEADER_ID_WORD)
  // Written, not mapped: the launcher needs no mapping of its own.
  writeSync(descriptor, new Uint8Array(header.buffer), 0, header.byteLength, 0)
  return id
}

/**
 * A rank's mapping of the whole segment, with the two views that everything goes through, made once.
 *
 * After {@link release} the views stay usable and show private zeros: the receiver of a frame may still hold one, and
 * touching memory that is unmapped would end the process. What stays is address space, no memory.
 */
export class Segment {
  readonly words: Int32Array
  readonly bytes: Uint8Array
  readonly address: number
  readonly layout: SegmentLayout
  readonly #libc: Libc
  readonly #descriptor: number
  #released = false

  /**
   * @param descriptor of the launcher's segment; stays the caller's and must stay open.
   * @throws OnecopyError ERR_NO_SHM when it cannot be mapped, ERR_AUTH when it is another job's segment, ERR_CORRUPT when it
   *   is none, or not of this size.
   */
  constructor(libc: Libc, descriptor: number, layout: SegmentLayout, id: readonly number[]) {
    // Inherited, so without this flag, and not meant for what a rank starts.
    libc.closeOnExec(descriptor)
    const address = libc.mapShared(descriptor, layout.totalBytes)
    orNoShm(address, 'mmap', `descriptor ${descriptor}`, layout.totalBytes)
    this.#libc = libc
    this.#descriptor = descriptor
    this.address = address
    this.layout = layout
    this.bytes = libc.viewAt(address, layout.totalBytes)
    this.words = new Int32Array(this.bytes.buffer, this.bytes.byteOffset, layout.totalBytes / 4)
    const difference = this.#difference()
    if (difference === null && id.every((word, i) => this.words[HEADER_ID_WORD + i] === word)) return
    this.release()
    const problem = `descriptor ${descriptor} is not the shared segment of this job`
    if (difference !== null) throw new OnecopyError('ERR_CORRUPT', `${problem}: ${difference}`)
    // Whole and well-formed, so it belongs to somebody: whoever was given it does not belong to them.
    throw new OnecopyError('ERR_AUTH', `${problem}: its id is another job’s`)
  }

  /**
   * Gets memory for the ring to `to` and says so in the receiver's inbox.
   * @throws OnecopyError ERR_NO_SHM.
   */
  reserveRing(from: number, to: number): void {
    const offset = ringOffset(this.layout, from, to)
    reserve(this.#libc, this.#descriptor, offset, this.layout.ringBytes, `the ring from rank ${from} to rank ${to}`)
    Atomics.or(this.words, reservedWord(this.layout, to) + (from >>> 5), 1 << (from & 31))
  }

  /** Whether the ring has memory. Touching one that has none could be a SIGBUS. */
  isReserved(from: number, to: number): boolean {
    return (Atomics.load(this.words, reservedWord(this.layout, to) + (from >>> 5)) & (1 << (from & 31))) !== 0
  }

  /** Gives the shared memory back; the views read as zeros from now on. Idempotent. */
  release(): void {
    if (this.#released) return
    this.#released = true
    this.#libc.replaceByZeros(this.address, this.layout.totalBytes)
  }

  /** What about the header cannot be, in words, or null. */
  #difference(): string | null {
    const { words, layout } = this
    if (words[HEADER_MAGIC_WORD] !== SEGMENT_MAGIC) return 'its magic number is missing'
    if (words[HEADER_VERSION_WORD] !== SEGMENT_VERSION) return 'it has another version'
    if (words[HEADER_SIZE_WORD] !== layout.size) return 'it is for another number of ranks'
    if (words[HEADER_SLOTS_WORD] !== layout.slotCount) return 'its rings have other measures'
    if (words[HEADER_PAYLOAD_WORD] !== layout.payloadBytes) return 'its rings have other measures'
    return null
  }
}
