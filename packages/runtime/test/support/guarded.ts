import assert from 'node:assert/strict'

interface ArrayConstructor<T> {
  new (buffer: ArrayBuffer, byteOffset: number, length: number): T
  readonly BYTES_PER_ELEMENT: number
}

const CANARY = 0xa5
const CANARY_BYTES = 16

/** An array with canaries before and behind it in the same buffer. */
export class Guarded<T extends ArrayBufferView> {
  readonly view: T
  readonly #all: Uint8Array

  constructor(kind: ArrayConstructor<T>, length: number) {
    const buffer = new ArrayBuffer(length * kind.BYTES_PER_ELEMENT + 2 * CANARY_BYTES)
    this.#all = new Uint8Array(buffer).fill(CANARY)
    this.view = new kind(buffer, CANARY_BYTES, length)
    new Uint8Array(buffer, CANARY_BYTES, this.view.byteLength).fill(0)
  }

  /** Throws when anything was written outside the array. */
  check(): void {
    for (let i = 0; i < CANARY_BYTES; i++) {
      assert.equal(this.#all[i], CANARY, `byte ${i - CANARY_BYTES} before the array was overwritten`)
      assert.equal(this.#all[this.#all.length - 1 - i], CANARY, 'a byte behind the array was overwritten')
    }
  }
}
