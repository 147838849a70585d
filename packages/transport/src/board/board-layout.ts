// The only file that knows a board's offsets, in bytes or int32 words as the name says, from where the board begins.
//
// Board        by channel, then by rank: what one rank writes and all others read
//
// Rank's part of a channel (lines of 64 bytes)
//
//     line 0    done: the number up to which this rank reads nothing any more
//     line 1    wish: 1 while this rank waits for room
//     128       slots
//
// Slot
//
//     word 0    number of the posting, 0 before the first: what readers spin on
//     word 1    kind
//     word 2    byteLength
//     16        the bytes
//     then      one word a stage: the number whose stage is over here, or its complement when it went ill
//
// So a posting of up to 48 bytes moves with one cache line.

const LINE_BYTES = 64

/** A power of two. */
export const BOARD_SLOTS = 8
/** The numbers of stages end here. */
export const BOARD_STAGES = 3

export const DONE_WORD = 0
export const WISH_WORD = LINE_BYTES / 4
const FIRST_SLOT_BYTE = 2 * LINE_BYTES

export const SLOT_NUMBER_WORD = 0
export const SLOT_KIND_WORD = 1
export const SLOT_LENGTH_WORD = 2
export const SLOT_HEADER_BYTES = 16

/** A job's board takes no more than this … */
const BOARD_BYTES_MAX = 6 * 1024 * 1024
/** … and no more channels. */
const BOARD_CHANNELS_MAX = 32
/** Beyond, there would be too few channels to be of use. */
const BOARD_RANKS_MAX = 32
/** Jobs of few ranks have room for long postings in many channels … */
const FEW_RANKS = 4
const POSTING_BYTES_OF_FEW = 16 * 1024
/** … larger ones for shorter postings. */
const POSTING_BYTES = 4 * 1024

/** The measures of a job's board. */
export interface BoardLayout {
  readonly size: number
  readonly channels: number
  /** What a posting can hold. */
  readonly bytesMax: number
  readonly slotWords: number
  /** The word of stage 0, counted from the slot; the next is stage 1's. */
  readonly stageWord: number
  readonly partWords: number
  readonly totalBytes: number
}

/** The board of a job of `size` ranks: 11 channels for 4 ranks, 22 for 8, 5 for 32, none for more. */
export function boardLayout(size: number): BoardLayout {
  const bytesMax = size <= FEW_RANKS ? POSTING_BYTES_OF_FEW : POSTING_BYTES
  const slotBytes = LINE_BYTES + bytesMax
  const partBytes = FIRST_SLOT_BYTE + BOARD_SLOTS * slotBytes
  const isOfUse = size >= 2 && size <= BOARD_RANKS_MAX
  const channels = !isOfUse ? 0 : Math.min(BOARD_CHANNELS_MAX, Math.floor(BOARD_BYTES_MAX / (size * partBytes)))
  return {
    size,
    channels,
    bytesMax,
    slotWords: slotBytes / 4,
    stageWord: (SLOT_HEADER_BYTES + bytesMax) / 4,
    partWords: partBytes / 4,
    totalBytes: channels * size * partBytes,
  }
}

/** The word at which a rank's part of a channel starts. */
export function boardPartWord(layout: BoardLayout, channel: number, rank: number): number {
  return (channel * layout.size + rank) * layout.partWords
}

/** The word of slot 0, counted from the rank's part. */
export const FIRST_SLOT_WORD = FIRST_SLOT_BYTE / 4
