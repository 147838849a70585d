import { UNDEFINED } from './constants.js'

/** What is known about a received (or probed) message. @see MPI 4.1, 3.2.5 */
export class Status {
  /** The sender's rank in the communicator; PROC_NULL for a receive from PROC_NULL. */
  readonly source: number
  /** The message's tag; ANY_TAG for a receive from PROC_NULL. */
  readonly tag: number
  /** The message's length in bytes (of the packed form, for a value). */
  readonly byteLength: number
  /** True when the request was cancelled before it matched; the other fields then mean nothing. */
  readonly cancelled: boolean

  constructor(source: number, tag: number, byteLength: number, cancelled = false) {
    this.source = source
    this.tag = tag
    this.byteLength = byteLength
    this.cancelled = cancelled
  }

  /**
   * The number of whole elements of `elementBytes` bytes, or UNDEFINED (-3) when the length is no multiple of it.
   * @see MPI 4.1, 3.2.5 (MPI_Get_count)
   */
  count(elementBytes: number): number {
    if (!(elementBytes > 0)) throw new RangeError(`count: elementBytes must be positive, got ${elementBytes}`)
    const elements = this.byteLength / elementBytes
    return Number.isInteger(elements) ? elements : UNDEFINED
  }
}
