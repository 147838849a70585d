import assert from 'node:assert/strict'
import {
  allreduce,
  allreduceInto,
  exscan,
  exscanInto,
  reduce,
  reduceInto,
  scan,
  scanInto,
} from '../src/collectives/index.js'
import { IN_PLACE } from '../src/constants.js'
import { MAX, MAXLOC, Operation, SUM } from '../src/operation.js'
import type { Exchange, Schedule } from '../src/schedule.js'
import { Guarded } from './support/guarded.js'
import { randomFrom, SimulatedRanks } from './support/simulated-exchange.js'

const SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9]
const SEED = Number(process.env.ONECOPY_SEED ?? Math.floor(Math.random() * 2 ** 31))

/** Strings: associative, and every order shows. */
const CONCAT = Operation.create((a: string, b: string) => a + b)

/** Maps x → m·x + c modulo 13, packed in one small number m·13 + c: their composition depends on the order. */
const COMPOSE = Operation.create((f: number, g: number) => {
  const m = Math.floor(f / 13) * Math.floor(g / 13)
  const c = Math.floor(g / 13) * (f % 13) + (g % 13)
  return (m % 13) * 13 + (c % 13)
})

type Matrix = readonly [number, number, number, number]
function product(a: ArrayLike<number>, b: ArrayLike<number>): number[] {
  return [
    a[0]! * b[0]! + a[1]! * b[2]!,
    a[0]! * b[1]! + a[1]! * b[3]!,
    a[2]! * b[0]! + a[3]! * b[2]!,
    a[2]! * b[1]! + a[3]! * b[3]!,
  ].map((entry) => entry % 10007)
}
const PRODUCT = Operation.create((a: Matrix, b: Matrix) => product(a, b) as unknown as Matrix)
const ARRAY_PRODUCT = Operation.create((a: Float64Array, b: Float64Array) => Float64Array.from(product(a, b)), {
  elementwise: false,
})
const UNION = Operation.create((a: Set<number>, b: Set<number>) => new Set([...a, ...b]), { commutative: true })

function matrixOf(rank: number): Matrix {
  return [rank + 1, 2, rank % 3, rank + 5]
}

function forEachSize(check: (size: number, ranks: () => SimulatedRanks) => void): void {
  for (const size of SIZES) check(size, () => new SimulatedRanks(size, SEED + size))
}

function upTo<T>(count: number, of: (rank: number) => T): T[] {
  return Array.from({ length: count }, (_, rank) => of(rank))
}

interface ValueCase {
  readonly name: string
  readonly op: Operation
  readonly of: (rank: number) => unknown
  readonly wanted: (ranks: number) => unknown
}

const VALUE_CASES: readonly ValueCase[] = [
  { name: 'numbers', op: SUM, of: (rank) => rank + 1, wanted: (n) => (n * (n + 1)) / 2 },
  { name: 'bigints', op: MAX, of: (rank) => BigInt(rank * 5), wanted: (n) => BigInt((n - 1) * 5) },
  { name: 'pairs', op: MAXLOC, of: (rank) => [rank >> 1, rank], wanted: (n) => [(n - 1) >> 1, ((n - 1) >> 1) * 2] },
  { name: 'strings in order', op: CONCAT, of: (rank) => `${rank},`, wanted: (n) => upTo(n, (r) => `${r},`).join('') },
  {
    name: 'matrices in order',
    op: PRODUCT,
    of: matrixOf,
    wanted: (n) => upTo(n, matrixOf).reduce((a, b) => product(a, b) as unknown as Matrix),
  },
  {
    name: 'matrices in typed arrays',
    op: ARRAY_PRODUCT,
    of: (rank) => Float64Array.from(matrixOf(rank)),
    wanted: (n) => Float64Array.from(upTo(n, matrixOf).reduce((a, b) => product(a, b) as unknown as Matrix)),
  },
  { name: 'sets', op: UNION, of: (rank) => new Set([rank]), wanted: (n) => new Set(upTo(n, (r) => r)) },
  {
    name: 'typed arrays',
    op: SUM,
    of: (rank) => Float32Array.of(rank, 1),
    wanted: (n) => Float32Array.of((n * (n - 1)) / 2, n),
  },
  { name: 'Buffers', op: MAX, of: (rank) => Buffer.of(rank, 9 - rank), wanted: (n) => Buffer.of(n - 1, 9) },
  {
    name: 'typed arrays in order',
    op: COMPOSE,
    of: (rank) => Uint8Array.of(14 + rank * 15, 20 + rank),
    wanted: (n) => upTo(n, (r) => Uint8Array.of(14 + r * 15, 20 + r)).reduce((a, b) => COMPOSE.combine(a, b) as never),
  },
  { name: 'empty typed arrays', op: SUM, of: () => new Int32Array(0), wanted: () => new Int32Array(0) },
]

