import assert from 'node:assert/strict'
import type { Communicator } from '../src/communicator.js'
import { turns, within } from './support/deadline.js'
import { assertBytes, assertSame, filledBytes, makePayload } from './support/payload.js'
import { type SimulatedJobOptions, simulate, simulateJob } from './support/simulated-job.js'

const LONG = 200_000
const CONTINUE: SimulatedJobOptions = { settings: { onFailure: 'continue' } }

/** What a promise fails with, by code and rank. */
async function failure(promise: PromiseLike<unknown>): Promise<string> {
  try {
    await within(promise, 'a call that cannot succeed')
  } catch (error) {
    const { code, rank } = error as { code?: string; rank?: number }
    return code === undefined ? String(error) : `${code} ${rank}`
  }
  return 'no failure'
}

describe('a rank that leaves', () => {
  it('fails what only it could have completed, and nothing else', async () => {
    await simulate(3, {}, async (world, rank) => {
      if (rank === 2) {
        await world.send('early', 0, 1)
        await world.send(filledBytes(50_000, 1), 0, 2)
        await world.recv(0, 3)
        await world.finalize()
        return
      }
      if (rank === 1) {
        await world.recv(0, 4)
        await world.send('from 1', 0, 6)
        await world.finalize()
        return
      }
      const pending = [
        world.recv(2, 5),
        world.recvInto(new Uint8Array(5), 2, 5),
        world.probe(2, 5),
        world.mprobe(2, 5),
        world.send(filledBytes(LONG, 1), 2),
        world.ssend('nobody receives this', 2),
        world.sendrecv(1, 2, 2, { recvTag: 5 }),
      ].map(failure)
      const anySource = world.recv(-1, 6)
      await turns()
      await world.send('leave', 2, 3)
      assert.deepEqual(await Promise.all(pending), Array(pending.length).fill('ERR_PROC_FAILED 2'))
      for (const verb of ['send', 'ssend', 'bsend', 'rsend'] as const) {
        assert.equal(await failure(world[verb](1, 2)), 'ERR_PROC_FAILED 2', verb)
      }
      assert.equal(await failure(world.recv(2, 7)), 'ERR_PROC_FAILED 2')
      assert.equal(await world.recv(2, 1), 'early')
      assertBytes(await world.recv(2, 2), filledBytes(50_000, 1), 'arrived before the end')
      assert.equal(anySource.done, false, 'rank 1 is still there')
      await world.send('go', 1, 4)
      assert.equal(await anySource, 'from 1')
      // nobody is left
      assert.match(await failure(world.recv()), /ERR_PROC_FAILED/)
      assert.match(await failure(world.probe()), /ERR_PROC_FAILED/)
      assert.match(await failure(world.recv(-1, 3)), /ERR_PROC_FAILED/)
    })
  })

  it('has sent everything it began to send', async () => {
    await simulate(2, {}, async (world, rank) => {
      if (rank === 0) {
        void world.send(filledBytes(LONG, 1), 1)
        void world.send({ list: [filledBytes(LONG, 2)] }, 1)
        void world.send('end', 1)
        await world.finalize()
        await world.finalize()
        assert.throws(() => world.send(1, 1), { code: 'ERR_CLOSED' })
        assert.throws(() => world.recv(), { code: 'ERR_CLOSED' })
        assert.throws(() => world.iprobe(), { code: 'ERR_CLOSED' })
        assert.throws(() => world.barrier(), { code: 'ERR_CLOSED' })
        return
      }
      await turns()
      assertBytes(await world.recv(0), filledBytes(LONG, 1), 'long')
      assertSame(await world.recv(0), { list: [filledBytes(LONG, 2)] }, 'value')
      assert.equal(await world.recv(0), 'end')
    })
  })

  it('fails its own pending calls with ERR_CLOSED', async () => {
    await simulate(2, {}, async (world) => {
      const pending = [world.recv(), world.probe(), world.barrier()].map(failure)
      await world.finalize()
      for (const code of await Promise.all(pending)) assert.match(code, /ERR_CLOSED|ERR_PROC_FAILED|no failure/)
    })
  })
})

