import assert from 'node:assert/strict'
import type { Communicator } from '../src/communicator.js'
import { testAll, testAny, testSome, waitAllSync, waitAnySync, waitSomeSync } from '../src/waiting.js'
import { turns, within } from './support/deadline.js'
import { assertBytes, filledBytes } from './support/payload.js'
import { type SimulatedJobOptions, simulate } from './support/simulated-job.js'

const LONG = 200_000
/** Queues so narrow that everything longer than a few frames has to wait in this process. */
const NARROW: SimulatedJobOptions = { frameBytesMax: 1024, queueBytesMax: 2048, queueFramesMax: 2 }

describe('requests', () => {
  it('cancel receives that have not matched, and only those', async () => {
    await simulate(2, {}, async (world, rank) => {
      if (rank === 1) {
        await world.send('first', 0, 1)
        return
      }
      const cancelled = world.recv(1, 1)
      const kept = world.recv(1, 1)
      cancelled.cancel()
      assert.deepEqual([cancelled.done, cancelled.status?.cancelled], [true, true])
      await assert.rejects(async () => cancelled, { code: 'ERR_CANCELLED' })
      assert.equal(await kept, 'first')
      kept.cancel()
      assert.equal(await kept, 'first')
      assert.equal(kept.status?.cancelled, false)
    })
  })

  it('cancel sends that nobody has received: announced, synchronous, to oneself', async () => {
    await simulate(2, {}, async (world, rank) => {
      if (rank === 1) {
        await world.recv(0, 1)
        assert.equal(await world.recv(0, 5), 'kept')
        assert.equal(world.iprobe(0, 5), null, 'a cancelled message can still be found')
        return
      }
      const requests = [
        world.send(filledBytes(LONG, 1), 1, 5),
        world.ssend(filledBytes(10, 1), 1, 5),
        world.ssend(filledBytes(60_000, 1), 1, 5),
        world.send({ part: filledBytes(LONG, 1) }, 1, 5),
        world.ssend('self', 0, 5),
        world.send(filledBytes(LONG, 1), 0, 5),
      ]
      await world.send('kept', 1, 5)
      for (const request of requests) {
        request.cancel()
        await assert.rejects(within(request, 'a cancelled send'), { code: 'ERR_CANCELLED' })
        assert.equal(request.status?.cancelled, true)
      }
      assert.equal(world.iprobe(0, 5), null)
      await world.send('cancelled', 1, 1)
    })
  })

  it('cancel sends that wait for room whole or not at all', async () => {
    await simulate(2, NARROW, async (world, rank) => {
      const lengths = [500, 5000, 500, 20_000, 900, 60_000, 1]
      if (rank === 1) {
        await turns(20)
        for (;;) {
          const { data, tag } = await world.recvMessage<Uint8Array>(0)
          if (tag === lengths.length) break
          assertBytes(data, filledBytes(lengths[tag] as number, tag), `message ${tag}`)
        }
        return
      }
      const requests = lengths.map((length, tag) => world.send(filledBytes(length, tag), 1, tag))
      for (const request of requests) request.cancel()
      const outcomes = await Promise.allSettled(requests)
      assert.ok(
        outcomes.some(({ status }) => status === 'rejected'),
        'nothing was cancelled: the test tests nothing',
      )
      await world.send('end', 1, lengths.length)
    })
  })

  it('give back their place in the eager window when they are cancelled', async () => {
    await simulate(2, NARROW, async (world, rank, job) => {
      if (rank === 1) {
        await world.recv(0, 1)
        await world.recv(0, 2)
        return
      }
      const link = job.jobs[0]!.engine.messenger.link(1)
      const filling = world.send(filledBytes(10_000, 1), 1, 1)
      const before = link.eagerOutstanding
      for (let i = 0; i < 100; i++) {
        const request = world.send(filledBytes(1000, i), 1, 1)
        request.cancel()
        await assert.rejects(async () => request, { code: 'ERR_CANCELLED' })
      }
      assert.ok(link.eagerOutstanding <= before, `${link.eagerOutstanding} bytes count as under way, not ${before}`)
      await filling
      await world.send('end', 1, 2)
    })
  })

  it('are given up by a signal, with its reason, in every verb', async () => {
    await simulate(2, {}, async (world, rank) => {
      if (rank === 1) {
        await world.recv(0, 99)
        assert.equal(world.iprobe(), null)
        return
      }
      const view = new Uint8Array(LONG)
      const verbs: Record<string, (signal: AbortSignal) => PromiseLike<unknown>> = {
        send: (signal) => world.send(view, 1, 1, { signal }),
        ssend: (signal) => world.ssend(1, 1, 1, { signal }),
        rsend: (signal) => world.rsend(view, 1, 1, { signal }),
        recv: (signal) => world.recv(1, 1, { signal }),
        recvInto: (signal) => world.recvInto(view, 1, 1, { signal }),
        recvMessage: (signal) => world.recvMessage(1, 1, { signal }),
        probe: (signal) => world.probe(1, 1, { signal }),
        mprobe: (signal) => world.mprobe(1, 1, { signal }),
        sendrecv: (signal) => world.sendrecv(view, 1, 1, { signal, recvTag: 7 }),
        sendrecvInto: (signal) => world.sendrecvInto(view, 1, new Uint8Array(4), 1, { signal, recvTag: 7 }),
        sendrecvReplace: (signal) => world.sendrecvReplace(view, 1, 1, { signal, recvTag: 7 }),
      }
      for (const [name, verb] of Object.entries(verbs)) {
        const reason = new Error(name)
        const controller = new AbortController()
        const request = verb(controller.signal)
        setImmediate(() => controller.abort(reason))
        await assert.rejects(within(request, `${name} with a signal`), reason)
        await assert.rejects(async () => verb(AbortSignal.abort(reason)), reason)
        const late = new AbortController()
        const done = world.send('done', 0, 3, { signal: late.signal })
        assert.equal(await world.recv(0, 3, { signal: late.signal }), 'done')
        late.abort()
        await done
      }
      await turns()
      await world.send('end', 1, 99)
    })
  })

  it('can be cancelled while they probe', async () => {
    await simulate(2, {}, async (world, rank) => {
      if (rank === 1) {
        await world.recv(0)
        return
      }
      for (const request of [world.probe(1), world.mprobe(1)]) {
        request.cancel()
        await assert.rejects(within<unknown>(request, 'a cancelled probe'), { code: 'ERR_CANCELLED' })
      }
      await world.send(0, 1)
    })
  })

  it('are waited for and tested in groups', async () => {
    await simulate(2, {}, async (world, rank) => {
      const other = 1 - rank
      await world.barrier()
      assert.deepEqual(
        [waitAnySync([]), waitSomeSync([]), testAll([]), testAny([]), testSome([])],
        [null, [], true, -1, []],
      )
      const receives = [1, 2, 3].map((tag) => world.recv(other, tag))
      assert.equal(testAll(receives), false)
      await world.send('two', other, 2)
      await until(() => testAny(receives) === 1)
      assert.deepEqual([testSome(receives), testAll(receives), receives[1]?.test()], [[1], false, true])
      assert.deepEqual(waitAnySync(receives), { index: 1, value: 'two' })
      assert.deepEqual(waitSomeSync(receives), [1])
      await world.barrier()
      await world.send('one', other, 1)
      await world.send('three', other, 3)
      await until(() => testAll(receives))
      assert.deepEqual(waitAllSync(receives), ['one', 'two', 'three'])
      assert.equal(receives[0]?.status?.tag, 1)
      assert.equal(receives[0]?.waitSync(), 'one')
      assert.equal(await receives[0], 'one')
    })
  })

  it('all complete even when one of a group fails', async () => {
    await simulate(1, {}, async (world) => {
      const requests = [world.recvInto(new Uint8Array(1)), world.recvInto(new Uint8Array(4))]
      await world.send(new Uint8Array(2), 0)
      await world.send(new Uint8Array(2), 0)
      assert.throws(() => waitAllSync(requests), { code: 'ERR_TRUNCATE' })
      assert.equal(requests[1]?.waitSync().count(2), 1)
      assert.equal(requests[1]?.waitSync().count(4), -3)
    })
  })

  it('are started again and again when they are persistent', async () => {
    await simulate(2, {}, async (world, rank) => {
      const other = 1 - rank
      for (const length of [0, 100, LONG]) {
        const [out, into] = [new Uint8Array(length), new Uint8Array(length)]
        const send = world.sendInit(out, other, 4)
        const receive = world.recvInit(into, other, 4)
        assert.deepEqual([send.done, receive.done, receive.status], [true, true, null])
        assert.throws(() => send.waitSync(), TypeError)
        for (let round = 0; round < 5; round++) {
          out.set(filledBytes(length, round))
          receive.start()
          send.start()
          const status = await receive
          await send
          assert.deepEqual([status.source, status.byteLength], [other, length])
          assertBytes(into, filledBytes(length, round), `round ${round}`)
        }
        await world.barrier()
        receive.start()
        assert.throws(() => receive.start(), TypeError, 'it is active')
        receive.cancel()
        await assert.rejects(async () => receive, { code: 'ERR_CANCELLED' })
        await world.barrier()
        receive.start()
        await send.start()
        await receive
      }
      assert.throws(() => world.recvInit('no view' as never), TypeError)
      assert.throws(() => world.recvInit(new Uint8Array(1), 2), RangeError)
      assert.throws(() => world.sendInit(new Uint8Array(1), 2), RangeError)
      assert.throws(() => world.sendInit(new Uint8Array(1), 0, -1), RangeError)
    })
  })

  it('that fail unobserved become an unhandled rejection, observed ones do not', async () => {
    const seen: unknown[] = []
    const listeners = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    process.on('unhandledRejection', (reason) => seen.push(reason))
    try {
      await simulate(1, {}, async (world: Communicator) => {
        const observed = world.recvInto(new Uint8Array(1))
        observed.catch(() => undefined)
        world.recvInto(new Uint8Array(2))
        await world.send(new Uint8Array(3), 0)
        await world.send(new Uint8Array(3), 0)
        await turns(5)
      })
    } finally {
      process.removeAllListeners('unhandledRejection')
      for (const listener of listeners) process.on('unhandledRejection', listener)
    }
    assert.deepEqual(
      seen.map((error) => (error as { code: string }).code),
      ['ERR_TRUNCATE'],
    )
  })
})

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 10_000 && !condition(); i++) await turns(1)
  assert.ok(condition())
}
