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
/** As root of an intercommunicator's collective: this process is the root. @see MPI 4.1, 6.2.3 */
export const ROOT = -4
/** Comparison: the same object, or the same processes in the same order. @see MPI 4.1, 7.4.1 */
export const IDENT = 'ident'
/** Comparison: different communicators of the same processes in the same order. @see MPI 4.1, 7.4.1 */
export const CONGRUENT = 'congruent'
/** Comparison: the same processes in another order. @see MPI 4.1, 7.4.1 */
export const SIMILAR = 'similar'
/** Comparison: other processes. @see MPI 4.1, 7.4.1 */
export const UNEQUAL = 'unequal'
/** Error handling: a failed call rejects or throws, and the program decides. The default. @see MPI 4.1, 9.3 */
export const ERRORS_RETURN = 'errors-return'
/** Error handling: a failed call ends the job. @see MPI 4.1, 9.3 */
export const ERRORS_ARE_FATAL = 'errors-are-fatal'
