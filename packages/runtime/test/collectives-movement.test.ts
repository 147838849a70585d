import assert from 'node:assert/strict'
import { BCAST_SEGMENT_BYTES, goesDirectly } from '../src/collectives/choose.js'
import {
  allgather,
  allgatherInto,
  alltoall,
  alltoallInto,
  barrier,
  bcast,
  bcastInto,
  gather,
  gatherInto,
  scatter,
  scatterInto,
} from '../src/collectives/index.js'
import { IN_PLACE } from '../src/constants.js'
import type { Exchange, Schedule } from '../src/schedule.js'
import { Guarded } from './support/guarded.js'
import { SimulatedRanks } from './support/simulated-exchange.js'

const SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9]
const SEED = Number(process.env.ONECOPY_SEED ?? Math.floor(Math.random() * 2 ** 31))

function byteAt(rank: number, index: number): number {
  return (rank * 37 + index * 11 + (index >> 8) * 5 + 1) & 0xff
}

function filled(rank: number, length: number): Guarded<Uint8Array> {
  const memory = new Guarded(Uint8Array, length)
  for (let i = 0; i < length; i++) memory.view[i] = byteAt(rank, i)
  return memory
}

/** What a rank's memory must hold, as one array. */
function expected(parts: readonly (readonly [number, number])[]): Uint8Array {
  return Buffer.concat(parts.map(([rank, length]) => filled(rank, length).view))
}

function same(actual: Uint8Array, wanted: Uint8Array, what: string): void {
  if (Buffer.compare(actual, wanted) !== 0) {
    const at = wanted.findIndex((byte, index) => byte !== actual[index])
    assert.fail(`${what}: byte ${at} of ${wanted.length} is ${actual[at]}, not ${wanted[at]}`)
  }
}

function forEachSize(check: (size: number, ranks: () => SimulatedRanks) => void): void {
  for (const size of SIZES) check(size, () => new SimulatedRanks(size, SEED + size))
}

