import assert from 'node:assert/strict'
import { OnecopyError } from '@onecopy/transport'
import {
  allgatherInto,
  allreduce,
  allreduceInto,
  alltoall,
  alltoallInto,
  bcast,
  bcastInto,
  exscan,
  exscanInto,
  gather,
  gatherInto,
  reduce,
  reduceInto,
  scan,
  scanInto,
  scatter,
  scatterInto,
} from '../src/collectives/index.js'
import { IN_PLACE } from '../src/constants.js'
import { BAND, MAXLOC, SUM } from '../src/operation.js'
import type { Exchange, Schedule } from '../src/schedule.js'
import { type Outcome, SimulatedRanks } from './support/simulated-exchange.js'

const SEED = Number(process.env.ONECOPY_SEED ?? Math.floor(Math.random() * 2 ** 31))
const eight = () => new Float64Array(1)

/** An exchange of which nothing may be asked: bad arguments must throw before any traffic. */
function silent(rank = 0, size = 2): Exchange {
  const never = () => assert.fail('a message was started')
  return {
    rank,
    size,
    sendBytes: never,
    receiveBytes: never,
    bytesOf: never,
    aside: never,
    sendValue: never,
    receiveValue: never,
    postings: null,
    whyHopeless: () => null,
    watch: never,
  }
}

function codeOf(outcome: Outcome<unknown>): string {
  if (outcome.how !== 'failed') return outcome.how
  assert.ok(outcome.error instanceof OnecopyError, String(outcome.error))
  return outcome.error.code
}

