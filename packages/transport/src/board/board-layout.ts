// The only file that knows a board's offsets, in bytes or int32 words as the name says, from where the board begins.
//
// Board
//
//     0         by rank: a line with one word, away: 1 while this rank has offered its core to others
//     a page…   by channel, then by rank: what one rank writes and all others read
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
//     16        the bytes, where they fit
//     then      one word a stage: the number whose stage is over here, or its complement when it went ill
//
// So a posting of up to 48 bytes moves with one cache line.
//
// Behind all parts, by channel, then by rank: places for the bytes of long postings. Number n's is place n modulo LONG_PLACES, or all of
// them. They begin in the middle of a page, for the reason that payloads in rings do (ring-layout.ts): where a board begins, a page begins.

const LINE_BYTES = 64
const PAGE_BYTES = 4096

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
/** Jobs of few ranks have room for larger slots in many channels … */
const FEW_RANKS = 4
const POSTING_BYTES_OF_FEW = 16 * 1024
/** … larger ones for shorter postings. */
const POSTING_BYTES = 4 * 1024

/**
 * In jobs of few ranks whoever reads a long posting copies it faster than it would read its owner's memory, whose pages the kernel has to
 * look up (4 ranks on 2 cores, broadcast of 64 KiB: 39 to 12 us; 1 MiB: 296 to 143). One longer than a place takes all.
 */
const LONG_PLACE_BYTES = 512 * 1024
/** A power of two: whoever posts is ahead by one, and what is written is still in a cache when it is read. */
const LONG_PLACES = 2
/** Channels that have such places: 1 MiB for each rank, which the job reserves at its start. */
const LONG_CHANNELS = 2
/** A page more, so that the same element of several postings does not fall into the same set of a cache. */
const LONG_STRIDE_BYTES = LONG_PLACE_BYTES + PAGE_BYTES

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
  /** The word at which the ranks' parts of channels begin. */
  readonly partsWord: number
  /** Channels with places for long postings: the first ones. */
  readonly longChannels: number
  /** What they hold together; 0 where there is none. */
  readonly longBytesMax: number
  /** The word at which the places for long postings begin. */
  readonly longWord: number
  readonly totalBytes: number
}

/** The board of a job of `size` ranks: 11 channels for 4 ranks, 22 for 8, 5 for 32, none for more. */
export function boardLayout(size: number): BoardLayout {
  const bytesMax = size <= FEW_RANKS ? POSTING_BYTES_OF_FEW : POSTING_BYTES
  const slotBytes = LINE_BYTES + bytesMax
  const partBytes = FIRST_SLOT_BYTE + BOARD_SLOTS * slotBytes
  const isOfUse = size >= 2 && size <= BOARD_RANKS_MAX
  const channels = !isOfUse ? 0 : Math.min(BOARD_CHANNELS_MAX, Math.floor(BOARD_BYTES_MAX / (size * partBytes)))
  const takesLong = size >= 2 && size <= FEW_RANKS
  const longPartBytes = LONG_PLACES * LONG_STRIDE_BYTES
  const longChannels = takesLong ? Math.min(LONG_CHANNELS, channels) : 0
  const partsByte = channels === 0 ? 0 : roundUpToPage(size * LINE_BYTES)
  const shortBytes = partsByte + channels * size * partBytes
  const longByte = roundUpToPage(shortBytes) + PAGE_BYTES / 2
  return {
    size,
    channels,
    bytesMax,
    slotWords: slotBytes / 4,
    stageWord: (SLOT_HEADER_BYTES + bytesMax) / 4,
    partWords: partBytes / 4,
    partsWord: partsByte / 4,
    longChannels,
    longBytesMax: takesLong ? LONG_PLACES * LONG_PLACE_BYTES : 0,
    longWord: longByte / 4,
    totalBytes: longChannels === 0 ? shortBytes : longByte + longChannels * size * longPartBytes,
  }
}

/** The longest posting on a channel. */
export function channelBytesMax(layout: BoardLayout, channel: number): number {
  return channel < layout.longChannels ? layout.longBytesMax : layout.bytesMax
}

function roundUpToPage(byteLength: number): number {
  return Math.ceil(byteLength / PAGE_BYTES) * PAGE_BYTES
}

/** The word with which a rank says that it is away, on a board with channels. */
export function awayWord(rank: number): number {
  return (rank * LINE_BYTES) / 4
}

/** The word at which a rank's part of a channel starts. */
export function boardPartWord(layout: BoardLayout, channel: number, rank: number): number {
  return layout.partsWord + (channel * layout.size + rank) * layout.partWords
}

/** Postings of that length that one rank can have at the same time. */
export function slotsFor(layout: BoardLayout, byteLength: number): number {
  if (byteLength <= layout.bytesMax) return BOARD_SLOTS
  return byteLength <= LONG_PLACE_BYTES ? LONG_PLACES : 1
}

/** The word at which a rank's places for long postings on a channel start. */
export function longPartWord(layout: BoardLayout, channel: number, rank: number): number {
  return layout.longWord + ((channel * layout.size + rank) * LONG_PLACES * LONG_STRIDE_BYTES) / 4
}

/** The word of a long posting's place, counted from the rank's places. */
export function longPlaceWord(number: number, byteLength: number): number {
  return byteLength <= LONG_PLACE_BYTES ? ((number & (LONG_PLACES - 1)) * LONG_STRIDE_BYTES) / 4 : 0
}

/** The word of slot 0, counted from the rank's part. */
export const FIRST_SLOT_WORD = FIRST_SLOT_BYTE / 4
