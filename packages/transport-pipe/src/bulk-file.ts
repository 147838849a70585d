import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readSync,
  rmdirSync,
  statfsSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { OnecopyError } from '@onecopy/transport'
import { type BulkGeometry, bulkFileBytesOf, ringOffsetOf } from './geometry.js'
import { errorFields, isSystemError, reasonOf } from './system-error.js'

/** Where Linux keeps files in memory. A file there moves 64 KiB in and out in half the time that a FIFO takes. */
const MEMORY_DIRECTORY = '/dev/shm'

/** What the file is called as long as it has a name. Nothing secret: the directory is. */
const NAME = 'bulk'

/**
 * Launcher's side: makes the job's bulk file, without a name and readable by this user only, and answers its descriptor.
 * It lies in memory where there is room for every ring, else in the job's directory.
 * @throws OnecopyError ERR_NO_SHM when neither place takes it.
 */
export function createBulkFile(geometry: BulkGeometry, jobDirectory: string): number {
  const byteLength = bulkFileBytesOf(geometry)
  if (hasRoom(MEMORY_DIRECTORY, byteLength)) {
    try {
      return createNameless(MEMORY_DIRECTORY, byteLength)
    } catch {
      // Not writable for us, or full by now: the job's directory serves as well, only slower.
    }
  }
  try {
    return createNameless(jobDirectory, byteLength)
  } catch (error) {
    throw noRoom(byteLength, jobDirectory, error)
  }
}

/**
 * Launcher's side, for ranks that run already: makes the file under a name, in the job's private directory.
 * @throws OnecopyError ERR_NO_SHM when the directory's file system does not take it.
 */
export function createNamedBulkFile(geometry: BulkGeometry, jobDirectory: string): string {
  const byteLength = bulkFileBytesOf(geometry)
  const path = join(jobDirectory, NAME)
  try {
    closeSync(createFile(path, byteLength, false))
  } catch (error) {
    throw noRoom(byteLength, jobDirectory, error)
  }
  return NAME
}

function noRoom(byteLength: number, directory: string, error: unknown): OnecopyError {
  return new OnecopyError(
    'ERR_NO_SHM',
    `The pipe transport could not make its file for large frames (${byteLength} bytes, sparse) in ${directory}: ` +
      `${reasonOf(error)}. Point TMPDIR to a file system that takes it, or start fewer ranks`,
    errorFields(error),
  )
}

function hasRoom(directory: string, byteLength: number): boolean {
  if (process.platform !== 'linux') return false
  try {
    const fileSystem = statfsSync(directory)
    return fileSystem.bavail * fileSystem.bsize >= byteLength
  } catch {
    return false
  }
}

function createNameless(directory: string, byteLength: number): number {
  // In a folder of its own for the moment: a name that nobody can have taken, without node:crypto, which costs a start 4 ms.
  const folder = mkdtempSync(join(directory, 'onecopy-'))
  try {
    return createFile(join(folder, NAME), byteLength, true)
  } finally {
    rmdirSync(folder)
  }
}

