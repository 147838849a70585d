import assert from 'node:assert/strict'
import { runInNewContext } from 'node:vm'
import { OnecopyError } from '@onecopy/transport'
import {
  ARRAY_BUFFER,
  allocate,
  arrayOver,
  BUFFER,
  bytesOf,
  bytesPerElement,
  DATA_VIEW,
  ELEMENT_TYPE_MAX,
  elementTypeName,
  elementTypeOf,
  FLOAT16,
  VALUE,
} from '../src/element-type.js'
import { ValuePacker } from '../src/value-packer.js'

const PART_BYTES_MIN = 256
const packer = new ValuePacker({ partBytesMin: PART_BYTES_MIN })

/** What a transport does: the body through memory that is scribbled over afterwards, the parts into fresh memory. */
function travel<T>(value: T): T {
  const { body, parts } = packer.pack(value)
  const frame = new Uint8Array(body.byteLength + 64).fill(0xaa)
  frame.set(body, 32)
  const lent = frame.subarray(32, 32 + body.byteLength)
  const lengths = packer.partLengths(lent)
  assert.deepEqual(
    lengths,
    parts.map((part) => part.byteLength),
  )
  const fresh = parts.map((part, i) => {
    const memory = new Uint8Array(allocate(lengths[i] as number))
    memory.set(part)
    return memory
  })
  const result = packer.unpack(lent, fresh)
  assert.ok(frame.subarray(0, 32).every((byte) => byte === 0xaa) && frame.subarray(-32).every((byte) => byte === 0xaa))
  frame.fill(0x55)
  return result as T
}