describe('a rank that is killed', () => {
  it('ends the job for everyone: pending calls fail naming it', async () => {
    const job = await simulateJob(3)
    const survivors = job.worlds.slice(0, 2).map(async (world) => {
      const other = 1 - world.rank
      const codes = [world.recv(2), world.recv(), world.recv(other), world.barrier(), world.probe(other)].map(failure)
      return Promise.all(codes)
    })
    await turns()
    job.kill(2)
    for (const codes of await Promise.all(survivors)) assert.deepEqual(codes, Array(5).fill('ERR_PROC_FAILED 2'))
    assert.equal(await failure(job.worlds[0]!.send(1, 1)), 'ERR_PROC_FAILED 2')
    await within(job.close(), 'finalize')
  })

  it('leaves the others alone where the job goes on, also in the middle of a message', async () => {
    for (const remoteMemory of [true, false]) {
      for (const length of [40_000, 2_000_000]) {
        const job = await simulateJob(3, {
          ...CONTINUE,
          remoteMemory,
          segmentBytes: 4096,
          frameBytesMax: 1024,
          queueFramesMax: 4,
        })
        const [zero, one, two] = job.worlds as [Communicator, Communicator, Communicator]
        two.send('complete', 0, 8).catch(() => undefined)
        two.send(filledBytes(length, 1), 0, 7).catch(() => undefined)
        two.send(filledBytes(length, 1), 0, 6).catch(() => undefined)
        const receiving = failure(zero.recv(2, 7))
        zero.send(filledBytes(length, 2), 2, 1).catch(() => undefined)
        await turns(3)
        job.kill(2)
        assert.equal(await receiving, 'ERR_PROC_FAILED 2', `${length} bytes`)
        assert.equal(await within(zero.recv(2, 8), 'what had arrived'), 'complete')
        // an announcement may have arrived, or not: both must end
        assert.equal(await failure(zero.recv(2, 6)), 'ERR_PROC_FAILED 2')
        assert.equal(await failure(zero.send(filledBytes(length, 2), 2)), 'ERR_PROC_FAILED 2')
        const exchange = [zero.send(filledBytes(LONG, 3), 1), one.recv<Uint8Array>(0)] as const
        assertBytes(await within(exchange[1], 'the others'), filledBytes(LONG, 3), 'the others')
        await exchange[0]
        await within(job.close(), 'finalize')
      }
    }
  })
})

describe('memory that cannot be read', () => {
  it('fails the one message on both sides (EFAULT), and the next one arrives', async () => {
    for (const kind of ['bytes', 'parts'] as const) {
      const faults = { remoteMemory: [{ error: 'EFAULT', operation: 'read', call: 2 }] } as const
      await simulate(
        2,
        { segmentBytes: 50_000, faults: (rank) => ({ seed: rank, ...faults }) },
        async (world, rank) => {
          const data = makePayload({ kind, byteLength: LONG, seed: 3 })
          if (rank === 0) {
            assert.equal(await failure(world.send(data, 1)), 'ERR_BUFFER_GONE 1')
            await world.send(data, 1)
          } else {
            assert.equal(await failure(world.recv(0)), 'ERR_BUFFER_GONE 0')
            assertSame(await world.recv(0), data, kind)
          }
        },
      )
    }
  })

  it('that a sender who waits has transferred away is an error on both sides and ends nothing', async () => {
    await simulate(2, {}, async (world, rank) => {
      if (rank === 0) {
        const data = filledBytes(LONG, 1)
        const request = world.send(data, 1)
        // says that it waits, while the memory is there: so the receiver offers its own
        const outcome = failure(request.then())
        structuredClone(data.buffer, { transfer: [data.buffer as ArrayBuffer] })
        await world.send('transferred', 1, 5)
        assert.equal(await outcome, 'ERR_BUFFER_GONE 1')
        await world.send('next', 1)
      } else {
        await world.recv(0, 5)
        assert.equal(await failure(world.recv(0, 0)), 'ERR_BUFFER_GONE 0')
        assert.equal(await world.recv(0), 'next')
      }
    })
  })

  it('that the sender has transferred away is an error on both sides and ends nothing', async () => {
    for (const remoteMemory of [true, false]) {
      for (const [mode, length] of [
        ['send', LONG],
        ['ssend', LONG],
        ['ssend', 50_000],
      ] as const) {
        const narrow = { queueFramesMax: 2, frameBytesMax: 1024 }
        await simulate(2, { remoteMemory, ...(length < LONG ? narrow : {}) }, async (world, rank) => {
          if (rank === 0) {
            const data = filledBytes(length, 1)
            const request = failure(world[mode](data, 1))
            structuredClone(data.buffer, { transfer: [data.buffer as ArrayBuffer] })
            await world.send('transferred', 1, 5)
            assert.match(await request, /ERR_BUFFER_GONE/)
            await world.send('next', 1)
          } else {
            await world.recv(0, 5)
            const outcome = await failure(world.recv(0, 0))
            if (length === LONG) assert.match(outcome, /ERR_BUFFER_GONE/)
            assert.equal(await world.recv(0), 'next')
          }
        })
      }
    }
  })
})
