import assert from 'node:assert/strict'
import {
  allreduce,
  allreduceInto,
  exscanInto,
  reduce,
  reduceInto,
  reduceScatterInto,
  scan,
  scanInto,
  type TypedArray,
} from '../src/collectives/index.js'
import { BAND, BOR, BXOR, LAND, LOR, LXOR, MAX, MAXLOC, MIN, MINLOC, Operation, PROD, SUM } from '../src/operation.js'
import { KINDS, type Kind } from './support/kinds.js'
import { SimulatedRanks } from './support/simulated-exchange.js'

const SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9]
const SEED = Number(process.env.ONECOPY_SEED ?? Math.floor(Math.random() * 2 ** 31))

/**
 * What two elements become, in exact integers. The array then keeps of it what its kind keeps: the low bits (clamped for
 * Uint8ClampedArray, rounded for floats, which these small numbers never need).
 */
const RULES: readonly (readonly [Operation, (a: bigint, b: bigint) => bigint])[] = [
  [SUM, (a, b) => a + b],
  [PROD, (a, b) => a * b],
  [MAX, (a, b) => (a > b ? a : b)],
  [MIN, (a, b) => (a < b ? a : b)],
  [LAND, (a, b) => (a !== 0n && b !== 0n ? 1n : 0n)],
  [LOR, (a, b) => (a !== 0n || b !== 0n ? 1n : 0n)],
  [LXOR, (a, b) => ((a !== 0n) !== (b !== 0n) ? 1n : 0n)],
  [BAND, (a, b) => a & b],
  [BOR, (a, b) => a | b],
  [BXOR, (a, b) => a ^ b],
]

function upTo<T>(count: number, of: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => of(index))
}

/** One element as the array stores it, as an exact integer again. */
function stored(kind: Kind, value: bigint): bigint {
  if (kind.name === 'Uint8ClampedArray') return value < 0n ? 0n : value > 255n ? 255n : value
  if (kind.isFloat) return value
  const bits = 8 * kind.elementBytes
  return kind.name.includes('Uint') ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value)
}

function arrayOf(kind: Kind, values: readonly bigint[]): TypedArray {
  return kind.constructor.from(kind.isBigInt ? values : values.map(Number))
}

function elements(array: TypedArray): bigint[] {
  return Array.from(array as Iterable<number | bigint>, BigInt)
}

/** Elements that show wrap-around in every integer kind, zeros for the logical operations; small for floats. */
function valueAt(kind: Kind, rank: number, index: number): bigint {
  if (index % 5 === 4) return 0n
  if (kind.isFloat) return BigInt(1 + ((rank + index) % 2))
  const bits = 8 * kind.elementBytes
  return stored(kind, 2n ** BigInt(bits - 1) - BigInt(1 + rank + (index % 3) * 3))
}

