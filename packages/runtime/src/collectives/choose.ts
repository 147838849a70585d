/**
 * Where every collective chooses its algorithm. All ranks must choose the same, so a choice may depend only on what all
 * ranks know: the number of ranks, and lengths that MPI requires to be equal everywhere.
 *
 * The prices behind the thresholds (FACTS.md, one machine): a small message about 0.3 us, a step in which a rank waits for
 * another at least that and a context switch once there are more ranks than cores; copying 10 to 20 GB/s and combining 6
 * to 10 GB/s, paid by the receiving CPU, as the receiver reads the sender's memory. So few dependent steps matter for
 * short messages, and for long ones that all CPUs copy and combine, none of them twice.
 */

/** Elements. Below, a loop that is inlined beats one that does much per turn. */
const LONG_LOOP_LENGTH_MIN = 64

/** Whether an array of so many elements is a short one to the plain loops. */
export function isShortLoop(length: number): boolean {
  return length < LONG_LOOP_LENGTH_MIN
}

/**
 * Elements. Below, three copies into and out of WebAssembly's memory cost more than the plain loop (reduction to one of 2 ranks, float64:
 * 1 KiB 0.41 us, by the loop 0.33; 2 KiB 0.59, 0.49).
 */
const VECTOR_LENGTH_MIN = 512

/**
 * From here on elements of 8 bytes come from memory, which is then what limits, and copies in and out cost more than they save
 * (16 MiB of float64: 2.8 GB/s against the loop's 4.8; 4 MiB: 8.5 against 4.9; elements of 4 bytes always gain).
 */
const VECTOR_WIDE_BYTES_MAX = 8 * 1024 * 1024

/** Two pieces of this length stay in an L1 cache of 32 KiB with room for what is copied in and out (8 KiB: 17 GB/s, 64: 14). */
export const VECTOR_PIECE_BYTES = 8 * 1024

/** Whether arrays of this length are combined by the WebAssembly kernel, where there is one, rather than the plain loop. */
export function combinesInVectors(byteLength: number, bytesPerElement: number): boolean {
  if (bytesPerElement === 8 && byteLength >= VECTOR_WIDE_BYTES_MAX) return false
  return byteLength >= VECTOR_LENGTH_MIN * bytesPerElement
}

/** The longest chunk that is read from another rank and combined: those of two ranks stay in an L2 cache. */
export const VECTOR_CHUNK_BYTES = 256 * 1024
const VECTOR_CHUNK_BYTES_SEVERAL = 64 * 1024

/** What is read from each rank at a time where so many ranks' are combined. */
export function chunkBytesFor(size: number): number {
  return size === 2 ? VECTOR_CHUNK_BYTES : VECTOR_CHUNK_BYTES_SEVERAL
}

/** Parts that come by messages land whole where they are combined, up to here (2 ranks, 2 MiB: 382 to 320 us; 4 MiB: no gain). */
export const WORKSPACE_PART_BYTES = 2 * 1024 * 1024

/** From here on bytes cost more than the added steps of a reduction cut in pieces (2 ranks: one step more, half the sum). */
const REDUCE_IN_PIECES_BYTES_MIN = 32 * 1024
/** Shorter pieces would be eager messages, for which steps cost more than bytes. */
const REDUCE_PIECE_BYTES_MIN = 4 * 1024

/**
 * Whether a reduction of `byteLength` bytes is cut into one piece per rank (reduce-scatter in a ring, then all pieces
 * collected) rather than combined whole (recursive doubling, or a binomial tree). Pieces go around the ring in an order
 * that starts at another rank for each piece, so the operation must be commutative, and elementwise to be cut at all.
 */
export function reducesInPieces(byteLength: number, size: number, cuttable: boolean): boolean {
  return cuttable && size > 1 && byteLength >= REDUCE_IN_PIECES_BYTES_MIN && byteLength >= size * REDUCE_PIECE_BYTES_MIN
}

/**
 * Where a rank sends and receives alike, the CPU is what is short, and one copy by the receiver beats the two copies of an
 * eager message sooner than in a ping-pong, where the two overlap.
 */
