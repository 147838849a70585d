import { REGION_WORDS } from '@onecopy/transport'
import type { PeerLink } from './peer-link.js'
import { isExposable } from './protocol.js'
import type { RequestRecord } from './request.js'

const NO_REGIONS = new Int32Array(0)

/**
 * A message that was announced and has not been received. Its memory: `main`, then the parts.
 *
 *     main    raw bytes, or the packed body; behind the body of a value with parts, one region per part
 *     parts   the large binaries of a value
 */
export class Outgoing {
  readonly request: RequestRecord
  readonly link: PeerLink
  readonly context: number
  readonly main: Uint8Array
  readonly parts: readonly Uint8Array[]
  readonly totalBytes: number
  readonly region = new Int32Array(REGION_WORDS)
  /** Why the message is being taken back; undefined while it is not. */
  cancelReason: unknown = undefined
  /** The receiver knows that the memory is gone, and waits for no more of it. */
  toldGone = false
  /** The receiver knows that this side waits. */
  toldWaiting = false

  /** The part that this side writes into the receiver's memory: who asked, where to, how far. */
  pushRegion: Int32Array | null = null
  pushId = -1
  pushAt = 0

  /** The stream of frames that the receiver asked for. */
  streamId = -1
  streamAt = 0
  /** Where the piece found last begins: see {@link pieceAt}. */
  pieceFrom = 0
  #piece = 0

  /** What is exposed for `main`: the same memory, made long enough for that where it is ours. */
  readonly #memory: Uint8Array
  readonly #partRegions: Int32Array = NO_REGIONS
  #exposed = false

  constructor(request: RequestRecord, link: PeerLink, context: number, body: Uint8Array, parts: readonly Uint8Array[]) {
    this.request = request
    this.link = link
    this.context = context
    this.parts = parts
    if (parts.length === 0) {
      this.#memory = body
      this.main = body
      this.totalBytes = body.length
      return
    }
    this.#partRegions = new Int32Array(parts.length * REGION_WORDS)
    const mainBytes = body.byteLength + this.#partRegions.byteLength
    this.#memory = new Uint8Array(Math.max(mainBytes, link.remote?.limits.exposeBytesMin ?? 0))
    this.main = this.#memory.subarray(0, mainBytes)
    this.#describeParts(body)
    this.totalBytes = mainBytes + parts.reduce((sum, part) => sum + part.byteLength, 0)
  }

  /** Whether the user has transferred, detached or shrunk the memory that is being sent. */
  get isGone(): boolean {
    let bytes = this.main.byteLength
    for (let i = 0; i < this.parts.length; i++) bytes += this.parts[i]!.byteLength
    return bytes !== this.totalBytes
  }

  get hasWork(): boolean {
    return this.pushId >= 0 || this.streamId >= 0
  }

  /** Names the memory to the peer, where remote memory can do it; fills `region`. */
  expose(): boolean {
    const { remote } = this.link
    if (!isExposable(remote, this.#memory)) return false
    for (let i = 0; i < this.parts.length; i++) if (!isExposable(remote, this.parts[i]!)) return false
    remote.expose(this.#memory, this.region, 0)
    this.#exposed = true
    return true
  }

  withdraw(): void {
    const { remote } = this.link
    if (remote === null) return
    if (this.#exposed) remote.withdraw(this.region, 0)
    this.#exposed = false
    for (let at = 0; at < this.#partRegions.length; at += REGION_WORDS) remote.withdraw(this.#partRegions, at)
  }

  /** The piece of memory that holds byte `offset` of the whole message; its beginning is left in `pieceFrom`. */
  pieceAt(offset: number): Uint8Array {
    if (offset < this.pieceFrom) {
      this.#piece = 0
      this.pieceFrom = 0
    }
    let piece = this.#pieceNumber(this.#piece)
    while (offset >= this.pieceFrom + piece.byteLength) {
      this.pieceFrom += piece.byteLength
      this.#piece++
      piece = this.#pieceNumber(this.#piece)
    }
    return piece
  }

  #pieceNumber(index: number): Uint8Array {
    return index === 0 ? this.main : this.parts[index - 1]!
  }

  /** Fills `main` of a value with parts: its body, then one region per part. */
  #describeParts(body: Uint8Array): void {
    const { remote } = this.link
    const regions = this.#partRegions
    this.parts.forEach((part, index) => {
      if (isExposable(remote, part)) remote.expose(part, regions, index * REGION_WORDS)
    })
    this.main.set(body)
    this.main.set(new Uint8Array(regions.buffer), body.byteLength)
  }
}
