import { closeSync, openSync, readSync } from 'node:fs'

/**
 * Random bytes from the kernel. Not from node:crypto: loading that costs every rank 4 ms at its start, for 16 bytes.
 */
export function randomBytes(byteLength: number): Buffer {
  const bytes = Buffer.alloc(byteLength)
  const descriptor = openSync('/dev/urandom', 'r')
  try {
    if (readSync(descriptor, bytes) !== byteLength) throw new Error('/dev/urandom gave less than was asked for')
  } finally {
    closeSync(descriptor)
  }
  return bytes
}
