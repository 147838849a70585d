import { closeSync, constants, readSync } from 'node:fs'
import { openFifo } from './fifo.js'
import { READ_BYTES_MAX, type RecordReader } from './record-reader.js'
import { failedWith } from './system-error.js'

/** The FIFO that all peers write to, seen from its one reader. */
export class Inbox {
  readonly path: string
  private readonly reader: RecordReader
  private descriptor: number

  /**
   * Opens it for both directions: while this rank holds it, it never ends, however many writers come and go, and bytes that a
   * peer has written stay although that peer is gone.
   */
  constructor(path: string, reader: RecordReader) {
    this.path = path
    this.reader = reader
    this.descriptor = openFifo(path, constants.O_RDWR)
  }

  /**
   * Reads what has arrived, without blocking; answers how many bytes that were. An answer below READ_BYTES_MAX means that the
   * FIFO was empty afterwards. An empty FIFO costs about three times as much as a full one, because Node reports it by an
   * exception: ask only where something may have come.
   */
  look(): number {
    if (this.descriptor < 0) return 0
    const reader = this.reader
    if (reader.room < READ_BYTES_MAX) return 0
    const stackTraceLimit = Error.stackTraceLimit
    // Half of an exception's cost is its stack trace, which nobody will see. Nobody else runs before it is put back.
    Error.stackTraceLimit = 0
    try {
      const count = readSync(this.descriptor, reader.bytes, reader.end, READ_BYTES_MAX, null)
      reader.added(count)
      return count
    } catch (error) {
      if (failedWith(error, 'EAGAIN') || failedWith(error, 'EINTR')) return 0
      throw error
    } finally {
      Error.stackTraceLimit = stackTraceLimit
    }
  }

  close(): void {
    if (this.descriptor < 0) return
    closeSync(this.descriptor)
    this.descriptor = -1
  }
}
