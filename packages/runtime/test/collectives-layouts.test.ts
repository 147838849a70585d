import assert from 'node:assert/strict'
import {
  allgatherInto,
  allreduceInto,
  alltoallInto,
  bcastInto,
  exscanInto,
  gatherInto,
  reduceInto,
  reduceScatterBlockInto,
  scanInto,
  scatterInto,
} from '../src/collectives/index.js'
import { IN_PLACE } from '../src/constants.js'
import { SUM } from '../src/operation.js'
import type { Exchange } from '../src/schedule.js'
import { Guarded } from './support/guarded.js'
import { KINDS, type Kind } from './support/kinds.js'
import { randomFrom, SimulatedRanks } from './support/simulated-exchange.js'

const SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9]
const SEED = Number(process.env.ONECOPY_SEED ?? Math.floor(Math.random() * 2 ** 31))
/** What lies in gaps before, between and behind the blocks. */
const GAP = 0xee

function upTo<T>(count: number, of: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => of(index))
}

/** Blocks of these counts in an order and with gaps drawn from the seed; gives where they start, and how long all is. */
function scattered(counts: readonly number[], seed: number): { displs: number[]; length: number } {
  const random = randomFrom(seed)
  const order = [...counts.keys()].sort(() => random() - 0.5)
  const displs = new Array<number>(counts.length)
  let length = 1
  for (const rank of order) {
    displs[rank] = length
    length += counts[rank]! + Math.floor(random() * 3)
  }
  return { displs, length: length + 1 }
}

