import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { PlainWriter } from '../src/plain-writer.js'
import { ValuePacker } from '../src/value-packer.js'

const packer = new ValuePacker({ partBytesMin: 4096 })
const writer = new PlainWriter()

function nested(levels: number): unknown {
  let value: unknown = 'inside'
  for (let i = 0; i < levels; i++) value = [value]
  return value
}

describe('plain bodies of short values', () => {
  const numbers = [0, 127, 128, 255, 256, 65535, 65536, 2 ** 31 - 1, 2 ** 31, 2 ** 53, 0.1, 1e300, Number.NaN]
  const written: Record<string, unknown> = {
    'a call': { id: 1, name: 'resize', args: ['images/cat.png', 640, 480], opts: { quality: 0.8, dry: false } },
    numbers: [...numbers, ...numbers.slice(1).map((number) => -number), -32, -33, Number.POSITIVE_INFINITY],
    'what is no object': [null, undefined, true, false],
    'strings of all lengths': [0, 1, 31, 32, 64, 65, 255, 256, 3000].map((length) => 'x'.repeat(length)),
    'strings in other scripts': ['é', 'héhé'.repeat(20), '漢字', '😀', '\0', 'ascii and 漢'],
    'keys of all kinds': { '': 1, é: 2, '1': 3, constructor: 4, ['k'.repeat(100)]: 5 },
    'fifteen and sixteen items': [new Array(15).fill(7), new Array(16).fill(7)],
    'fifteen and sixteen keys': [15, 16].map((count) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`key${i}`, i])),
    ),
    'as many containers as it takes': Array.from({ length: 15 }, () => ({})),
    'as deep as it takes': nested(15),
  }
  for (const [name, value] of Object.entries(written)) {
    it(`are written: ${name}`, () => {
      const body = writer.write(value)
      assert.ok(body !== null)
      assert.deepStrictEqual(packer.unpack(body, []), value)
    })
  }

  const twin = { a: 1 }
  const left: Record<string, unknown> = {
    'minus zero': [-0],
    'a BigInt': [1n],
    'a string that UTF-8 changes': ['\ud800'],
    'a long string that UTF-8 changes': [`\ufeff${'x'.repeat(100)}`],
    'a key that UTF-8 changes': { '\udc00': 1 },
    'the key __proto__': JSON.parse('{"__proto__": 1}'),
    holes: new Array(3),
    'a container met twice': [twin, twin],
    'a Map': new Map(),
    'a Date': [new Date(5)],
    'raw memory': { bytes: new Uint8Array(3) },
    'too many containers': Array.from({ length: 16 }, () => ({})),
    'too long a string': 'x'.repeat(4096),
    'too long a list': new Array(4096).fill(1),
    'too many long keys': Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${i}`.padStart(60, 'k'), i])),
  }
  for (const [name, value] of Object.entries(left)) {
    it(`are left to others: ${name}`, () => {
      assert.equal(writer.write(value), null)
      const { body, parts } = packer.pack(value)
      assert.deepStrictEqual(packer.unpack(body, parts), value)
    })
  }
  it('are left to others: functions and symbols', () => {
    assert.equal(writer.write([() => 0]), null)
    assert.equal(writer.write(Symbol('s')), null)
  })

  it('end where they may, whatever their length', () => {
    for (let length = 3900; length < 4300; length++) {
      const value = ['s', 'x'.repeat(length), 1]
      const body = writer.write(value)
      assert.ok(body === null ? length > 4000 : body.length <= 4096)
      if (body !== null) assert.deepStrictEqual(packer.unpack(body, []), value)
    }
    for (let count = 0; count < 600; count++) {
      const body = writer.write(new Array(count).fill(0.5))
      assert.ok(body === null ? count > 400 : body.length <= 4096)
    }
  })

  it('belong to the result: later ones change none', () => {
    const bodies = Array.from({ length: 2000 }, (_, i) => writer.write({ i, text: 'x'.repeat(i % 300) }))
    for (const [i, body] of bodies.entries()) {
      assert.deepStrictEqual(packer.unpack(body!, []), { i, text: 'x'.repeat(i % 300) })
    }
  })

  it('survive a getter that writes, and one that throws', () => {
    const value = {
      before: 1,
      get inner() {
        return writer.write({ other: true })
      },
    }
    // the inner one is null: one body is written at a time
    assert.deepStrictEqual(packer.unpack(writer.write(value)!, []), { before: 1, inner: null })
    const failing = {
      get inner(): never {
        throw new Error('mine')
      },
    }
    assert.throws(() => writer.write(failing), /mine/)
    assert.deepStrictEqual(packer.unpack(writer.write({ a: [1] })!, []), { a: [1] })
  })
})
