import { createRequire } from 'node:module'

/**
 * Derives the 8 bytes that prove a record to come from `source` and to be meant for `dest`, as two int32 words at
 * `into[at]`. Whoever does not have the job's token cannot make them; whoever has seen one pair's learns nothing of another's.
 */
export function derivePairSecret(token: Uint8Array, source: number, dest: number, into: Int32Array, at: number): void {
  // on demand: the launcher prepares this transport for every job, and waits 4 ms for node:crypto
  const { createHmac } = createRequire(import.meta.url)('node:crypto') as typeof import('node:crypto')
  const digest = createHmac('sha256', token).update(`onecopy pipe ${source} ${dest}`).digest()
  into[at] = digest.readInt32LE(0)
  into[at + 1] = digest.readInt32LE(4)
}