function bytes(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

/** Memory full of gaps. */
function empty(kind: Kind, length: number): Guarded<ArrayBufferView> {
  const memory = new Guarded<ArrayBufferView>(kind.constructor, length)
  bytes(memory.view).fill(GAP)
  return memory
}

/** One block's bytes: what `from` has for `to`. */
function content(from: number, to: number, byteLength: number): Uint8Array {
  return Uint8Array.from({ length: byteLength }, (_, i) => (from * 41 + to * 13 + i * 7 + 1) % 251)
}

/** Checks every byte: blocks, gaps and canaries. */
function holds(
  memory: Guarded<ArrayBufferView>,
  elementBytes: number,
  counts: readonly number[],
  displs: readonly number[],
  of: (rank: number) => Uint8Array,
  what: string,
): void {
  const wanted = new Uint8Array(memory.view.byteLength).fill(GAP)
  for (let rank = 0; rank < counts.length; rank++)
    if (counts[rank]! > 0) wanted.set(of(rank), displs[rank]! * elementBytes)
  assert.deepEqual(Buffer.from(bytes(memory.view)), Buffer.from(wanted), what)
  memory.check()
}

/** An exchange of which nothing may be asked. */
function silent(rank = 0, size = 2): Exchange {
  const never = () => assert.fail('a message was started')
  return {
    rank,
    size,
    sendBytes: never,
    receiveBytes: never,
    sendValue: never,
    receiveValue: never,
    postings: null,
    whyHopeless: () => null,
    watch: never,
    bytesOf: never,
    aside: never,
  }
}

describe(`layouts of collectives (ONECOPY_SEED=${SEED})`, () => {
  for (const kind of KINDS) {
    const { name, elementBytes } = kind
    it(`${name}: uneven counts anywhere in the memory, gaps left alone`, function () {
      if (kind.missing) {
        Object.assign(this.test ?? {}, { skipReason: 'this Node has no Float16Array' })
        this.skip()
      }
      for (const size of SIZES) {
        for (const each of [0, 1, 300]) {
          const counts = upTo(size, (rank) => ((rank * 5 + 2) % 4) * each)
          const { displs, length } = scattered(counts, SEED + size)
          const blockOf = (rank: number) => content(rank, 0, counts[rank]! * elementBytes)
          const sent = (rank: number) => {
            const own = new Guarded<ArrayBufferView>(kind.constructor, counts[rank]!)
            bytes(own.view).set(blockOf(rank))
            return own.view
          }
          const what = `${size} ranks, ${each}`

          for (const inPlace of [false, true]) {
            const alls = upTo(size, () => empty(kind, length))
            if (inPlace) {
              for (let rank = 0; rank < size; rank++)
                bytes(alls[rank]!.view).set(blockOf(rank), displs[rank]! * elementBytes)
            }
            new SimulatedRanks(size, SEED).run((e) =>
              allgatherInto(e, inPlace ? IN_PLACE : sent(e.rank), alls[e.rank]!.view, { counts, displs }),
            )
            for (const all of alls) holds(all, elementBytes, counts, displs, blockOf, `allgatherInto, ${what}`)

            const root = size >> 1
            const gathered = empty(kind, length)
            if (inPlace) bytes(gathered.view).set(blockOf(root), displs[root]! * elementBytes)
            new SimulatedRanks(size, SEED).run((e) =>
              e.rank === root
                ? gatherInto(e, inPlace ? IN_PLACE : sent(root), gathered.view, { root, counts, displs })
                : gatherInto(e, sent(e.rank), null, { root }),
            )
            holds(gathered, elementBytes, counts, displs, blockOf, `gatherInto, ${what}`)

            const parts = counts.map((count) => new Guarded<ArrayBufferView>(kind.constructor, count))
            new SimulatedRanks(size, SEED).run((e) =>
              e.rank === root
                ? scatterInto(e, gathered.view, inPlace ? IN_PLACE : parts[root]!.view, { root, counts, displs })
                : scatterInto(e, null, parts[e.rank]!.view, { root }),
            )
            for (let rank = 0; rank < size; rank++) {
              parts[rank]!.check()
              if (inPlace && rank === root) continue
              assert.deepEqual(
                Buffer.from(bytes(parts[rank]!.view)),
                Buffer.from(blockOf(rank)),
                `scatterInto, ${what}`,
              )
            }
            holds(gathered, elementBytes, counts, displs, blockOf, `scatterInto leaves send alone, ${what}`)
          }
        }
      }
    })

    it(`${name}: alltoallInto with a layout for each side, and in place`, function () {
      if (kind.missing) {
        Object.assign(this.test ?? {}, { skipReason: 'this Node has no Float16Array' })
        this.skip()
      }
      for (const size of SIZES) {
        for (const each of [0, 1, 70]) {
          const countOf = (source: number, dest: number) => ((source * 3 + dest) % 4) * each
          const memories = upTo(size, (rank) => {
            const sendCounts = upTo(size, (dest) => countOf(rank, dest))
            const recvCounts = upTo(size, (source) => countOf(source, rank))
            const out = scattered(sendCounts, SEED + rank)
            const into = scattered(recvCounts, SEED + 100 + rank)
            const send = empty(kind, out.length)
            for (let dest = 0; dest < size; dest++) {
              if (sendCounts[dest]! > 0) {
                bytes(send.view).set(
                  content(rank, dest, sendCounts[dest]! * elementBytes),
                  out.displs[dest]! * elementBytes,
                )
              }
            }
            return { send, recv: empty(kind, into.length), sendCounts, recvCounts, out, into }
          })
          new SimulatedRanks(size, SEED).run((e) => {
            const { send, recv, sendCounts, recvCounts, out, into } = memories[e.rank]!
            return alltoallInto(e, send.view, recv.view, {
              sendCounts,
              sendDispls: out.displs,
              recvCounts: Uint32Array.from(recvCounts),
              recvDispls: into.displs,
            })
          })
          for (const [rank, { recv, recvCounts, into }] of memories.entries()) {
            const of = (source: number) => content(source, rank, recvCounts[source]! * elementBytes)
            holds(recv, elementBytes, recvCounts, into.displs, of, `rank ${rank} of ${size}, ${each}`)
          }

          // in place both directions of a pair have one length
          const swapped = upTo(size, (rank) => {
            const counts = upTo(size, (other) => ((rank + other) % 3) * each)
            const { displs, length } = scattered(counts, SEED + rank)
            const memory = empty(kind, length)
            for (let dest = 0; dest < size; dest++) {
              if (counts[dest]! > 0) {
                bytes(memory.view).set(content(rank, dest, counts[dest]! * elementBytes), displs[dest]! * elementBytes)
              }
            }
            return { memory, counts, displs }
          })
          new SimulatedRanks(size, SEED).run((e) => {
            const { memory, counts, displs } = swapped[e.rank]!
            return alltoallInto(e, IN_PLACE, memory.view, { counts, displs })
          })
          for (const [rank, { memory, counts, displs }] of swapped.entries()) {
            const of = (source: number) => content(source, rank, counts[source]! * elementBytes)
            holds(memory, elementBytes, counts, displs, of, `in place, rank ${rank} of ${size}, ${each}`)
          }
        }
      }
    })
  }

  describe('with types: the w-form', () => {
    const kinds = KINDS.filter((kind) => !kind.missing)
    const kindOf = (a: number, b: number) => kinds[(a + b) % kinds.length]!

    it('each pair exchanges elements of its own kind, placed in bytes, gaps left alone', () => {
      for (const size of SIZES) {
        for (const inPlace of [false, true]) {
          const countOf = (a: number, b: number) => (a + b) % 3
          const memories = upTo(size, (rank) => {
            const counts = upTo(size, (other) => countOf(rank, other))
            const byteCounts = counts.map((count, other) => count * kindOf(rank, other).elementBytes)
            const { displs, length } = scattered(byteCounts, SEED + rank)
            const send = empty(KINDS[0]!, length)
            for (let dest = 0; dest < size; dest++) {
              if (byteCounts[dest]! > 0) bytes(send.view).set(content(rank, dest, byteCounts[dest]!), displs[dest]!)
            }
            const types = upTo(size, (other) => kindOf(rank, other).constructor)
            return { send, recv: inPlace ? send : empty(KINDS[0]!, length), counts, byteCounts, displs, types }
          })
          new SimulatedRanks(size, SEED).run((e) => {
            const { send, recv, counts, displs, types } = memories[e.rank]!
            return alltoallInto(e, inPlace ? IN_PLACE : send.view, recv.view, { counts, displs, types })
          })
          for (const [rank, { recv, byteCounts, displs }] of memories.entries()) {
            const of = (source: number) => content(source, rank, byteCounts[source]!)
            holds(recv, 1, byteCounts, displs, of, `rank ${rank} of ${size}`)
          }
        }
      }
    })

    it('each side may have types and counts of its own, without displs one after the other', () => {
      const results = new SimulatedRanks(3, SEED).run(function* (e) {
        const send = Float32Array.of(e.rank, 10 + e.rank, 20 + e.rank, 20 + e.rank)
        const recv = new ArrayBuffer(64)
        const types = new Array(3).fill(Float32Array)
        const recvCounts = new Array(3).fill(e.rank === 2 ? 2 : 1)
        yield* alltoallInto(e, send, new DataView(recv), { sendCounts: [1, 1, 2], recvCounts, types })
        return [...new Float32Array(recv, 0, 3 * recvCounts[0])]
      })
      assert.deepEqual(results, [
        [0, 1, 2],
        [10, 11, 12],
        [20, 20, 21, 21, 22, 22],
      ])
    })

    it('a block that comes as other elements than it is received as is an error on that rank', () => {
      const outcomes = new SimulatedRanks(2, SEED).settle((e) => {
        const types = e.rank === 0 ? [Int32Array, Int32Array] : [Float32Array, Int32Array]
        return alltoallInto(e, new Int32Array(2), new Int32Array(2), { types, counts: [1, 1] })
      })
      for (const outcome of outcomes) {
        assert.equal(outcome.how === 'failed' && (outcome.error as { code?: string }).code, 'ERR_TYPE')
      }
    })

    it('refuses what makes no sense', () => {
      const [a, b] = [new Uint8Array(32), new Uint8Array(32)]
      const types = [Float64Array, Int32Array]
      const refused = (layout: object, error: object) =>
        assert.throws(() => alltoallInto(silent(), a, b, layout), error)
      refused({ types }, { name: 'TypeError', message: /counts/ })
      refused({ types: [Float64Array], counts: [1, 1] }, TypeError)
      refused({ types: Float64Array, counts: [1, 1] }, TypeError)
      for (const bad of ['Float64Array', Float64Array.of(1), Array, DataView, null]) {
        refused({ types: [Int8Array, bad], counts: [1, 1] }, { name: 'TypeError', message: /types\[1\]/ })
      }
      refused({ types, counts: [4, 1] }, { name: 'RangeError', message: /does not lie/ })
      refused({ types, counts: [1, 1], displs: [0, 7] }, { name: 'RangeError', message: /overlap/ })
      refused({ sendTypes: types, recvTypes: [BigInt64Array, Int32Array], counts: [1, 1] }, /own block/)
    })
  })

  it('an empty block may be said to lie anywhere', () => {
    const [result] = new SimulatedRanks(1, SEED).run(function* (e) {
      const recv = Int8Array.of(1, 2)
      yield* allgatherInto(e, new Int8Array(0), recv, { counts: [0], displs: [1000] })
      return recv
    })
    assert.deepEqual(result, Int8Array.of(1, 2))
  })

  it('blocks that overlap in memory to receive into are refused, in memory to send from they are fine', () => {
    const [six, two] = [new Int32Array(6), new Int32Array(2)]
    const layout = { counts: [2, 2], displs: [0, 1] }
    assert.throws(() => gatherInto(silent(), two, six, { root: 0, ...layout }), /overlap/)
    assert.throws(() => allgatherInto(silent(), two, six, layout), /overlap/)
    assert.throws(() => alltoallInto(silent(), new Int32Array(6), six, layout), /overlap/)
    assert.throws(() => alltoallInto(silent(), IN_PLACE, six, layout), /overlap/)
    const results = new SimulatedRanks(2, SEED).run(function* (e) {
      const recv = new Int32Array(2)
      yield* scatterInto(e, e.rank === 0 ? Int32Array.of(1, 2, 3) : null, recv, { root: 0, ...layout })
      return [...recv]
    })
    assert.deepEqual(results, [
      [1, 2],
      [2, 3],
    ])
  })

  it('IN_PLACE is a TypeError wherever MPI has none', () => {
    const one = () => new Float64Array(1)
    const two = () => new Float64Array(2)
    const nowhere = IN_PLACE as never
    const calls = [
      () => bcastInto(silent(), nowhere, 0),
      () => gatherInto(silent(1), IN_PLACE, two(), { root: 0 }),
      () => gatherInto(silent(), one(), nowhere, { root: 0 }),
      () => scatterInto(silent(1), two(), IN_PLACE, { root: 0 }),
      () => scatterInto(silent(), nowhere, one(), { root: 0 }),
      () => allgatherInto(silent(), one(), nowhere),
      () => alltoallInto(silent(), two(), nowhere),
      () => alltoallInto(silent(), IN_PLACE, nowhere),
      () => reduceInto(silent(1), IN_PLACE, one(), SUM, 0),
      () => reduceInto(silent(), one(), nowhere, SUM, 0),
      () => allreduceInto(silent(), one(), nowhere, SUM),
      () => reduceScatterBlockInto(silent(), two(), nowhere, SUM),
      () => scanInto(silent(), one(), nowhere, SUM),
      () => exscanInto(silent(), one(), nowhere, SUM),
    ]
    for (const call of calls) assert.throws(call, { name: 'TypeError', message: /IN_PLACE/ }, String(call))
  })
})
