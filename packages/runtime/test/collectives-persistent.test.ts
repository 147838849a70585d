import assert from 'node:assert/strict'
import type { Communicator } from '../src/communicator.js'
import { IN_PLACE } from '../src/constants.js'
import { Operation, SUM } from '../src/operation.js'
import type { PersistentRequest } from '../src/persistent-request.js'

import { randomFrom } from './support/simulated-exchange.js'
import { simulate } from './support/simulated-job.js'

const SIZES = [1, 2, 3, 4, 5, 9]
const SEED = Number(process.env.ONECOPY_SEED ?? Math.floor(Math.random() * 2 ** 31))
const LAST = Operation.create((_: number, b: number) => b)

function upTo<T>(count: number, of: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => of(index))
}

/** A persistent collective of every kind; `fill` gives its memory for a round, `wanted` what it holds afterwards. */
interface Case {
  readonly request: PersistentRequest<void>
  fill(round: number): void
  check(round: number): void
}

function casesOf(comm: Communicator): Record<string, Case> {
  const { rank, size } = comm
  const root = size - 1
  const one = () => new Float64Array(1)
  const all = () => new Float64Array(size)
  /** What rank r contributes in a round. */
  const of = (r: number, round: number) => 10 * round + r
  const sum = (ranks: number, round: number) => upTo(ranks, (r) => of(r, round)).reduce((a, b) => a + b, 0)
  const everyone = (round: number) => upTo(size, (r) => of(r, round))
  const from = (
    send: Float64Array,
    recv: Float64Array,
    request: PersistentRequest<void>,
    wanted: (round: number) => number[] | null,
  ): Case => ({
    request,
    fill(round) {
      send.fill(of(rank, round))
      if (recv !== send) recv.fill(-1)
    },
    check(round) {
      const expected = wanted(round)
      if (expected !== null) assert.deepEqual([...recv], expected)
    },
  })
  const made: Record<string, Case> = { barrier: { request: comm.barrierInit(), fill() {}, check() {} } }
  const add = (
    name: string,
    send: Float64Array,
    recv: Float64Array,
    request: PersistentRequest<void>,
    wanted: (round: number) => number[] | null,
  ) => {
    made[name] = from(send, recv, request, wanted)
  }
  let [s, r] = [one(), one()]
  add('bcast', r, r, comm.bcastInit(r, root), (round) => [of(root, round)])
  ;[s, r] = [one(), all()]
  add('gather', s, r, comm.gatherInit(s, r, { root }), (round) => (rank === root ? everyone(round) : null))
  ;[s, r] = [all(), one()]
  add('scatter', s, r, comm.scatterInit(s, r, { root }), (round) => [of(root, round)])
  ;[s, r] = [one(), all()]
  add('allgather', s, r, comm.allgatherInit(s, r, { counts: upTo(size, () => 1) }), everyone)
  ;[s, r] = [all(), all()]
  add('alltoall', s, r, comm.alltoallInit(s, r), everyone)
  ;[s, r] = [one(), one()]
  add('reduce', s, r, comm.reduceInit(s, r, LAST, 0), (round) => (rank === 0 ? [of(root, round)] : null))
  r = one()
  add('allreduce', r, r, comm.allreduceInit(IN_PLACE, r, SUM), (round) => [sum(size, round)])
  ;[s, r] = [all(), one()]
  add('reduceScatter', s, r, comm.reduceScatterInit(s, r, SUM, { counts: upTo(size, () => 1) }), (round) => [
    sum(size, round),
  ])
  ;[s, r] = [all(), one()]
  add('reduceScatterBlock', s, r, comm.reduceScatterBlockInit(s, r, SUM), (round) => [sum(size, round)])
  ;[s, r] = [one(), one()]
  add('scan', s, r, comm.scanInit(s, r, SUM), (round) => [sum(rank + 1, round)])
  ;[s, r] = [one(), one()]
  add('exscan', s, r, comm.exscanInit(s, r, SUM), (round) => [rank === 0 ? -1 : sum(rank, round)])
  return made
}

describe(`persistent collectives (ONECOPY_SEED=${SEED})`, () => {
  it('of every kind, started again and again on the same memory', async () => {
    for (const size of SIZES) {
      await simulate(size, {}, async (world) => {
        for (const comm of [world, await world.dup()]) {
          const cases = casesOf(comm)
          for (let round = 0; round < 70; round += round < 3 ? 1 : 22) {
            for (const { request, fill, check } of Object.values(cases)) {
              fill(round)
              assert.equal(await request.start(), undefined)
              check(round)
            }
          }
        }
      })
    }
  })

  it('all active at once, started in another order on every rank, with other collectives and messages between', async () => {
    for (const size of SIZES) {
      await simulate(size, {}, async (world, rank) => {
        const cases = Object.values(casesOf(world))
        const random = randomFrom(SEED + rank)
        for (let round = 0; round < 5; round++) {
          const order = [...cases].sort(() => random() - 0.5)
          for (const { fill } of cases) fill(round)
          const ordinary: PromiseLike<unknown>[] = []
          const wanted: unknown[] = []
          for (const [i, { request }] of order.entries()) {
            request.start()
            if (i === 3) {
              ordinary.push(world.allreduce(rank, SUM))
              wanted.push((size * (size - 1)) / 2)
            }
            if (i === 6) {
              ordinary.push(world.sendrecv(`round ${round}`, (rank + 1) % size, (rank + size - 1) % size))
              wanted.push(`round ${round}`)
            }
          }
          assert.deepEqual(await Promise.all(ordinary), wanted)
          await Promise.all(order.map(({ request }) => request))
          for (const { check } of cases) check(round)
        }
      })
    }
  })

  it('check their arguments when they are made, and touch no memory before they start', async () => {
    await simulate(2, {}, async (world) => {
      const [one, two] = [Float64Array.of(1), Float64Array.of(5, 6)]
      assert.throws(() => world.bcastInit(one, 2), RangeError)
      assert.throws(() => world.allreduceInit(one, two, SUM), RangeError)
      assert.throws(() => world.scanInit(one, one, SUM), RangeError)
      assert.throws(() => world.reduceScatterInit(two, one, SUM, { counts: [1] }), TypeError)
      assert.throws(() => world.gatherInit(null as never, two), TypeError)
      const scan = world.scanInit(Float64Array.of(7, 8), two, SUM)
      assert.deepEqual([...two], [5, 6])
      assert.equal(scan.done, true)
      assert.throws(() => scan.waitSync(), /not been started/)
      scan.start()
      if (!scan.done) assert.throws(() => scan.start(), /active/)
      await scan
      const copy = await world.dup()
      const barrier = copy.barrierInit()
      copy.free()
      assert.throws(() => barrier.start(), TypeError)
      assert.throws(() => copy.barrierInit(), TypeError)
      await world.barrier()
    })
  })
})
