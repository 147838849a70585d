import assert from 'node:assert/strict'
import type { Transport } from '@onecopy/transport'
import type { Communicator } from '../src/communicator.js'
import { IN_PLACE } from '../src/constants.js'
import { Operation, SUM } from '../src/operation.js'
import { within } from './support/deadline.js'
import { callAll, combinedData, rankData, sameBytes } from './support/memory-collectives.js'
import { type SimulatedJobOptions, simulateShortPostings } from './support/simulated-job.js'
import { turns } from './support/turns.js'

const SIZES = [2, 3, 4]
const KiB = 1024
/** Bytes: around what can be posted, and every length in choose.ts at which reading begins or ends. */
const LENGTHS = [16, 32, 48, 64, 96, 128, 384, 512, 1024, 2048].flatMap((kib) => [
  kib * KiB - 8,
  kib * KiB,
  kib * KiB + 8,
])
describe('collectives that read the others’ memory', () => {
  for (const size of SIZES) {
    it(`are right around every threshold, on ${size} ranks`, async () => {
      for (const length of LENGTHS) await simulateShortPostings(size, {}, (world) => callAll(world, length))
    })
  }

  it('do read it, and send no message', async () => {
    await simulateShortPostings(3, {}, async (world) => {
      const before = world.statistics
      await world.allgatherInto(new Float64Array(5000), new Float64Array(15_000))
      await world.allreduceInto(new Float64Array(30_000), new Float64Array(30_000), SUM)
      const { messages, bytesSingleCopy } = world.statistics
      assert.equal(messages, before.messages)
      assert.equal(bytesSingleCopy - before.bytesSingleCopy, 2 * 40_000 + 2 * 2 * 80_000)
    })
  })

  it('reduce what takes several turns of the event loop', async () => {
    const length = 1_000_003
    for (const size of SIZES) {
      await simulateShortPostings(size, {}, async (world, rank) => {
        const own = rankData(rank, length)
        const sum = combinedData(size, length, (a, b) => a + b)
        const result = new Float64Array(length)
        // two at once, which take turns
        const other = new Float64Array(length)
        await Promise.all([
          world.allreduceInto(own, result, SUM),
          world.reduceInto(own, rank === 1 ? other : null, SUM, 1),
        ])
        sameBytes(result, sum, `allreduce on ${size} ranks`)
        if (rank === 1) sameBytes(other, sum, `reduce on ${size} ranks`)
        await world.allreduceInto(IN_PLACE, own, SUM)
        sameBytes(own, sum, `allreduce in place on ${size} ranks`)
      })
    }
  })

  const refusals: Record<string, SimulatedJobOptions> = {
    'there is no such thing': { remoteMemory: false },
    'it is refused to all': { remoteMemory: () => false },
    'it is refused to one rank': { remoteMemory: (actor) => actor !== 1 },
    'one rank’s is refused to all': { remoteMemory: (_actor, target) => target !== 1 },
    'it may only be written to': { remoteMemory: (_actor, _target, operation) => operation === 'write' },
  }
  for (const [what, options] of Object.entries(refusals)) {
    it(`are right where ${what}`, async () => {
      for (const size of SIZES) {
        for (const length of [16 * KiB + 8, 600 * KiB])
          await simulateShortPostings(size, options, (world) => callAll(world, length))
      }
    })
  }

  it('are right when reading is refused in the middle, whichever read it is', async () => {
    // in which of a call's stages, and on which rank, is the number's affair
    for (const size of SIZES) {
      for (let call = 1; call <= 12; call++) {
        const faults = (rank: number) => ({
          seed: 1,
          remoteMemory:
            rank === call % size
              ? [{ error: 'EPERM' as const, operation: 'read' as const, call, isPartial: true }]
              : [],
        })
        await simulateShortPostings(size, { faults }, async (world) => {
          const { rank } = world
          const length = 600 * KiB
          const [own, result] = [rankData(rank, length / 8), rankData(rank, length / 8)]
          const sum = combinedData(size, length / 8, (a, b) => a + b)
          await world.allreduceInto(own, result, SUM)
          sameBytes(result, sum, `allreduce, read ${call} refused`)
          result.set(own)
          await world.allreduceInto(IN_PLACE, result, SUM)
          sameBytes(result, sum, `allreduce in place, read ${call} refused`)
          result.set(own)
          await world.reduceInto(rank === 0 ? IN_PLACE : own, rank === 0 ? result : null, SUM)
          if (rank === 0) sameBytes(result, sum, `reduce in place, read ${call} refused`)
          await world.bcastInto(own, 1)
          sameBytes(own, rankData(1, length / 8), `bcast, read ${call} refused`)
          const gathered = new Float64Array(size * 5000)
          await world.allgatherInto(rankData(rank, 5000), gathered)
          for (let source = 0; source < size; source++) {
            sameBytes(gathered.subarray(source * 5000, (source + 1) * 5000), rankData(source, 5000), 'allgather')
          }
        })
      }
    }
  })

  it('go by messages when one read fails, and the next call reads again', async () => {
    for (let call = 1; call <= 4; call++) {
      const faults = (rank: number) => ({
        seed: 1,
        remoteMemory: rank === 1 ? [{ error: 'EFAULT' as const, operation: 'read' as const, call }] : [],
      })
      await simulateShortPostings(3, { faults }, async (world) => {
        const { rank } = world
        for (let round = 0; round < 3; round++) {
          const result = rankData(rank, 20_000)
          await world.allreduceInto(IN_PLACE, result, SUM)
          sameBytes(
            result,
            combinedData(3, 20_000, (a, b) => a + b),
            `read ${call} failed, round ${round}`,
          )
        }
      })
    }
  })

  it('fail when ranks give other lengths or kinds, all too long to be posted', async () => {
    const verbs: Record<string, (comm: Communicator, length: number, kind: 'f' | 'i') => PromiseLike<unknown>> = {
      bcastInto: (comm, length) => comm.bcastInto(new Float64Array(length)),
      allgatherInto: (comm, length) =>
        comm.allgatherInto(new Float64Array(length), new Float64Array(length * comm.size)),
      alltoallInto: (comm, length) =>
        comm.alltoallInto(new Float64Array(length * comm.size), new Float64Array(length * comm.size)),
      allreduceInto: (comm, length, kind) =>
        kind === 'f'
          ? comm.allreduceInto(new Float64Array(length), new Float64Array(length), SUM)
          : comm.allreduceInto(new BigInt64Array(length), new BigInt64Array(length), SUM),
      reduceInto: (comm, length, kind) =>
        kind === 'f'
          ? comm.reduceInto(new Float64Array(length), new Float64Array(length), SUM)
          : comm.reduceInto(new BigInt64Array(length), new BigInt64Array(length), SUM),
    }
    for (const [verb, call] of Object.entries(verbs)) {
      for (const size of SIZES) {
        for (const odd of [0, size - 1]) {
          for (const [length, other, kind] of [
            [80_000, 80_008, 'f'],
            [80_000, 3000, 'f'],
            [3000, 80_000, 'f'],
            [80_000, 80_000, 'i'],
          ] as const) {
            if (kind === 'i' && !verb.includes('reduce')) continue
            const codes = await simulateShortPostings(size, {}, async (world, rank) => {
              const copy = await world.dup()
              const given = rank === odd ? call(copy, other, kind) : call(copy, length, 'f')
              const code = await within(Promise.resolve(given), `${verb} of ${size}`).then(
                () => 'done',
                (error: { code?: string }) => error.code ?? String(error),
              )
              assert.equal(await within(world.allreduce(1, SUM), 'the next collective'), size)
              return code
            })
            const what = `${verb}, ${size} ranks, rank ${odd} gives ${other} ${kind}: ${codes.join()}`
            assert.ok(
              codes.some((code) => code !== 'done'),
              what,
            )
            for (const code of codes) assert.ok(/^done$|^ERR_(TRUNCATE|TYPE|COLLECTIVE)$/.test(code), what)
          }
        }
      }
    }
  })

  it('fail when a rank dies that others read from, or are read by', async () => {
    for (const verb of ['allreduceInto', 'allgatherInto', 'bcastInto'] as const) {
      await simulateShortPostings(3, { settings: { onFailure: 'continue' } }, async (world, rank, job) => {
        const long = new Float64Array(60_000)
        const call = (): PromiseLike<unknown> => {
          if (verb === 'bcastInto') return world.bcastInto(long, 0)
          if (verb === 'allgatherInto') return world.allgatherInto(long.subarray(0, 20_000), new Float64Array(60_000))
          return world.allreduceInto(long, new Float64Array(60_000), SUM)
        }
        if (rank === 2) {
          // its part is announced, and then it is gone
          if (verb !== 'bcastInto') void Promise.resolve(call()).catch(() => undefined)
          job.kill(2)
          return
        }
        const ended = await within(Promise.resolve(call()), verb).then(
          () => 'done',
          (error: { code?: string }) => error.code ?? String(error),
        )
        assert.ok(
          ['ERR_PROC_FAILED', 'ERR_COLLECTIVE'].includes(ended) || (verb === 'bcastInto' && ended === 'done'),
          `${verb}: ${ended}`,
        )
      })
    }
  })

  it('do not give a root its memory back, as if all were well, when a rank that should read has gone', async () => {
    for (const how of ['killed', 'left'] as const) {
      let rootIsDone = (): void => undefined
      const done = new Promise<void>((resolve) => {
        rootIsDone = resolve
      })
      const endings = await simulateShortPostings(
        3,
        { settings: { onFailure: 'continue' } },
        async (world, rank, job) => {
          const long = new Float64Array(8192).fill(rank === 0 ? 1 : 0)
          if (rank === 0) {
            // the long one waits for room, and so is posted when rank 1 is gone
            const calls = Array.from({ length: 8 }, () => world.bcastInto(new Uint8Array(8)))
            const last = world.bcastInto(long)
            for (const call of calls) await Promise.resolve(call).catch(() => undefined)
            const ended = await within(Promise.resolve(last), 'the root').then(
              () => 'done',
              (error: { code?: string }) => error.code,
            )
            long.fill(9)
            rootIsDone()
            return ended
          }
          if (rank === 1) {
            await turns()
            if (how === 'killed') job.kill(1)
            else await job.worlds[1]!.finalize()
            return 'gone'
          }
          await turns(60)
          for (let i = 0; i < 8; i++) await Promise.resolve(world.bcastInto(new Uint8Array(8))).catch(() => undefined)
          await done
          const ended = await within(Promise.resolve(world.bcastInto(long)), 'who reads late').then(
            () => 'done',
            (error: { code?: string }) => error.code,
          )
          assert.ok(ended !== 'done' || long[0] === 1, `${how}: ${ended} with ${long[0]}`)
          return ended
        },
      )
      assert.equal(endings[0], 'ERR_PROC_FAILED', how)
    }
  })

  it('are not believed by who reads what has been given up', async () => {
    let go = (): void => undefined
    const gone = new Promise<void>((resolve) => {
      go = resolve
    })
    await simulateShortPostings(3, {}, async (world, rank) => {
      const copy = await world.dup()
      const long = new Float64Array(8192).fill(rank === 0 ? 1 : 0)
      if (rank === 0) {
        const controller = new AbortController()
        const call = copy.bcastInto(long, 0, { signal: controller.signal })
        await turns()
        controller.abort(new Error('enough'))
        await assert.rejects(within(call, 'given up'), /enough/)
        long.fill(9)
        go()
        return
      }
      await gone
      await assert.rejects(within(copy.bcastInto(long, 0), 'who reads late'), { code: 'ERR_COLLECTIVE', rank: 0 })
    })
  })

  it('take back every name that they have given', async () => {
    const named = new Set<string>()
    const counting = (transport: Transport): Transport => {
      const memory = transport.remoteMemory!
      const { expose, withdraw } = memory
      const key = (words: Int32Array, at: number) => `${transport.name} ${words.slice(at, at + 4).join()}`
      memory.expose = (view, words, at) => {
        expose.call(memory, view, words, at)
        named.add(key(words, at))
      }
      memory.withdraw = (words, at) => {
        assert.ok(named.delete(key(words, at)), 'a name that is not out')
        withdraw.call(memory, words, at)
      }
      return transport
    }
    let most = 0
    await simulateShortPostings(3, { wrap: counting }, async (world, rank) => {
      for (let i = 0; i < 20; i++) {
        await world.allgatherInto(rankData(rank, 5000), new Float64Array(15_000))
        await world.allreduceInto(rankData(rank, 30_000), new Float64Array(30_000), SUM)
        await world.bcastInto(new Float64Array(5000), i % 3)
        most = Math.max(most, named.size)
      }
    })
    assert.ok(most > 0 && most <= 9, `${most} at a time`)
    assert.equal(named.size, 0)
  })

  it('can be outstanding together, and given up', async () => {
    await simulateShortPostings(3, {}, async (world, rank) => {
      const sums = Array.from({ length: 20 }, () => new Float64Array(20_000))
      const calls = sums.map((sum, i) => world.allreduceInto(rankData(rank + i, 20_000), sum, SUM))
      await turns(3 * rank)
      for (const [i, call] of [...calls.entries()].reverse()) {
        await call
        assert.equal(
          sums[i]![0],
          [0, 1, 2].reduce((total, source) => total + source + i + 1, 0),
        )
      }
      const copy = await world.dup()
      const controller = new AbortController()
      const signal = rank === 0 ? controller.signal : undefined
      if (rank !== 1) {
        const given = copy.allreduceInto(rankData(rank, 20_000), new Float64Array(20_000), SUM, { signal })
        await turns()
        if (rank === 0) controller.abort(new Error('enough'))
        await assert.rejects(within(given, 'given up'))
      }
      assert.equal(await within(world.allreduce(1, SUM), 'the next collective'), 3)
    })
  })

  it('let an operation that throws fail for all, and leave the communicator good', async () => {
    const no = Operation.create(
      () => {
        throw new Error('no')
      },
      { commutative: true },
    )
    await simulateShortPostings(3, {}, async (world, rank) => {
      await assert.rejects(within(world.allreduceInto(rankData(rank, 20_000), new Float64Array(20_000), no), 'a sum'))
      assert.equal(await within(world.allreduce(1, SUM), 'the next collective'), 3)
    })
  })
})