const EXCHANGE_ANNOUNCED_BYTES_MIN = 32 * 1024 + 1

/** Whether a message of this length, sent to a rank while as much is received, is announced and fetched. */
export function announcesExchange(byteLength: number): boolean {
  return byteLength >= EXCHANGE_ANNOUNCED_BYTES_MIN
}

/** With more ranks, size² messages cost more than the steps that they save. */
const DIRECT_RANKS_MAX = 4

/**
 * Whether ranks exchange directly, each with each or the root with all, instead of in steps that depend on one another: every
 * step is a context switch where there are more ranks than cores (4 ranks on 2, allreduce of 8 B: doubling 20 us, directly 9).
 */
export function goesDirectly(size: number): boolean {
  return size <= DIRECT_RANKS_MAX
}

/** From here on few ranks do better each to combine a piece than to leave all to the root (4 ranks on 2 cores: 256 KiB 141 to 157 us). */
const REDUCE_AT_ROOT_BYTES_MAX = 256 * 1024

/**
 * Whether a reduction to a root is cut into pieces, as {@link reducesInPieces}. With two ranks never: one exchange of halves and one
 * of what they come to cost more than the root's combining all (64 KiB: 18 to 12 us).
 */
export function reducesToRootInPieces(byteLength: number, size: number, cuttable: boolean): boolean {
  if (size === 2 || (goesDirectly(size) && byteLength <= REDUCE_AT_ROOT_BYTES_MAX)) return false
  return reducesInPieces(byteLength, size, cuttable)
}

/** Whether the root of a short reduction gets everybody's contribution. */
export function combinesAtRoot(size: number): boolean {
  return goesDirectly(size)
}

/** From here on the bytes that all send to all in a short reduction cost more than the steps of doubling. */
const REDUCE_DIRECT_BYTES_MAX = 1024

/** Whether everybody gets everybody's array and combines all of them. With two ranks doubling is the same one step. */
export function allreducesDirectly(byteLength: number, size: number): boolean {
  return size > 2 && goesDirectly(size) && byteLength <= REDUCE_DIRECT_BYTES_MAX
}

/** A rank reads no more than this at once from where it lies: 0.1 ms, or 0.3 if it combines it, for which an event loop stands still. */
export const PULL_BYTES_MAX = 1024 * 1024
/** Lengths of what is read are told in 32 bits. */
const PULL_REDUCTION_BYTES_MAX = 1024 ** 3

/** Below, a system call per part costs more than the messages (2 ranks, alltoall of 16 KiB: 3.4 us by messages, pulled 6.4). */
const PULL_PART_BYTES_MIN = 32 * 1024

/** Whether each rank reads its part of all others where it lies, if those are too long to be posted. */
export function pullsParts(byteLength: number): boolean {
  return byteLength >= PULL_PART_BYTES_MIN && byteLength <= PULL_BYTES_MAX
}

/** A message between two ranks is copied by both at the same time, which is faster in between (32 KiB: 4.8 us, by message 4.0; 256: 32, 21; 512: 36, 36). */
const BCAST_TO_ONE_BYTES_MIN = 32 * 1024
const BCAST_TO_ONE_BYTES_MAX = 384 * 1024

/** Whether a broadcast that could be posted is. */
export function postsBroadcast(byteLength: number, size: number): boolean {
  return size > 2 || byteLength < BCAST_TO_ONE_BYTES_MIN || byteLength > BCAST_TO_ONE_BYTES_MAX
}

/** The same as {@link pullsParts} for a broadcast, if there are several to read. */
export function pullsBroadcast(byteLength: number, size: number): boolean {
  return size > 2 && byteLength <= PULL_BYTES_MAX
}

/**
 * Below, the three meetings cost more than they save (4 ranks on 2 cores, 48 KiB: 66 to 110 us by messages, pulled 72 to 90; 64 KiB: 64 to
 * 125, 73 to 80; 112 KiB: 219, 135).
 */
