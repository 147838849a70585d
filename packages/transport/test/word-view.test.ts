import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, it } from 'mocha'
import { copyWords, WordView } from '../src/word-view.js'

const LONG = Number.POSITIVE_INFINITY

function seenTwice(view: WordView, bytes: Uint8Array): Int32Array {
  view.of(bytes)
  return view.of(bytes)
}

describe('a word view', () => {
  it('is made when an array is seen again at once, and kept', () => {
    const view = new WordView(LONG)
    const bytes = new Uint8Array(new ArrayBuffer(24), 8, 11).fill(1)
    assert.equal(view.of(bytes).length, 0)
    const words = view.of(bytes)
    assert.deepEqual([words.byteOffset, words.length, words[1]], [8, 2, 0x01010101])
    assert.equal(view.of(bytes), words)
  })

  it('knows one array at a time, and none of two that take turns', () => {
    const view = new WordView(LONG)
    const [a, b] = [new Uint8Array(8), new Uint8Array(8)]
    assert.notEqual(seenTwice(view, a).length, 0)
    for (let turn = 0; turn < 3; turn++) {
      assert.notEqual(view.of(a).length, 0, 'the one that is known stays known')
      assert.equal(turn === 0 ? view.of(b).length : 0, 0)
    }
    const other = new WordView(LONG)
    for (let turn = 0; turn < 4; turn++) assert.equal(other.of(turn % 2 === 0 ? a : b).length, 0)
  })

  for (const byteOffset of [1, 2, 3]) {
    it(`is empty for an array that begins ${byteOffset} bytes behind a word`, () => {
      assert.equal(seenTwice(new WordView(LONG), new Uint8Array(new ArrayBuffer(16), byteOffset, 8)).length, 0)
    })
  }

  it('is empty for memory that it is not to keep alive, be the array as short as it may', () => {
    assert.equal(seenTwice(new WordView(16), new Uint8Array(new ArrayBuffer(17), 0, 8)).length, 0)
    assert.equal(seenTwice(new WordView(16), new Uint8Array(new ArrayBuffer(16), 0, 8)).length, 2)
  })

  it('holds on to nothing longer than that, not even for a moment', () => {
    if (globalThis.gc === undefined) setFlagsFromString('--expose-gc')
    const collect = globalThis.gc ?? (runInNewContext('gc') as () => void)
    const view = new WordView(16)
    const long = new WeakRef(new ArrayBuffer(1024))
    ;(() => view.of(new Uint8Array(long.deref() as ArrayBuffer, 0, 8)))()
    return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      collect()
      assert.equal(long.deref(), undefined)
    })
  })

  it('reaches the end of memory longer than 2 GiB', () => {
    // zeros that nobody touches take no memory
    const bytes = new Uint8Array(new ArrayBuffer(2 ** 31 + 64))
    assert.equal(seenTwice(new WordView(LONG), bytes).length, 2 ** 29 + 16)
  })

  it('is empty once the memory has been transferred away', () => {
    const view = new WordView(LONG)
    const bytes = new Uint8Array(8)
    seenTwice(view, bytes)
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
    assert.equal(view.of(bytes).length, 0)
  })
})

describe('copying words', () => {
  for (let byteLength = 0; byteLength <= 33; byteLength++) {
    it(`takes the whole words of ${byteLength} bytes, and touches nothing else`, () => {
      const from = Int32Array.from({ length: 12 }, (_, index) => index + 1)
      const into = new Int32Array(12).fill(-1)
      const words = byteLength >> 2
      assert.equal(copyWords(into, 8, from, 4, byteLength), 4 * words)
      const expected = Array.from({ length: 12 }, (_, at) => (at >= 2 && at < 2 + words ? at : -1))
      assert.deepEqual([...into], expected)
    })
  }

  it('copies nothing where one of the arrays is too short', () => {
    const into = new Int32Array(4).fill(-1)
    assert.equal(copyWords(into, 0, new Int32Array(1), 0, 8), 0)
    assert.equal(copyWords(into, 12, new Int32Array(4), 0, 8), 0)
    assert.equal(copyWords(into, 0, new Int32Array(0), 0, 4), 0)
    assert.deepEqual([...into], [-1, -1, -1, -1])
  })
})
