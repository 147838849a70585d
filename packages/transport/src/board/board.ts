/**
 * Memory that all ranks of a job see, for what one rank tells many: it posts once, everybody else reads. Collectives on short
 * arrays are made of postings: one store and one look instead of a message per pair.
 *
 * A board has channels. A channel is for one group of ranks, all of which post on it and all of which number their postings alike,
 * from 1 upwards. Every rank has `slots` slots in it: posting n lies in slot n modulo `slots`, where posting n - slots lay, so a rank
 * may post n only once nobody in the group reads n - slots any more ({@link BoardChannel.doneBy}). For longer ones it has fewer places: see
 * {@link Board.slotsFor}.
 */
export interface Board {
  /** How many channels there are, numbered from 0; the same on every rank. */
  readonly channels: number
  /** Postings of one rank that can be there at the same time: a power of two. */
  readonly slots: number
  /** The longest posting that every channel takes, in bytes. */
  readonly bytesMax: number
  /** The board's memory, where postings are read in place: see {@link BoardChannel.offsetOf}. */
  readonly bytes: Uint8Array
  /**
   * Asked when this rank is about to sleep, after it has said so: whether something on the board that it waits for is there. A
   * posting wakes every rank of its group that sleeps. Set by whoever waits; by default nobody does.
   */
  isDue: () => boolean

  /**
   * Postings of `byteLength` bytes that one rank can have at the same time: `slots`; fewer of those longer than `bytesMax`, a power of
   * two. Where it is 1, such a posting takes all the places of long ones: no other long one may be read any more, and none may follow
   * until nobody reads it.
   */
  slotsFor(byteLength: number): number

  /** Joins a channel, which must be this group's alone for as long as the job lives. `ranks`: its members, this rank among them. */
  channel(index: number, ranks: readonly number[]): BoardChannel
}

/** What {@link BoardChannel.told} answers. */
export const NOT_TOLD = 0
export const TOLD_WELL = 1
export const TOLD_ILL = 2

/** One rank's end of a channel. Members are counted from 0, in the order of the group; a `number` is an int32 other than 0 and -1, and wraps. */
export interface BoardChannel {
  /** The longest posting, in bytes: the board's `bytesMax`, or more than that. Depends on the channel's index. */
  readonly bytesMax: number

  /**
   * Posts `bytes`, at most `bytesMax`, as posting `number`, which must have room. `kind` is an int32 of the caller's. Allocates
   * nothing; a system call only for a member that sleeps.
   */
  post(number: number, kind: number, bytes: Uint8Array): void

  /** Puts `bytes` where they begin `offset` bytes into posting `number`, which must have room, and will have `byteLength` bytes. */
  fill(number: number, byteLength: number, offset: number, bytes: Uint8Array): void

  /** Posts what has been filled in, as {@link post}. What lies between is of no meaning. */
  publish(number: number, kind: number, byteLength: number): void

  /** Has this rank's slot of `number`, about which nobody will ask before it is posted, hold nothing that could be taken for another. */
  forget(number: number): void

  /** Whether `member` has made posting `number`. */
  has(member: number, number: number): boolean

  /**
   * Whether `member` has offered its core to others ({@link Transport.yield}) and not got it back: then nothing of it will come until
   * somebody offers it one. A hint, late by a moment, for those who wait; false where nobody knows.
   */
  isAway(member: number): boolean

  /** What `member` has said of posting `number`. Once {@link has} is true, until {@link done} is called. */
  kindOf(member: number, number: number): number

  /** How many bytes posting `number` has, as `member` says; whoever reads checks it first. */
  byteLengthOf(member: number, number: number): number

  /**
   * Where in the board's `bytes` posting `number` of `member` lies, which has `byteLength` bytes: at a multiple of 16. A length that
   * is checked, at most `bytesMax`.
   */
  offsetOf(member: number, number: number, byteLength: number): number

  /**
   * Says something more about `number`, whose slot must have room, whether or not this rank has posted it: that `stage` (0, 1 or 2) of
   * what it stands for is over here, and went well or not.
   */
  tell(number: number, stage: number, isWell: boolean): void

  /** What `member` has told: {@link NOT_TOLD}, {@link TOLD_WELL} or {@link TOLD_ILL}. */
  told(member: number, number: number, stage: number): number

  /**
   * This rank reads nothing up to `number` any more. What others hear of it lags behind by less than half of the slots: so much less
   * to tell, and still room for who is not that far ahead. `atOnce`: they hear it now, as who posts long ones must.
   */
  done(number: number, atOnce?: boolean): void

  /** Up to which number `member` is done, as far as it has said. */
  doneBy(member: number): number

  /** Has this rank woken when a member is done with more; or no longer. */
  wishForRoom(wishes: boolean): void
}
