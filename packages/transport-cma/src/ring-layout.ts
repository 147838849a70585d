import { boardLayout, FRAME_WORDS_MAX } from '@onecopy/transport'

// The only file that knows offsets. Everything is counted in bytes or in int32 words, as the name says.
//
// Segment
//
//     0 ┌──────────────────────────┐
//       │ header            256 B  │  magic, version, size, geometry, id of the job's segment
//   256 ├──────────────────────────┤
//       │ cards       size * 256 B │  who a rank is: pid, start time, where its nonce lies
//       ├──────────────────────────┤
//       │ inboxes  size * inbox B  │  how to wake a rank, and whose frames it should look for
//       ├──────────────────────────┤  rounded up to a page
//       │ board      up to 15 MiB  │  what ranks post for all others: @onecopy/transport knows its insides
//       ├──────────────────────────┤  rounded up to a page: all so far is reserved at once by the launcher
//       │ rings                    │  size * (size-1), by sender, then receiver; no ring from a rank to itself.
//       │  (from, to) at a fixed   │  Reserved by the sender on its first frame; nobody touches a ring before that
//       └──────────────────────────┘
//
// Inbox of a rank (lines of 64 bytes, so that no two words written by different hands share one)
//
//     line 0    sleeping: 0 awake, 1 on the futex, 2 in the event loop
//     line 1    summary: not 0 when a bit below may be set
//     line 2…   pending: one bit per sender, "look at my ring"
//     then      reserved: one bit per sender, "my ring has memory"
//
// Ring
//
//     line 0    head: slots published    (sender; one frame behind; read only when in doubt)
//     line 1    tail: slots consumed, payload bytes consumed    (reader)   +   waiting: 1 when the sender found it full
//     line 2    watched: 1 while the reader polls this ring     (reader; read by the sender once per frame)
//     line 3    unused
//     256       slots, 128 bytes each; a frame's is some places behind that of the frame before
//               payload area: a power of two, frames contiguous, aligned to lines, short ones apart from each other, skipping the
//               rest at the wrap
//
// Slot
//
//     word 0    sequence: number of this frame, counted from 1, modulo 2^32: what the reader spins on
//     word 1    meta: byteLength << 8 | SLOT_MARK << 4 | wordCount
//     word 2…   header words
//     then      inline payload, at the next multiple of 8;  or, when it does not fit, one word: its position in the
//               stream of payload bytes, modulo 2^32
//
// So the common frame, 3 or 4 words and up to 40 bytes, moves with one cache line.

export const LINE_BYTES = 64
export const PAGE_BYTES = 4096
const LINE_WORDS = LINE_BYTES / 4

export const SEGMENT_MAGIC = 0x6f6e6563
export const SEGMENT_VERSION = 5
export const HEADER_BYTES = 256
export const HEADER_MAGIC_WORD = 0
export const HEADER_VERSION_WORD = 1
export const HEADER_SIZE_WORD = 2
export const HEADER_SLOTS_WORD = 3
export const HEADER_PAYLOAD_WORD = 4
/** Four words: a random id, so that a descriptor of another job is noticed. */
export const HEADER_ID_WORD = 5
export const HEADER_ID_WORDS = 4

export const CARD_BYTES = 256
export const CARD_STATE_WORD = 0
export const CARD_PID_WORD = 1
/** Two words each, low first: 64-bit numbers. */
export const CARD_START_WORD = 2
export const CARD_NONCE_ADDRESS_WORD = 4
export const CARD_CELLS_ADDRESS_WORD = 6
export const CARD_NONCE_WORD = 8
/** The pid namespace in which the pid means this process; 0 when unknown. */
export const CARD_NAMESPACE_WORD = 12
export const CARD_OPEN = 1
export const CARD_CLOSED = 2

/** Words of a nonce and of a cell for trial writes: 16 bytes. */
export const NONCE_WORDS = 4
export const NONCE_BYTES = 4 * NONCE_WORDS

const INBOX_SLEEPING_WORD = 0
const INBOX_SUMMARY_WORD = LINE_WORDS
const INBOX_PENDING_WORD = 2 * LINE_WORDS
export const AWAKE = 0
export const SLEEPING_ON_FUTEX = 1
export const SLEEPING_IN_EVENT_LOOP = 2

export const RING_HEADER_BYTES = 4 * LINE_BYTES
export const HEAD_SLOTS_WORD = 0
export const TAIL_SLOTS_WORD = LINE_WORDS
export const TAIL_PAYLOAD_WORD = LINE_WORDS + 1
export const WAITING_WORD = LINE_WORDS + 2
export const WATCHED_WORD = 2 * LINE_WORDS

