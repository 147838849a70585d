import assert from 'node:assert/strict'
import { VECTOR_PIECE_BYTES } from '../src/collectives/choose.js'
import { type Kernel, kernelFor } from '../src/collectives/kernels.js'
import { vectorAccumulatorFor, vectorKernelFor } from '../src/collectives/vector-kernels.js'
import { elementTypeOf } from '../src/element-type.js'
import { BAND, BOR, BXOR, LAND, LOR, LXOR, MAX, MAXLOC, MIN, MINLOC, Operation, PROD, SUM } from '../src/operation.js'

const NUMBER_KINDS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
] as const
const BIGINT_KINDS = [BigInt64Array, BigUint64Array] as const

/** What an element should become, by the language's own arithmetic on single elements. */
const NUMBER_RULES: readonly (readonly [Operation, (a: number, b: number) => number])[] = [
  [SUM, (a, b) => a + b],
  [MAX, Math.max],
  [MIN, Math.min],
  [LAND, (a, b) => Number(a !== 0 && b !== 0)],
  [LOR, (a, b) => Number(a !== 0 || b !== 0)],
  [LXOR, (a, b) => Number((a !== 0) !== (b !== 0))],
]
const BIT_RULES: readonly (readonly [Operation, (a: bigint, b: bigint) => bigint])[] = [
  [BAND, (a, b) => a & b],
  [BOR, (a, b) => a | b],
  [BXOR, (a, b) => a ^ b],
]
/** Odd and even lengths on both sides of the loops' step of four. */
const LENGTHS = [0, 1, 2, 3, 4, 5, 8, 11]

