import { REGION_WORDS } from '@onecopy/transport'

/**
 * The words of a frame's header. Word 0 holds kind, element type and flags; what follows depends on the kind:
 *
 *     kind        1         2         3         4        5        6 … 9
 *     EAGER       context   tag       sendId    length lo  hi               payload: the message, or its first part
 *     MORE                                                                  payload: the next part of the eager message under way
 *     ANNOUNCE    context   tag       sendId    length lo  hi    region     payload: none
 *     WAITING     sendId
 *     OFFER       sendId    recvId    from lo   hi       region (5 … 8)
 *     WRITTEN     recvId    outcome
 *     PULL        sendId    recvId    from lo   hi
 *     DATA        recvId                                                    payload: the next bytes
 *     FINISH      sendId    outcome
 *     CREDIT      bytes
 *     CANCEL      sendId
 *     CANCELLED   sendId
 *     REVOKE      context
 *     BROKEN      context   tag       rank      error code
 *
 * EAGER is three words long unless it carries the flag that asks for more of them.
 */
export const EAGER = 1
export const MORE = 2
export const ANNOUNCE = 3
export const WAITING = 4
export const OFFER = 5
export const WRITTEN = 6
export const PULL = 7
export const DATA = 8
export const FINISH = 9
export const CREDIT = 10
export const CANCEL = 11
export const CANCELLED = 12
/** A communicator is given up by one of its ranks, for all of them. */
export const REVOKE = 13
/** A rank cannot go on with a collective: the others must not wait for it. */
export const BROKEN = 14

/** ANNOUNCE: the sender is doing nothing but wait, so it may be asked to copy. */
export const FLAG_WAITING = 1 << 16
/** ANNOUNCE: words 6 … 9 name the message's memory. */
export const FLAG_REGION = 1 << 17
/** ANNOUNCE: the message is a value with parts out of band; see `parts.ts`. */
export const FLAG_PARTS = 1 << 18
/** EAGER: word 3 is a sendId that wants FINISH once matched (synchronous mode). */
export const FLAG_ACKNOWLEDGE = 1 << 19
/** EAGER: words 4, 5 hold the whole length; MORE frames follow. */
export const FLAG_MORE = 1 << 20

export const KIND_MASK = 0xff
export const TYPE_SHIFT = 8

/** Word counts by kind (EAGER: the short form). */
export const EAGER_WORDS = 3
export const EAGER_LONG_WORDS = 6
export const ANNOUNCE_WORDS = 10
export const OFFER_WORDS = 9
export const REGION_AT = 6
export const OFFER_REGION_AT = 5

/** How a rendezvous ended, told to the other side. */
export const OUTCOME_DONE = 0
export const OUTCOME_BUFFER_GONE = 1
export const OUTCOME_REFUSED = 2

/** Copies a region's words: a loop, because a view to give to `set` costs more than all of them. */
export function copyRegion(from: Int32Array, at: number, into: Int32Array, intoAt: number): void {
  for (let i = 0; i < REGION_WORDS; i++) into[intoAt + i] = from[at + i]!
}

const TWO_32 = 2 ** 32

/** A length or offset of up to 2^53 from its two words. */
export function joinLength(low: number, high: number): number {
  return (high >>> 0) * TWO_32 + (low >>> 0)
}

/** The high word of a length; the low word is `length | 0` for all lengths (ToInt32 takes it modulo 2^32). */
export function highWord(length: number): number {
  return Math.floor(length / TWO_32) | 0
}