describe(`collectives that are called wrongly (ONECOPY_SEED=${SEED})`, () => {
  describe('throw at the call', () => {
    const ROOTED: readonly (readonly [string, (root: number) => unknown])[] = [
      ['bcast', (root) => bcast(silent(), 1, root)],
      ['bcastInto', (root) => bcastInto(silent(), eight(), root)],
      ['gather', (root) => gather(silent(), 1, root)],
      ['gatherInto', (root) => gatherInto(silent(), eight(), eight(), { root })],
      ['scatter', (root) => scatter(silent(), [1, 2], root)],
      ['scatterInto', (root) => scatterInto(silent(), eight(), eight(), { root })],
      ['reduce', (root) => reduce(silent(), 1, SUM, root)],
      ['reduceInto', (root) => reduceInto(silent(), eight(), eight(), SUM, root)],
    ]
    for (const [name, call] of ROOTED) {
      it(`${name}: a root that is no rank`, () => {
        for (const root of [-1, 2, 1.5, Number.NaN])
          assert.throws(() => call(root), { name: 'RangeError', message: /root/ })
        for (const root of ['0', null, undefined]) assert.throws(() => call(root as never), { name: 'TypeError' })
      })
    }

    it('no memory', () => {
      const nothing = [null, undefined, 5, 'text', [1], new ArrayBuffer(8)] as never[]
      for (const bad of nothing) {
        assert.throws(() => bcastInto(silent(), bad, 0), TypeError)
        assert.throws(() => gatherInto(silent(1), bad, null, { root: 0 }), TypeError)
        assert.throws(() => gatherInto(silent(), eight(), bad, { root: 0 }), TypeError)
        assert.throws(() => scatterInto(silent(), bad, eight(), { root: 0 }), TypeError)
        assert.throws(() => scatterInto(silent(1), null, bad, { root: 0 }), TypeError)
        assert.throws(() => allgatherInto(silent(), eight(), bad), TypeError)
        assert.throws(() => alltoallInto(silent(), bad, new Float64Array(2)), TypeError)
        assert.throws(() => reduceInto(silent(1), bad, null, SUM, 0), TypeError)
        for (const into of [allreduceInto, scanInto, exscanInto]) {
          assert.throws(() => into(silent(), bad, eight(), SUM), TypeError)
          assert.throws(() => into(silent(), eight(), bad, SUM), TypeError)
        }
      }
    })

    it('detached memory', () => {
      const detached = eight()
      structuredClone(detached.buffer, { transfer: [detached.buffer] })
      assert.throws(() => bcastInto(silent(), detached, 0), TypeError)
      assert.throws(() => allreduceInto(silent(), IN_PLACE, detached, SUM), TypeError)
      assert.throws(() => gatherInto(silent(1), detached, null, { root: 0 }), TypeError)
    })

    it('IN_PLACE where MPI has none', () => {
      assert.throws(() => gatherInto(silent(1), IN_PLACE, null, { root: 0 }), /IN_PLACE/)
      assert.throws(() => scatterInto(silent(1), null, IN_PLACE, { root: 0 }), /IN_PLACE/)
      assert.throws(() => reduceInto(silent(1), IN_PLACE, eight(), SUM, 0), /IN_PLACE/)
      assert.throws(() => allreduceInto(silent(), eight(), IN_PLACE as never, SUM), /IN_PLACE/)
    })

    it('memory that is sent and received into at once', () => {
      const memory = new Float64Array(6)
      for (const into of [allreduceInto, scanInto, exscanInto]) {
        assert.throws(() => into(silent(), memory.subarray(0, 3), memory.subarray(2, 5), SUM), /IN_PLACE/)
        assert.throws(() => into(silent(), memory, memory, SUM), RangeError)
      }
      assert.throws(() => gatherInto(silent(), memory.subarray(0, 2), memory.subarray(0, 4), { root: 0 }), RangeError)
      assert.throws(() => scatterInto(silent(), memory.subarray(0, 4), memory.subarray(0, 2), { root: 0 }), RangeError)
      assert.throws(() => allgatherInto(silent(), memory.subarray(0, 2), memory.subarray(0, 4)), RangeError)
      assert.throws(() => alltoallInto(silent(), memory.subarray(0, 2), memory.subarray(1, 3)), RangeError)
    })

    it('lengths and layouts that do not fit', () => {
      const five = new Int32Array(5)
      assert.throws(() => gatherInto(silent(), new Int32Array(2), five, { root: 0 }), /2 equal blocks/)
      assert.throws(() => gatherInto(silent(), new Int32Array(1), new Int32Array(4), { root: 0 }), /4 bytes/)
      assert.throws(() => allgatherInto(silent(), new Int32Array(1), five, { counts: [1, 5] }), /does not lie/)
      assert.throws(() => allgatherInto(silent(), new Int32Array(1), five, { counts: [1] }), TypeError)
      assert.throws(() => allgatherInto(silent(), new Int32Array(1), five, { counts: [1, -1] }), RangeError)
      assert.throws(() => allgatherInto(silent(), new Int32Array(1), five, { counts: [1, 0.5] }), RangeError)
      assert.throws(() => allgatherInto(silent(), new Int32Array(1), five, { displs: [0, 1] }), /counts/)
      assert.throws(
        () => allgatherInto(silent(), new Int32Array(2), five, { counts: [2, 2], displs: [0, 1] }),
        /overlap/,
      )
      assert.throws(() => scatterInto(silent(), five, new Int32Array(1), { root: 0, counts: [2, 2] }), RangeError)
      assert.throws(() => alltoallInto(silent(), five, new Int32Array(4)), RangeError)
      assert.throws(() => allreduceInto(silent(), new Int32Array(2), new Int32Array(3), SUM), RangeError)
      assert.throws(
        () => allreduceInto(silent(), new Int32Array(2), new Uint32Array(2), SUM),
        /Int32Array.*Uint32Array/,
      )
      assert.throws(() => scatter(silent(), [1], 0), RangeError)
      assert.throws(() => scatter(silent(), 'ab' as never, 0), TypeError)
      assert.throws(() => alltoall(silent(), [1, 2, 3]), RangeError)
    })

    it('operations that are none, or do not work on the data', () => {
      for (const call of [allreduce, scan, exscan, (e: Exchange, d: unknown, op: never) => reduce(e, d, op, 0)]) {
        assert.throws(() => call(silent(), 1, ((a: number, b: number) => a + b) as never), /Operation\.create/)
        assert.throws(() => call(silent(), 1, undefined as never), TypeError)
        assert.throws(() => call(silent(), 'text', SUM as never), TypeError)
        assert.throws(() => call(silent(), Float64Array.of(1), BAND as never), TypeError)
        assert.throws(() => call(silent(), Float64Array.of(1), MAXLOC as never), TypeError)
      }
      assert.throws(() => allreduceInto(silent(), new DataView(new ArrayBuffer(8)), eight(), SUM), TypeError)
      assert.throws(() => reduceInto(silent(1), eight(), null, BAND, 0), TypeError)
      assert.throws(() => reduceInto(silent(1), eight(), null, {} as never, 0), TypeError)
    })
  })

  describe('when the ranks disagree: an error, never a wrong result', () => {
    /** One rank at a time gives something else than the others. */
    function disagree(
      program: (exchange: Exchange, odd: boolean) => Schedule<unknown>,
      check: (outcomes: Outcome<unknown>[], odd: number) => void,
      sizes = [2, 3, 4, 5],
    ): void {
      for (const size of sizes) {
        for (let odd = 0; odd < size; odd++) {
          const outcomes = new SimulatedRanks(size, SEED + odd).settle((e) => program(e, e.rank === odd))
          check(outcomes, odd)
          const failures = outcomes.filter(({ how }) => how === 'failed').map(codeOf)
          assert.ok(failures.length > 0, `nobody of ${size} ranks noticed that rank ${odd} differs`)
          for (const code of failures) assert.match(code, /^ERR_(TRUNCATE|TYPE)$/)
        }
      }
    }

    /** Below, across and above every threshold. */
    const LENGTHS = [
      [1, 2],
      [2, 1],
      [1, 0],
      [3, 20_000],
      [20_000, 3],
      [20_000, 30_000],
      [200_000, 20_000],
    ] as const

    it('lengths in allreduceInto, allgatherInto and scanInto', () => {
      for (const [usual, other] of LENGTHS) {
        const lengthFor = (odd: boolean) => (odd ? other : usual)
        disagree(
          (e, odd) => allreduceInto(e, new Float64Array(lengthFor(odd)), new Float64Array(lengthFor(odd)), SUM),
          (outcomes) => assert.ok(outcomes.every(({ how }) => how !== 'returned') || outcomes.length > 2),
        )
        disagree(
          (e, odd) => allreduce(e, new Float64Array(lengthFor(odd)), SUM),
          () => {},
        )
        disagree(
          (e, odd) => allgatherInto(e, new Float64Array(lengthFor(odd)), new Float64Array(lengthFor(odd) * e.size)),
          (outcomes, odd) => assert.notEqual(outcomes[odd]!.how, 'returned'),
        )
        disagree(
          (e, odd) => scanInto(e, new Float64Array(lengthFor(odd)), new Float64Array(lengthFor(odd)), SUM),
          () => {},
        )
      }
    })

    it('lengths in gatherInto, scatterInto, alltoallInto and bcastInto', () => {
      for (const [usual, other] of LENGTHS) {
        const lengthFor = (odd: boolean) => (odd ? other : usual)
        disagree(
          (e, odd) =>
            gatherInto(e, new Uint8Array(lengthFor(odd)), new Uint8Array(lengthFor(odd) * e.size), { root: 0 }),
          (outcomes) => assert.equal(outcomes[0]!.how, 'failed'),
        )
        disagree(
          (e, odd) =>
            scatterInto(e, new Uint8Array(lengthFor(odd) * e.size), new Uint8Array(lengthFor(odd)), { root: 0 }),
          (outcomes, odd) => odd > 0 && assert.equal(outcomes[odd]!.how, 'failed'),
        )
        disagree(
          (e, odd) => alltoallInto(e, new Uint8Array(lengthFor(odd) * e.size), new Uint8Array(lengthFor(odd) * e.size)),
          (outcomes, odd) => assert.equal(outcomes[odd]!.how, 'failed'),
        )
      }
      for (const [usual, other] of [...LENGTHS, [600_000, 600_001], [600_000, 300_000], [150_000, 600_000]] as const) {
        disagree(
          (e, odd) => bcastInto(e, new Uint8Array(odd ? other : usual).fill(e.rank), 0),
          (outcomes, odd) => odd > 0 && assert.notEqual(outcomes[odd]!.how, 'returned'),
        )
      }
    })

    it('kinds of value and of array', () => {
      const PAIRS: readonly (readonly [unknown, unknown])[] = [
        [1, 1n],
        [Float64Array.of(1), 1],
        [1, Float64Array.of(1)],
        [Float32Array.of(1, 2), Float64Array.of(1)],
        [new Float32Array(20_000), new Float64Array(10_000)],
      ]
      for (const [usual, other] of PAIRS) {
        disagree(
          (e, odd) => allreduce(e, odd ? other : usual, SUM),
          () => {},
        )
        disagree(
          (e, odd) => reduce(e, odd ? other : usual, SUM, 0),
          () => {},
        )
        disagree(
          (e, odd) => scan(e, odd ? other : usual, SUM),
          () => {},
        )
        disagree((e, odd) => exscan(e, odd ? other : usual, SUM), () => {}, [3, 4, 5])
      }
    })
  })
})
