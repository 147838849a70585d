import assert from 'node:assert/strict'
import type { Communicator } from '../src/communicator.js'
import { IN_PLACE } from '../src/constants.js'
import { Operation, SUM } from '../src/operation.js'
import { randomFrom } from './support/simulated-exchange.js'
import { type SimulatedJobOptions, simulate } from './support/simulated-job.js'

const SEED = Number(process.env.ONECOPY_SEED ?? Math.floor(Math.random() * 2 ** 31))
const CONCAT = Operation.create((a: string, b: string) => a + b)

function upTo<T>(count: number, of: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => of(index))
}

/** Starts one call and promises that its result is right. */
type Start = (comm: Communicator, salt: number, length: number) => Promise<void>

async function gives<T>(call: PromiseLike<T>, wanted: unknown): Promise<void> {
  assert.deepEqual(await call, wanted)
}

const STARTS: readonly Start[] = [
  (comm) => gives(comm.barrier(), undefined),
  (comm, salt) => gives(comm.bcast(comm.rank === salt % comm.size ? { salt } : null, salt % comm.size), { salt }),
  (comm, salt) =>
    gives(
      comm.allgather(`${comm.rank}/${salt}`),
      upTo(comm.size, (r) => `${r}/${salt}`),
    ),
  (comm, salt) =>
    gives(comm.scan(`${comm.rank}.${salt} `, CONCAT), upTo(comm.rank + 1, (r) => `${r}.${salt} `).join('')),
  (comm, salt) =>
    gives(
      comm.alltoall(upTo(comm.size, (dest) => [salt, comm.rank, dest])),
      upTo(comm.size, (source) => [salt, source, comm.rank]),
    ),
  async (comm, salt, length) => {
    const data = new Float64Array(length).fill(comm.rank + salt)
    await comm.allreduceInto(IN_PLACE, data, SUM)
    assert.deepEqual([...new Set(data)], [(comm.size * (comm.size - 1)) / 2 + salt * comm.size])
  },
  async (comm, salt, length) => {
    const mine = new Int32Array(length)
    await comm.reduceScatterBlockInto(new Int32Array(length * comm.size).fill(salt), mine, SUM)
    assert.deepEqual([...new Set(mine)], [salt * comm.size])
  },
  async (comm, salt, length) => {
    const all = new Uint8Array(length * comm.size)
    await comm.allgatherInto(new Uint8Array(length).fill(comm.rank + salt), all)
    assert.ok(all.every((byte, i) => byte === ((Math.floor(i / length) + salt) & 0xff)))
  },
  // point to point, where the tag is a collective's too
  async (comm, salt, length) => {
    const [next, last] = [(comm.rank + 1) % comm.size, (comm.rank + comm.size - 1) % comm.size]
    const sent = comm.send(new Float32Array(length).fill(comm.rank + salt), next, salt)
    const data = await comm.recv<Float32Array>(last, salt)
    assert.deepEqual([...new Set(data)], [last + salt])
    await sent
  },
]

/**
 * Every rank starts the same calls in one order, on two communicators in turn, lets each go its way for a while, and waits for
 * them in an order of its own.
 */
async function program(world: Communicator): Promise<void> {
  const shared = randomFrom(SEED)
  const own = randomFrom(SEED + 1 + world.rank)
  const comms = [world, await world.dup()]
  for (let round = 0; round < 4; round++) {
    const calls: Promise<void>[] = []
    for (let i = 0; i < 24; i++) {
      const start = STARTS[Math.floor(shared() * STARTS.length)]!
      const length = [1, 3000, 30_000][Math.floor(shared() * 3)]!
      calls.push(start(comms[Math.floor(shared() * 2)]!, 100 * round + i, length))
      if (own() < 0.1) await calls[Math.floor(own() * calls.length)]
    }
    for (const call of calls.sort(() => own() - 0.5)) await call
  }
}

const CONDITIONS: Readonly<Record<string, SimulatedJobOptions>> = {
  'in memory': {},
  'with narrow queues': { queueBytesMax: 4096, queueFramesMax: 8, frameBytesMax: 1024 },
  'without remote memory': { remoteMemory: false },
  'with the check': { settings: { check: '1' } },
}

describe(`collectives and messages outstanding at once (ONECOPY_SEED=${SEED})`, () => {
  for (const [name, options] of Object.entries(CONDITIONS)) {
    it(`are completed in any order, ${name}`, async () => {
      for (const size of [1, 2, 3, 4, 5, 9]) await simulate(size, options, program)
    })
  }
})
