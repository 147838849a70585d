import type { RemoteMemory, TransportLimits } from '@onecopy/transport'

/** Where one way of sending ends and the next begins. All in bytes. */
export interface Thresholds {
  /** The longest message that is sent without waiting for its receive. */
  readonly eagerBytesMax: number
  /** The same towards a rank whose memory can be reached: both ends copy sooner than that. */
  readonly eagerBytesMaxRemote: number
  /** The longest message that may leave at once, whatever else is known: eager, and in one part. */
  readonly eagerAtOnceBytesMax: number
  /** Eager messages longer than this go out in parts of this length, so that both CPUs copy at the same time. */
  readonly eagerPartBytes: number
  /** From here up, a sender that waits anyway copies half of the message itself; the largest integer where none ever does. */
  readonly bothEndsBytesMin: number
  /** Binary parts of a value from here up travel out of band, by single copy. */
  readonly partBytesMin: number
  /** Payload of one frame where a long message is streamed. */
  readonly streamFrameBytes: number
}

/**
 * Measured on 2 cores with bench/ (p2p): a message through the ring costs two copies and no system call, a remote read one
 * copy and two system calls of about 1.5 us. Below 32 to 128 KiB the ring wins, pipelined in parts; not longer than where both
 * ends can copy.
 */
const EAGER_BYTES_MAX = 64 * 1024
const EAGER_PART_BYTES = 8 * 1024
/** The offer costs another exchange of frames and another system call: repaid from 56 KiB (64 KiB: 8.3 to 7.0 us, 128: 14.0 to 9.7). */
const BOTH_ENDS_BYTES_MIN = 56 * 1024
const NEVER = Number.MAX_SAFE_INTEGER
/** A part costs a region (16 bytes) and an iovec; below this, copying it into the packed value is as cheap. */
const PART_BYTES_MIN = 4 * 1024
/** Short enough that both CPUs copy at the same time, long enough that a frame costs little (16 KiB: 78 us for 1 MiB, 32: 95). */
const STREAM_FRAME_BYTES = 16 * 1024

/** Unreceived eager bytes that may be under way to one peer before the sender announces instead. */
export const EAGER_WINDOW_BYTES = 2 * 1024 * 1024
/** What every eager message counts besides its bytes: the receiver's bookkeeping if it comes unexpected. */
export const EAGER_OVERHEAD_BYTES = 128
/** The receiver tells how much it has taken each time this much has come together. */
export const CREDIT_BYTES = EAGER_WINDOW_BYTES / 4

/** A rank without peers has no transport either. */
const NO_LIMITS = { frameBytesMax: Number.MAX_SAFE_INTEGER, frameCostBytes: 0 }

/**
 * The thresholds for a transport with these limits (null: there is none), with the user's wishes (ONECOPY_EAGER, ONECOPY_EAGER_PART,
 * ONECOPY_BOTH_ENDS; bytes) on top. `crowded`: there are more ranks than cores, so a sender that waits has none to copy on (4 ranks on
 * 2, reduce of 64 KiB: 82 to 57 us).
 */
export function thresholdsFor(
  limits: TransportLimits | null,
  settings: Readonly<Record<string, string | undefined>>,
  crowded = false,
): Thresholds {
  const { frameBytesMax, frameCostBytes } = limits ?? NO_LIMITS
  const bothEndsBytesMin = wish(settings.bothEnds, crowded ? NEVER : BOTH_ENDS_BYTES_MIN)
  const eagerBytesMax = (usual: number): number => Math.min(wish(settings.eager, usual), EAGER_WINDOW_BYTES / 2)
  const frameBytes = (usual: number): number => Math.min(Math.max(usual, frameCostBytes), frameBytesMax)
  const eager = eagerBytesMax(EAGER_BYTES_MAX)
  const eagerRemote = eagerBytesMax(Math.min(EAGER_BYTES_MAX, Math.max(0, bothEndsBytesMin - 1)))
  const eagerPartBytes = Math.max(1, Math.min(wish(settings.eagerPart, frameBytes(EAGER_PART_BYTES)), frameBytesMax))
  return {
    eagerBytesMax: eager,
    eagerBytesMaxRemote: eagerRemote,
    eagerAtOnceBytesMax: Math.min(eager, eagerRemote, eagerPartBytes),
    eagerPartBytes,
    bothEndsBytesMin,
    partBytesMin: PART_BYTES_MIN,
    streamFrameBytes: frameBytes(STREAM_FRAME_BYTES),
  }
}