describe(`collectives that move data (ONECOPY_SEED=${SEED})`, () => {
  describe('barrier', () => {
    it('lets nobody out before the last is in', () => {
      forEachSize((size, ranks) => {
        let entered = 0
        const schedule = function* (exchange: Exchange): Schedule<number> {
          entered++
          yield* barrier(exchange)
          return entered
        }
        for (let i = 0; i < 20; i++) {
          entered = 0
          assert.deepEqual(new SimulatedRanks(size, SEED + i).run(schedule), new Array(size).fill(size))
        }
        assert.ok(ranks)
      })
    })

    it('sends ceil(log2(size)) messages per rank, few ranks one to each other', () => {
      forEachSize((size, ranks) => {
        const world = ranks()
        world.run(barrier)
        assert.deepEqual(
          world.messages,
          new Array(size).fill(goesDirectly(size) ? size - 1 : Math.ceil(Math.log2(size))),
        )
      })
    })
  })

  describe('bcast', () => {
    const value = { name: 'α', list: [1, undefined, 3n], map: new Map([['a', new Float32Array([1.5])]]) }

    it('gives the root’s value to everyone', () => {
      forEachSize((size, ranks) => {
        for (let root = 0; root < size; root++) {
          const world = ranks()
          const results = world.run((exchange) => bcast(exchange, exchange.rank === root ? value : undefined, root))
          for (const result of results) assert.deepEqual(result, value)
          assert.equal(results[root], value)
          assert.equal(
            world.messages.reduce((a, b) => a + b),
            size - 1,
          )
          assert.ok(Math.max(...world.messages) <= Math.ceil(Math.log2(size)))
        }
      })
    })

    it('keeps the kind of a typed array', () => {
      forEachSize((_, ranks) => {
        const results = ranks().run((exchange) => bcast(exchange, Int16Array.of(-1, 2), 0))
        for (const result of results) assert.deepEqual(result, Int16Array.of(-1, 2))
      })
    })

    it('fills memory of every length around every threshold, from every root', () => {
      const segment = BCAST_SEGMENT_BYTES
      const lengths = [0, 1, 13, 4 * segment - 1, 4 * segment, 4 * segment + 1, 5 * segment]
      forEachSize((size, ranks) => {
        for (const length of lengths) {
          const roots = length < 100 ? [...Array(size).keys()] : [...new Set([0, size >> 1, size - 1])]
          for (const root of roots) {
            const memory = Array.from({ length: size }, (_, rank) =>
              rank === root ? filled(root, length) : new Guarded(Uint8Array, length),
            )
            ranks().run((exchange) => bcastInto(exchange, memory[exchange.rank]!.view, root))
            for (const { view } of memory) same(view, memory[root]!.view, `${size} ranks, root ${root}`)
            for (const guarded of memory) guarded.check()
          }
        }
      })
    })
  })

  describe('gather and scatter', () => {
    it('gather gives an array by rank at the root, undefined elsewhere', () => {
      forEachSize((size, ranks) => {
        for (let root = 0; root < size; root++) {
          const results = ranks().run((exchange) => gather(exchange, { rank: exchange.rank }, root))
          for (const [rank, result] of results.entries()) {
            const all = Array.from({ length: size }, (_, source) => ({ rank: source }))
            assert.deepEqual(result, rank === root ? all : undefined)
          }
        }
      })
    })

    it('scatter gives each rank its entry of the root’s array', () => {
      forEachSize((size, ranks) => {
        for (let root = 0; root < size; root++) {
          const values = Array.from({ length: size }, (_, rank) => `for ${rank}`)
          const results = ranks().run((exchange) =>
            scatter(exchange, exchange.rank === root ? values : undefined, root),
          )
          assert.deepEqual(results, values)
        }
      })
    })

    it('gatherInto places blocks by rank, with and without IN_PLACE', () => {
      forEachSize((size, ranks) => {
        for (const length of [0, 1, 5, 4000]) {
          for (let root = 0; root < size; root++) {
            for (const inPlace of [false, true]) {
              const recv = new Guarded(Uint8Array, length * size)
              if (inPlace) recv.view.set(filled(root, length).view, root * length)
              const sends = Array.from({ length: size }, (_, rank) => filled(rank, length).view)
              ranks().run((exchange) =>
                exchange.rank === root
                  ? gatherInto(exchange, inPlace ? IN_PLACE : sends[root]!, recv.view, { root })
                  : gatherInto(exchange, sends[exchange.rank]!, null, { root }),
              )
              same(recv.view, Buffer.concat(sends), `${size} ranks, root ${root}`)
              recv.check()
            }
          }
        }
      })
    })

    it('gatherInto and scatterInto take counts and displs, in elements, given at the root only', () => {
      forEachSize((size, ranks) => {
        const counts = Array.from({ length: size }, (_, rank) => (rank * 3) % 4)
        const displs = Array.from({ length: size }, (_, rank) => (size - 1 - rank) * 5 + 1)
        for (const root of [0, size - 1]) {
          const all = new Guarded(Int32Array, 5 * size + 1)
          ranks().run((exchange) => {
            const { rank } = exchange
            const send = new Int32Array(counts[rank]!).fill(rank + 1)
            return rank === root
              ? gatherInto(exchange, send, all.view, { root, counts, displs })
              : gatherInto(exchange, send, null, { root })
          })
          const wanted = new Int32Array(5 * size + 1)
          for (let rank = 0; rank < size; rank++) wanted.fill(rank + 1, displs[rank], displs[rank]! + counts[rank]!)
          assert.deepEqual(all.view, new Int32Array(wanted))
          all.check()

          const got = counts.map((count) => new Guarded(Int32Array, count))
          ranks().run((exchange) =>
            exchange.rank === root
              ? scatterInto(exchange, all.view, got[root]!.view, { root, counts, displs })
              : scatterInto(exchange, undefined, got[exchange.rank]!.view, { root }),
          )
          for (let rank = 0; rank < size; rank++) {
            assert.deepEqual([...got[rank]!.view], new Array(counts[rank]).fill(rank + 1))
            got[rank]!.check()
          }
        }
      })
    })

    it('scatterInto gives each rank its block, with and without IN_PLACE', () => {
      forEachSize((size, ranks) => {
        for (const length of [0, 1, 5, 4000]) {
          for (let root = 0; root < size; root++) {
            for (const inPlace of [false, true]) {
              const send = expected(Array.from({ length: size }, (_, rank) => [rank, length] as const))
              const recv = Array.from({ length: size }, () => new Guarded(Uint8Array, length))
              ranks().run((exchange) => {
                const { rank } = exchange
                return scatterInto(
                  exchange,
                  rank === root ? send : null,
                  rank === root && inPlace ? IN_PLACE : recv[rank]!.view,
                  { root },
                )
              })
              for (let rank = 0; rank < size; rank++) {
                recv[rank]!.check()
                if (rank !== root || !inPlace) same(recv[rank]!.view, filled(rank, length).view, `rank ${rank}`)
              }
            }
          }
        }
      })
    })
  })

  describe('allgather', () => {
    it('gives every value to everyone, also beyond the ranks that talk directly', () => {
      for (const size of [...SIZES, 16, 17]) {
        const results = new SimulatedRanks(size, SEED).run((exchange) =>
          allgather(
            exchange,
            exchange.rank === 1 ? undefined : { from: exchange.rank, text: 'x'.repeat(exchange.rank) },
          ),
        )
        for (const result of results) {
          assert.equal(result.length, size)
          for (const [rank, value] of result.entries()) {
            assert.deepEqual(value, rank === 1 ? undefined : { from: rank, text: 'x'.repeat(rank) })
          }
        }
      }
    })

    it('fills memory around every threshold, with and without IN_PLACE', () => {
      forEachSize((size, ranks) => {
        const threshold = Math.floor((64 * 1024) / size)
        for (const length of [0, 1, 7, threshold - 1, threshold, threshold + 1, 3 * threshold]) {
          for (const inPlace of [false, true]) {
            const recv = Array.from({ length: size }, () => new Guarded(Uint8Array, length * size))
            ranks().run((exchange) => {
              const { rank } = exchange
              const own = filled(rank, length).view
              if (inPlace) recv[rank]!.view.set(own, rank * length)
              return allgatherInto(exchange, inPlace ? IN_PLACE : own, recv[rank]!.view)
            })
            const wanted = expected(Array.from({ length: size }, (_, rank) => [rank, length] as const))
            for (const guarded of recv) {
              same(guarded.view, wanted, `${size} ranks, ${length} bytes`)
              guarded.check()
            }
          }
        }
      })
    })

    it('takes counts and displs', () => {
      forEachSize((size, ranks) => {
        const counts = Array.from({ length: size }, (_, rank) => (rank * 7) % 5)
        const displs = Array.from({ length: size }, (_, rank) => (size - 1 - rank) * 6)
        const results = ranks().run(function* (exchange) {
          const recv = new Guarded(Float64Array, 6 * size)
          const send = new Float64Array(counts[exchange.rank]!).fill(exchange.rank + 0.5)
          yield* allgatherInto(exchange, send, recv.view, { counts, displs })
          recv.check()
          return recv.view
        })
        const wanted = new Float64Array(6 * size)
        for (let rank = 0; rank < size; rank++) wanted.fill(rank + 0.5, displs[rank], displs[rank]! + counts[rank]!)
        for (const result of results) assert.deepEqual([...result], [...wanted])
      })
    })

    it('treats counts that describe equal blocks as no counts', () => {
      forEachSize((size, ranks) => {
        const results = ranks().run(function* (exchange) {
          const recv = new Int32Array(2 * size)
          const layout = exchange.rank % 2 === 0 ? { counts: new Array(size).fill(2) } : {}
          yield* allgatherInto(exchange, Int32Array.of(exchange.rank, -exchange.rank), recv, layout)
          return recv
        })
        for (const result of results)
          assert.deepEqual([...result.filter((_, i) => i % 2 === 0)], [...Array(size).keys()])
      })
    })

    it('takes ceil(log2(size)) messages per rank while short, few ranks one to each other', () => {
      forEachSize((size, ranks) => {
        const world = ranks()
        world.run((exchange) => allgatherInto(exchange, new Uint8Array(8), new Uint8Array(8 * size)))
        assert.deepEqual(
          world.messages,
          new Array(size).fill(goesDirectly(size) ? size - 1 : Math.ceil(Math.log2(size))),
        )
      })
    })
  })

  describe('alltoall', () => {
    it('transposes values', () => {
      forEachSize((size, ranks) => {
        const results = ranks().run((exchange) =>
          alltoall(
            exchange,
            Array.from({ length: size }, (_, dest) => [exchange.rank, dest]),
          ),
        )
        for (const [rank, result] of results.entries()) {
          assert.deepEqual(
            result,
            Array.from({ length: size }, (_, source) => [source, rank]),
          )
        }
      })
    })

    it('transposes memory, with and without IN_PLACE', () => {
      forEachSize((size, ranks) => {
        for (const length of [0, 1, 6, 3001]) {
          for (const inPlace of [false, true]) {
            const recv = Array.from({ length: size }, () => new Guarded(Uint8Array, length * size))
            ranks().run((exchange) => {
              const { rank } = exchange
              const send = expected(Array.from({ length: size }, (_, dest) => [rank * size + dest, length] as const))
              if (inPlace) recv[rank]!.view.set(send)
              return alltoallInto(exchange, inPlace ? IN_PLACE : send, recv[rank]!.view)
            })
            for (let rank = 0; rank < size; rank++) {
              const parts = Array.from({ length: size }, (_, source) => [source * size + rank, length] as const)
              same(recv[rank]!.view, expected(parts), `${size} ranks, ${length} bytes, rank ${rank}`)
              recv[rank]!.check()
            }
          }
        }
      })
    })

    it('takes counts and displs for each side', () => {
      forEachSize((size, ranks) => {
        const countOf = (source: number, dest: number) => (source * 2 + dest) % 4
        const results = ranks().run(function* (exchange) {
          const { rank } = exchange
          const peers = [...Array(size).keys()]
          const send = new Int32Array(4 * size)
          for (const dest of peers) send.fill(100 * rank + dest, 4 * dest, 4 * dest + countOf(rank, dest))
          const recv = new Guarded(Int32Array, 5 * size)
          yield* alltoallInto(exchange, send, recv.view, {
            sendCounts: peers.map((dest) => countOf(rank, dest)),
            sendDispls: peers.map((dest) => 4 * dest),
            recvCounts: Int32Array.from(peers, (source) => countOf(source, rank)),
            recvDispls: peers.map((source) => 5 * (size - 1 - source)),
          })
          recv.check()
          return recv.view
        })
        for (const [rank, result] of results.entries()) {
          const wanted = new Int32Array(5 * size)
          for (let source = 0; source < size; source++) {
            const start = 5 * (size - 1 - source)
            wanted.fill(100 * source + rank, start, start + countOf(source, rank))
          }
          assert.deepEqual([...result], [...wanted])
        }
      })
    })
  })
})
