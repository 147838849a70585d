/*
 * The tags of a communicator's collective context. Collectives draw theirs one after the other, as all ranks start them in
 * one order. Persistent ones are initialised in one order, but MPI lets them start in any (MPI_Startall starts them in
 * "arbitrary order"): so each has tags of its own, by the order of initialisation. Services are calls that not every rank takes
 * part in; they work on a revoked communicator too.
 *
 *     0    … 2^29-1     one per call
 *     2^29 … 2^30-1     by persistent collective, 8192 for each
 *     2^30 … 2^31-1     services: createGroup, createIntercomm (by the caller's tag and who takes part), shrink (one per attempt)
 */

export const PERSISTENT_TAG_MIN = 2 ** 29
export const SERVICE_TAG_MIN = 2 ** 30
const SERVICE_TAGS = 2 ** 28
/** So many that no earlier start with the same tag can still be on anybody's mind. */
const TAGS_PER_PERSISTENT = 8192

/** The tag of the call after the one with `tag`. */
export function nextTag(tag: number): number {
  return (tag + 1) % PERSISTENT_TAG_MIN
}

/**
 * The tag of the `start`-th start of the communicator's `index`-th persistent collective. Starts differ so that what an
 * unsuccessful one has left behind is not taken for the next one's; messages of equal tags do not overtake anyway.
 */
export function persistentTag(index: number, start: number): number {
  return PERSISTENT_TAG_MIN + ((index * TAGS_PER_PERSISTENT + (start % TAGS_PER_PERSISTENT)) % PERSISTENT_TAG_MIN)
}

/**
 * For making a communicator of a group: by the tag its members give, who they are, and how often they have done it. So a call
 * that has failed leaves nothing to the next one, and disjoint groups may use the same tag.
 */
export function groupTag(tag: number, ranks: readonly number[], count: number): number {
  return SERVICE_TAG_MIN + (mixed([tag, count, ...ranks]) % SERVICE_TAGS)
}

/** For two leaders that make an intercommunicator, in the same way. */
export function joinTag(tag: number, one: number, other: number, count: number): number {
  return (
    SERVICE_TAG_MIN + SERVICE_TAGS + (mixed([tag, count, Math.min(one, other), Math.max(one, other)]) % SERVICE_TAGS)
  )
}

/** For the communicator's `attempt`-th attempt to shrink. */
export function shrinkTag(attempt: number): number {
  return SERVICE_TAG_MIN + 2 * SERVICE_TAGS + (attempt % SERVICE_TAGS)
}

/** FNV-1a over the numbers: spreads them over 32 bits. */
function mixed(numbers: readonly number[]): number {
  let hash = 0x811c9dc5
  for (const number of numbers) hash = Math.imul(hash ^ number, 0x01000193) ^ (hash >>> 15)
  return hash >>> 0
}
