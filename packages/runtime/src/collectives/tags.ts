/*
 * The tags of a communicator's collective context. Collectives draw theirs one after the other, as all ranks start them in
 * one order. Persistent ones are initialised in one order, but MPI lets them start in any (MPI_Startall starts them in
 * "arbitrary order"): so each has tags of its own, by the order of initialisation. Services are calls that not every rank takes
 * part in; they work on a revoked communicator too.
 *
 *     0    … 2^29-1     one per call
 *     2^29 … 2^30-1     by persistent collective, 8192 for each
 *     2^30 … 2^31-1     services: createGroup, createIntercomm (by the caller's tag), shrink (one per attempt)
 */

const PERSISTENT_FROM = 2 ** 29
export const SERVICE_TAG_MIN = 2 ** 30
const SERVICE_TAGS = 2 ** 28
/** So many that no earlier start with the same tag can still be on anybody's mind. */
const TAGS_PER_PERSISTENT = 8192

/** The tag of the call after the one with `tag`. */
export function nextTag(tag: number): number {
  return (tag + 1) % PERSISTENT_FROM
}

/**
 * The tag of the `start`-th start of the communicator's `index`-th persistent collective. Starts differ so that what an
 * unsuccessful one has left behind is not taken for the next one's; messages of equal tags do not overtake anyway.
 */
export function persistentTag(index: number, start: number): number {
  return PERSISTENT_FROM + ((index * TAGS_PER_PERSISTENT + (start % TAGS_PER_PERSISTENT)) % PERSISTENT_FROM)
}

/** For making a communicator of a group, under the tag its members give. */
export function groupTag(tag: number): number {
  return SERVICE_TAG_MIN + (tag % SERVICE_TAGS)
}

/** For two leaders that make an intercommunicator, under the tag both give. */
export function joinTag(tag: number): number {
  return SERVICE_TAG_MIN + SERVICE_TAGS + (tag % SERVICE_TAGS)
}

/** For the communicator's `attempt`-th attempt to shrink. */
export function shrinkTag(attempt: number): number {
  return SERVICE_TAG_MIN + 2 * SERVICE_TAGS + (attempt % SERVICE_TAGS)
}