/** A setting in bytes where it is one, else `fallback`. */
function wish(setting: string | undefined, fallback: number): number {
  const bytes = Number(setting)
  return setting !== undefined && Number.isInteger(bytes) && bytes >= 0 ? bytes : fallback
}

/** Bytes that one round of progress moves by remote memory or streams: what an event loop is held for, below 1 ms. */
const ROUND_BYTES_MAX = 1024 * 1024

export function isRoundOver(bytesMoved: number): boolean {
  return bytesMoved >= ROUND_BYTES_MAX
}

/** Messages to oneself up to here are copied, so that `send` before `recv` works as with other ranks. */
const SELF_EAGER_BYTES_MAX = 64 * 1024

export function isEagerToSelf(byteLength: number): boolean {
  return byteLength <= SELF_EAGER_BYTES_MAX
}

/**
 * Whether a message fits the eager way: by its length, and by what the peer has not yet received. `hasRemote`: the two reach
 * each other's memory.
 */
export function isEager(
  thresholds: Thresholds,
  byteLength: number,
  outstandingBytes: number,
  hasRemote: boolean,
): boolean {
  const longest = hasRemote ? thresholds.eagerBytesMaxRemote : thresholds.eagerBytesMax
  return byteLength <= longest && outstandingBytes + byteLength + EAGER_OVERHEAD_BYTES <= EAGER_WINDOW_BYTES
}

/** Whether the eager way ends somewhere else for a message of this length if the two reach each other's memory. */
export function mattersRemote(thresholds: Thresholds, byteLength: number): boolean {
  return byteLength > thresholds.eagerBytesMaxRemote
}

/** Whether this memory may be named to the peer. */
export function isExposable(remote: RemoteMemory | null, view: Uint8Array): remote is RemoteMemory {
  return remote !== null && view.byteLength >= remote.limits.exposeBytesMin && isReadable(remote, view)
}

/** Whether the peer's memory may be read straight into `view`. */
export function isReadable(remote: RemoteMemory, view: Uint8Array): boolean {
  return remote.limits.sharedArrayBuffers || !(view.buffer instanceof SharedArrayBuffer)
}

/** Where the sender's part begins when both ends copy: a little behind the middle, on a page. */
export function splitAt(thresholds: Thresholds, from: number, byteLength: number): number {
  const remaining = byteLength - from
  if (remaining < thresholds.bothEndsBytesMin) return byteLength
  const middle = from + remaining / 2 + RECEIVER_LEAD_BYTES
  return Math.min(byteLength, Math.ceil(middle / PAGE_BYTES) * PAGE_BYTES)
}

/**
 * How much to read next of a message of `byteLength` bytes. The first look at a long one is short: its sender's word that it
 * waits comes a moment after the announcement, and then both ends can copy the rest.
 */
export function readLength(
  thresholds: Thresholds,
  segmentBytes: number,
  readAt: number,
  readEnd: number,
  mayBeOffered: boolean,
): number {
  const isFirstLook = readAt === 0 && mayBeOffered && readEnd >= thresholds.bothEndsBytesMin
  return Math.min(isFirstLook ? FIRST_LOOK_BYTES : segmentBytes, readEnd - readAt)
}

/**
 * How many rounds to look for a sender's word that it waits before its message is read: an event loop says it by another frame,
 * right behind the announcement (1 MiB, awaited: 72 to 62 us).
 */
export function looksBeforeReading(thresholds: Thresholds, byteLength: number, hasParts: boolean): number {
  return hasParts || byteLength < thresholds.bothEndsBytesMin ? 0 : LOOKS_BEFORE_READING
}

/** About half a microsecond. */
const LOOKS_BEFORE_READING = 16

/** What the receiver copies in the time that its offer is under way to the sender (96 KiB: 8.5 to 8.2 us, 128: 10.3 to 9.7). */
const RECEIVER_LEAD_BYTES = 8 * 1024
/** About 8 us of copying: a word of the sender's takes less than that. */
const FIRST_LOOK_BYTES = 64 * 1024
const PAGE_BYTES = 4096
