import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { OnecopyError } from '@onecopy/transport'
import type { Communicator } from '../src/communicator.js'
import { Operation, SUM } from '../src/operation.js'
import { simulate } from './support/simulated-job.js'

const SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 9]

/** Elements of 8 bytes: eager, and beyond every threshold, so that senders wait for receivers. */
const LENGTHS = [1, 40_000]

class Thrown extends Error {}

function throwing(commutative: boolean): Operation {
  return Operation.create(
    () => {
      throw new Thrown('no')
    },
    { commutative },
  )
}

const VERBS: Readonly<Record<string, (comm: Communicator, op: Operation, length: number) => PromiseLike<unknown>>> = {
  reduce: (comm, op) => comm.reduce({ of: comm.rank }, op),
  reduceInto: (comm, op, length) =>
    comm.reduceInto(new Float64Array(length), new Float64Array(length), op, comm.size - 1),
  allreduce: (comm, op, length) => comm.allreduce(new Float64Array(length), op),
  'allreduce of values': (comm, op) => comm.allreduce(`${comm.rank}`, op),
  scan: (comm, op, length) => comm.scan(new Float64Array(length), op),
  exscan: (comm, op, length) => comm.exscan(new Float64Array(length), op),
  reduceScatter: (comm, op) => comm.reduceScatter(new Array(comm.size).fill([1]), op),
  reduceScatterBlockInto: (comm, op, length) =>
    comm.reduceScatterBlockInto(new Float64Array(length * comm.size), new Float64Array(length), op),
}

/** How a call ends: what it gives is of no interest. */
async function ending(call: PromiseLike<unknown>): Promise<string> {
  try {
    await call
    return 'done'
  } catch (error) {
    if (error instanceof Thrown) return 'thrown'
    assert.ok(error instanceof OnecopyError, String(error))
    return `${error.code} ${error.rank}`
  }
}

describe('collectives in which a rank fails', () => {
  for (const [name, call] of Object.entries(VERBS)) {
    it(`${name}: an operation that throws fails there, the others are told, and the communicator stays good`, async () => {
      for (const size of SIZES) {
        for (const length of LENGTHS) {
          for (const commutative of length === 1 ? [false] : [false, true]) {
            const endings = await simulate(size, {}, async (world) => {
              const copy = await world.dup()
              const ended = [
                await ending(call(copy, throwing(commutative), length)),
                await ending(call(copy, throwing(commutative), length)),
              ]
              // the same communicator goes on
              const sum = await copy.allreduce(new Float64Array(length).fill(1), SUM)
              assert.ok(sum.every((element) => element === size))
              assert.equal(copy.iprobe(), null)
              assert.equal(await copy.allreduce(copy.rank, SUM), (size * (size - 1)) / 2)
              copy.free()
              return ended
            })
            const all = endings.flat()
            assert.equal(all.includes('thrown'), size > (name === 'exscan' ? 2 : 1), `${size} ranks: ${all}`)
            for (const [i, ended] of all.entries()) {
              assert.match(ended, /^(done|thrown|ERR_COLLECTIVE \d)$/)
              // whoever is named has failed itself
              if (!ended.startsWith('ERR')) continue
              const named = Number(ended.split(' ')[1])
              assert.equal(endings[named]![i % 2], 'thrown', `${size} ranks: ${all}`)
            }
          }
        }
      }
    })
  }

  it('throws at once on the rank that calls the operation, in the call itself, without breaking the other face', async () => {
    await simulate(3, {}, async (world) => {
      const op = Operation.create((a: number, b: number) => {
        if (world.rank === 1) throw new Thrown('only here')
        return a + b
      })
      const ended = await ending(world.allreduce(1, op))
      assert.equal(ended, world.rank === 1 ? 'thrown' : 'ERR_COLLECTIVE 1')
      await world.barrier()
    })
  })

  it('lengths that differ: nobody waits for ever, and the next call is right', async () => {
    for (const size of [2, 3, 4, 5]) {
      for (let odd = 0; odd < size; odd++) {
        for (const length of [...LENGTHS, 0]) {
          await simulate(size, {}, async (world, rank) => {
            const mine = rank === odd ? length + 1 : length
            const calls = [
              () => world.allreduceInto(new Float64Array(mine), new Float64Array(mine), SUM),
              () => world.allgatherInto(new Float64Array(mine), new Float64Array(mine * size)),
              () => world.alltoallInto(new Float64Array(mine * size), new Float64Array(mine * size)),
              () => world.reduceScatterBlockInto(new Float64Array(mine * size), new Float64Array(mine), SUM),
              () => world.bcastInto(new Float64Array(mine), 0),
              () => world.gatherInto(new Float64Array(mine), new Float64Array(mine * size)),
              () => world.scatterInto(new Float64Array(mine * size), new Float64Array(mine)),
              () => world.scanInto(new Float64Array(mine), new Float64Array(mine), SUM),
            ]
            for (const start of calls) {
              assert.match(await ending(start()), /^(done|ERR_(TRUNCATE|TYPE|COLLECTIVE) )/)
              assert.equal(await world.allreduce(1, SUM), size)
            }
          })
        }
      }
    }
  })

  it('a rank that dies fails the call on every rank that is left, when the job goes on without it', async () => {
    for (const size of [2, 3, 4, 7]) {
      await simulate(size, { settings: { onFailure: 'continue' } }, async (world, rank, job) => {
        if (rank === size - 1) {
          await turn()
          job.kill(rank)
          return
        }
        for (const length of LENGTHS) {
          const data = new Float64Array(length)
          assert.equal(
            await ending(world.allreduceInto(data, new Float64Array(length), SUM)),
            `ERR_PROC_FAILED ${size - 1}`,
          )
        }
        assert.equal(await ending(world.barrier()), `ERR_PROC_FAILED ${size - 1}`)
        // a rank takes in what is still sent to it while it makes progress, as with any message
        const others = Array.from({ length: size - 1 }, (_, other) => other)
        await Promise.all(others.flatMap((other) => [world.send('done', other), world.recv(other)]))
      })
    }
  })
})

describe('a collective that has failed', () => {
  it('is not over while a message still comes into the caller’s memory', async () => {
    const slow = { remoteMemory: false, queueFramesMax: 2, frameBytesMax: 1024 }
    await simulate(3, slow, async (world, rank) => {
      const length = 200_000
      if (rank === 1) await world.recv(0, 1)
      // what rank 1 sends is too long for rank 0
      const send = new Uint8Array(rank === 1 ? 3 * 8 : 3 * length).fill(rank)
      if (rank !== 0) {
        const sendCounts = rank === 1 ? [16, 4, 4] : [length, 4, 4]
        const recvCounts = [4, 4, 4]
        await ending(world.alltoallInto(send, new Uint8Array(12), { sendCounts, recvCounts }))
        return
      }
      const recv = new Uint8Array(3 * length)
      const call = world.alltoallInto(new Uint8Array(12), recv, { sendCounts: [4, 4, 4], recvCounts: [4, 4, length] })
      const failed = assert.rejects(Promise.resolve(call), { code: 'ERR_TRUNCATE' })
      while (recv[8] === 0) await turn()
      await world.send('late', 1, 1)
      await failed
      const then = recv.slice()
      for (let i = 0; i < 1000; i++) await turn()
      assert.ok(recv.every((byte, i) => byte === then[i]))
    })
  })
})
