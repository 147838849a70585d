import { REGION_WORDS, type RemoteMemory } from '@onecopy/transport'
import { allocate } from './element-type.js'
import { OUTCOME_DONE } from './envelope.js'
import type { ByteCopier } from './memory.js'
import type { PeerLink } from './peer-link.js'
import type { RequestRecord } from './request.js'

const NO_PARTS: Uint8Array[] = []
const NO_REGIONS = new Int32Array(0)

/** An announced message that has matched and is being fetched. */
export class Incoming {
  readonly request: RequestRecord
  readonly link: PeerLink
  readonly type: number
  readonly hasParts: boolean
  readonly sendId: number
  /** Where the bytes go; may be longer than the message. */
  readonly main: Uint8Array
  readonly byteLength: number
  readonly region = new Int32Array(REGION_WORDS)

  /** By remote reads: [0, readAt) is here; this side reads up to readEnd. */
  readAt = 0
  readEnd: number
  /** So many rounds more this side looks whether the sender waits, before it reads. */
  looksLeft = 0
  /** Both ends: the sender was offered [readEnd, byteLength). */
  offered = false
  awaitsWritten = false
  exposed: Int32Array | null = null

  /** By frames: position in main + parts; -1 while nothing is streamed. */
  streamAt = -1

  parts: Uint8Array[] | null = null
  #partRegions = NO_REGIONS
  #partsBytes = 0
  #partIndex = 0
  #partAt = 0
  /** Streaming: the part that is being filled. */
  #fillIndex = 0
  #fillAt = 0

  recvId = -1
  failure: unknown = null
  outcome = OUTCOME_DONE
  concluded = false

  constructor(
    request: RequestRecord,
    link: PeerLink,
    type: number,
    hasParts: boolean,
    sendId: number,
    main: Uint8Array,
    byteLength: number,
  ) {
    this.request = request
    this.link = link
    this.type = type
    this.hasParts = hasParts
    this.sendId = sendId
    this.main = main
    this.byteLength = byteLength
    this.readEnd = byteLength
    if (!hasParts) this.parts = NO_PARTS
  }

  /** Nothing for this side to read at the moment. */
  get idle(): boolean {
    if (this.concluded || this.streamAt >= 0 || this.failure !== null) return true
    return this.readAt >= this.readEnd && (this.awaitsWritten || this.partsRead)
  }

  get mainRead(): boolean {
    return this.readAt >= this.byteLength || (this.offered && this.readAt >= this.readEnd && !this.awaitsWritten)
  }

  get partsRead(): boolean {
    return this.parts !== null && this.#partIndex >= this.parts.length
  }

  get mainStreamed(): boolean {
    return this.streamAt >= this.byteLength
  }

  get streamDone(): boolean {
    return this.parts !== null && this.streamAt >= this.byteLength + this.#partsBytes
  }

  get whole(): boolean {
    return this.streamAt >= 0 ? this.streamDone : this.mainRead && this.partsRead
  }

  /** The message without the regions behind a packed body. */
  get body(): Uint8Array {
    const regions = this.#partRegions.byteLength
    const length = this.byteLength - regions
    return length === this.main.byteLength ? this.main : this.main.subarray(0, length)
  }

  startStream(from: number): void {
    this.streamAt = from
    this.#fillIndex = 0
    this.#fillAt = 0
  }

  /** Makes memory for the parts, whose lengths the body gave. */
  openParts(lengths: number[]): void {
    const regionsFrom = this.byteLength - lengths.length * REGION_WORDS * 4
    if (regionsFrom < 0) throw new RangeError(`a body of ${this.byteLength} bytes cannot name ${lengths.length} parts`)
    const end = this.byteLength
    this.#partRegions = new Int32Array(this.main.slice(regionsFrom, end).buffer)
    this.parts = lengths.map((length) => new Uint8Array(allocate(length)))
    this.#partsBytes = lengths.reduce((sum, length) => sum + length, 0)
  }

  /** Reads parts, about a segment's worth; answers the bytes. */
  readParts(remote: RemoteMemory): number {
    const parts = this.parts!
    const { segmentBytes } = remote.limits
    const first = parts[this.#partIndex]!
    if (first.byteLength > segmentBytes) {
      const length = Math.min(segmentBytes, first.byteLength - this.#partAt)
      const at = this.#partIndex * REGION_WORDS
      remote.read(this.link.rank, this.#partRegions, at, this.#partAt, first, this.#partAt, length)
      this.#partAt += length
      if (this.#partAt === first.byteLength) {
        this.#partIndex++
        this.#partAt = 0
      }
      return length
    }
    let end = this.#partIndex
    let bytes = 0
    while (end < parts.length && bytes + parts[end]!.byteLength <= segmentBytes) bytes += parts[end++]!.byteLength
    const batch = parts.slice(this.#partIndex, end)
    remote.readMany(this.link.rank, this.#partRegions, this.#partIndex * REGION_WORDS, batch.length, batch)
    this.#partIndex = end
    return bytes
  }

  /** Takes streamed bytes as far as the current piece goes; answers how many. */
  takeStreamed(copier: ByteCopier, bytes: Uint8Array, byteOffset: number, byteLength: number): number {
    if (this.streamAt < this.byteLength) {
      const length = Math.min(byteLength, this.byteLength - this.streamAt)
      copier.copy(this.main, this.streamAt, bytes, byteOffset, length)
      this.streamAt += length
      return length
    }
    const part = this.parts![this.#fillIndex]!
    const length = Math.min(byteLength, part.byteLength - this.#fillAt)
    copier.copy(part, this.#fillAt, bytes, byteOffset, length)
    this.streamAt += length
    this.#fillAt += length
    if (this.#fillAt === part.byteLength) {
      this.#fillIndex++
      this.#fillAt = 0
    }
    return length
  }
}
