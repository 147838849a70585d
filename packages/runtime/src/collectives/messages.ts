import { OnecopyError } from '@onecopy/transport'
import type { Arriving } from '../schedule.js'

/** All ranks of `size` but one, in order. */
export function othersThan(rank: number, size: number): number[] {
  return Array.from({ length: size }, (_, other) => other).filter((other) => other !== rank)
}

/** A message without content: that it came is all. */
export const NOTHING = new Uint8Array(0)

/**
 * Checks that a completed receive brought exactly `byteLength` bytes. Longer messages have failed already.
 * @throws OnecopyError what the receive failed with; ERR_TRUNCATE when the message was shorter.
 */
export function expectExactly(collective: string, receive: Arriving, byteLength: number): void {
  if (receive.messageBytes === byteLength) return
  const status = receive.result()
  throw lengthError(collective, status.source, status.byteLength, byteLength)
}

/** What a collective fails with when `source` takes part with another length than this rank expects. */
export function lengthError(collective: string, source: number, theirs: number, expected: number): OnecopyError {
  return new OnecopyError(
    'ERR_TRUNCATE',
    `${collective}: ${theirs} bytes came from rank ${source} where this rank expects ${expected}; ` +
      'the lengths (and counts) that the ranks give must fit together',
    { source },
  )
}

/**
 * What a rank says to its neighbour before an algorithm that cuts the memory in pieces: a value, so that a neighbour whose
 * length made it choose another algorithm finds a message of the wrong kind instead of a piece of the right length.
 */
export function preamble(collective: string, byteLength: number, operation = ''): string {
  return `${collective} of ${byteLength} bytes${operation === '' ? '' : ` with ${operation}`}`
}

/**
 * Checks that another rank said the same as this one.
 * @throws OnecopyError ERR_TRUNCATE when it did not.
 */
export function expectPreamble(theirs: unknown, mine: string, source: number): void {
  if (theirs !== mine) {
    throw new OnecopyError(
      'ERR_TRUNCATE',
      `rank ${source} does ${typeof theirs === 'string' ? theirs : 'something else'}, this rank ${mine}; ` +
        'all ranks must give the same length and operation',
      { source },
    )
  }
}