export const SLOT_BYTES = 128
export const SLOT_WORDS = SLOT_BYTES / 4
export const SLOT_META_WORD = 1
export const SLOT_HEADER_WORD = 2
/** Marks a meta word as ours, so that zeroed or foreign memory is not taken for an empty frame. */
export const SLOT_MARK = 0x5
export const META_WORDS_MASK = 0xf
export const META_MARK_SHIFT = 4
export const META_LENGTH_SHIFT = 8

/** Header words of most frames. */
export const WORDS_USUAL = 3

/** What fits into a slot whatever the number of header words. */
export const INLINE_BYTES_MIN = SLOT_BYTES - inlineOffset(FRAME_WORDS_MAX)

/** A frame's payload stays below this: several frames must fit, or copying in and copying out do not overlap. */
const FRAME_BYTES_MAX = 65536
const FRAMES_IN_RING = 4

/** The byte of the slot at which an inline payload starts. */
export function inlineOffset(wordCount: number): number {
  return (4 * (SLOT_HEADER_WORD + wordCount) + 7) & ~7
}

/** So many slots further is the next frame's, at least: see {@link PREFETCHED_BYTES} (64 bytes one way: 20 ns less). */
const SLOT_STEP_MIN = 5

function slotStepOf(slotCount: number): number {
  let step = SLOT_STEP_MIN
  while (commonDivisor(slotCount, step) !== 1) step++
  return step
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b)
}

/**
 * What a processor fetches of what lies behind the lines that it is asked for. If the next frame's payload began within that, the
 * reader's core would take lines that the sender is about to write (1 KiB one way: 0.41 us, with this much between them 0.33).
 */
const PREFETCHED_BYTES = 1024
/** Where the area is so small that there would be room for fewer frames than this, their distance is shorter. */
const SPACED_FRAMES = 256
/** Frames that are longer than this part of the area stand close: to them the distance makes no difference. */
const SPACED_PARTS = 64

/** What a payload of this length takes of a payload area. */
export function payloadRoom(byteLength: number, payloadBytes: number): number {
  const lines = (byteLength + LINE_BYTES - 1) & -LINE_BYTES
  if (byteLength > payloadBytes / SPACED_PARTS) return lines
  return lines + (Math.min(PREFETCHED_BYTES, payloadBytes / SPACED_FRAMES) & -LINE_BYTES)
}

/** The word at which a ring's slot starts, counted from the ring's first word. */
export const FIRST_SLOT_WORD = RING_HEADER_BYTES / 4

/** The measures of every ring of a job. */
export interface RingGeometry {
  readonly slotCount: number
  /** How many slots further the next frame's is, modulo `slotCount`; no common divisor with that, so that each has its turn. */
  readonly slotStep: number
  /** A power of two. */
  readonly payloadBytes: number
  readonly frameBytesMax: number
  readonly ringBytes: number
}

/**
 * @param payloadBytes a power of two, at least 8192, at most 2^30 (positions are compared as int32).
 * @throws RangeError otherwise.
 */
export function ringGeometry(slotCount: number, payloadBytes: number): RingGeometry {
  if (!Number.isInteger(Math.log2(payloadBytes)) || payloadBytes < 8192 || payloadBytes > 2 ** 30) {
    throw new RangeError(`ring payload must be a power of two from 8192 to 2^30 bytes, not ${payloadBytes}`)
  }
  if (!Number.isInteger(slotCount) || slotCount < 8 || slotCount > 65536) {
    throw new RangeError(`ring must have 8 to 65536 slots, not ${slotCount}`)
  }
  return {
    slotCount,
    slotStep: slotStepOf(slotCount),
    payloadBytes,
    frameBytesMax: Math.min(FRAME_BYTES_MAX, payloadBytes / FRAMES_IN_RING),
    ringBytes: roundUp(RING_HEADER_BYTES + slotCount * SLOT_BYTES + payloadBytes, PAGE_BYTES),
  }
}

// With so many slots the payload area starts in the middle of a page. Large arrays of Node start 16 bytes into a page, and
// AMD's `rep movsb` (behind memmove, so behind TypedArray.set) is slow to a place whose page offset is 1 to 31 above the
// source's. With the payload area at a page's beginning every copy out was such: 3 GB/s, and 25 GB/s since (EPYC, Node 20).
const SLOTS_USUAL = 238
const SLOTS_FEW = 46

