import assert from 'node:assert/strict'
import { type BoardChannel, createInProcessNetwork, NOT_TOLD } from '@onecopy/transport'
import type { Communicator } from '../src/communicator.js'
import { IN_PLACE } from '../src/constants.js'
import { Operation, SUM } from '../src/operation.js'
import { Postings } from '../src/postings.js'
import type { ProgressEngine } from '../src/progress.js'
import { within } from './support/deadline.js'
import { Guarded } from './support/guarded.js'
import { simulate } from './support/simulated-job.js'
import { turns } from './support/turns.js'

const SIZES = [2, 3, 4]
/** What the board of the in-process transport, and of cma, takes. */
const POSTING_BYTES = 16384
const SLOTS = 8

/** How a call ends: its error's code, or 'done'. */
async function ending(call: PromiseLike<unknown>): Promise<string> {
  try {
    await within(Promise.resolve(call), 'a call whose ranks do not fit together')
    return 'done'
  } catch (error) {
    const { code } = error as { code?: string }
    assert.ok(code?.startsWith('ERR_') === true, String(error))
    return code
  }
}

function bytes(rank: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => 7 * rank + i)
}

describe('collectives by postings', () => {
  it('are right around the length that can be posted, and write nothing beside their memory', async () => {
    for (const size of SIZES) {
      const limits = [POSTING_BYTES, POSTING_BYTES / size].map(Math.floor)
      const lengths = [1, 24, 25, ...limits.flatMap((limit) => [limit - 1, limit, limit + 1])]
      await simulate(size, {}, async (world, rank) => {
        for (const length of lengths) {
          const own = bytes(rank, length)
          const sum = Uint8Array.from({ length }, (_, i) => {
            let total = 0
            for (let source = 0; source < size; source++) total += 7 * source + i
            return total
          })
          for (let root = 0; root < size; root++) {
            const given = new Guarded(Uint8Array, length)
            if (rank === root) given.view.set(own)
            await world.bcastInto(given.view, root)
            assert.deepEqual(given.view, bytes(root, length))
            const reduced = new Guarded(Uint8Array, length)
            await world.reduceInto(own, rank === root ? reduced.view : null, SUM, root)
            assert.deepEqual(reduced.view, rank === root ? sum : new Uint8Array(length))
            reduced.view.set(own)
            await world.reduceInto(rank === root ? IN_PLACE : own, rank === root ? reduced.view : null, SUM, root)
            assert.deepEqual(reduced.view, rank === root ? sum : own)
            given.check()
            reduced.check()
          }
          const everywhere = new Guarded(Uint8Array, length)
          await world.allreduceInto(own, everywhere.view, SUM)
          assert.deepEqual(everywhere.view, sum)
          everywhere.view.set(own)
          await world.allreduceInto(IN_PLACE, everywhere.view, SUM)
          assert.deepEqual(everywhere.view, sum)
          everywhere.check()
          const all = new Guarded(Uint8Array, length * size)
          await world.allgatherInto(own, all.view)
          for (let source = 0; source < size; source++) {
            assert.deepEqual(all.view.subarray(source * length, (source + 1) * length), bytes(source, length))
          }
          const exchanged = new Guarded(Uint8Array, length * size)
          const outgoing = new Uint8Array(length * size)
          for (let dest = 0; dest < size; dest++) outgoing.set(bytes(rank + 10 * dest, length), dest * length)
          await world.alltoallInto(outgoing, exchanged.view)
          for (let source = 0; source < size; source++) {
            const block = exchanged.view.subarray(source * length, (source + 1) * length)
            assert.deepEqual(block, bytes(source + 10 * rank, length))
          }
          exchanged.view.set(outgoing)
          await world.alltoallInto(IN_PLACE, exchanged.view)
          for (let source = 0; source < size; source++) {
            const block = exchanged.view.subarray(source * length, (source + 1) * length)
            assert.deepEqual(block, bytes(source + 10 * rank, length))
          }
          all.check()
          exchanged.check()
        }
      })
    }
  })

  it('go by no message', async () => {
    await simulate(3, {}, async (world) => {
      const before = world.statistics.messages
      await world.barrier()
      await world.allreduceInto(new Float64Array(4), new Float64Array(4), SUM)
      await world.bcastInto(new Float64Array(4), 1)
      assert.equal(world.statistics.messages, before)
    })
  })

  it('combine in rank order, in place too', async () => {
    const last = Operation.create((_a: number, b: number) => b)
    for (const size of SIZES) {
      await simulate(size, {}, async (world, rank) => {
        for (let root = 0; root < size; root++) {
          const memory = new Int32Array([rank, 10 * rank])
          await world.allreduceInto(IN_PLACE, memory, last)
          assert.deepEqual([...memory], [size - 1, 10 * (size - 1)])
          memory.set([rank, 10 * rank])
          if (rank === root) await world.reduceInto(IN_PLACE, memory, last, root)
          else await world.reduceInto(memory, null, last, root)
          assert.deepEqual([...memory], rank === root ? [size - 1, 10 * (size - 1)] : [rank, 10 * rank])
        }
      })
    }
  })

  it('give an operation on whole arrays memory of its own', async () => {
    const spoiling = Operation.create(
      (a: Float64Array, b: Float64Array) => {
        for (let i = 0; i < a.length; i++) a[i]! += b[i]!
        b.fill(-1)
        return a
      },
      { elementwise: false },
    )
    await simulate(3, {}, async (world, rank) => {
      const out = new Float64Array(2)
      await world.allreduceInto(Float64Array.of(rank, 1), out, spoiling)
      assert.deepEqual([...out], [3, 3])
    })
  })

  it('can be outstanding in any number, and be waited for in any order', async () => {
    for (const size of SIZES) {
      await simulate(size, {}, async (world, rank) => {
        const count = 5 * SLOTS + 3
        const results = Array.from({ length: count }, () => new Float64Array(1))
        const calls = results.map((result, i) => {
          switch (i % 4) {
            case 0:
              return world.allreduceInto(Float64Array.of(rank + i), result, SUM)
            case 1:
              result[0] = rank === i % size ? i : -1
              return world.bcastInto(result, i % size)
            case 2:
              return world.reduceInto(Float64Array.of(rank + i), result, SUM, i % size)
            default:
              return world.barrier()
          }
        })
        // ranks begin to look at different times
        await turns(5 * rank)
        for (const call of rank % 2 === 0 ? calls : calls.reverse()) await call
        const ranks = (size * (size - 1)) / 2
        for (const [i, [value]] of results.entries()) {
          const sum = ranks + size * i
          assert.equal(value, [sum, i, rank === i % size ? sum : 0, 0][i % 4], `call ${i} of ${size} ranks`)
        }
      })
    }
  })

  it('let a root run ahead by the slots there are, and no further', async () => {
    await simulate(2, {}, async (world, rank) => {
      const count = 3 * SLOTS
      const data = Array.from({ length: count }, (_, i) => Int32Array.of(rank === 0 ? i : -1))
      if (rank === 0) {
        const calls = data.map((each) => world.bcastInto(each))
        await turns()
        assert.deepEqual(
          calls.map(({ done }) => done),
          calls.map((_, i) => i < SLOTS),
        )
        await world.send(0, 1)
        await Promise.all(calls)
      } else {
        await world.recv(0)
        for (const each of data) await world.bcastInto(each)
        assert.deepEqual(
          data.map(([value]) => value),
          data.map((_, i) => i),
        )
      }
    })
  })

  it('fail, or come together by messages, when only some ranks give what can be posted', async () => {
    const short = (): Float64Array => new Float64Array(1)
    const long = (): Float64Array => new Float64Array(POSTING_BYTES)
    const longer = (): Float64Array => new Float64Array(100_000)
    const isGood = (code: string): boolean => ['ERR_TRUNCATE', 'ERR_TYPE', 'ERR_COLLECTIVE', 'done'].includes(code)
    const verbs: Record<string, (comm: Communicator, make: () => Float64Array) => PromiseLike<unknown>> = {
      bcastInto: (comm, make) => comm.bcastInto(make(), 0),
      reduceInto: (comm, make) => comm.reduceInto(make(), make(), SUM, 0),
      allreduceInto: (comm, make) => comm.allreduceInto(make(), make(), SUM),
      allgatherInto: (comm, make) => comm.allgatherInto(make(), new Float64Array(comm.size * make().length)),
      alltoallInto: (comm, make) => {
        const each = new Float64Array(comm.size * make().length)
        return comm.alltoallInto(each, each.slice())
      },
    }
    for (const [verb, call] of Object.entries(verbs)) {
      for (const size of SIZES) {
        for (const other of [long, longer]) {
          for (let odd = 0; odd < size; odd++) {
            for (const [ours, theirs] of [
              [short, other],
              [other, short],
            ] as const) {
              const endings = await simulate(size, {}, async (world, rank) => {
                const copy = await world.dup()
                const code = await ending(call(copy, rank === odd ? theirs : ours))
                // and nothing of it is in the way of the next one
                assert.equal(await within(world.allreduce(1, SUM), 'the next collective'), size)
                return code
              })
              const what = `${verb}, ${size} ranks, rank ${odd} is odd: ${endings.join()}`
              assert.ok(endings.every(isGood), what)
              assert.ok(
                endings.some((code) => code !== 'done'),
                what,
              )
            }
          }
        }
      }
    }
  })

  it('fail when ranks give other lengths or kinds that can all be posted', async () => {
    await simulate(3, {}, async (world, rank) => {
      const [copy, other] = [await world.dup(), await world.dup()]
      const length = rank === 2 ? 3 : 2
      const code = await ending(copy.allreduceInto(new Float64Array(length), new Float64Array(length), SUM))
      assert.ok(['ERR_TRUNCATE', 'ERR_COLLECTIVE'].includes(code), code)
      const kind = rank === 1 ? Int32Array : Float32Array
      const type = await ending(other.allreduceInto(new kind(2), new kind(2), SUM))
      assert.ok(['ERR_TYPE', 'ERR_COLLECTIVE'].includes(type), type)
    })
  })

  it('find out when some ranks give values and others memory', async () => {
    for (const size of SIZES) {
      await simulate(size, {}, async (world, rank) => {
        for (const valuesAtRoot of [true, false]) {
          const copy = await world.dup()
          const gives = (rank === 0) === valuesAtRoot
          const code = await ending(gives ? copy.bcast({ a: 1 }, 0) : copy.bcastInto(new Uint8Array(8), 0))
          if (rank !== 0) assert.ok(['ERR_TYPE', 'ERR_COLLECTIVE'].includes(code) || size > 2, code)
          const other = await world.dup()
          const reduced = await ending(
            gives
              ? other.reduce(
                  'text',
                  Operation.create((a: string) => a),
                )
              : other.reduceInto(new Uint8Array(8), new Uint8Array(8), SUM),
          )
          if (rank === 0) assert.notEqual(reduced, 'done')
        }
      })
    }
  })

  it('of blocks of any lengths, some of which can be posted, are right', async () => {
    for (const size of SIZES) {
      await simulate(size, {}, async (world, rank) => {
        const counts = Array.from({ length: size }, (_, source) => (source === 1 ? POSTING_BYTES + 1 : 3 * source))
        const all = new Uint8Array(counts.reduce((sum, count) => sum + count, 0))
        await world.allgatherInto(bytes(rank, counts[rank]!), all, { counts })
        let at = 0
        for (const [source, count] of counts.entries()) {
          assert.deepEqual(all.subarray(at, at + count), bytes(source, count))
          at += count
        }
      })
    }
  })

  it('fail when a rank is gone that others wait for, and not before', async () => {
    await simulate(3, { settings: { onFailure: 'continue' } }, async (world, rank, job) => {
      const data = Int32Array.of(rank === 1 ? 5 : 0)
      if (rank === 1) {
        await world.bcastInto(data, 1)
        await turns()
        job.kill(1)
        return
      }
      await turns(60)
      // it had posted before it died
      await world.bcastInto(data, 1)
      assert.equal(data[0], 5)
      await assert.rejects(within(world.barrier(), 'a barrier with the dead'), { code: 'ERR_PROC_FAILED', rank: 1 })
    })
  })

  it('end with a revoked communicator, and with one that is freed', async () => {
    await simulate(2, {}, async (world, rank) => {
      const [revoked, freed] = [await world.dup(), await world.dup()]
      if (rank === 1) {
        await turns()
        revoked.revoke()
        return
      }
      await assert.rejects(within(revoked.barrier(), 'a barrier'), { code: 'ERR_REVOKED' })
      const waiting = freed.barrier()
      await turns()
      freed.free()
      await assert.rejects(within(waiting, 'a barrier'), { code: 'ERR_CLOSED' })
    })
  })

  it('can be given up, also before they had room, and the numbers stay the same on all ranks', async () => {
    await simulate(2, {}, async (world, rank) => {
      const copy = await world.dup()
      if (rank === 0) {
        const calls = Array.from({ length: 2 * SLOTS }, () => copy.bcastInto(new Uint8Array(1), 0))
        const controller = new AbortController()
        const late = copy.barrier({ signal: controller.signal })
        await turns()
        controller.abort(new Error('enough'))
        await assert.rejects(within(late, 'a barrier given up'), /enough/)
        await world.send(0, 1)
        await Promise.all(calls)
      } else {
        await world.recv(0)
        for (let i = 0; i < 2 * SLOTS; i++) await copy.bcastInto(new Uint8Array(1), 0)
        await assert.rejects(within(copy.barrier(), 'a barrier that the other gave up'), { code: 'ERR_COLLECTIVE' })
      }
      for (let i = 0; i < 3 * SLOTS; i++) assert.equal(await copy.allreduce(i, SUM), 2 * i)
      const sum = Int32Array.of(0)
      for (let i = 0; i < 3 * SLOTS; i++) {
        await copy.allreduceInto(Int32Array.of(i), sum, SUM)
        assert.equal(sum[0], 2 * i)
      }
    })
  })

  it('count on past 2^31 and 0, and take nothing for a number that comes again', () => {
    const network = createInProcessNetwork({ size: 2 })
    const engineOf = (rank: number) => ({ endOf: () => null, messenger: { rank } }) as unknown as ProgressEngine
    for (const [channel, first] of [2 ** 31 - 5, -5, -1 - 2 * SLOTS].entries()) {
      const ends = [0, 1].map((rank) => {
        const board = network.transport(rank).board!
        return new Postings(board, board.channel(channel, [0, 1]), null, engineOf(rank), [0, 1], first | 0)
      })
      for (const end of ends) end.channel.done(first | 0)
      const [writer, reader] = ends as [Postings, Postings]
      for (let i = 0; i < 4 * SLOTS; i++) {
        const number = writer.take()
        assert.notEqual(number, 0)
        assert.equal(reader.take(), number)
        assert.ok(writer.hasRoom(number), `room for ${number}`)
        assert.equal(reader.channel.has(0, number), false)
        writer.post(number, i, Uint8Array.of(i))
        reader.passOver(number)
        assert.ok(reader.channel.has(0, number))
        assert.equal(reader.channel.kindOf(0, number), i)
        for (const end of ends) end.done(number)
      }
    }
    // a rank that has posted once, and only read ever since
    const board = network.transport(0).board!
    const [old, peer] = [0, 1].map((rank) => network.transport(rank).board!.channel(5, [0, 1])) as [
      BoardChannel,
      BoardChannel,
    ]
    old.post(3, 0, Uint8Array.of(1))
    old.tell(3, 1, true)
    // the next number of that slot whose turn it is to be cleared
    const again = new Postings(board, old, null, engineOf(0), [0, 1], 2 ** 16 + 2)
    for (const end of [old, peer]) end.done(2 ** 16 + 2)
    again.passOver(2 ** 16 + 3)
    assert.equal(peer.has(0, 3), false)
    assert.equal(peer.told(0, 3, 1), NOT_TOLD)
  })

  it('work on more communicators than there are channels, and on slots that serve again', async () => {
    await simulate(2, {}, async (world, rank) => {
      const kept: Communicator[] = []
      for (let i = 0; i < 50; i++) {
        const copy = await world.dup()
        const sum = Int32Array.of(0)
        await copy.allreduceInto(Int32Array.of(rank + i), sum, SUM)
        assert.equal(sum[0], 2 * i + 1)
        if (i % 3 === 0) copy.free()
        else kept.push(copy)
      }
      for (const copy of kept) await copy.barrier()
    })
  })
})
