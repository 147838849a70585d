/** Words a region takes in a frame: enough for a 64-bit address and a 64-bit length, or for a table index. */
export const REGION_WORDS = 4

/**
 * Bytes that travel with no help from the peer's CPU. A transport that cannot do this has `null` in its place.
 *
 * A region is a piece of this rank's memory under a name of {@link REGION_WORDS} int32 words; the name travels to the peer
 * in a frame. Names are opaque to everyone but the transport, and plain data so that naming a region allocates nothing.
 *
 * All methods take and give bytes. `peer` is a rank of the job other than this one. Every method except `expose` and
 * `withdraw` may block for as long as the copy takes (about 0.1 ms per MiB), never for the peer.
 */
export interface RemoteMemory {
  readonly limits: RemoteMemoryLimits

  /**
   * Names `view`'s memory in `words[at … at+REGION_WORDS-1]`. The memory stays the caller's: it must stay alive and must
   * not move until {@link withdraw}. Views of 64 bytes and less may live on the moving heap, so they are refused.
   * @throws RangeError when the view is shorter than `limits.exposeBytesMin`; TypeError for shared memory that `limits` rules out.
   */
  expose(view: Uint8Array, words: Int32Array, at: number): void

  /** Takes the name back; a peer that still uses it gets ERR_BUFFER_GONE where the transport can tell. */
  withdraw(words: Int32Array, at: number): void

  /**
   * Whether this rank may read `peer`'s memory, proven by reading it once. Permission is directional and per peer; the
   * answer is remembered, and becomes false for good once a read is refused.
   */
  canRead(peer: number): boolean

  /** Whether this rank may write into `peer`'s memory, proven likewise. */
  canWrite(peer: number): boolean

  /** Why `canRead` or `canWrite` answered false, in words, with the errno's name and the cure; null when neither did. */
  whyNot(peer: number): string | null

  /**
   * Copies `byteLength` bytes at `offset` of the peer's region to `into[intoOffset …]`. Loops over short transfers and
   * over the kernel's limits; all or an exception.
   * @throws RangeError when the piece does not lie in the region or in `into`.
   * @throws OnecopyError ERR_UNAVAILABLE (refused: EPERM, ENOSYS, nonsense answers; `canRead` is false from now on),
   *   ERR_BUFFER_GONE (EFAULT), ERR_PROC_FAILED (the process is gone, or the pid is somebody else's now), each with `rank`,
   *   `errno`, `syscall` and `bytesDone`.
   */
  read(
    peer: number,
    words: Int32Array,
    at: number,
    offset: number,
    into: Uint8Array,
    intoOffset: number,
    byteLength: number,
  ): void

  /** The mirror of {@link read}: copies from `from[fromOffset …]` into the peer's region. Same errors. */
  write(
    peer: number,
    words: Int32Array,
    at: number,
    offset: number,
    from: Uint8Array,
    fromOffset: number,
    byteLength: number,
  ): void

  /**
   * Reads `count` whole regions, named one after the other from `words[at]`, region i into `into[i]` (whose length says how
   * much). Any number of pieces; the transport batches them. Same errors as {@link read}; `bytesDone` counts over all.
   */
  readMany(peer: number, words: Int32Array, at: number, count: number, into: readonly Uint8Array[]): void
}

export interface RemoteMemoryLimits {
  /** The shortest view that may be exposed. */
  readonly exposeBytesMin: number
  /** Whether views over a SharedArrayBuffer may be exposed, and read into: not every way to learn an address can. */
  readonly sharedArrayBuffers: boolean
  /** A piece that moves in about a millisecond at worst: what an event loop may be held for at a time. */
  readonly segmentBytes: number
}
