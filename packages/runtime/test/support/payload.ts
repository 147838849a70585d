import assert from 'node:assert/strict'
import { Random } from './random.ts'

/** What a payload is made of; the same words give the same payload, on every rank. */
export interface PayloadPlan {
  readonly seed: number
  readonly byteLength: number
  readonly kind: PayloadKind
}

export type PayloadKind = 'bytes' | 'buffer' | 'doubles' | 'words' | 'plain' | 'parts'

export const RAW_KINDS = ['bytes', 'buffer', 'doubles', 'words'] as const
export const VALUE_KINDS = ['plain', 'parts'] as const

/** After so many bytes the pattern starts again: a prime, so that pieces of any transport's size do not look alike. */
const PATTERN_BYTES = 65_521

/** Fills memory with bytes that follow from the seed and are hardly ever 0. */
export function fill(bytes: Uint8Array, seed: number): Uint8Array {
  let state = (seed * 2654435761) >>> 0
  let filled = Math.min(bytes.length, PATTERN_BYTES)
  for (let i = 0; i < filled; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  for (; filled < bytes.length; filled *= 2) bytes.copyWithin(filled, 0, Math.min(filled, bytes.length - filled))
  return bytes
}

/** `byteLength` filled bytes that begin in the middle of their buffer. */
export function filledBytes(byteLength: number, seed: number, byteOffset = 8): Uint8Array {
  return fill(new Uint8Array(new ArrayBuffer(byteLength + byteOffset + 5), byteOffset, byteLength), seed)
}

export function makePayload(plan: PayloadPlan): unknown {
  const { seed, byteLength, kind } = plan
  switch (kind) {
    case 'bytes':
      return filledBytes(byteLength, seed, 1)
    case 'buffer': {
      const { buffer, byteOffset } = filledBytes(byteLength, seed, 3)
      return Buffer.from(buffer, byteOffset, byteLength)
    }
    case 'doubles':
      return new Float64Array(filledBytes(byteLength, seed).buffer, 8, byteLength >>> 3)
    case 'words':
      return new Int32Array(filledBytes(byteLength, seed).buffer, 8, byteLength >>> 2)
    case 'plain':
      return {
        seed,
        text: new Random(seed)
          .word()
          .toString(36)
          .repeat(1 + (byteLength % 300)),
        list: [seed, -seed, null],
      }
    case 'parts': {
      const half = byteLength >>> 1
      return { seed, first: filledBytes(half, seed, 1), second: [filledBytes(byteLength - half, seed + 1, 2)] }
    }
  }
}

/** Throws unless `received` is what {@link makePayload} makes of the same plan, of the same type. */
export function checkPayload(received: unknown, plan: PayloadPlan, where: string): void {
  assertSame(received, makePayload(plan), where)
}

export function assertSame(received: unknown, expected: unknown, where: string): void {
  if (ArrayBuffer.isView(expected)) {
    assert.ok(ArrayBuffer.isView(received), `${where}: got ${typeof received}`)
    assert.equal(received.constructor.name, expected.constructor.name, where)
    assertBytes(bytesOf(received), bytesOf(expected), where)
  } else if (typeof expected === 'object' && expected !== null) {
    assert.ok(typeof received === 'object' && received !== null, `${where}: got ${String(received)}`)
    assert.deepEqual(Object.keys(received), Object.keys(expected), where)
    for (const [key, value] of Object.entries(expected)) {
      assertSame((received as Record<string, unknown>)[key], value, `${where}.${key}`)
    }
  } else {
    assert.equal(received, expected, where)
  }
}

/** Compares bytes, and names the first that differs. */
export function assertBytes(received: Uint8Array, expected: Uint8Array, where: string): void {
  assert.equal(received.byteLength, expected.byteLength, `${where}: length`)
  if (Buffer.compare(received, expected) === 0) return
  const at = received.findIndex((byte, i) => byte !== expected[i])
  assert.fail(`${where}: byte ${at} of ${expected.byteLength} is ${received[at]}, not ${expected[at]}`)
}

export function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}