describe(`operations in collectives (ONECOPY_SEED=${SEED})`, () => {
  for (const kind of KINDS) {
    it(`${kind.name}: every built-in operation, in every reduction, wraps as the array’s elements do`, function () {
      if (kind.missing) {
        Object.assign(this.test ?? {}, { skipReason: `this Node has no ${kind.name}` })
        this.skip()
      }
      const long = Math.ceil((64 * 1024) / kind.elementBytes) + 3
      for (const [op, rule] of RULES) {
        for (const [size, length] of [...SIZES.map((n) => [n, 7] as const), [2, long] as const, [3, long] as const]) {
          const given = upTo(size, (rank) =>
            arrayOf(
              kind,
              upTo(length, (i) => valueAt(kind, rank, i)),
            ),
          )
          if (kind.isFloat && [BAND, BOR, BXOR].includes(op)) {
            assert.throws(() => op.checkArray(given[0]!), TypeError)
            continue
          }
          const prefixes: bigint[][] = []
          for (const array of given) {
            const before = prefixes.at(-1)
            const own = elements(array)
            prefixes.push(before === undefined ? own : own.map((b, i) => stored(kind, rule(before[i]!, b))))
          }
          const total = prefixes.at(-1)!
          const what = `${op.name} on ${size} ranks, ${length} elements`
          const run = (into: (rank: number) => TypedArray, start: Parameters<SimulatedRanks['run']>[0]) => {
            new SimulatedRanks(size, SEED).run(start)
            return upTo(size, (rank) => elements(into(rank)))
          }
          const outs = () => upTo(size, () => new kind.constructor(length) as TypedArray)

          let out = outs()
          for (const result of run(
            (rank) => out[rank]!,
            (e) => allreduceInto(e, given[e.rank]!, out[e.rank]!, op),
          )) {
            assert.deepEqual(result, total, what)
          }
          out = outs()
          const root = size - 1
          run(
            (rank) => out[rank]!,
            (e) => reduceInto(e, given[e.rank]!, e.rank === root ? out[root]! : null, op, root),
          )
          assert.deepEqual(elements(out[root]!), total, what)
          if (length !== long) {
            out = outs()
            assert.deepEqual(
              run(
                (rank) => out[rank]!,
                (e) => scanInto(e, given[e.rank]!, out[e.rank]!, op),
              ),
              prefixes,
              what,
            )
            out = outs()
            assert.deepEqual(
              run(
                (rank) => out[rank]!,
                (e) => exscanInto(e, given[e.rank]!, out[e.rank]!, op),
              ).slice(1),
              prefixes.slice(0, -1),
              what,
            )
          }
          const counts = upTo(size, (rank) => (rank === 0 ? length : 0))
          const pieces = upTo(size, (rank) => new kind.constructor(counts[rank]) as TypedArray)
          run(
            (rank) => pieces[rank]!,
            (e) => reduceScatterInto(e, given[e.rank]!, pieces[e.rank]!, op, { counts }),
          )
          assert.deepEqual(elements(pieces[0]!), total, what)
        }
      }
    })

    it(`${kind.name}: MAXLOC and MINLOC on interleaved pairs, the lowest index among equals`, function () {
      if (kind.missing) {
        Object.assign(this.test ?? {}, { skipReason: `this Node has no ${kind.name}` })
        this.skip()
      }
      for (const size of SIZES) {
        for (const [op, best] of [
          [MAXLOC, Math.max],
          [MINLOC, Math.min],
        ] as const) {
          const extremeOf = (rank: number, pair: number) => ((rank + pair) * 3) % 4
          const given = upTo(size, (rank) =>
            arrayOf(
              kind,
              upTo(10, (i) => BigInt(i % 2 === 0 ? extremeOf(rank, i >> 1) : rank)),
            ),
          )
          for (const result of new SimulatedRanks(size, SEED).run((e) => allreduce(e, given[e.rank]!, op))) {
            for (let pair = 0; pair < 5; pair++) {
              const values = upTo(size, (rank) => extremeOf(rank, pair))
              const wanted = best(...values)
              assert.deepEqual(
                elements(result).slice(2 * pair, 2 * pair + 2),
                [BigInt(wanted), BigInt(values.indexOf(wanted))],
                `${op.name} on ${size} ranks`,
              )
            }
          }
        }
      }
    })
  }

  it('values: booleans stay booleans in logical operations, numbers become 1 or 0, bigints 1n or 0n', () => {
    for (const size of SIZES) {
      const cases: readonly (readonly [Operation, (rank: number) => unknown, unknown])[] = [
        [LAND, (rank) => rank !== 1, size === 1],
        [LAND, () => true, true],
        [LOR, (rank) => rank === size - 1, true],
        [LOR, () => false, false],
        [LXOR, () => true, size % 2 === 1],
        [LAND, (rank) => rank + 1, 1],
        [LOR, () => 0n, 0n],
        [LXOR, () => 5n, BigInt(size % 2)],
      ]
      for (const [op, of, wanted] of cases) {
        for (const result of new SimulatedRanks(size, SEED).run((e) => allreduce(e, of(e.rank), op))) {
          // a lone rank's value was combined with nothing
          if (size > 1 || typeof wanted === 'boolean') assert.equal(result, wanted, `${op.name} on ${size} ranks`)
        }
      }
    }
  })

  it('values: a sum, product, extreme or bits of booleans is refused, as in MPI, with what to do instead', () => {
    for (const op of [SUM, PROD, MAX, MIN, BAND, BOR, BXOR]) {
      assert.throws(() => op.checkValue(true), { name: 'TypeError', message: /LAND, LOR or LXOR/ }, op.name)
    }
    for (const op of [SUM, PROD, MAX, MIN]) assert.throws(() => op.checkValue(true), /Number\(/, op.name)
  })

  it('values: pairs [value, index] of numbers and bigints, the lowest index among equals', () => {
    for (const size of SIZES) {
      for (const result of new SimulatedRanks(size, SEED).run((e) => allreduce(e, [5n, size - e.rank], MAXLOC))) {
        assert.deepEqual(result, [5n, 1])
      }
      const [smallest] = new SimulatedRanks(size, SEED).run((e) => reduce(e, [(e.rank + 1) % 3, e.rank], MINLOC, 0))
      assert.deepEqual(smallest, size >= 3 ? [0, 2] : [1, 0])
    }
  })

  it('an operation that is not elementwise gets whole arrays in rank order, in scans too', () => {
    const of = (rank: number) => Int32Array.of(rank % 3, rank)
    // the later first element, the sum of the second ones
    const associative = Operation.create((a: Int32Array, b: Int32Array) => Int32Array.of(b[0]!, a[1]! + b[1]!), {
      elementwise: false,
    })
    for (const size of SIZES) {
      const results = new SimulatedRanks(size, SEED).run((e) => scan(e, of(e.rank), associative))
      for (const [rank, result] of results.entries()) {
        assert.deepEqual(result, Int32Array.of(rank % 3, (rank * (rank + 1)) / 2))
      }
    }
  })
})
