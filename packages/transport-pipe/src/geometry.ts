/** How the bulk file is cut into rings, one per ordered pair of ranks, and a ring into slots, one frame each. */
export interface BulkGeometry {
  readonly size: number
  /** A slot, and the longest payload of a frame. */
  readonly frameBytesMax: number
  /** Slots in one ring: frames that may be under way from one rank to one other. A power of two. */
  readonly slotCount: number
}

/** All rings of a job together, when every pair talks: RELIABILITY's bound for shared memory at 64 ranks. */
const RINGS_BYTES_MAX = 256 * 1024 * 1024
/**
 * Small enough that a frame is still in the cache when the receiver copies it out, large enough that the two system calls
 * around it cost less than its copies.
 */
const FRAME_BYTES_MAX = 64 * 1024
const SLOT_COUNT_MAX = 8
/** With very many ranks not every pair can talk in bulk within the bound; those that do get this much. */
const RING_BYTES_MIN = 16 * 1024
const PAGE_BYTES = 4096

/** The geometry every process of a job of `size` ranks agrees on. */
export function bulkGeometryOf(size: number): BulkGeometry {
  const pairs = Math.max(1, size * (size - 1))
  const share = Math.floor(RINGS_BYTES_MAX / pairs / PAGE_BYTES) * PAGE_BYTES
  const ringBytes = Math.max(RING_BYTES_MIN, Math.min(share, FRAME_BYTES_MAX * SLOT_COUNT_MAX))
  const frameBytesMax = Math.min(FRAME_BYTES_MAX, ringBytes)
  // A power of two, so that slot numbers go on evenly where their 32-bit count wraps.
  return { size, frameBytesMax, slotCount: 2 ** Math.floor(Math.log2(ringBytes / frameBytesMax)) }
}

/** Where the ring from `source` to `dest` begins in the bulk file. */
export function ringOffsetOf(geometry: BulkGeometry, source: number, dest: number): number {
  return (source * geometry.size + dest) * geometry.slotCount * geometry.frameBytesMax
}

/** The bulk file's length; it has holes where pairs have not talked. */
export function bulkFileBytesOf(geometry: BulkGeometry): number {
  return geometry.size * geometry.size * geometry.slotCount * geometry.frameBytesMax
}