const PULL_ALLREDUCE_BYTES_MIN = 64 * 1024
/** Two ranks with a core each meet sooner by messages (64 KiB: 14.5 us, pulled 18; 96 KiB: 30, 26). */
const PULL_ALLREDUCE_OF_TWO_BYTES_MIN = 64 * 1024 + 1
/** To a root, where one could combine all (4 ranks on 2 cores, 64 KiB: 32 us by messages, pulled 67; 1 MiB: 455, 417). */
const PULL_REDUCE_BYTES_MIN = 512 * 1024

/**
 * Whether a reduction is cut into a piece per rank, which each reads from all others where it lies, and combines. With two ranks only
 * where both get the result, and save what cutting saves. `inVectors`: in chunks, with a pause for the event loop now and then; then
 * however long it is (4 ranks on 2 cores, 16 MiB: 15 ms by messages, pulled 8).
 */
export function pullsReduction(byteLength: number, size: number, isRooted: boolean, inVectors: boolean): boolean {
  if (byteLength > (inVectors ? PULL_REDUCTION_BYTES_MAX : size * PULL_BYTES_MAX) || (isRooted && size === 2))
    return false
  if (isRooted) return byteLength >= PULL_REDUCE_BYTES_MIN
  return byteLength >= (size === 2 ? PULL_ALLREDUCE_OF_TWO_BYTES_MIN : PULL_ALLREDUCE_BYTES_MIN)
}

/**
 * Of two ranks that send as much as they receive, each reads in these lengths faster than it posts, if the array is sent often, so that it
 * lies in its owner's cache and in huge pages (allgather of 32 KiB: 5.1 us, posted 5.7; of 64: 6.8, 10.8; of 256: 19.4, 23; of 1 MiB: 69, 70).
 */
const READ_BY_TWO_BYTES_MIN = 32 * 1024
const READ_BY_TWO_BYTES_MAX = 384 * 1024

/** Whether parts that could be posted are, where every rank sends and receives alike. */
export function postsParts(byteLength: number, size: number): boolean {
  return size > 2 || byteLength < READ_BY_TWO_BYTES_MIN || byteLength > READ_BY_TWO_BYTES_MAX
}

/** Below, a message is there as soon as what the root reads (32 KiB: 5.4 us; 48: 7.4, read 7.0; 64: 9.8, 8.0). */
const TWO_RANK_BYTES_MIN = 48 * 1024
/** From here on the other rank's help is worth two system calls more (64 KiB: 9.5 us with it, 8.0 without; 256: 20, 28). */
const TWO_RANK_SHARED_BYTES_MIN = 96 * 1024

/** Whether the root of two ranks reads the other's array where it lies. */
export function readsAtRootOfTwo(byteLength: number): boolean {
  return byteLength >= TWO_RANK_BYTES_MIN && byteLength <= PULL_REDUCTION_BYTES_MAX
}

/** How much of it the root combines itself, in bytes: all of a short one, and of a long one somewhat more than half, since it has less else to do. */
export function rootShareOfTwo(byteLength: number): number {
  if (byteLength < TWO_RANK_SHARED_BYTES_MIN) return byteLength
  return Math.ceil((byteLength * 0.6) / PAGE_BYTES) * PAGE_BYTES
}

const PAGE_BYTES = 4096

/** From here on two ranks do better each to combine a half than to leave all to the root (256 KiB: 44 to 40 us; 512: 74, 51). */
const TWO_TO_ROOT_BYTES_MIN = 256 * 1024
/** A root that gets one array by message combines it as it comes, up to there; what is shorter than this is posted (16 KiB: 3.5 us). */
const TWO_TO_ROOT_SHORT_BYTES_MAX = 16 * 1024

/** Whether arrays that could be posted are, where a root combines them. */
export function postsToRoot(byteLength: number, size: number): boolean {
  return size > 2 || byteLength <= TWO_TO_ROOT_SHORT_BYTES_MAX || byteLength >= TWO_TO_ROOT_BYTES_MIN
}

/** Below, what is left to do at the end is little anyway (2 ranks, 4 KiB: 1.04 us, all at the end 0.94; 16 KiB: 3.3, 3.4; 4 ranks on 2 cores: 5.8, 7.1). */
const LANDED_BYTES_MIN = 16 * 1024

