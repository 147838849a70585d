import assert from 'node:assert/strict'
import type { Communicator } from '../src/communicator.js'
import { ANY_TAG, PROC_NULL } from '../src/constants.js'
import { EAGER_OVERHEAD_BYTES, EAGER_WINDOW_BYTES } from '../src/protocol.js'
import { turns, within } from './support/deadline.js'
import { assertBytes, assertSame, fill, filledBytes, makePayload, RAW_KINDS, VALUE_KINDS } from './support/payload.js'
import { type SimulatedJobOptions, simulate } from './support/simulated-job.js'

const LENGTHS = [0, 1, 64, 65, 8191, 8192, 8193, 65_536, 65_537, 98_305, 400_001]
const LONG = 200_000
/** Announced messages in each direction: far more than there may be numbers in use. */
const ROUNDS = 10_000
const MODES = ['send', 'ssend', 'bsend', 'rsend'] as const

/** Runs one function per rank. */
function ranks(
  scripts: readonly ((world: Communicator) => Promise<unknown>)[],
  options: SimulatedJobOptions = {},
): Promise<unknown[]> {
  return simulate(scripts.length, options, (world, rank) => scripts[rank]!(world), 35_000)
}

const FORMS: Record<string, SimulatedJobOptions> = {
  'remote memory': {},
  streams: { remoteMemory: false },
  'refusals and delays': { faults: (rank) => ({ seed: 11 + rank, refuse: 0.3, delay: 0.3 }) },
}

