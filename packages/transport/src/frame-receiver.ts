/** Whoever takes the frames that a transport's `poll` hands up: the runtime's progress engine, or a test. */
export interface FrameReceiver {
  /**
   * Takes one frame that `peer` sent. Called by `poll` only, in sending order per peer, never from inside another
   * `frame` call of the same transport.
   *
   * Ownership: `words` and `bytes` are lent until this call returns. `words[0 … wordCount-1]` are a private copy, already
   * range-checked; the payload `bytes[byteOffset … byteOffset+byteLength-1]` may still lie in shared memory, so read it
   * once. May call `trySend` and remote memory; must not call `poll`. Must not throw.
   */
  frame(
    peer: number,
    words: Int32Array,
    wordCount: number,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
  ): void
}