/** A small generator with a printable seed. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const codes = Array.from({ length: ELEMENT_TYPE_MAX }, (_, i) => i + 1).filter(
  (code) => code !== FLOAT16 || 'Float16Array' in globalThis,
)

function filled(code: number, byteLength: number): unknown {
  const memory = allocate(byteLength)
  const bytes = new Uint8Array(memory)
  for (let i = 0; i < byteLength; i++) bytes[i] = (i * 7 + code) & 0x3f
  return arrayOver(code, memory, byteLength)
}

describe('element types', () => {
  for (const code of codes) {
    const name = elementTypeName(code)
    it(`${name}: told, taken apart and made again`, () => {
      for (const elements of [0, 1, 3, 1000]) {
        const byteLength = elements * bytesPerElement(code)
        const data = filled(code, byteLength)
        assert.equal(elementTypeOf(data), code)
        const copy = allocate(byteLength)
        new Uint8Array(copy).set(bytesOf(data))
        const again = arrayOver(code, copy, byteLength)
        assert.equal(elementTypeOf(again), code)
        assert.deepEqual(again, data)
      }
    })
    it(`${name}: as part of a larger ArrayBuffer`, () => {
      if (code === ARRAY_BUFFER) return
      const memory = allocate(64)
      new Uint8Array(memory).forEach((_, i, bytes) => {
        bytes[i] = i
      })
      const offset = bytesPerElement(code) === 1 ? 3 : 8
      const view = arrayOver(code, memory, 16, offset)
      assert.deepEqual([...bytesOf(view)], [...new Uint8Array(memory, offset, 16)])
    })
  }

  it('keeps its wire numbers', () => {
    const numbers = [new ArrayBuffer(1), new DataView(new ArrayBuffer(1)), Buffer.alloc(1), new Int8Array(1)]
    assert.deepEqual([...numbers, new BigUint64Array(1), {}].map(elementTypeOf), [1, 2, 3, 4, 14, 0])
  })

  it('sees through realms, subclasses and disguises', () => {
    const foreign: unknown[] = runInNewContext(
      '[new Float64Array(2), new Uint8Array(2), new ArrayBuffer(2), new SharedArrayBuffer(2), new DataView(new ArrayBuffer(2))]',
    )
    assert.deepEqual(Array.from(foreign, elementTypeOf), [12, 5, ARRAY_BUFFER, ARRAY_BUFFER, DATA_VIEW])
    for (const data of foreign) assert.ok(bytesOf(data).byteLength > 0)
    assert.equal(elementTypeOf(new (class extends Uint8Array {})(1)), 5)
    assert.equal(elementTypeOf(Object.setPrototypeOf(Buffer.alloc(1), Object.create(Buffer.prototype))), BUFFER)
    assert.equal(elementTypeOf(Object.defineProperty(new Int16Array(1), Symbol.toStringTag, { value: 'Int8Array' })), 7)
    assert.equal(elementTypeOf(new SharedArrayBuffer(1)), ARRAY_BUFFER)
    for (const other of [null, undefined, 1, 'x', {}, [], new Map(), { [Symbol.toStringTag]: 'ArrayBuffer' }]) {
      assert.equal(elementTypeOf(other), VALUE)
    }
  })

  it('refuses detached memory and nonsense', () => {
    const buffer = new ArrayBuffer(16)
    const views = [buffer, new Uint8Array(buffer, 4), new Float64Array(buffer), new DataView(buffer)]
    structuredClone(buffer, { transfer: [buffer] })
    for (const view of views) assert.throws(() => bytesOf(view), { name: 'TypeError', message: /detached/ })
    assert.throws(() => bytesOf('text'), TypeError)
    for (const code of [0, -1, 16, 255, 1.5]) {
      assert.throws(() => arrayOver(code, new ArrayBuffer(8), 8), { code: 'ERR_CORRUPT' })
    }
    assert.throws(() => arrayOver(12, new ArrayBuffer(9), 9), { code: 'ERR_CORRUPT' })
  })

  it('gives memory that is not shared', () => {
    for (const size of [0, 1, 64, 8192, 1 << 20]) assert.equal(allocate(size).byteLength, size)
  })
})

describe('packed values', () => {
  const samples: Record<string, unknown> = {
    primitives: [
      null,
      undefined,
      true,
      false,
      0,
      -0,
      1,
      -1,
      127,
      128,
      -32,
      -33,
      65535,
      65536,
      2 ** 32,
      -(2 ** 31),
      2 ** 53,
    ],
    floats: [0.1, Number.NaN, Number.POSITIVE_INFINITY, Number.MIN_VALUE, -1e300],
    'big integers': [
      0n,
      -1n,
      2n ** 63n,
      -(2n ** 63n) - 1n,
      2n ** 64n,
      2n ** 64n - 1n,
      -(2n ** 200n),
      3n ** 50000n,
      -(7n ** 99999n),
    ],
    strings: ['', 'a', 'é', '漢字', '😀', 'x'.repeat(31), 'y'.repeat(32), 'ü'.repeat(300), 'z'.repeat(70_000), '\0'],
    'strings that UTF-8 changes': ['\ud800', 'a\udc00b', `\ufeff${'b'.repeat(100)}`, '\ufeff', '\ud83d'.repeat(100)],
    objects: { a: { b: { c: [1, { d: 2 }] } }, '': 1, é: 2, '1': 3, constructor: 4, toString: 5, hasOwnProperty: 6 },
    'keys that UTF-8 changes': { '\ud800': 1, '\ufeffkey': { deep: true } },
    maps: new Map<unknown, unknown>([
      [1, 'a'],
      ['b', new Map([[{ k: 1 }, [2]]])],
      [undefined, null],
      [Number.NaN, -0],
    ]),
    sets: new Set<unknown>([1, 'a', undefined, new Set([new Date(5)])]),
    dates: [new Date(0), new Date(-1), new Date(8.64e15), new Date(-8.64e15), new Date(1.5e12 + 123)],
    'regular expressions': [/a+b/gi, /[\u{1f600}]/u, /(?:)/, /\//y],
    boxed: [Object(1), Object('s'), Object(true), Object(5n), Object('\ud800')],
    'a thousand objects': Array.from({ length: 1000 }, (_, id) => ({
      id,
      name: `n${id}`,
      args: [id],
      opts: { x: id / 3 },
    })),
    'many keys': Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`k${i}`, i])),
  }
  for (const [name, sample] of Object.entries(samples)) {
    it(`keeps ${name}`, () => {
      assert.deepStrictEqual(travel(sample), sample)
      assert.deepStrictEqual(travel({ nested: [sample] }), { nested: [sample] })
    })
  }
  for (const root of samples.primitives as unknown[]) {
    it(`keeps ${Object.is(root, -0) ? '-0' : String(root)} alone`, () => assert.ok(Object.is(travel(root), root)))
  }

  it('keeps an invalid date', () => assert.ok(Number.isNaN(travel(new Date(Number.NaN)).getTime())))

  it('keeps holes, and does not pay for them', () => {
    const sparse: number[] = []
    sparse[3] = 1
    sparse[4_000_000_000] = 2
    const { body } = packer.pack(sparse)
    assert.ok(body.byteLength < 100)
    const again = travel(sparse)
    assert.equal(again.length, 4_000_000_001)
    assert.deepEqual(Object.keys(again), ['3', '4000000000'])
    const holed = Object.assign(new Array<unknown>(4), { 0: 1, 2: 3, 3: undefined })
    assert.deepStrictEqual(travel(holed), holed)
    assert.ok(!(1 in travel(holed)) && 3 in travel(holed))
  })

  it('keeps errors with their class, cause and properties', () => {
    const cause = new RangeError('inner')
    const error = Object.assign(new TypeError('outer', { cause }), { code: 'E_X', detail: { n: 1 }, retry: () => {} })
    const again = travel(error) as typeof error
    assert.ok(again instanceof TypeError && again.cause instanceof RangeError)
    assert.deepEqual([again.message, again.stack, again.code, again.detail], ['outer', error.stack, 'E_X', { n: 1 }])
    assert.deepEqual(Object.keys(again), ['code', 'detail'])
    const many = travel(new AggregateError([new Error('a'), 'b'], 'all'))
    assert.ok(many instanceof AggregateError && many.errors[0] instanceof Error && many.errors[1] === 'b')
    class Own extends Error {
      override name = 'Own'
    }
    assert.equal(travel(new Own('mine')).name, 'Own')
    for (const name of ['__proto__', 'constructor', 'valueOf', 'Function', 'eval']) {
      const odd = new Error('x')
      odd.name = name
      const back = travel(odd)
      assert.ok(back instanceof Error)
      assert.deepEqual([back.name, Object.getPrototypeOf(back)], [name, Error.prototype])
    }
  })

  it('keeps cycles through every kind of container', () => {
    const object: Record<string, unknown> = { name: 'hub' }
    const error = new Error('e', { cause: object })
    const map = new Map<unknown, unknown>([[object, 'self']])
    map.set('map', map)
    const set = new Set<unknown>([object])
    set.add(set)
    const array: unknown[] = [object]
    array.push(array)
    Object.assign(object, { object, error, map, set, array })
    const back = travel(object) as typeof object
    const mapBack = back.map as typeof map
    assert.equal(back.object, back)
    assert.equal((back.error as Error).cause, back)
    assert.ok(mapBack.get('map') === mapBack && mapBack.get(back) === 'self')
    assert.ok((back.set as Set<unknown>).has(back) && (back.set as Set<unknown>).has(back.set))
    assert.ok((back.array as unknown[])[0] === back && (back.array as unknown[])[1] === back.array)
  })

  it('keeps shared references, and twins apart', () => {
    const leaf = { n: 1 }
    const when = new Date(7)
    const back = travel({ a: leaf, b: [leaf], twin: { n: 1 }, when, again: when })
    assert.equal(back.a, back.b[0])
    assert.notEqual(back.a, back.twin)
    assert.equal(back.when, back.again)
  })

  it('is not afraid of depth', () => {
    let list: { next: unknown } | null = null
    for (let i = 0; i < 100_000; i++) list = { next: list }
    let count = 0
    for (let at = travel(list); at !== null; at = at.next as typeof list) count++
    assert.equal(count, 100_000)
    for (let depth = 60; depth < 72; depth++) {
      let nested: unknown = 'core'
      for (let i = 0; i < depth; i++) nested = i % 2 === 0 ? [nested] : { nested }
      assert.deepStrictEqual(travel(nested), nested)
    }
  })

  for (const code of codes) {
    it(`keeps ${elementTypeName(code)} inside an object, around the part threshold`, () => {
      const step = bytesPerElement(code)
      for (const bytes of [
        0,
        step,
        PART_BYTES_MIN - step,
        PART_BYTES_MIN,
        PART_BYTES_MIN + step,
        100_000 - (100_000 % step),
      ]) {
        const value = { before: 1, data: filled(code, bytes), after: 'x' }
        assert.equal(packer.pack(value).parts.length, bytes >= PART_BYTES_MIN ? 1 : 0)
        const back = travel(value)
        assert.equal(elementTypeOf(back.data), code)
        assert.deepStrictEqual(back, value)
      }
    })
  }

  it('sends parts from where they lie, and uses those that came without copying', () => {
    const data = new Float64Array(1000).fill(1.5)
    const { body, parts } = packer.pack({ data })
    assert.equal(parts[0]?.buffer, data.buffer)
    const fresh = new Uint8Array(allocate(8000))
    fresh.set(parts[0] as Uint8Array)
    const back = packer.unpack(body, [fresh]) as { data: Float64Array }
    assert.equal(back.data.buffer, fresh.buffer)
    assert.ok(body.byteLength < 100)
  })

  it('takes parts that lie at odd places in larger memory', () => {
    const data = Float64Array.from({ length: 100 }, (_, i) => i)
    const { body, parts } = packer.pack([data])
    const larger = new Uint8Array(901).fill(0xee)
    larger.set(parts[0] as Uint8Array, 3)
    assert.deepStrictEqual(packer.unpack(body, [larger.subarray(3, 803)]), [data])
  })

  it('sends what is referred to twice once', () => {
    const big = new Uint8Array(1000).fill(3)
    const value = { a: big, b: [big], small: new Uint8Array(3), c: new Map([[1, big]]) }
    assert.equal(packer.pack(value).parts.length, 1)
    const back = travel(value)
    assert.ok(back.a === back.b[0] && back.a === back.c.get(1))
  })

  it('keeps the overlap of memory, and sends no byte that no view names', () => {
    const memory = new ArrayBuffer(4096)
    new Uint8Array(memory).fill(9)
    const whole = { memory, bytes: new Uint8Array(memory, 3, 10), doubles: new Float64Array(memory, 8, 100) }
    assert.equal(packer.pack(whole).parts.length, 1)
    const back = travel(whole)
    assert.ok(back.memory === back.bytes.buffer && back.memory === back.doubles.buffer)
    assert.deepEqual([back.bytes.byteOffset, back.doubles.byteOffset, back.memory.byteLength], [3, 8, 4096])

    const overlap = travel({ a: new Uint8Array(memory, 100, 300), b: new Uint8Array(memory, 350, 300) })
    overlap.a[299] = 77
    assert.equal(overlap.b[49], 77)

    const apart = { a: new Uint8Array(memory, 0, 300), b: new Uint8Array(memory, 300, 300) }
    const packed = packer.pack(apart)
    assert.deepEqual(
      packed.parts.map((part) => part.byteLength),
      [300, 300],
    )
    assert.notEqual(travel(apart).a.buffer, travel(apart).b.buffer)

    // Bytes from 3, doubles from 8: their distance fits no fresh memory as it is.
    for (const length of [20, 1000]) {
      const mixed = { bytes: new Uint8Array(memory, 3, length), doubles: new Float64Array(memory, 8, 2) }
      const mixedBack = travel(mixed)
      assert.deepStrictEqual(mixedBack, mixed)
      mixedBack.bytes[5] = 1
      assert.equal(new Uint8Array(mixedBack.doubles.buffer, mixedBack.doubles.byteOffset)[0], 1)
    }

    const pooled = Buffer.from('secretsecret').subarray(3, 6)
    assert.equal(travel({ pooled }).pooled.buffer.byteLength, 3)
  })

  it('carries 5000 parts', () => {
    const value = Array.from({ length: 5000 }, (_, i) => new Uint16Array(128 + (i % 5)).fill(i))
    const { parts, body } = packer.pack(value)
    assert.equal(parts.length, 5000)
    assert.equal(packer.partLengths(body).length, 5000)
    assert.deepStrictEqual(travel(value), value)
  })

  it('carries things of other realms', () => {
    const foreign = runInNewContext(`({
      object: { a: [1, { b: 2 }] }, map: new Map([[1, 2]]), set: new Set([1]), date: new Date(5), regexp: /x/g,
      error: new TypeError('far'), bytes: new Uint8Array([1, 2]), buffer: new ArrayBuffer(3), bare: Object.create(null),
    })`) as Record<string, unknown>
    assert.deepStrictEqual(
      { ...travel(foreign), error: (travel(foreign).error as Error).message },
      {
        object: { a: [1, { b: 2 }] },
        map: new Map([[1, 2]]),
        set: new Set([1]),
        date: new Date(5),
        regexp: /x/g,
        error: 'far',
        bytes: new Uint8Array([1, 2]),
        buffer: new ArrayBuffer(3),
        bare: {},
      },
    )
    assert.ok(travel(foreign).error instanceof TypeError)
  })

  it('carries instances as their toJSON, or their properties', () => {
    let calls = 0
    class Money {
      toJSON(): unknown {
        calls++
        return { cents: 5 }
      }
    }
    class Point {
      x = 1
      #y = 2
      get y(): number {
        return this.#y
      }
    }
    class OwnMap extends Map<number, number> {}
    const money = new Money()
    const back: unknown = travel([new URL('http://a/b'), money, money, new Point(), new OwnMap([[1, 2]])])
    assert.deepStrictEqual(back, ['http://a/b', { cents: 5 }, { cents: 5 }, { x: 1 }, new Map([[1, 2]])])
    assert.equal((back as unknown[])[1], (back as unknown[])[2])
    assert.equal(calls, 1)
  })

  it('names what cannot be sent', () => {
    const cases: [unknown, RegExp][] = [
      [() => {}, /^value is a function/],
      [Symbol('s'), /^value is a symbol/],
      [{ args: [1, { 'on-done': () => {} }] }, /^value\.args\[1\]\["on-done"\] is a function/],
      [new Map([['k', { f: Symbol.iterator }]]), /^value\.k\.f is a symbol/],
      [{ p: Promise.resolve(1) }, /^value\.p is a Promise, which cannot be sent: await it first/],
      [{ w: new WeakMap() }, /^value\.w is a WeakMap/],
    ]
    for (const [value, message] of cases) assert.throws(() => packer.pack(value), { name: 'TypeError', message })
    const gone = new Uint8Array(8)
    structuredClone(gone.buffer, { transfer: [gone.buffer] })
    assert.throws(() => packer.pack({ a: [gone] }), { name: 'TypeError', message: /^value\.a\[0\].*detached/ })
  })

  it('lets through what a getter throws, and works on', () => {
    const mine = new Error('mine')
    const trap = {
      get x(): never {
        throw mine
      },
    }
    for (const value of [trap, { deep: [trap] }, [new Date(), trap]]) {
      assert.throws(
        () => packer.pack(value),
        (error) => error === mine,
      )
      assert.deepEqual(travel({ ok: 1 }), { ok: 1 })
    }
  })

  it('may be used from within a getter', () => {
    const nested = {
      a: { b: 1 },
      get inner() {
        return travel({ n: [1, new Date(3)] })
      },
      c: { d: 2 },
    }
    assert.deepEqual(travel(nested), { a: { b: 1 }, inner: { n: [1, new Date(3)] }, c: { d: 2 } })
  })

  it('keeps bodies apart: packing again changes none', () => {
    const bodies = Array.from({ length: 300 }, (_, i) => packer.pack({ i, text: 'x'.repeat(i * 10) }).body)
    for (const [i, body] of bodies.entries()) assert.equal((packer.unpack(body, []) as { i: number }).i, i)
  })

  it('pollutes nothing', () => {
    const evil = JSON.parse(
      '{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 1}}, "a": {"__proto__": []}}',
    )
    const back = travel(evil) as Record<string, unknown>
    assert.equal(Object.getPrototypeOf(back), Object.prototype)
    assert.ok(Object.hasOwn(back, '__proto__') && Object.hasOwn(back.a as object, '__proto__'))
    assert.deepStrictEqual(back, evil)
    assert.equal(({} as { polluted?: unknown }).polluted, undefined)
    // The same key in a plain document, which no packer writes: {"__proto__": {"x": 1}}
    const key = Buffer.from('__proto__')
    const body = Buffer.concat([Buffer.from([0, 0x81, 0xa0 + key.length]), key, Buffer.from([0x81, 0xa1, 0x78, 1])])
    const odd = packer.unpack(body, []) as Record<string, unknown>
    assert.equal(Object.getPrototypeOf(odd), Object.prototype)
    assert.equal(odd.x, undefined)
  })
})

describe('bodies that no rank writes', () => {
  const corrupt = (bytes: number[] | Uint8Array) => {
    assert.throws(() => packer.unpack(Uint8Array.from(bytes), []), { name: 'OnecopyError', code: 'ERR_CORRUPT' })
  }

  it('are refused', () => {
    corrupt([])
    corrupt([0])
    corrupt([1])
    corrupt([2, 0])
    corrupt([0, 1, 1])
    corrupt([0, 0xdd, 0xff, 0xff, 0xff, 0xff]) // an array of 4e9
    corrupt([0, 0xdf, 0xff, 0xff, 0xff, 0xff]) // an object of 4e9
    corrupt([0, 0xdb, 0xff, 0xff, 0xff, 0xff, 1]) // a string of 4e9
    corrupt([0, 0xc6, 0xff, 0xff, 0xff, 0xff, 1]) // bytes of 4e9
    corrupt([0, 0xc9, 0xff, 0xff, 0xff, 0xff, 0x42, 1]) // an integer of 4e9 bytes
    corrupt([0, 0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1]) // a record definition
    corrupt([0, 0xd4, 0x65, 0, 0x91, 0xa7, ...Buffer.from('valueOf')]) // an error by name
    corrupt([0, 0xd6, 0x62, 0xff, 0xff, 0xff, 0xff]) // bundled strings
    corrupt([0, 0xd6, 0x01, 0, 0, 0, 0]) // a reference without a table
    corrupt([0, 0xc1])
    corrupt(new Uint8Array(100_000).fill(0x91).fill(0, 0, 1)) // an array in an array in an array …
    corrupt([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]) // 4e9 parts
    assert.throws(() => packer.partLengths(Uint8Array.from([1, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0])), {
      code: 'ERR_CORRUPT',
    })
  })

  it('never alias the memory they came in', () => {
    // Bytes outside a table, which no packer writes.
    const body = Uint8Array.from([0, 0xc4, 3, 1, 2, 3])
    const back = packer.unpack(body, []) as Uint8Array
    body.fill(9)
    assert.deepEqual([...back], [1, 2, 3])
  })

  it('refuses parts that do not fit the body', () => {
    const { body, parts } = packer.pack([new Uint8Array(1000)])
    for (const wrong of [[], [new Uint8Array(999)], [...parts, ...parts]]) {
      assert.throws(() => packer.unpack(body, wrong), { code: 'ERR_CORRUPT' })
    }
    assert.throws(() => packer.unpack(packer.pack(1).body, parts), { code: 'ERR_CORRUPT' })
  })

  it('reserve no memory that they do not bring', () => {
    // A sparse array of length 30 million with one item: fast elements would take 240 MB.
    const sparse: number[] = []
    sparse[30_000_000] = 1
    const { body } = packer.pack(sparse)
    const before = process.memoryUsage().heapUsed
    const back = packer.unpack(body, []) as number[]
    assert.equal(back.length, 30_000_001)
    assert.ok(process.memoryUsage().heapUsed - before < 50e6)
  })

  it('cost time in proportion to their length', () => {
    // The dearest entries there are: 20 000 errors, maps and regular expressions in few bytes each.
    const many = Array.from({ length: 60_000 }, (_, i) => [new Map(), /x/, new TypeError('')][i % 3])
    for (const error of many) if (error instanceof Error) error.stack = ''
    assert.equal(travel(many).length, 60_000)
  })

  it('fuzz: flipped bits, cut ends and random bytes give a value or an OnecopyError', () => {
    const seed = Number(process.env.ONECOPY_SEED ?? Date.now() % 1e9)
    console.log(`      seed ${seed}`)
    const next = random(seed)
    const hub: Record<string, unknown> = { list: [1, 'two', 3.5, -4n, undefined, null, 2n ** 99n] }
    Object.assign(hub, {
      hub,
      map: new Map([[hub, new Set([1])]]),
      when: new Date(5),
      like: /x+/g,
      why: new RangeError('r'),
    })
    Object.assign(hub, {
      bytes: new Uint8Array(20),
      doubles: new Float64Array(100),
      text: '\ud800',
      holes: Object.assign(new Array(3), { 2: 2 }),
    })
    const packed = [packer.pack({ id: 1, name: 'n', args: [1, 'x'.repeat(300)], opts: { a: -1.5 } }), packer.pack(hub)]
    let values = 0
    let errors = 0
    for (let round = 0; round < 20_000; round++) {
      const { body, parts } = packed[round % 2] as (typeof packed)[number]
      let bytes = Uint8Array.from(body)
      const how = next()
      if (how < 0.2) bytes = bytes.subarray(0, Math.floor(next() * bytes.length))
      else if (how < 0.3) bytes = bytes.map((byte, i) => (i === 0 ? byte : Math.floor(next() * 256)))
      else {
        for (let flips = 1 + Math.floor(next() * 3); flips > 0; flips--) {
          const at = Math.floor(next() * bytes.length)
          bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(next() * 8))
        }
      }
      try {
        packer.partLengths(bytes)
        packer.unpack(bytes, parts)
        values++
      } catch (error) {
        if (!(error instanceof OnecopyError)) throw error
        errors++
      }
    }
    assert.ok(values > 100 && errors > 100, `${values} values, ${errors} errors`)
    assert.equal(Object.keys(Object.prototype).length, 0)
    assert.deepEqual(travel({ still: 'fine' }), { still: 'fine' })
  })
})