/**
 * What rings a job of `size` ranks gets by default: wide ones for few ranks, since they pipeline better; 64 KiB each from 33
 * to 128 ranks, 256 MiB in all at 64; 16 KiB beyond.
 */
export function defaultGeometry(size: number): RingGeometry {
  if (size <= 4) return ringGeometry(SLOTS_USUAL, 512 * 1024)
  if (size <= 16) return ringGeometry(SLOTS_USUAL, 256 * 1024)
  if (size <= 32) return ringGeometry(SLOTS_USUAL, 128 * 1024)
  if (size <= 128) return ringGeometry(SLOTS_USUAL, 32 * 1024)
  return ringGeometry(SLOTS_FEW, 8 * 1024)
}

/** Where everything of one job lies. */
export interface SegmentLayout extends RingGeometry {
  readonly size: number
  /** Where the board begins. */
  readonly boardOffset: number
  /** The control area: header, cards, inboxes, board, rounded up to a page. */
  readonly controlBytes: number
  readonly totalBytes: number
  readonly inboxBytes: number
  /** Words of one bitmap with a bit per rank. */
  readonly bitmapWords: number
}

export function segmentLayout(size: number, geometry: RingGeometry): SegmentLayout {
  const bitmapBytes = roundUp(Math.ceil(size / 32) * 4, LINE_BYTES)
  const inboxBytes = 4 * INBOX_PENDING_WORD + 2 * bitmapBytes
  const boardOffset = roundUp(HEADER_BYTES + size * (CARD_BYTES + inboxBytes), PAGE_BYTES)
  const controlBytes = roundUp(boardOffset + boardLayout(size).totalBytes, PAGE_BYTES)
  return {
    ...geometry,
    size,
    inboxBytes,
    bitmapWords: bitmapBytes / 4,
    boardOffset,
    controlBytes,
    totalBytes: controlBytes + size * (size - 1) * geometry.ringBytes,
  }
}

export function cardWord(rank: number): number {
  return (HEADER_BYTES + rank * CARD_BYTES) / 4
}

function inboxWord(layout: SegmentLayout, rank: number): number {
  return (HEADER_BYTES + layout.size * CARD_BYTES + rank * layout.inboxBytes) / 4
}

export function sleepingWord(layout: SegmentLayout, rank: number): number {
  return inboxWord(layout, rank) + INBOX_SLEEPING_WORD
}

export function summaryWord(layout: SegmentLayout, rank: number): number {
  return inboxWord(layout, rank) + INBOX_SUMMARY_WORD
}

/** First word of the bitmap of senders with frames for `rank`. */
export function pendingWord(layout: SegmentLayout, rank: number): number {
  return inboxWord(layout, rank) + INBOX_PENDING_WORD
}

/** First word of the bitmap of senders whose ring to `rank` has memory. */
export function reservedWord(layout: SegmentLayout, rank: number): number {
  return inboxWord(layout, rank) + INBOX_PENDING_WORD + layout.bitmapWords
}

/** The byte at which the ring from one rank to another starts. */
export function ringOffset(layout: SegmentLayout, from: number, to: number): number {
  const index = from * (layout.size - 1) + (to > from ? to - 1 : to)
  return layout.controlBytes + index * layout.ringBytes
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple
}

function isMidPage(offset: number): boolean {
  return offset % PAGE_BYTES === PAGE_BYTES / 2
}

function assertLayout(): void {
  const holds =
    CARD_NONCE_WORD + NONCE_WORDS <= CARD_NAMESPACE_WORD &&
    4 * (CARD_NAMESPACE_WORD + 1) <= CARD_BYTES &&
    4 * (HEADER_ID_WORD + HEADER_ID_WORDS) <= HEADER_BYTES &&
    4 * WATCHED_WORD < RING_HEADER_BYTES &&
    4 * (SLOT_HEADER_WORD + FRAME_WORDS_MAX + 1) <= SLOT_BYTES &&
    inlineOffset(4) + 40 === LINE_BYTES &&
    INLINE_BYTES_MIN > 0 &&
    FRAME_WORDS_MAX <= META_WORDS_MASK &&
    META_WORDS_MASK >>> META_MARK_SHIFT === 0 &&
    SLOT_MARK << META_MARK_SHIFT < 1 << META_LENGTH_SHIFT &&
    isMidPage(RING_HEADER_BYTES + SLOTS_USUAL * SLOT_BYTES) &&
    isMidPage(RING_HEADER_BYTES + SLOTS_FEW * SLOT_BYTES)
  if (!holds) throw new Error('transport-cma: the ring layout contradicts itself')
}
assertLayout()
