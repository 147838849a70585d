import type { Arrived } from './matching.js'
import type { RequestRecord } from './request.js'

/** A message that was seen before its receive: an eager one with its bytes, or an announcement. */
export class Arrival implements Arrived {
  peer = 0
  tag = 0
  context = 0
  /** Element type code, VALUE included. */
  type = 0
  flags = 0
  byteLength = 0
  /** The eager bytes, ours; null for an announcement. */
  payload: Uint8Array | null = null
  /** How much of `payload` has come: less than byteLength while MORE frames are on their way. */
  receivedBytes = 0
  /** The announcement's number at its sender; -1 when the sender does not wait for an answer. */
  sendId = -1
  /** The announced memory (with FLAG_REGION). */
  readonly region = new Int32Array(4)
  /** A message of this rank to itself: its send, and the parts of its value. */
  local: RequestRecord | null = null
  localParts: Uint8Array[] = []
  /** The receive that matched while the bytes were still coming. */
  claimant: RequestRecord | null = null

  nextOfPeer: this | null = null
  previousOfPeer: this | null = null
  nextOfAll: this | null = null
  previousOfAll: this | null = null
  stored = false
}
