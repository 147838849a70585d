// The only file that knows a board's offsets, in bytes or int32 words as the name says, from where the board begins.
//
// Board        channels * size * RANK_BYTES, by channel, then by rank: what one rank writes and all others read
//
// Rank's part of a channel (lines of 64 bytes)
//
//     line 0    done: the number up to which this rank reads nothing any more
//     line 1    wish: 1 while this rank waits for room
//     128       slots, SLOT_BYTES each
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
/** What a posting can hold. */
export const BOARD_POSTING_BYTES_MAX = 16384

export const DONE_WORD = 0
export const WISH_WORD = LINE_BYTES / 4
const FIRST_SLOT_BYTE = 2 * LINE_BYTES

export const SLOT_NUMBER_WORD = 0
export const SLOT_KIND_WORD = 1
export const SLOT_LENGTH_WORD = 2
export const SLOT_HEADER_BYTES = 16
/** The word of stage 0; the next is stage 1's. */
export const SLOT_STAGE_WORD = (SLOT_HEADER_BYTES + BOARD_POSTING_BYTES_MAX) / 4
const SLOT_BYTES = LINE_BYTES + BOARD_POSTING_BYTES_MAX

const RANK_BYTES = FIRST_SLOT_BYTE + BOARD_SLOTS * SLOT_BYTES

/** A job's board takes no more than this … */
const BOARD_BYTES_MAX = 6 * 1024 * 1024
/** … and no more channels. */
const BOARD_CHANNELS_MAX = 32

/** How many channels a job of `size` ranks has: 32 for few ranks, none for more than a hundred. */
export function boardChannels(size: number): number {
  return size < 2 ? 0 : Math.min(BOARD_CHANNELS_MAX, Math.floor(BOARD_BYTES_MAX / (size * RANK_BYTES)))
}

/** Memory for the board of a job of `size` ranks. */
export function boardBytes(size: number): number {
  return boardChannels(size) * size * RANK_BYTES
}

/** The word at which a rank's part of a channel starts. */
export function boardPartWord(channel: number, size: number, rank: number): number {
  return ((channel * size + rank) * RANK_BYTES) / 4
}

/** The word at which a slot starts, counted from its rank's part. */
export function boardSlotWord(number: number): number {
  return (FIRST_SLOT_BYTE + (number & (BOARD_SLOTS - 1)) * SLOT_BYTES) / 4
}
