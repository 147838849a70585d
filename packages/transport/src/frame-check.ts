import { FRAME_WORDS_MAX, type TransportLimits } from './transport.js'

/**
 * Refuses what `trySend` must not be given.
 * @throws RangeError when there are too few or too many words or bytes, or they do not lie in their arrays.
 */
export function checkFrame(
  limits: TransportLimits,
  words: Int32Array,
  wordCount: number,
  bytes: Uint8Array,
  byteOffset: number,
  byteLength: number,
): void {
  if (!(wordCount >= 1 && wordCount <= FRAME_WORDS_MAX && wordCount <= words.length)) {
    throw new RangeError(`A frame has 1 to ${FRAME_WORDS_MAX} header words, not ${wordCount} of ${words.length}`)
  }
  if (!(byteLength >= 0 && byteLength <= limits.frameBytesMax)) {
    throw new RangeError(`A frame carries 0 to ${limits.frameBytesMax} bytes, not ${byteLength}: cut it`)
  }
  if (!(byteOffset >= 0 && byteOffset + byteLength <= bytes.byteLength)) {
    throw new RangeError(`${byteLength} bytes at ${byteOffset} do not lie in an array of ${bytes.byteLength} bytes`)
  }
}
