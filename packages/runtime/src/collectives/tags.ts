/*
 * The tags of a communicator's collective context. Collectives draw theirs one after the other, as all ranks start them in
 * one order. Persistent ones are initialised in one order, but MPI lets them start in any (MPI_Startall starts them in
 * "arbitrary order"): so each has tags of its own, by the order of initialisation.
 *
 *     0 … 2^30-1        one per call
 *     2^30 … 2^31-1     by persistent collective, 64 for each
 */

const TAGS_PER_PERSISTENT = 64
const PERSISTENT = 0x40000000
const MASK = PERSISTENT - 1

/** The tag of the call after the one with `tag`. */
export function nextTag(tag: number): number {
  return (tag + 1) & MASK
}

/**
 * The tag of the `start`-th start of the communicator's `index`-th persistent collective. Starts differ so that what an
 * unsuccessful one has left behind is not taken for the next one's; messages of equal tags do not overtake anyway.
 */
export function persistentTag(index: number, start: number): number {
  return PERSISTENT | ((index * TAGS_PER_PERSISTENT + (start % TAGS_PER_PERSISTENT)) & MASK)
}