/** Whether what a root combines is put where it combines it as it comes: up to what the accumulator takes at a time. */
export function landsEarly(byteLength: number): boolean {
  return byteLength >= LANDED_BYTES_MIN && byteLength <= VECTOR_CHUNK_BYTES
}

/** Below, a second meeting costs more than to combine what others combine too (4 ranks on 2 cores, 16 KiB: 20 us either way; 32: 28 to 22). */
const POSTED_PIECES_BYTES_MIN = 32 * 1024

/**
 * Whether a reduction to all that is posted is cut into a piece per rank, which each combines, and all take the others' from where they lie.
 */
export function postsReductionInPieces(byteLength: number): boolean {
  return byteLength >= POSTED_PIECES_BYTES_MIN
}

/** A root can combine all while the others are ahead (4 ranks on 2 cores, 64 KiB: 26 us, in pieces 32; 256: 84, 64) … */
const ROOT_BYTES_MAX = 128 * 1024 - 1
/** … or as it comes, where {@link landsEarly} (128 KiB: 30 us, in pieces 37; 256: 54 either way; with 3 ranks 43, 57). */
const ROOT_OF_VECTORS_BYTES_MAX = VECTOR_CHUNK_BYTES

/**
 * The same for one to a root, which takes all pieces. `areVectors`: of elements that have vector kernels, whatever the operation, since ranks
 * that disagree on it must not wait for each other for ever. (So operations without one lose: BAND of 256 KiB, 126 us in pieces, 165.)
 */
export function postsToRootInPieces(byteLength: number, areVectors: boolean): boolean {
  return byteLength > (areVectors ? ROOT_OF_VECTORS_BYTES_MAX : ROOT_BYTES_MAX)
}

/** From here on a tree's inner ranks hold a message up for longer than a chain's many steps cost. */
const BCAST_CHAIN_BYTES_MIN = 512 * 1024
/** Half of an L2 cache: the next rank reads the segment while it is still there. */
export const BCAST_SEGMENT_BYTES = 128 * 1024

/**
 * Whether a broadcast goes down a chain of ranks in segments, each rank sending one segment on while it receives the next,
 * rather than whole down a binomial tree.
 */
export function broadcastsInChain(byteLength: number, size: number): boolean {
  return !goesDirectly(size) && byteLength >= BCAST_CHAIN_BYTES_MIN
}

/** From here on the bytes that a logarithmic allgather copies aside and sends again cost more than the ring's steps. */
const ALLGATHER_RING_BYTES_MIN = 64 * 1024

export type AllgatherAlgorithm = 'direct' | 'doubling' | 'bruck' | 'ring'

/**
 * How equal blocks of `totalBytes` in all are collected everywhere: in log2(size) steps while they are short (recursive
 * doubling in place for powers of two, Bruck's algorithm with memory aside for the rest), around a ring when they are long.
 */
export function allgatherAlgorithm(totalBytes: number, size: number): AllgatherAlgorithm {
  if (goesDirectly(size)) return 'direct'
  if (totalBytes >= ALLGATHER_RING_BYTES_MIN) return 'ring'
  return (size & (size - 1)) === 0 ? 'doubling' : 'bruck'
}

/** Up to here every rank sends its value to every other: one step. Beyond, size² messages cost more than log2(size) steps. */
const ALLGATHER_DIRECT_RANKS_MAX = 8

/** Whether values, whose lengths nobody knows beforehand, are sent from each to each rather than by Bruck's algorithm. */
export function allgathersDirectly(size: number): boolean {
  return size <= ALLGATHER_DIRECT_RANKS_MAX
}

/**
 * Peers an all-to-all exchange talks to at a time. Readers of one process's memory hold each other up (its mmap lock), and
 * unreceived eager messages take memory; every rank starts with its right neighbour, so that no rank is everyone's next.
 */
export const ALLTOALL_PEERS_MAX = 4

/*
 * gather and scatter have no choice: the root exchanges one message with each rank, whatever the length. The root has to
 * take every block in anyway (0.3 us each), a tree only adds copies and steps for the ranks between; and the lengths
 * (`counts`) are known to the root alone, so that the others could not choose the same.
 */