describe(`collectives that reduce (ONECOPY_SEED=${SEED})`, () => {
  for (const { name, op, of, wanted } of VALUE_CASES) {
    it(`reduce, allreduce, scan and exscan combine ${name}`, () => {
      forEachSize((size, ranks) => {
        for (let root = 0; root < size; root++) {
          const results = ranks().run((exchange) => reduce(exchange, of(exchange.rank), op, root))
          for (const [rank, result] of results.entries()) {
            assert.deepEqual(result, rank === root ? wanted(size) : undefined)
          }
        }
        for (const result of ranks().run((exchange) => allreduce(exchange, of(exchange.rank), op))) {
          assert.deepEqual(result, wanted(size))
        }
        for (const [rank, result] of ranks()
          .run((exchange) => scan(exchange, of(exchange.rank), op))
          .entries()) {
          assert.deepEqual(result, wanted(rank + 1))
        }
        for (const [rank, result] of ranks()
          .run((exchange) => exscan(exchange, of(exchange.rank), op))
          .entries()) {
          assert.deepEqual(result, rank === 0 ? undefined : wanted(rank))
        }
      })
    })
  }

  it('a typed array comes back in memory of its own, also from a lone rank', () => {
    const data = Float64Array.of(1, 2)
    const [all] = new SimulatedRanks(1, SEED).run((exchange) => allreduce(exchange, data, SUM))
    const [scanned] = new SimulatedRanks(1, SEED).run((exchange) => scan(exchange, data, SUM))
    const [reduced] = new SimulatedRanks(1, SEED).run((exchange) => reduce(exchange, data, SUM, 0))
    for (const result of [all, scanned, reduced]) {
      assert.deepEqual(result, data)
      assert.notEqual(result, data)
    }
  })

  /** Lengths in elements around the thresholds, for elements of 8 bytes. */
  function lengthsFor(size: number): number[] {
    const threshold = Math.max(32 * 1024, size * 4096) / 8
    return [0, 1, 2, size - 1, size + 1, 1000, threshold - 1, threshold, threshold + 1, 2 * threshold + 3]
  }

  interface IntoCase {
    readonly name: string
    readonly op: Operation
    readonly at: (rank: number, index: number) => number
  }

  const INTO_CASES: readonly IntoCase[] = [
    { name: 'SUM', op: SUM, at: (rank, index) => (rank + 1) * (index % 1000) },
    { name: 'a non-commutative operation', op: COMPOSE, at: (rank, index) => (rank * 31 + index * 7 + 13) % 169 },
  ]

  type Into = (
    exchange: Exchange,
    send: Float64Array | typeof IN_PLACE,
    recv: Float64Array,
    op: Operation,
  ) => Schedule<void>

  /** Runs one collective on guarded memory; checks the send memory and the canaries; gives every rank's recv. */
  function runInto(size: number, length: number, at: IntoCase['at'], op: Operation, inPlace: boolean, into: Into) {
    const sends = upTo(size, (rank) => {
      const send = new Guarded(Float64Array, length)
      for (let i = 0; i < length; i++) send.view[i] = at(rank, i)
      return send
    })
    const recvs = upTo(size, () => new Guarded(Float64Array, length))
    if (inPlace) for (let rank = 0; rank < size; rank++) recvs[rank]!.view.set(sends[rank]!.view)
    else for (const { view } of recvs) view.fill(-7)
    const world = new SimulatedRanks(size, SEED + length)
    world.run((exchange) => {
      const { rank } = exchange
      return into(exchange, inPlace ? IN_PLACE : sends[rank]!.view, recvs[rank]!.view, op)
    })
    for (let rank = 0; rank < size; rank++) {
      sends[rank]!.check()
      recvs[rank]!.check()
      assert.ok(
        sends[rank]!.view.every((element, i) => element === at(rank, i)),
        'send was changed',
      )
    }
    return recvs.map(({ view }) => view)
  }

  function sequential(ranks: number, length: number, { at, op }: IntoCase): Float64Array {
    const result = new Float64Array(length)
    for (let i = 0; i < length; i++) {
      result[i] = upTo(ranks, (rank) => at(rank, i)).reduce((a, b) => op.combine(a, b) as number)
    }
    return result
  }

  function same(actual: Float64Array, wanted: Float64Array, what: string): void {
    const at = wanted.findIndex((element, index) => !Object.is(element, actual[index]))
    if (at >= 0 || actual.length !== wanted.length)
      assert.fail(`${what}: element ${at} is ${actual[at]}, not ${wanted[at]}`)
  }

  for (const each of INTO_CASES) {
    for (const inPlace of [false, true]) {
      const how = `${each.name}${inPlace ? ', IN_PLACE' : ''}`

      it(`allreduceInto: ${how}`, () => {
        for (const size of SIZES) {
          for (const length of lengthsFor(size)) {
            const wanted = sequential(size, length, each)
            for (const recv of runInto(size, length, each.at, each.op, inPlace, allreduceInto)) {
              same(recv, wanted, `${size} ranks, ${length} elements`)
            }
          }
        }
      })

      it(`reduceInto: ${how}, every root`, () => {
        for (const size of SIZES) {
          for (const length of lengthsFor(size)) {
            const wanted = sequential(size, length, each)
            const roots = length <= 10 ? [...Array(size).keys()] : [...new Set([0, size >> 1, size - 1])]
            for (const root of roots) {
              const recvs = runInto(size, length, each.at, each.op, inPlace, (exchange, send, recv, op) =>
                exchange.rank === root
                  ? reduceInto(exchange, send, recv, op, root)
                  : reduceInto(exchange, send === IN_PLACE ? recv : send, null, op, root),
              )
              same(recvs[root]!, wanted, `${size} ranks, ${length} elements, root ${root}`)
            }
          }
        }
      })

      it(`scanInto and exscanInto: ${how}`, () => {
        for (const size of SIZES) {
          for (const length of [0, 1, 17, 1000]) {
            const scanned = runInto(size, length, each.at, each.op, inPlace, scanInto)
            const before = runInto(size, length, each.at, each.op, inPlace, exscanInto)
            for (let rank = 0; rank < size; rank++) {
              same(scanned[rank]!, sequential(rank + 1, length, each), `scan, rank ${rank} of ${size}`)
              if (rank > 0) same(before[rank]!, sequential(rank, length, each), `exscan, rank ${rank} of ${size}`)
            }
            const untouched = new Float64Array(length).map((_, i) => (inPlace ? each.at(0, i) : -7))
            same(before[0]!, untouched, 'exscan leaves recv alone on rank 0')
          }
        }
      })
    }
  }

  it('every rank gets the same bits, whatever the order of arrival', () => {
    const random = randomFrom(SEED)
    for (const size of SIZES) {
      for (const length of [3, 5000]) {
        const parts = upTo(size, () => Float64Array.from({ length }, () => (random() - 0.5) * 10 ** (30 * random())))
        const outcomes = new Set<string>()
        for (let seed = 0; seed < 5; seed++) {
          for (const result of new SimulatedRanks(size, seed).run((e) => allreduce(e, parts[e.rank]!, SUM))) {
            outcomes.add(Buffer.from(result.buffer).toString('base64'))
          }
        }
        assert.equal(outcomes.size, 1)
      }
    }
  })

  it('pairs stay together when the array is cut in pieces', () => {
    forEachSize((size, ranks) => {
      const pairs = 2500 * size + 1
      const results = ranks().run((exchange) => {
        const data = new Float64Array(2 * pairs)
        for (let i = 0; i < pairs; i++) data.set([(exchange.rank * 7 + i) % size, exchange.rank], 2 * i)
        return allreduce(exchange, data, MAXLOC)
      })
      for (const result of results) {
        for (let i = 0; i < pairs; i++) {
          const owner = upTo(size, (r) => r).find((rank) => (rank * 7 + i) % size === result[2 * i])
          assert.equal(result[2 * i + 1], owner)
        }
      }
    })
  })

  it('two ranks exchange one message each for a short allreduce', () => {
    const world = new SimulatedRanks(2, SEED)
    world.run((exchange) => allreduceInto(exchange, Float64Array.of(1), new Float64Array(1), SUM))
    assert.deepEqual(world.messages, [1, 1])
    assert.deepEqual(world.bytes, [8, 8])
  })

  it('a rank sends ceil(log2(size)) messages or fewer in a short reduction, about twice its memory in a long one', () => {
    forEachSize((size, ranks) => {
      const steps = Math.ceil(Math.log2(size))
      const reducing = ranks()
      reducing.run((exchange) => reduce(exchange, Float64Array.of(1), SUM, size - 1))
      assert.ok(Math.max(...reducing.messages) <= 1)
      const scanning = ranks()
      scanning.run((exchange) => scan(exchange, 1, SUM))
      assert.ok(Math.max(...scanning.messages) <= steps)
      const all = ranks()
      all.run((exchange) => allreduce(exchange, Float64Array.of(1), SUM))
      assert.ok(Math.max(...all.messages) <= Math.floor(Math.log2(size)) + 1)
      const bytes = 8 * 10_000 * size
      const long = ranks()
      long.run((exchange) => allreduce(exchange, new Float64Array(bytes / 8), SUM))
      assert.ok(Math.max(...long.bytes) <= 2 * bytes)
    })
  })
})
