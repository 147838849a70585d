import assert from 'node:assert/strict'
import type { TypedArray } from '../src/collectives/index.js'
import {
  reduceScatter,
  reduceScatterBlock,
  reduceScatterBlockInto,
  reduceScatterInto,
} from '../src/collectives/index.js'
import { IN_PLACE } from '../src/constants.js'
import { MAXLOC, Operation, SUM } from '../src/operation.js'
import type { Exchange } from '../src/schedule.js'
import { Guarded } from './support/guarded.js'
import { SimulatedRanks } from './support/simulated-exchange.js'

/** 9 is the first that does not talk directly. */
const SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11]
const SEED = Number(process.env.ONECOPY_SEED ?? Math.floor(Math.random() * 2 ** 31))

const CONCAT = Operation.create((a: string, b: string) => a + b)
/** Maps x → m·x + c modulo 13, packed as m·13 + c: their composition depends on the order. */
const COMPOSE = Operation.create((f: number, g: number) => {
  const m = Math.floor(f / 13) * Math.floor(g / 13)
  const c = Math.floor(g / 13) * (f % 13) + (g % 13)
  return (m % 13) * 13 + (c % 13)
})
/** Two by two matrices in whole blocks of four. */
const MATRIX = Operation.create(
  (a: Float64Array, b: Float64Array) =>
    Float64Array.of(
      (a[0]! * b[0]! + a[1]! * b[2]!) % 97,
      (a[0]! * b[1]! + a[1]! * b[3]!) % 97,
      (a[2]! * b[0]! + a[3]! * b[2]!) % 97,
      (a[2]! * b[1]! + a[3]! * b[3]!) % 97,
    ),
  { elementwise: false },
)

function upTo<T>(count: number, of: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => of(index))
}

/** Counts that are equal, uneven with zeros, or all on one rank. */
function layouts(size: number, each: number): (readonly number[] | undefined)[] {
  return [undefined, upTo(size, (rank) => ((rank * 2 + 1) % 4) * each), upTo(size, (rank) => (rank === 1 ? each : 0))]
}