for (const [form, options] of Object.entries(FORMS)) {
  describe(`point to point over ${form}`, () => {
    it('keeps the order of messages of very different lengths', async () => {
      const lengths = [LONG, 0, 8193, 65_537, 1, 300_000, 65_536, 3]
      await ranks(
        [
          async (world) => {
            await Promise.all(lengths.map((length, i) => world.send(filledBytes(length, i), 1, 4)))
            await world.recv(1)
            await Promise.all(lengths.map((length, i) => world.send(filledBytes(length, i), 1, 5)))
          },
          async (world) => {
            await turns()
            for (const [i, length] of lengths.entries())
              assertBytes(await world.recv(0, 4), filledBytes(length, i), `${i}`)
            const posted = lengths.map(() => world.recv<Uint8Array>(0))
            await world.send('posted', 0)
            for (const [i, length] of lengths.entries()) assertBytes(await posted[i]!, filledBytes(length, i), `${i}`)
          },
        ],
        options,
      )
    })

    it('ends a synchronous send only once its message has matched', async () => {
      for (const length of [0, 10, 20_000, LONG]) {
        await ranks(
          [
            async (world) => {
              const request = world.ssend(filledBytes(length, 1), 1, 1)
              await world.send('sent', 1, 2)
              await world.recv(1, 3)
              await turns()
              assert.equal(request.done, false, `${length} bytes: done before a receive was posted`)
              await world.send('now', 1, 4)
              await request
            },
            async (world) => {
              await world.recv(0, 2)
              assert.equal((await world.probe(0, 1)).byteLength, length)
              await world.send('probed', 0, 3)
              await world.recv(0, 4)
              assertBytes(await world.recv(0, 1), filledBytes(length, 1), 'ssend')
            },
          ],
          options,
        )
      }
    })

    it('takes back the memory of a send only once it may be changed', async () => {
      for (const mode of MODES) {
        for (const length of LENGTHS) {
          await ranks(
            [
              async (world) => {
                const data = Buffer.from(filledBytes(length, length))
                const request = world[mode](data, 1)
                if (mode === 'bsend') data.fill(0xee)
                await request
                data.fill(0xee)
              },
              async (world) => {
                await turns(3)
                const data = await world.recv<Buffer>(0)
                assert.ok(Buffer.isBuffer(data))
                assertBytes(data, filledBytes(length, length), `${mode} of ${length}`)
              },
            ],
            options,
          )
        }
      }
    })

    it('probes without taking, and takes by matched probe', async () => {
      await ranks(
        [
          async (world) => {
            await Promise.all([7, 8, 7].map((tag, i) => world.send(filledBytes(i * LONG, i), 1, tag)))
          },
          async (world) => {
            assert.equal((await world.probe(0, 8)).byteLength, LONG)
            const first = await world.probe()
            assert.deepEqual({ ...first }, { source: 0, tag: 7, byteLength: 0, cancelled: false })
            const matched = await world.mprobe(0, 7)
            assert.equal(matched.byteLength, 0)
            const second = world.improbe(0, 7) ?? (await world.mprobe(0, 7))
            assert.equal(second.byteLength, 2 * LONG, 'the first one is no longer there to be found')
            assert.equal(world.iprobe(0, 7), null)
            const view = new Uint8Array(2 * LONG)
            assert.equal((await second.recvInto(view)).byteLength, 2 * LONG)
            assertBytes(view, filledBytes(2 * LONG, 2), 'second')
            assert.throws(() => second.recv(), TypeError)
            assert.equal((await matched.recv<Uint8Array>()).byteLength, 0)
            assertBytes(await world.recv(0, 8), filledBytes(LONG, 1), 'tag 8')
            assert.equal(world.iprobe(), null)
          },
        ],
        options,
      )
    })

    it('refuses what is too long, of any length, and reads the next message', async () => {
      const lengths = [2, 65, 8192, 30_000, 65_537, LONG]
      await ranks(
        [
          async (world) => {
            for (const length of lengths) {
              await world.send(filledBytes(length, 1), 1, 1)
              await world.send({ a: makePayload({ kind: 'parts', seed: 1, byteLength: length }) }, 1, 2)
              await world.send(filledBytes(length, 2), 1, 3)
            }
          },
          async (world) => {
            for (const [i, length] of lengths.entries()) {
              // both before and after the message is there
              if (i % 2 === 0) await turns()
              const memory = new Uint8Array(length + 20).fill(7)
              const short = memory.subarray(10, 10 + length - 1)
              await assert.rejects(async () => world.recvInto(short, 0, 1), { code: 'ERR_TRUNCATE', source: 0, tag: 1 })
              await assert.rejects(async () => world.recvInto(memory, 0, 2), { code: 'ERR_TYPE', source: 0, tag: 2 })
              assert.ok(
                memory.every((byte) => byte === 7),
                'nothing of a refused message may be written',
              )
              await world.recvInto(memory.subarray(10, 10 + length), 0, 3)
              assertBytes(memory.subarray(10, 10 + length), filledBytes(length, 2), 'next')
              assert.deepEqual([memory[9], memory[10 + length]], [7, 7])
            }
            assert.equal(world.iprobe(), null)
          },
        ],
        options,
      )
    })

    for (let size = 1; size <= 5; size++) {
      it(`exchanges in a circle of ${size}`, async () => {
        await simulate(size, options, async (world, rank) => {
          const [left, right] = [(rank + size - 1) % size, (rank + 1) % size]
          for (const length of LENGTHS) {
            const where = `${length} bytes`
            const mine = filledBytes(length, rank)
            const theirs = filledBytes(length, left)
            assertBytes(await world.sendrecv(mine, right, left, { sendTag: 3, recvTag: 3 }), theirs, where)
            const view = new Uint8Array(length + 3)
            const status = await world.sendrecvInto(mine, right, view, left)
            assert.deepEqual({ ...status }, { source: left, tag: 0, byteLength: length, cancelled: false })
            assertBytes(view.subarray(0, length), theirs, where)
            const both = Buffer.from(mine)
            assert.equal((await world.sendrecvReplace(both, right, left)).source, left)
            assertBytes(both, theirs, where)
          }
        })
      })
    }

    it('sends to itself in every mode, before and after the receive', async () => {
      await simulate(1, options, async (world) => {
        for (const mode of MODES) {
          for (const byteLength of LENGTHS) {
            for (const kind of [...RAW_KINDS, ...VALUE_KINDS]) {
              const data = makePayload({ kind, byteLength, seed: 5 })
              const where = `${mode} ${kind} ${byteLength}`
              const early = world.recv(0, 9)
              await world[mode](data, 0, 9)
              assertSame(await early, data, where)
              const request = world[mode](data, 0, 9)
              if (mode === 'bsend') await request
              const late = await world.recv(0, 9)
              await request
              assertSame(late, data, where)
              assert.notEqual(late, data)
            }
          }
        }
        const shared = Buffer.from('own memory')
        await world.send(shared, 0)
        shared.fill(0)
        assert.equal((await world.recv<Buffer>(0)).toString(), 'own memory')
        await assert.rejects(async () => {
          const send = world.send(new Uint8Array(100), 0)
          await world.recvInto(new Uint8Array(99))
          await send
        }, /ERR_TRUNCATE|does not fit/)
        assert.equal(world.iprobe(), null)
      })
    })

    it('holds back a flood that nobody receives, then delivers all of it in order', async function () {
      this.timeout(40_000)
      const count = form === 'remote memory' ? 100_000 : 20_000
      await ranks(
        [
          async (world) => {
            const pending: PromiseLike<void>[] = []
            for (let i = 0; i < count; i++) {
              const request = world.send(new Int32Array([i]), 1, 2)
              if (!request.done) pending.push(request)
            }
            assert.ok(pending.length > count / 2, 'nothing bounded what the receiver has to keep')
            assert.ok(count - pending.length <= EAGER_WINDOW_BYTES / EAGER_OVERHEAD_BYTES)
            await world.send('flooded', 1, 1)
            await Promise.all(pending)
          },
          async (world) => {
            await world.recv(0, 1)
            const view = new Int32Array(1)
            for (let i = 0; i < count; i++) {
              await world.recvInto(view, 0, 2)
              if (view[0] !== i) assert.fail(`message ${view[0]} came in place of ${i}`)
            }
          },
        ],
        options,
      )
    })

    it('delivers empty messages beyond the eager window', async () => {
      const count = EAGER_WINDOW_BYTES / EAGER_OVERHEAD_BYTES + 5
      await ranks(
        [
          async (world) => {
            const requests = Array.from({ length: count }, () => world.send(new Uint8Array(0), 1))
            await Promise.all(requests)
          },
          async (world) => {
            await turns()
            for (let i = 0; i < count; i++) assert.equal((await world.recv<Uint8Array>(0)).byteLength, 0)
          },
        ],
        options,
      )
    })
  })
}

