import assert from 'node:assert/strict'
import { runInNewContext } from 'node:vm'
import { describe, it } from 'mocha'
import { BUFFER, DATA_VIEW, FLOAT64, INT16, UINT8, VALUE } from '../src/element-type.js'
import { KnownArrays } from '../src/known-arrays.js'

describe('known arrays', () => {
  it('give element type and memory, byteOffset honoured', () => {
    const arrays = new KnownArrays()
    const memory = new ArrayBuffer(64)
    const cases = [
      [new Uint8Array(memory, 3, 5), UINT8],
      [Buffer.from(memory, 8, 16), BUFFER],
      [new Float64Array(memory, 16, 2), FLOAT64],
      [new Int16Array(memory, 2, 3), INT16],
      [new DataView(memory, 5, 7), DATA_VIEW],
    ] as const
    for (let turn = 0; turn < 3; turn++) {
      for (const [array, type] of cases) {
        const known = arrays.of(array)
        const { buffer, byteOffset, byteLength } = known.bytes
        assert.deepEqual([known.type, byteOffset, byteLength], [type, array.byteOffset, array.byteLength])
        assert.equal(buffer, memory)
      }
    }
  })

  it('are found again: the last four, in any order', () => {
    const arrays = new KnownArrays()
    const four = Array.from({ length: 4 }, () => new Float64Array(2))
    const known = four.map((array) => arrays.of(array))
    for (const index of [3, 0, 2, 2, 1, 0, 3]) assert.equal(arrays.of(four[index]), known[index])
    arrays.of(new Float64Array(2))
    assert.notEqual(arrays.of(four[0]), known[0], 'the fifth took the place of the first')
  })

  it('are nothing special where a value is meant', () => {
    const arrays = new KnownArrays()
    for (const value of [null, undefined, 0, 'text', {}, [1]]) {
      for (let turn = 0; turn < 2; turn++) {
        assert.deepEqual([arrays.of(value).type, arrays.of(value).bytes.length], [VALUE, 0])
      }
    }
  })

  it('are refused once their memory has been transferred away, also one that was known', () => {
    for (const array of [new Float64Array(2), new Uint8Array(2), Buffer.alloc(9000)]) {
      const arrays = new KnownArrays()
      arrays.of(array)
      structuredClone(array.buffer, { transfer: [array.buffer] })
      assert.throws(() => arrays.of(array), /transferred away/)
    }
  })

  it('that may grow are looked at each time', () => {
    const memory = new ArrayBuffer(8, { maxByteLength: 32 })
    const arrays = new KnownArrays()
    const array = new Float64Array(memory)
    assert.equal(arrays.of(array).bytes.length, 8)
    memory.resize(24)
    assert.equal(arrays.of(array).bytes.length, 24)
  })

  it('that may grow are so in another realm, too', () => {
    const { memory, array } = runInNewContext(
      'const memory = new ArrayBuffer(8, { maxByteLength: 32 }); ({ memory, array: new Float64Array(memory) })',
    ) as { memory: ArrayBuffer; array: Float64Array }
    const arrays = new KnownArrays()
    assert.equal(arrays.of(array).bytes.length, 8)
    memory.resize(24)
    assert.equal(arrays.of(array).bytes.length, 24)
  })

  it('of length 0 are refused, too, once their memory has been transferred away', () => {
    const arrays = new KnownArrays()
    const array = new Float64Array(new ArrayBuffer(8), 8)
    assert.equal(arrays.of(array).bytes.length, 0)
    structuredClone(array.buffer, { transfer: [array.buffer] })
    assert.throws(() => arrays.of(array), /transferred away/)
  })

  it('of long memory are not kept, be they as short as they may', () => {
    const arrays = new KnownArrays()
    const short = new Float64Array(new ArrayBuffer(64 * 1024), 8, 1)
    const long = new Float64Array(new ArrayBuffer(64 * 1024 + 8), 8, 1)
    assert.equal(arrays.of(short), arrays.of(short))
    assert.notEqual(arrays.of(long), arrays.of(long))
  })
})