describe('operations', () => {
  describe('on typed arrays', () => {
    const numbers = [0, 1, 2, 3, 100, 120, 127, 0, 7, 64, 1]
    const others = [0, 0, 5, 3, 99, 120, 1, 8, 7, 3, 200]

    for (const kind of NUMBER_KINDS) {
      it(`${kind.name}: every operation gives what single elements give, as the array stores them`, () => {
        const isFloat = kind === Float32Array || kind === Float64Array
        for (const length of LENGTHS) {
          const a = kind.from(numbers.slice(0, length))
          const b = kind.from(others.slice(0, length))
          const rules = [...NUMBER_RULES, [PROD, (x: number, y: number) => x * y] as const]
          for (const [operation, rule] of rules) {
            const wanted = kind.from(Array.from(a, (element, i) => rule(element, b[i]!)))
            assert.deepEqual(operation.combine(a, b), wanted, operation.name)
            const accumulator = a.slice()
            operation.reduceInto(accumulator, b)
            assert.deepEqual(accumulator, wanted, operation.name)
          }
          for (const [operation, rule] of BIT_RULES) {
            if (isFloat) {
              assert.throws(() => operation.combine(a, b), TypeError)
              assert.throws(() => operation.reduceInto(a, b), /works on integers/)
              continue
            }
            const wanted = kind.from(Array.from(a, (element, i) => Number(rule(BigInt(element), BigInt(b[i]!)))))
            assert.deepEqual(operation.combine(a, b), wanted, operation.name)
          }
        }
      })
    }

    for (const kind of BIGINT_KINDS) {
      it(`${kind.name}: every operation gives what single elements give`, () => {
        for (const length of LENGTHS) {
          const a = kind.from(numbers.slice(0, length).map(BigInt))
          const b = kind.from(others.slice(0, length).map(BigInt))
          for (const [operation, rule] of NUMBER_RULES) {
            const wanted = kind.from(Array.from(a, (element, i) => BigInt(rule(Number(element), Number(b[i]!)))))
            assert.deepEqual(operation.combine(a, b), wanted, operation.name)
          }
          for (const [operation, rule] of BIT_RULES) {
            assert.deepEqual(operation.combine(a, b), kind.from(Array.from(a, (x, i) => rule(x, b[i]!))))
          }
        }
      })
    }

    it('integers wrap around exactly, products of 32 and 64 bits too', () => {
      const words = PROD.combine(Int32Array.of(0x7fffffff, -3), Int32Array.of(0x7fffffff, 0x55555555)) as Int32Array
      assert.deepEqual([...words], [1, -0xffffffff | 0])
      assert.deepEqual(PROD.combine(Uint32Array.of(0xffffffff), Uint32Array.of(0xffffffff)), Uint32Array.of(1))
      assert.deepEqual(SUM.combine(Int8Array.of(127), Int8Array.of(1)), Int8Array.of(-128))
      assert.deepEqual(SUM.combine(Uint8ClampedArray.of(200), Uint8ClampedArray.of(100)), Uint8ClampedArray.of(255))
      const wide = BigUint64Array.of(2n ** 63n)
      assert.deepEqual(PROD.combine(wide, BigUint64Array.of(3n)), BigUint64Array.of(2n ** 63n))
    })

    it('MAX and MIN do not depend on the order for NaN and -0', () => {
      for (const operation of [MAX, MIN]) {
        const a = Float64Array.of(NaN, 1, 0, -0)
        const b = Float64Array.of(1, NaN, -0, 0)
        const zero = operation === MAX ? 0 : -0
        for (const result of [operation.combine(a, b), operation.combine(b, a)]) {
          assert.deepEqual(Array.from(result as Float64Array), [NaN, NaN, zero, zero])
        }
      }
    })

    it('MAXLOC and MINLOC work on interleaved pairs, lowest index among equals, NaN first, in either order', () => {
      const a = Float64Array.of(1, 10, 5, 11, NaN, 12, 2, 13, NaN, 14)
      const b = Float64Array.of(3, 20, 5, 9, 7, 22, NaN, 23, NaN, 4)
      const largest = Float64Array.of(3, 20, 5, 9, NaN, 12, NaN, 23, NaN, 4)
      const smallest = Float64Array.of(1, 10, 5, 9, NaN, 12, NaN, 23, NaN, 4)
      assert.deepEqual(MAXLOC.combine(a, b), largest)
      assert.deepEqual(MAXLOC.combine(b, a), largest)
      assert.deepEqual(MINLOC.combine(a, b), smallest)
      assert.deepEqual(MINLOC.combine(b, a), smallest)
      assert.deepEqual(MAXLOC.combine(BigInt64Array.of(4n, 2n), BigInt64Array.of(4n, 1n)), BigInt64Array.of(4n, 1n))
      assert.throws(() => MAXLOC.combine(Int32Array.of(1), Int32Array.of(1)), /odd/)
    })

    it('a Buffer counts as a Uint8Array and stays a Buffer', () => {
      const sum = SUM.combine(Buffer.of(1, 2), Uint8Array.of(3, 255))
      assert.ok(Buffer.isBuffer(sum))
      assert.deepEqual([...sum], [4, 1])
    })

    it('refuses arrays of two kinds or lengths, before anything is written', () => {
      for (const operation of [SUM, Operation.create((a: number) => a)]) {
        const accumulator = Int32Array.of(1, 2)
        assert.throws(() => operation.reduceInto(accumulator, Int32Array.of(1)), /2 elements here, 1 there/)
        assert.throws(() => operation.reduceInto(accumulator, Float32Array.of(1, 2) as never), /Int32Array here/)
        assert.deepEqual(accumulator, Int32Array.of(1, 2))
      }
    })

    describe('long ones, over WebAssembly and over the plain loop', () => {
      const OPERATIONS = ['SUM', 'PROD', 'MIN', 'MAX'] as const
      const KINDS = [Float64Array, Float32Array, Int32Array] as unknown as readonly Float64ArrayConstructor[]
      const scope = globalThis as { WebAssembly?: unknown }
      const webAssembly = scope.WebAssembly
      afterEach(() => {
        scope.WebAssembly = webAssembly
      })
      /** Around every multiple of what a turn, a piece and the threshold are. */
      const lengths = (bytesPerElement: number) =>
        [64, 2048, 4096, VECTOR_PIECE_BYTES, 3 * VECTOR_PIECE_BYTES].flatMap((bytes) =>
          [-1, 0, 1].map((more) => bytes / bytesPerElement + more),
        )
      const awkward = (bytesPerElement: number, seed: number) => {
        const special = [
          0,
          -0,
          Number.NaN,
          Infinity,
          -Infinity,
          1e300,
          -1e-300,
          5e-324,
          2 ** 31 - 1,
          -(2 ** 31),
          16777217,
        ]
        return (_: unknown, i: number) =>
          (i * seed) % 5 === 0 ? special[(i * seed * bytesPerElement) % special.length]! : Math.sin(i * seed) * 2 ** 33
      }

      /** By Object.is: zeros have their sign, and a NaN is a NaN. Which bits it has, JavaScript does not promise. */
      const assertSameElements = (actual: Float64Array, wanted: Float64Array, what: string) =>
        assert.deepEqual([...actual], [...wanted], what)

      for (const without of [false, true]) {
        const how = without ? 'without WebAssembly' : 'with WebAssembly'
        for (const kind of KINDS) {
          it(`${kind.name} ${how}: every element as Math and the array make it, and nothing behind`, () => {
            if (without) delete scope.WebAssembly
            const size = kind.BYTES_PER_ELEMENT
            for (const name of OPERATIONS) {
              const type = elementTypeOf(new kind(1))
              assert.equal(vectorKernelFor(name, type) === null, without)
              const kernel = kernelFor(name, type)!
              const rule = {
                SUM: (a: number, b: number) => a + b,
                PROD: kind.name === 'Int32Array' ? Math.imul : (a: number, b: number) => a * b,
                MIN: Math.min,
                MAX: Math.max,
              }[name]
              for (const length of lengths(size)) {
                const a = kind.from({ length }, awkward(size, 3))
                const b = kind.from({ length }, awkward(size, 7))
                const wanted = kind.from(a, (element, i) => rule(element, b[i]!))
                const room = new kind(length + 2).fill(77)
                const out = room.subarray(1, length + 1)
                kernel(out, a, b, length)
                assertSameElements(out, wanted, `${name} of ${length}`)
                assert.deepEqual([room[0], room[length + 1]], [77, 77])
                kernel(b, a, b, length)
                assertSameElements(b, wanted, `${name} of ${length} into its second operand`)
              }
            }
          })
        }
      }

      it('where a memory of WebAssembly is refused, the plain loop serves', () => {
        scope.WebAssembly = {
          Module: class {},
          Instance: class {
            constructor() {
              throw new RangeError('WebAssembly.Instance(): Out of memory')
            }
          },
        }
        assert.equal(vectorKernelFor('SUM', elementTypeOf(new Float64Array(1))), null)
        const a = new Float64Array(5000).fill(1)
        kernelFor('SUM', elementTypeOf(a))!(a, a, a, a.length)
        assert.ok(a.every((element) => element === 2))
      })

      it('where no more than its first page is to be had, arrays are combined two by two', () => {
        scope.WebAssembly = {
          Module: class {},
          Instance: class {
            readonly exports = {
              memory: {
                buffer: new ArrayBuffer(65536),
                grow: () => {
                  throw new RangeError('WebAssembly.Memory.grow(): Maximum memory size exceeded')
                },
              },
            }
          },
        }
        assert.equal(vectorAccumulatorFor('SUM', elementTypeOf(new Float64Array(1)), 65536), null)
      })

      it('combines into an array that is only a part of its operands', () => {
        const kernel = kernelFor('SUM', elementTypeOf(new Float64Array(1)))!
        const [a, b] = [new Float64Array(3000).fill(1), new Float64Array(3000).fill(2)]
        kernel(a, a, b, 600)
        assert.deepEqual([a[599], a[600]], [3, 1])
      })
    })

    it('gives the same where code generation is forbidden', () => {
      const generated = globalThis.Function
      const names = [
        'SUM',
        'PROD',
        'MAX',
        'MIN',
        'LAND',
        'LOR',
        'LXOR',
        'BAND',
        'BOR',
        'BXOR',
        'MAXLOC',
        'MINLOC',
      ] as const
      let refused = 0
      class Forbidden {
        constructor() {
          refused++
          throw new EvalError('Code generation from strings disallowed for this context')
        }
      }
      for (const array of [Int32Array.of(5, -3, 0, 7, 9, 1), BigInt64Array.of(5n, -3n, 0n, 7n, 9n, 1n)]) {
        const other = array.slice().reverse()
        for (const name of names) {
          const compiled = kernelFor(name, elementTypeOf(array))!
          let general: Kernel
          try {
            globalThis.Function = Forbidden as unknown as FunctionConstructor
            general = kernelFor(name, elementTypeOf(array))!
          } finally {
            globalThis.Function = generated
          }
          assert.ok(refused > 0, `${name} asks for no code`)
          refused = 0
          const results = [compiled, general].map((kernel) => {
            const out = array.slice()
            kernel(out, out, other, out.length)
            return out
          })
          assert.deepEqual(results[1], results[0], name)
        }
      }
    })
  })

  describe('on arrays that a turn of the plain loop ends in, or begins behind', () => {
    // elements, around where the long loop begins, and whole turns of it
    const LENGTHS = [1, 3, 4, 5, 15, 16, 17, 63, 64, 65, 79, 80, 81, 95, 96, 97, 500]
    for (const kind of [...NUMBER_KINDS, ...BIGINT_KINDS]) {
      it(`every element is combined, and nothing behind: ${kind.name}`, () => {
        for (const length of LENGTHS) {
          const value = (number: number) => (kind.name.startsWith('Big') ? BigInt(number) : number) as never
          const [a, b] = [new kind(length + 20), new kind(length + 20)]
          for (let i = 0; i < a.length; i++) {
            a[i] = value((i * 7) % 11)
            b[i] = value((i * 5) % 13)
          }
          for (const [name, combine] of [
            ['SUM', (x: number, y: number) => x + y],
            ['MAX', Math.max],
            ['LXOR', (x: number, y: number) => Number(!x !== !y)],
          ] as const) {
            const out = new kind(length + 20).fill(value(99))
            kernelFor(name, elementTypeOf(out))!(out as never, a as never, b as never, length)
            for (let i = 0; i < length + 20; i++) {
              const wanted = i < length ? combine((i * 7) % 11, (i * 5) % 13) : 99
              assert.equal(Number(out[i]), wanted, `${name} of ${length}, element ${i}`)
            }
          }
        }
      })
    }
  })

  describe('on values', () => {
    it('built-in operations combine numbers, bigints, booleans and pairs', () => {
      assert.equal(SUM.combine(2, 0.5), 2.5)
      assert.equal(SUM.combine(2n ** 70n, 1n), 2n ** 70n + 1n)
      assert.equal(PROD.combine(6, 7), 42)
      assert.equal(MAX.combine(3n, 10n), 10n)
      assert.equal(MIN.combine(3, -1), -1)
      assert.equal(LAND.combine(true, false), false)
      assert.equal(LOR.combine(0, 5), 1)
      assert.equal(LXOR.combine(2n, 3n), 0n)
      assert.equal(BAND.combine(0b1100, 0b1010), 0b1000)
      assert.equal(BXOR.combine(-1, 1), -2)
      assert.equal(BOR.combine(2n ** 40n, 1n), 2n ** 40n + 1n)
      assert.deepEqual(MAXLOC.combine([2, 1], [2, 0]), [2, 0])
      assert.deepEqual(MINLOC.combine([2, 1], [3, 0]), [2, 1])
    })

    it('refuse what they have no meaning for, and say what to do instead', () => {
      assert.throws(() => SUM.combine('a', 'b'), { name: 'TypeError', message: /Operation\.create/ })
      assert.throws(() => SUM.combine(true, true), TypeError)
      assert.throws(() => MAX.combine([1], [2]), TypeError)
      assert.throws(() => SUM.combine(1, 1n), { name: 'TypeError', message: /number here, bigint there/ })
      assert.throws(() => BAND.combine(1.5, 1), { name: 'TypeError', message: /bigint/ })
      assert.throws(() => BOR.combine(2 ** 31, 1), TypeError)
      assert.throws(() => BAND.combine(true, true), { name: 'TypeError', message: /LAND/ })
      assert.throws(() => MAXLOC.combine(1, 2), { name: 'TypeError', message: /\[value, index\]/ })
      assert.throws(() => SUM.combine(new DataView(new ArrayBuffer(8)), new DataView(new ArrayBuffer(8))), TypeError)
    })
  })

  describe('of the user', () => {
    it('are not commutative, and work element by element, unless they say so', () => {
      const first = Operation.create((a: number) => a)
      assert.equal(first.commutative, false)
      assert.deepEqual(first.combine(Float32Array.of(1, 2), Float32Array.of(3, 4)), Float32Array.of(1, 2))
      assert.equal(Operation.create((a, b) => a + b, { commutative: true }).commutative, true)
      assert.equal(Operation.create((a, b) => a + b, { name: 'plus' }).name, 'plus')
    })

    it('get whole typed arrays when elementwise is false, in values and in memory', () => {
      const reversed = Operation.create((a: Int8Array, b: Int8Array) => a.map((x, i) => x - b[b.length - 1 - i]!), {
        elementwise: false,
      })
      assert.deepEqual(reversed.combine(Int8Array.of(9, 8), Int8Array.of(1, 2)), Int8Array.of(7, 7))
      const accumulator = Int8Array.of(9, 8)
      reversed.reduceInto(accumulator, Int8Array.of(1, 2))
      assert.deepEqual(accumulator, Int8Array.of(7, 7))
    })

    it('must give what was combined', () => {
      const numbers = Operation.create(() => 'text')
      assert.throws(() => numbers.reduceInto(Int8Array.of(1), Int8Array.of(1)), /must give a number/)
      const arrays = Operation.create(() => 5, { elementwise: false })
      assert.throws(() => arrays.reduceInto(Int8Array.of(1), Int8Array.of(1)), /must give a Int8Array/)
      assert.throws(() => Operation.create('+' as never), TypeError)
    })
  })
})
