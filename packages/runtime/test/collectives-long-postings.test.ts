// Postings longer than a slot of the board: of those a rank has one or two at a time, in places that serve again, and in reductions every
// rank writes what its piece comes to into its own.
import assert from 'node:assert/strict'
import { createInProcessNetwork } from '@onecopy/transport'
import type { Communicator } from '../src/communicator.js'
import { UINT8 } from '../src/element-type.js'
import { MAX, SUM } from '../src/operation.js'
import { Postings } from '../src/postings.js'
import type { ProgressEngine } from '../src/progress.js'
import { within } from './support/deadline.js'
import { callAll, combinedData, rankData, sameBytes } from './support/memory-collectives.js'
import { Random } from './support/random.js'
import { simulate } from './support/simulated-job.js'
import { turns } from './support/turns.js'

const SIZES = [2, 3, 4]
const KiB = 1024
/** Bytes: every length at which postings have other places, or reductions another algorithm; and beyond what is posted. */
const LIMITS = [16, 32, 48, 96, 128, 256, 384, 512, 1024].map((kib) => kib * KiB)
const SEED = Number(process.env.ONECOPY_SEED ?? Date.now() % 2 ** 31)

/** Both ends of a channel whose numbers go on from `first`. */
function postingsOfTwo(first: number): Postings[] {
  const network = createInProcessNetwork({ size: 2 })
  return [0, 1].map((rank) => {
    const board = network.transport(rank).board!
    const engine = { endOf: () => null, messenger: { rank } } as unknown as ProgressEngine
    const postings = new Postings(board, board.channel(0, [0, 1]), null, engine, [0, 1], first)
    postings.sayDone()
    return postings
  })
}

/** How a call ends: its error's code, or 'done'. */
function ending(call: PromiseLike<unknown>, what: string): Promise<string> {
  return within(Promise.resolve(call), what).then(
    () => 'done',
    (error: { code?: string }) => error.code ?? String(error),
  )
}