function createFile(path: string, byteLength: number, nameless: boolean): number {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  const descriptor = openSync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
  try {
    if (nameless) unlinkSync(path)
    fchmodSync(descriptor, 0o600)
    ftruncateSync(descriptor, byteLength)
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
  return descriptor
}

/**
 * A rank's end of the bulk file. A sender writes a payload into the next slot of its ring and announces it in the
 * receiver's inbox; the announcement orders the two copies, so the file needs no locks and holds no control words.
 */
export class BulkFile {
  private readonly geometry: BulkGeometry
  private readonly descriptor: number
  private readonly isOwned: boolean
  private isClosed = false

  /**
   * Opens the file: by its path, or an inherited one a second time, so that both ends can be closed independently.
   * @throws OnecopyError ERR_CORRUPT when the descriptor is not the file that the launcher made.
   */
  constructor(geometry: BulkGeometry, source: number | string) {
    this.geometry = geometry
    const { descriptor, isOwned } = openSource(source)
    this.descriptor = descriptor
    this.isOwned = isOwned
    try {
      const status = fstatSync(descriptor)
      const isOurs = status.isFile() && status.uid === process.geteuid?.() && (status.mode & 0o077) === 0
      if (!isOurs || status.size !== bulkFileBytesOf(geometry)) {
        throw new OnecopyError(
          'ERR_CORRUPT',
          `${typeof source === 'string' ? source : `Descriptor ${source}`} is not the pipe transport's file for large frames: ${status.size} bytes, ` +
            `mode ${(status.mode & 0o7777).toString(8)}, owner ${status.uid}`,
        )
      }
    } catch (error) {
      this.close()
      throw error
    }
  }

  /**
   * Takes the memory of a whole ring now, so that later writes into it do not find the file system full.
   * @throws OnecopyError ERR_NO_SHM.
   */
  reserve(source: number, dest: number): void {
    const { slotCount, frameBytesMax } = this.geometry
    const ringOffset = ringOffsetOf(this.geometry, source, dest)
    const zeros = new Uint8Array(frameBytesMax)
    for (let slot = 0; slot < slotCount; slot++) {
      this.writeAll(dest, zeros, 0, frameBytesMax, ringOffset + slot * frameBytesMax)
    }
  }

  /**
   * Copies a payload into a slot.
   * @throws OnecopyError ERR_NO_SHM when the file system refuses although the ring was reserved.
   */
  write(source: number, dest: number, slot: number, bytes: Uint8Array, byteOffset: number, byteLength: number): void {
    const position = ringOffsetOf(this.geometry, source, dest) + slot * this.geometry.frameBytesMax
    this.writeAll(dest, bytes, byteOffset, byteLength, position)
  }

  /**
   * Copies a payload out of a slot to the start of `into`.
   * @throws OnecopyError ERR_CORRUPT when the file does not hold it.
   */
  read(source: number, dest: number, slot: number, into: Uint8Array, byteLength: number): void {
    const position = ringOffsetOf(this.geometry, source, dest) + slot * this.geometry.frameBytesMax
    let done = 0
    let cause: unknown = null
    try {
      while (done < byteLength) {
        const count = readSync(this.descriptor, into, done, byteLength - done, position + done)
        if (count === 0) break
        done += count
      }
    } catch (error) {
      cause = error
    }
    if (done === byteLength) return
    const why = cause === null ? 'the file ends before it' : reasonOf(cause)
    throw new OnecopyError('ERR_CORRUPT', `A frame of rank ${source} is not in the bulk file: ${why}`, {
      rank: source,
      bytesDone: done,
      ...(cause === null ? {} : errorFields(cause)),
    })
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    if (this.isOwned) closeSync(this.descriptor)
  }

  private writeAll(dest: number, bytes: Uint8Array, byteOffset: number, byteLength: number, position: number): void {
    let done = 0
    try {
      while (done < byteLength) {
        done += writeSync(this.descriptor, bytes, byteOffset + done, byteLength - done, position + done)
      }
    } catch (error) {
      if (!isSystemError(error)) throw error
      throw new OnecopyError(
        'ERR_NO_SHM',
        `No memory for large frames to rank ${dest}: ${reasonOf(error)}. Make room in ${MEMORY_DIRECTORY} or in the ` +
          'temporary directory',
        { rank: dest, bytesDone: done, ...errorFields(error) },
      )
    }
  }
}

function openSource(source: number | string): { descriptor: number; isOwned: boolean } {
  if (typeof source === 'string') {
    return { descriptor: openSync(source, constants.O_RDWR | constants.O_NOFOLLOW), isOwned: true }
  }
  try {
    return { descriptor: openSync(`/dev/fd/${source}`, constants.O_RDWR), isOwned: true }
  } catch {
    // No /proc or /dev/fd here: the inherited descriptor itself serves, and stays its owner's.
    return { descriptor: source, isOwned: false }
  }
}