describe(`reduceScatter (ONECOPY_SEED=${SEED})`, () => {
  it('gives rank i everybody’s values[i], combined in rank order', () => {
    for (const size of SIZES) {
      for (const collective of [reduceScatter, reduceScatterBlock]) {
        const texts = new SimulatedRanks(size, SEED).run((e) =>
          collective(
            e,
            upTo(size, (dest) => `${e.rank}>${dest} `),
            CONCAT,
          ),
        )
        assert.deepEqual(
          texts,
          upTo(size, (rank) => upTo(size, (source) => `${source}>${rank} `).join('')),
        )
        const sums = new SimulatedRanks(size, SEED).run((e) =>
          collective(
            e,
            upTo(size, (dest) => BigInt(dest)),
            SUM,
          ),
        )
        assert.deepEqual(
          sums,
          upTo(size, (rank) => BigInt(rank * size)),
        )
      }
    }
  })

  it('combines typed arrays of any lengths as values, and gives them in memory of their own', () => {
    for (const size of SIZES) {
      const given = upTo(size, (rank) => upTo(size, (dest) => new Int16Array(dest).fill(rank)))
      const results = new SimulatedRanks(size, SEED).run((e) => reduceScatter(e, given[e.rank]!, SUM))
      for (const [rank, result] of results.entries()) {
        assert.deepEqual(result, new Int16Array(rank).fill((size * (size - 1)) / 2))
        assert.notEqual(result, given[rank]![rank])
      }
    }
  })

  function run(
    size: number,
    counts: readonly number[] | undefined,
    each: number,
    op: Operation,
    inPlace: boolean,
    at: (rank: number, index: number) => number,
  ): void {
    const lengths = counts ?? new Array<number>(size).fill(each)
    const total = lengths.reduce((a, b) => a + b, 0)
    const sends = upTo(size, (rank) => {
      const send = new Guarded(Float64Array, total)
      for (let i = 0; i < total; i++) send.view[i] = at(rank, i)
      return send
    })
    const recvs = upTo(size, (rank) => (inPlace ? sends[rank]! : new Guarded(Float64Array, lengths[rank]!)))
    new SimulatedRanks(size, SEED + total).run((e: Exchange) => {
      const send = inPlace ? IN_PLACE : sends[e.rank]!.view
      const recv = recvs[e.rank]!.view
      return counts === undefined && total % 2 === 0
        ? reduceScatterBlockInto(e, send, recv, op)
        : reduceScatterInto(e, send, recv, op, { counts })
    })
    let start = 0
    for (let rank = 0; rank < size; rank++) {
      const what = `rank ${rank} of ${size}, ${total} elements with ${op.name}${inPlace ? ' in place' : ''}`
      const length = lengths[rank]!
      const parts = upTo(size, (source) => Float64Array.from({ length }, (_, i) => at(source, start + i)))
      const wanted = parts.reduce((a, b) => (length === 0 ? a : (op.combine(a, b) as typeof a)))
      const { view } = recvs[rank]!
      assert.ok(
        wanted.every((element, i) => element === view[i]),
        what,
      )
      if (inPlace) {
        for (let i = length; i < total; i++) assert.equal(view[i], at(rank, i), `${what}: the rest was changed`)
      }
      sends[rank]!.check()
      recvs[rank]!.check()
      start += length
    }
  }

  for (const inPlace of [false, true]) {
    const how = inPlace ? ' in place' : ''
    it(`fills each rank’s memory${how}: counts of all shapes, operations that commute and that do not`, () => {
      for (const size of SIZES) {
        for (const each of [0, 1, 3, 64, 700]) {
          for (const counts of layouts(size, each)) {
            run(size, counts, each, SUM, inPlace, (rank, index) => (rank + 1) * (index % 1000))
            run(size, counts, each, COMPOSE, inPlace, (rank, index) => (rank * 31 + index * 7 + 13) % 169)
          }
        }
      }
    })

    it(`gives an operation that is not elementwise whole blocks${how}`, () => {
      for (const size of SIZES) run(size, undefined, 4, MATRIX, inPlace, (rank, index) => (rank * 5 + index + 1) % 7)
    })
  }

  it('keeps pairs together', () => {
    for (const size of SIZES) {
      const results = new SimulatedRanks(size, SEED).run(function* (e) {
        const recv = new Int32Array(2)
        const send = Int32Array.from({ length: 2 * size }, (_, i) => (i % 2 === 0 ? 5 : size - e.rank))
        yield* reduceScatterBlockInto(e, send, recv, MAXLOC)
        return recv
      })
      for (const result of results) assert.deepEqual([...result], [5, 1])
    }
  })

  it('sends each block once, whatever the operation', () => {
    for (const size of [2, 3, 4, 5, 8]) {
      const ranks = new SimulatedRanks(size, SEED)
      ranks.run((e) => reduceScatterBlockInto(e, new Float64Array(size * 10), new Float64Array(10), COMPOSE))
      assert.deepEqual(ranks.messages, new Array(size).fill(size - 1))
      assert.deepEqual(ranks.bytes, new Array(size).fill((size - 1) * 80))
    }
  })

  it('refuses wrong arguments at the call', () => {
    const never = () => assert.fail('a message was started')
    const e: Exchange = {
      rank: 0,
      size: 2,
      sendBytes: never,
      aside: never,
      receiveBytes: never,
      sendValue: never,
      receiveValue: never,
      postings: null,
      whyHopeless: () => null,
      watch: never,
      bytesOf: never,
    }
    const two = () => new Float64Array(2)
    const one = () => new Float64Array(1)
    assert.throws(() => reduceScatter(e, [1], SUM), RangeError)
    assert.throws(() => reduceScatter(e, two() as never, SUM), TypeError)
    assert.throws(() => reduceScatterBlock(e, [1, 'text'] as never, SUM), TypeError)
    assert.throws(() => reduceScatterBlock(e, [1, 2], (() => 1) as never), /Operation\.create/)
    assert.throws(() => reduceScatterBlockInto(e, two(), two(), SUM), /recv has 2 elements/)
    assert.throws(() => reduceScatterBlockInto(e, new Float64Array(3), one(), SUM), /equal blocks/)
    assert.throws(() => reduceScatterBlockInto(e, two(), new Float32Array(1), SUM), /one kind/)
    assert.throws(() => reduceScatterBlockInto(e, two(), IN_PLACE as never, SUM), /IN_PLACE/)
    assert.throws(() => reduceScatterInto(e, two(), one(), SUM, { counts: [1, 2] }), /add up to 3/)
    assert.throws(() => reduceScatterInto(e, two(), one(), SUM, { counts: [1] }), TypeError)
    assert.throws(() => reduceScatterInto(e, two(), one(), SUM, { counts: [3, -1] }), RangeError)
    assert.throws(() => reduceScatterInto(e, two(), one(), MAXLOC, { counts: [1, 1] }), /pair/)
    assert.throws(() => reduceScatterInto(e, new Float64Array(3), one(), MAXLOC, { counts: [1, 2] }), TypeError)
    const shared = new Float64Array(3)
    assert.throws(() => reduceScatterBlockInto(e, shared.subarray(0, 2), shared.subarray(1, 2), SUM), /IN_PLACE/)
  })

  it('fails when the ranks disagree on counts, lengths, kinds or the number of values', () => {
    const memories: ((odd: boolean, size: number) => readonly [TypedArray, number[]])[] = [
      (odd, size) => [new Float64Array(size), upTo(size, (r) => (odd ? (r === 0 ? 2 : r === 1 ? 0 : 1) : 1))],
      (odd, size) => [new Float64Array(odd ? 2 * size : size), new Array<number>(size).fill(odd ? 2 : 1)],
      (odd, size) => [new Float64Array(odd ? 600 * size : size), new Array<number>(size).fill(odd ? 600 : 1)],
      (odd, size) => [odd ? new Float32Array(2 * size) : new Float64Array(size), new Array(size).fill(odd ? 2 : 1)],
    ]
    for (const size of [2, 3, 5, 9]) {
      for (let oddRank = 0; oddRank < size; oddRank++) {
        for (const memory of memories) {
          const outcomes = new SimulatedRanks(size, SEED).settle((e) => {
            const [send, counts] = memory(e.rank === oddRank, size)
            return reduceScatterInto(e, send, send.slice(0, counts[e.rank]!), SUM, { counts })
          })
          const codes = outcomes.map((outcome) =>
            outcome.how === 'failed' ? (outcome.error as never as { code: string }).code : outcome.how,
          )
          assert.ok(
            codes.some((code) => /^ERR_(TRUNCATE|TYPE)$/.test(code)),
            codes.join(),
          )
        }
      }
    }
  })
})