describe('point to point', () => {
  it('completes at once with PROC_NULL', async () => {
    await simulate(2, {}, async (world) => {
      const nobody = { source: PROC_NULL, tag: ANY_TAG, byteLength: 0, cancelled: false }
      for (const mode of MODES) assert.equal(await world[mode](new Uint8Array(LONG), PROC_NULL), undefined)
      assert.equal(await world.recv(PROC_NULL), undefined)
      const view = new Uint8Array(3).fill(9)
      assert.deepEqual({ ...(await world.recvInto(view, PROC_NULL)) }, nobody)
      assert.deepEqual([...view], [9, 9, 9])
      assert.deepEqual(
        { ...(await world.recvMessage(PROC_NULL)) },
        { data: undefined, source: -2, tag: -1, byteLength: 0 },
      )
      assert.deepEqual({ ...(await world.probe(PROC_NULL)) }, nobody)
      assert.deepEqual({ ...world.iprobe(PROC_NULL) }, nobody)
      for (const matched of [await world.mprobe(PROC_NULL), world.improbe(PROC_NULL)]) {
        assert.deepEqual({ ...matched?.status }, nobody)
        assert.equal(await matched?.recv(), undefined)
        assert.deepEqual({ ...(await matched?.recvInto(view)) }, nobody)
        assert.equal((await matched?.recvMessage())?.source, PROC_NULL)
      }
      assert.deepEqual({ ...(await world.sendrecvInto(view, PROC_NULL, view, PROC_NULL)) }, nobody)
      assert.deepEqual({ ...(await world.sendrecvReplace(view, PROC_NULL, PROC_NULL)) }, nobody)
      assert.equal(await world.sendrecv(1, PROC_NULL, PROC_NULL), undefined)
    })
  })

  it('keeps communicators apart, also those made at the same time', async () => {
    await simulate(3, {}, async (world, rank) => {
      const [a, b] = await Promise.all([world.dup(), world.dup()])
      const c = await a.dup()
      const next = (rank + 1) % 3
      const all = [world, a, b, c]
      for (const [i, communicator] of all.entries()) await communicator.send(`from ${i}`, next, 1)
      for (const [i, communicator] of [...all.entries()].reverse()) {
        assert.equal(await communicator.recv(), `from ${i}`)
      }
      // made in another order on each rank
      const pair = rank === 0 ? [a.dup(), b.dup()] : [b.dup(), a.dup()].reverse()
      const [d, e] = await Promise.all(pair)
      assert.ok(d !== undefined && e !== undefined)
      await e.send('e', next)
      await d.send('d', next)
      assert.equal(await d.recv(), 'd')
      assert.equal(await e.recv(), 'e')
      assert.deepEqual([d.size, d.rank, d.name], [3, rank, 'dup of dup of world'])
    })
  })

  it('frees a communicator: calls throw, what waited fails, what nobody received is gone', async () => {
    await simulate(2, {}, async (world, rank) => {
      const other = 1 - rank
      for (let round = 0; round < 20; round++) {
        const copy = await world.dup()
        await copy.send(new Uint8Array(50_000), other)
        const long = copy.send(new Uint8Array(LONG), other, 1)
        const waiting = copy.recv(other, 5)
        await world.sendrecv('sent', other, other)
        copy.free()
        assert.throws(() => copy.send(1, other), TypeError)
        assert.throws(() => copy.recv(), TypeError)
        assert.throws(() => copy.iprobe(), TypeError)
        assert.throws(() => copy.barrier(), TypeError)
        assert.throws(() => copy.dup(), TypeError)
        assert.throws(() => copy.free(), TypeError)
        await assert.rejects(within(waiting, 'a receive on a freed communicator'), { code: 'ERR_CLOSED' })
        await within(long, 'a send that the other side has dropped')
      }
      // the window of the pair is as wide as at first: this is still eager
      const send = world.send(new Uint8Array(50_000), other)
      assert.equal(send.done, true, 'dropped messages still count against the eager window')
      await world.recv()
      assert.throws(() => world.free(), TypeError)
    })
  })

  it('serves: messages() goes on until all have left, is left by break, and ends by signal', async () => {
    await simulate(3, {}, async (world, rank) => {
      if (rank > 0) {
        for (let i = 0; i < 5; i++) await world.send({ i }, 0, rank)
        await world.recv(0, 9)
        await world.send('last words', 0, 3)
        await world.finalize()
        return
      }
      const seen: number[] = []
      for await (const { data, source } of world.messages<{ i: number }>({ source: 1 })) {
        assert.deepEqual([data.i, source], [seen.length, 1])
        seen.push(data.i)
        if (seen.length === 5) break
      }
      const controller = new AbortController()
      const reason = new Error('enough')
      await assert.rejects(async () => {
        for await (const { data } of world.messages<{ i: number }>({ tag: 2, signal: controller.signal })) {
          if (data.i === 4) setImmediate(() => controller.abort(reason))
        }
      }, reason)
      await assert.rejects(async () => {
        for await (const _ of world.messages({ signal: controller.signal })) assert.fail()
      }, reason)
      await Promise.all([world.send('go', 1, 9), world.send('go', 2, 9)])
      const last: unknown[] = []
      for await (const { data } of world.messages()) last.push(data)
      assert.deepEqual(last, ['last words', 'last words'])
    })
  })

  it(`runs ${2 * ROUNDS} announced messages with a handful of numbers`, async function () {
    this.timeout(50_000)
    await simulate(
      2,
      { settings: { eager: '0' } },
      async (world, rank, job) => {
        const view = fill(new Uint8Array(100), 1)
        for (let i = 0; i < ROUNDS; i++) {
          if (rank === 0) await world.send(view, 1)
          else await world.recvInto(view, 0)
          if (rank === 1) await world.send(view, 0)
          else await world.recvInto(view, 1)
        }
        const { rendezvous } = job.jobs[rank]!.engine.messenger
        assert.deepEqual([rendezvous.sends.count, rendezvous.receives.count], [0, 0])
        const id = rendezvous.sends.add({} as never)
        rendezvous.sends.remove(id)
        assert.ok((id & 0xfffff) < 4, `the table has grown: number ${id & 0xfffff}`)
      },
      50_000,
    )
  })
})