describe(`collectives by long postings (ONECOPY_SEED=${SEED})`, () => {
  for (const size of SIZES) {
    it(`are right around every limit, on ${size} ranks`, async () => {
      for (const limit of LIMITS) {
        await simulate(size, {}, async (world) => {
          for (const length of [limit - 8, limit, limit + 8]) await callAll(world, length)
        })
      }
    })

    it(`are right where several long arrays are cut, on ${size} ranks`, async () => {
      // blocks for each rank, so that what is posted for all of them is as long as may be
      await simulate(size, {}, async (world) => {
        for (const limit of LIMITS) await callAll(world, Math.floor(limit / size / 8) * 8)
      })
    })
  }

  it('send no message, and read nobody’s memory', async () => {
    await simulate(4, {}, async (world) => {
      const { messages, bytesSingleCopy } = world.statistics
      const [array, result] = [new Float64Array(131_072), new Float64Array(131_072)]
      await world.allreduceInto(array, result, SUM)
      await world.reduceInto(array, result, SUM, 2)
      await world.bcastInto(array, 1)
      await world.allgatherInto(array, new Float64Array(4 * 131_072))
      await world.alltoallInto(array, result)
      const after = world.statistics
      assert.deepEqual([after.messages, after.bytesSingleCopy], [messages, bytesSingleCopy])
    })
  })

  it('may be outstanding in any number, between short ones, on two communicators, begun and awaited at different times', async () => {
    const random = new Random(SEED)
    for (const size of SIZES) {
      const plan = Array.from({ length: 120 }, () => ({
        verb: random.pick(['allreduce', 'reduce', 'bcast', 'allgather'] as const),
        length: random.pick([1, 1000, 2049, 5000, 20_000, 65_536, 65_537, 100_000, 131_073]),
        root: random.between(0, size - 1),
        isOnCopy: random.chance(0.3),
      }))
      const pauses = Array.from({ length: size }, () =>
        plan.map(() => (random.chance(0.1) ? random.between(1, 30) : 0)),
      )
      await simulate(size, {}, async (world, rank) => {
        const copy = await world.dup()
        const calls: { readonly call: PromiseLike<unknown>; readonly check: () => void }[] = []
        for (const [at, { verb, length, root, isOnCopy }] of plan.entries()) {
          const comm = isOnCopy ? copy : world
          const what = `call ${at}, ${verb} of ${length}, on rank ${rank} of ${size}`
          if (verb === 'allreduce' || verb === 'reduce') {
            const result = rankData(rank + 1, length)
            const wanted = combinedData(size, length, (a, b) => a + b)
            const isMine = verb === 'allreduce' || rank === root
            calls.push({
              call:
                verb === 'allreduce'
                  ? comm.allreduceInto(rankData(rank, length), result, SUM)
                  : comm.reduceInto(rankData(rank, length), isMine ? result : null, SUM, root),
              check: () => sameBytes(result, isMine ? wanted : rankData(rank + 1, length), what),
            })
          } else if (verb === 'bcast') {
            const data = rankData(rank, length)
            calls.push({ call: comm.bcastInto(data, root), check: () => sameBytes(data, rankData(root, length), what) })
          } else {
            const all = new Float64Array(size * length)
            calls.push({
              call: comm.allgatherInto(rankData(rank, length), all),
              check: () => {
                for (let source = 0; source < size; source++) {
                  sameBytes(all.slice(source * length, (source + 1) * length), rankData(source, length), what)
                }
              },
            })
          }
          if (pauses[rank]![at] !== 0) await turns(pauses[rank]![at]!)
          if (at % 17 === 16) await calls[at - (rank % 8)]!.call
        }
        for (const { call } of rank % 2 === 0 ? calls : [...calls].reverse()) await call
        for (const { check } of calls) check()
      })
    }
  })

  it('let a root run ahead by the places there are, and no further', async () => {
    for (const [length, places] of [
      [16 * KiB, 8],
      [16 * KiB + 1, 2],
      [512 * KiB, 2],
      [512 * KiB + 1, 1],
      [1024 * KiB, 1],
    ] as const) {
      await simulate(3, {}, async (world, rank) => {
        const data = Array.from({ length: 12 }, (_, i) => new Uint8Array(length).fill(rank === 0 ? i + 1 : 0))
        if (rank === 0) {
          const calls = data.map((each) => world.bcastInto(each))
          await turns(20)
          assert.deepEqual(
            calls.map(({ done }) => done),
            calls.map((_, i) => i < places),
            `${length} bytes`,
          )
          await Promise.all([world.send(0, 1), world.send(0, 2), ...calls])
        } else {
          await world.recv(0)
          for (const each of data) await world.bcastInto(each)
          for (const [i, each] of data.entries())
            assert.ok(
              each.every((value) => value === i + 1),
              `${length} bytes, ${i}`,
            )
        }
      })
    }
  })

  it('wait for who still reads the one that took all places, though they need only one', async () => {
    await simulate(3, {}, async (world, rank) => {
      const arrays = [131_072, 4096, 1, 4096].map((length, i) => new Float64Array(length).fill(rank === 0 ? i + 1 : 0))
      if (rank === 0) {
        const calls = arrays.map((array) => world.bcastInto(array))
        await turns(20)
        assert.deepEqual(
          calls.map(({ done }) => done),
          [true, false, true, false],
        )
        await Promise.all([world.send(0, 1), world.send(0, 2), ...calls])
      } else {
        await world.recv(0)
        for (const array of arrays) await world.bcastInto(array)
        for (const [i, array] of arrays.entries()) assert.ok(array.every((value) => value === i + 1))
      }
    })
  })

  it('fail when ranks give other lengths or kinds, and leave other communicators alone', async () => {
    const verbs: Record<string, (comm: Communicator, array: Float64Array | BigInt64Array) => PromiseLike<unknown>> = {
      bcastInto: (comm, array) => comm.bcastInto(array),
      reduceInto: (comm, array) => comm.reduceInto(array, array.slice(), array instanceof Float64Array ? SUM : MAX),
      allreduceInto: (comm, array) =>
        comm.allreduceInto(array, array.slice(), array instanceof Float64Array ? SUM : MAX),
      allgatherInto: (comm, array) => comm.allgatherInto(array, new Float64Array(array.length * comm.size)),
      alltoallInto: (comm, array) => comm.alltoallInto(array, array.slice()),
    }
    for (const [verb, call] of Object.entries(verbs)) {
      for (const odd of [0, 2]) {
        for (const [usual, other] of [
          [12_000, 12_003],
          [12_000, 30_000],
          [12_000, 90_000],
          [90_000, 12_000],
          [12_000, 300],
          [300, 12_000],
          [12_000, 300_000],
          [12_000, 'of another kind'],
        ] as const) {
          const codes = await simulate(3, {}, async (world, rank) => {
            const copy = await world.dup()
            const given =
              rank !== odd
                ? new Float64Array(usual)
                : other === 'of another kind'
                  ? new BigInt64Array(usual)
                  : new Float64Array(other)
            const code = await ending(call(copy, given), `${verb}, ${usual} and ${other}`)
            assert.equal(await within(world.allreduce(1, SUM), 'the next collective'), 3)
            return code
          })
          const what = `${verb}, ${usual} and on rank ${odd} ${other}: ${codes.join()}`
          // which elements they are is no matter where none are combined
          const mayPass = other === 'of another kind' && !verb.includes('reduce')
          assert.ok(mayPass || codes.some((code) => code !== 'done'), what)
          for (const code of codes) assert.match(code, /^done$|^ERR_(TRUNCATE|TYPE|COLLECTIVE)$/, what)
        }
      }
    }
  })

  it('are made in the order of their numbers, though a later one would need less room', async () => {
    for (const lengths of [
      [1024, 1024, 100],
      [100, 1024, 1024, 100],
    ]) {
      let firstIsRead = (): void => undefined
      const read = new Promise<void>((resolve) => {
        firstIsRead = resolve
      })
      let readers = 0
      await simulate(3, {}, async (world, rank) => {
        const arrays = lengths.map((kib, i) => new Uint8Array(kib * KiB).fill(rank === 0 ? i + 1 : 0))
        const last = arrays.at(-1)!
        if (rank === 0) {
          const calls = arrays.slice(0, -1).map((array) => world.bcastInto(array))
          await read
          // before this rank has looked for room for what still waits
          await Promise.all([...calls, world.bcastInto(last)])
        } else {
          for (const [i, array] of arrays.entries()) {
            await world.bcastInto(array)
            if (i === lengths.length - 3 && ++readers === 2) firstIsRead()
          }
          for (const [i, array] of arrays.entries())
            assert.ok(
              array.every((value) => value === i + 1),
              `array ${i}`,
            )
        }
      })
    }
  })

  it('meet with blocks that go by messages, whatever was called before', async () => {
    for (const size of SIZES) {
      for (let before = 0; before < 10; before++) {
        await simulate(size, {}, async (world, rank) => {
          for (let i = 0; i < before; i++) await world.barrier()
          // some blocks can be posted, and one cannot
          const counts = Array.from({ length: size }, (_, source) => (source === 0 ? 250_000 : 12_000 + source))
          const all = new Float64Array(counts.reduce((sum, count) => sum + count, 0))
          await world.allgatherInto(rankData(rank, counts[rank]!), all, { counts })
          let at = 0
          for (const [source, count] of counts.entries()) {
            sameBytes(all.slice(at, at + count), rankData(source, count), `block ${source} after ${before}`)
            at += count
          }
          for (let i = 0; i < before; i++) await world.barrier()
          // rank 0 sends unequal blocks, and all others equal ones
          const each = 12_000
          const sendCounts = Array.from({ length: size }, () => each)
          const recvCounts = Array.from({ length: size }, () => each)
          if (rank === 0) sendCounts[1] = each + 1
          if (rank === 1) recvCounts[0] = each + 1
          const [out, into] = [sendCounts, recvCounts].map((each) => each.reduce((sum, count) => sum + count, 0))
          const received = new Float64Array(into!)
          await world.alltoallInto(new Float64Array(out!).fill(rank + 1), received, { sendCounts, recvCounts })
          assert.ok(received.subarray(0, each).every((value) => value === 1))
        })
      }
    }
  })

  it('fail when one rank gives a value, or less, and then waits for something else', async () => {
    for (let before = 0; before < 10; before++) {
      const codes = await simulate(3, {}, async (world, rank) => {
        const [reduced, mixed] = [await world.dup(), await world.dup()]
        for (let i = 0; i < before; i++) await reduced.barrier()
        const length = [1, 1, 100_000][rank]!
        const first = await ending(
          reduced.reduceInto(new Float64Array(length), new Float64Array(length), SUM),
          'reduce',
        )
        if (rank === 1) assert.equal(await within(Promise.resolve(reduced.recv(0)), 'a message'), 'hello')
        if (rank === 0) await reduced.send('hello', 1)
        for (let i = 0; i < before; i++) await mixed.barrier()
        const long = new Float64Array(50_000)
        const second = await ending(
          rank === 0 ? mixed.allreduce(1, SUM) : mixed.allreduceInto(long, long.slice(), SUM),
          'mixed',
        )
        return [first, second]
      })
      assert.ok(
        codes.some(([first]) => first !== 'done'),
        `reduce after ${before}: ${codes.join('; ')}`,
      )
      assert.ok(
        codes.some(([, second]) => second !== 'done'),
        `allreduce after ${before}: ${codes.join('; ')}`,
      )
    }
  })

  it('count on past 2^31 and 0', () => {
    for (const length of [16 * KiB + 1, 600 * KiB]) {
      for (const first of [0, 2 ** 31 - 6, -7]) {
        const ends = postingsOfTwo(first)
        for (let i = 0; i < 12; i++) {
          const [number] = ends.map((end) => end.take())
          for (const end of ends) end.beginLong(number!, end === ends[0])
          assert.ok(ends[0]!.hasRoom(number!, length), `${length} bytes as number ${number}, with all before done`)
          ends[0]!.post(number!, 1, new Uint8Array(length))
          for (const end of ends) end.done(number!, true)
        }
      }
    }
  })

  it('have room after more short ones than there are numbers', () => {
    let from = 0
    for (let steps = 0; steps < 9; steps++, from = (from + 2 ** 29) | 0) {
      const ends = postingsOfTwo(0)
      // as after so many numbers, at some of which this rank has looked for room
      for (let at = 0; at !== from; at = (at + 2 ** 29) | 0) {
        for (const end of ends) {
          Object.assign(end, { taken: at, doneUpTo: at })
          end.sayDone()
        }
        ends[0]!.hasRoom((at + 1) | 0)
      }
      for (const end of ends) {
        Object.assign(end, { taken: from, doneUpTo: from })
        end.sayDone()
      }
      const number = ends[0]!.take()
      assert.ok(ends[0]!.hasRoom(number, 20_000), `number ${number}`)
    }
  })

  it('are not believed when they claim to be longer than any can be', async () => {
    await simulate(2, {}, async (world, rank, job) => {
      const bytes = 2 * 1024 * KiB
      if (rank === 1) {
        const { transport } = job.jobs[1]!.engine.messenger.link(0)
        transport!.board!.channel(0, [0, 1]).publish(1, UINT8, bytes)
        await world.recv(0)
        return
      }
      const code = await ending(world.bcastInto(new Uint8Array(bytes), 1), 'a broadcast')
      await world.send(0, 1)
      assert.equal(code, 'ERR_TRUNCATE')
    })
  })

  it('fail when they are longer than expected, though who posts them has not heard how far the others are', async () => {
    for (let before = 0; before < 10; before++) {
      const codes = await simulate(3, {}, async (world, rank) => {
        const copy = await world.dup()
        for (let i = 0; i < before; i++) await copy.barrier()
        const code = await ending(copy.bcastInto(new Float64Array(rank === 0 ? 100_000 : 1)), `after ${before}`)
        assert.equal(await within(world.allreduce(1, SUM), 'the next collective'), 3)
        return code
      })
      assert.match(
        codes.join(),
        /^(done|ERR_COLLECTIVE)(,ERR_(TRUNCATE|COLLECTIVE)){2}$/,
        `after ${before}: ${codes.join()}`,
      )
    }
  })

  it('fail when a rank has posted and dies before its piece is combined', async () => {
    for (const verb of ['allreduceInto', 'reduceInto'] as const) {
      await simulate(3, { settings: { onFailure: 'continue' } }, async (world, rank, job) => {
        const long = rankData(rank, 60_000)
        if (rank === 2) {
          void Promise.resolve(world[verb](long, long.slice(), SUM)).catch(() => undefined)
          job.kill(2)
          return
        }
        await turns(10)
        const ended = await ending(world[verb](long, long.slice(), SUM), verb)
        assert.ok(
          ['ERR_PROC_FAILED', 'ERR_COLLECTIVE'].includes(ended) ||
            (verb === 'reduceInto' && rank !== 0 && ended === 'done'),
          `${verb} on rank ${rank}: ${ended}`,
        )
      })
    }
  })

  it('can be given up by one rank, for all, before they had room or in the middle', async () => {
    for (const before of [0, 1, 3]) {
      await simulate(3, {}, async (world, rank) => {
        const copy = await world.dup()
        const long = rankData(rank, 60_000)
        const calls = Array.from({ length: before }, () => copy.allreduceInto(long, long.slice(), SUM))
        const controller = new AbortController()
        const last = copy.allreduceInto(long, long.slice(), SUM, rank === 0 ? { signal: controller.signal } : {})
        if (rank === 0) controller.abort(new Error('enough'))
        for (const call of calls) assert.match(await ending(call, 'an earlier one'), /^done$|^ERR_COLLECTIVE$/)
        const ended = await ending(last, 'the last')
        if (rank === 0) assert.match(ended, /enough|ERR_/)
        else assert.match(ended, /^done$|^ERR_COLLECTIVE$/)
        // and what comes on another communicator is right
        const sum = await within(world.allreduce(long, SUM), 'the next collective')
        sameBytes(
          sum,
          combinedData(3, 60_000, (a, b) => a + b),
          'the next collective',
        )
      })
    }
  })
})
