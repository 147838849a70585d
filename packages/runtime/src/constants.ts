/** Matches a message from any rank. @see MPI 4.1, 3.2.4 */
export const ANY_SOURCE = -1
/** Matches a message with any tag. @see MPI 4.1, 3.2.4 */
export const ANY_TAG = -1
/** The rank of nobody: sends to it and receives from it complete at once with no data. @see MPI 4.1, 3.10 */
export const PROC_NULL = -2
/** "No answer": a count that is not whole, a colour that takes no part. */
export const UNDEFINED = -3
/** The largest tag (MPI_TAG_UB). */
export const TAG_MAX = 2 ** 31 - 1
/** Given as the send memory of a collective: the contribution already lies in the receive memory. @see MPI 4.1, 6.2 */
export const IN_PLACE: unique symbol = Symbol.for('onecopy.IN_PLACE') as never
