// Reductions to a root that puts what others post where it combines it, as it comes: in any order, with others that want the same place.
import assert from 'node:assert/strict'
import { createInProcessNetwork, type MemoryBoard } from '@onecopy/transport'
import { reduceInto } from '../src/collectives/reduce.js'
import type { Communicator } from '../src/communicator.js'
import { IN_PLACE } from '../src/constants.js'
import { UINT8 } from '../src/element-type.js'
import { type Operation, PROD, SUM } from '../src/operation.js'
import { PostedStep } from '../src/posted-step.js'
import { Postings } from '../src/postings.js'
import type { ProgressEngine } from '../src/progress.js'
import type { Exchange } from '../src/schedule.js'
import { within } from './support/deadline.js'
import { Guarded } from './support/guarded.js'
import { simulate } from './support/simulated-job.js'
import { turns } from './support/turns.js'

const KiB = 1024
const KINDS = [Float64Array, Float32Array, Int32Array] as const
type Kind = (typeof KINDS)[number]
type Vector = InstanceType<Kind>

/** Values whose sum and product depend on the order in which they are combined, and tell ranks and calls apart. */
function filled(kind: Kind, length: number, rank: number, call = 0): Vector {
  const each =
    kind === Int32Array
      ? (i: number) => (i % 1009) * (rank + 3) + call
      : (i: number) => 0.1 * (rank + 1) + (i % 1009) * 0.7 + call / 3
  return new kind(length).map((_, i) => each(i))
}

/** What they come to in rank order, rounded as the kind rounds. */
function wanted(kind: Kind, length: number, op: Operation, size: number, call = 0): Vector {
  const result = filled(kind, length, 0, call)
  const combine =
    kind === Int32Array && op === PROD
      ? Math.imul
      : op === SUM
        ? (a: number, b: number) => a + b
        : (a: number, b: number) => a * b
  for (let rank = 1; rank < size; rank++) {
    const part = filled(kind, length, rank, call)
    for (let i = 0; i < length; i++) result[i] = combine(result[i]!, part[i]!)
  }
  return result
}

/** Every order of the numbers below `count`. */
function orders(count: number): number[][] {
  if (count === 0) return [[]]
  return orders(count - 1).flatMap((order) =>
    Array.from({ length: count }, (_, at) => order.toSpliced(at, 0, count - 1)),
  )
}

async function reduceAfter(
  world: Communicator,
  wait: number,
  kind: Kind,
  bytes: number,
  op: Operation,
  root: number,
): Promise<void> {
  const { rank, size } = world
  const length = bytes / kind.BYTES_PER_ELEMENT
  const result = new Guarded<Vector>(kind, length)
  await turns(3 * wait)
  await within(
    world.reduceInto(filled(kind, length, rank), rank === root ? result.view : null, op, root),
    `a reduction to ${root} on rank ${rank}`,
  )
  if (rank === root) assert.deepEqual(result.view, wanted(kind, length, op, size))
  result.check()
}

describe('reductions to a root that puts parts in their place as they come', () => {
  for (const size of [2, 3, 4]) {
    it(`are right in whatever order they come, on ${size} ranks`, async () => {
      for (const order of orders(size)) {
        await simulate(size, {}, async (world, rank) => {
          for (const root of [0, size - 1]) await reduceAfter(world, order[rank]!, Float64Array, 16 * KiB, SUM, root)
        })
      }
    })

    it(`are right for every kind, around the lengths where it begins and ends, on ${size} ranks`, () =>
      simulate(size, {}, async (world, rank) => {
        for (const kind of KINDS) {
          for (const limit of [16 * KiB, 256 * KiB]) {
            for (const bytes of [limit - 8, limit, limit + 8]) {
              await reduceAfter(world, (rank + 1) % size, kind, bytes, PROD, size - 1)
            }
          }
        }
      }))

    it(`are right when they begin before those before them are over, on ${size} ranks`, () =>
      simulate(size, {}, async (world, rank) => {
        const length = 3000
        const results = Array.from({ length: 5 }, () => new Float64Array(length))
        // the others' arrays for all calls come while the root has begun them all, and while it has begun some
        for (const [late, root] of [
          [(rank: number) => rank, 0],
          [(rank: number) => size - rank, size - 1],
        ] as const) {
          await turns(3 * late(rank))
          const calls = results.map((result, call) =>
            world.reduceInto(filled(Float64Array, length, rank, call), rank === root ? result : null, SUM, root),
          )
          for (const [call, request] of [...calls.entries()].reverse()) await within(request, `call ${call} on ${rank}`)
          if (rank !== root) continue
          for (const [call, result] of results.entries())
            assert.deepEqual(result, wanted(Float64Array, length, SUM, size, call))
        }
      }))

    for (const isInPlace of [false, true]) {
      it(`are right when they are started again with other values${isInPlace ? ', in place' : ''}, on ${size} ranks`, () =>
        simulate(size, {}, async (world, rank) => {
          const length = 5000
          const own = new Float64Array(length)
          const root = size - 1
          const result = isInPlace ? own : new Float64Array(length)
          const send = isInPlace && rank === root ? IN_PLACE : own
          const reduction = world.reduceInit(send, rank === root ? result : null, SUM, root)
          for (let call = 0; call < 6; call++) {
            own.set(filled(Float64Array, length, rank, call))
            await turns((rank * call) % 5)
            await within(reduction.start(), `start ${call} on ${rank}`)
            if (rank === root) assert.deepEqual(result, wanted(Float64Array, length, SUM, size, call))
          }
        }))
    }
  }

  it('leave what another has put there since, on another communicator', () =>
    simulate(3, {}, async (world, rank) => {
      const length = 4096
      const copy = await world.dup()
      const results = [new Float64Array(length), new Float64Array(length)]
      const begin = (call: number) =>
        (call === 0 ? world : copy).reduceInto(filled(Float64Array, length, rank, call), results[call]!, SUM, 0)
      if (rank === 0) {
        // rank 1 comes to the second before it comes to the first, and rank 2 to both after that
        const calls = [begin(0), begin(1)]
        for (const [call, request] of calls.entries()) {
          await within(request, `call ${call}`)
          assert.deepEqual(results[call], wanted(Float64Array, length, SUM, 3, call))
        }
        return
      }
      await turns(rank === 1 ? 5 : 20)
      const second = begin(1)
      await turns(5)
      await Promise.all([second, begin(0)])
    }))

  it('take nothing that was put there in an earlier call of the same step', () => {
    const network = createInProcessNetwork({ size: 2 })
    const length = 2048
    const own = [0, 1].map((rank) => filled(Float64Array, length, rank))
    const result = new Float64Array(length)
    const steps = [0, 1].map((rank) => {
      const { board } = network.transport(rank)
      const engine = { endOf: () => null, messenger: { rank } } as unknown as ProgressEngine
      const postings = new Postings(board!, board!.channel(0, [0, 1]), null, engine, [0, 1])
      const exchange = { rank, size: 2, postings, whyHopeless: () => null } as unknown as Exchange
      return reduceInto(exchange, own[rank]!, rank === 0 ? result : null, SUM, 0) as PostedStep<void>
    })
    for (let call = 0; call < 4; call++) {
      for (const rank of [0, 1]) own[rank]!.set(filled(Float64Array, length, rank, call))
      for (const step of call % 2 === 0 ? steps : [...steps].reverse()) step.start()
      for (const step of steps) {
        assert.equal(step.done, true)
        assert.equal(step.conclude(), null)
      }
      assert.deepEqual(result, wanted(Float64Array, length, SUM, 2, call))
    }
  })

  it('see each posting when it comes, not when its turn comes', () => {
    const network = createInProcessNetwork({ size: 3 })
    const [root, first, second] = [0, 1, 2].map((rank) => {
      const { board } = network.transport(rank)
      const engine = { endOf: () => null, messenger: { rank } } as unknown as ProgressEngine
      return new Postings(board!, board!.channel(0, [0, 1, 2]), null, engine, [0, 1, 2])
    }) as [Postings, Postings, Postings]
    const seen: number[] = []
    const step = new PostedStep<void>({ rank: 0, size: 3, whyHopeless: () => null } as unknown as Exchange, root, {
      collective: 'reduce',
      own: null,
      type: UINT8,
      sources: [1, 2],
      byteLengths: [3, 3],
      arrived: (index, number) => void seen.push(index, number),
      take: () => undefined,
      byMessages: () => assert.fail('by messages'),
    })
    for (const number of [1, 2]) {
      step.start()
      for (const postings of [first, second]) postings.take()
      assert.deepEqual([step.done, seen.splice(0)], [false, []])
      second.post(number, UINT8, new Uint8Array(3))
      for (let look = 0; look < 3; look++) assert.equal(step.done, false)
      assert.deepEqual(seen.splice(0), [1, number])
      first.post(number, UINT8, new Uint8Array(3))
      assert.deepEqual([step.done, step.done, seen.splice(0)], [true, true, [0, number]])
      assert.equal(step.conclude(), null)
      for (const postings of [first, second]) postings.done(number)
    }
  })

  it('fail when one rank has another kind, for which all would combine a piece', async () => {
    for (const odd of [0, 1, 2]) {
      await simulate(3, {}, async (world, rank) => {
        const kind = rank === odd ? BigInt64Array : Float64Array
        const length = 20 * KiB
        const call = world.reduceInto(new kind(length), rank === 0 ? new kind(length) : null, SUM, 0)
        const ended = within(Promise.resolve(call), `rank ${rank}`).then(
          () => 'done',
          (error: { code?: string }) => error.code,
        )
        if (rank === 0) assert.equal(await ended, 'ERR_TYPE')
        else assert.match((await ended)!, /^(done|ERR_TYPE|ERR_COLLECTIVE)$/)
      })
    }
  })

  it('know whether whom they wait for has a core, one after the other', () => {
    const network = createInProcessNetwork({ size: 3 })
    const length = 2048
    const steps = [0, 1, 2].map((rank) => {
      const { board } = network.transport(rank)
      const engine = { endOf: () => null, messenger: { rank } } as unknown as ProgressEngine
      const postings = new Postings(board!, board!.channel(0, [0, 1, 2]), null, engine, [0, 1, 2])
      const exchange = { rank, size: 3, postings, whyHopeless: () => null } as unknown as Exchange
      const recv = rank === 0 ? new Float64Array(length) : null
      return reduceInto(exchange, new Float64Array(length), recv, SUM, 0) as PostedStep<void>
    })
    const [root, first, second] = steps as [PostedStep<void>, PostedStep<void>, PostedStep<void>]
    const boards = [0, 1, 2].map((rank) => network.transport(rank).board as MemoryBoard)
    root.start()
    assert.equal(root.isAway, false)
    boards[2]!.isAway = true
    assert.equal(root.isAway, false, 'it waits for rank 1 first')
    boards[1]!.isAway = true
    assert.equal(root.isAway, true)
    first.start()
    boards[2]!.isAway = false
    assert.deepEqual([root.done, root.isAway], [false, false], 'it waits for rank 2 now, which is back')
    second.start()
    assert.deepEqual([root.done, root.isAway], [true, undefined])
  })

  for (const [what, wrong, code] of [
    ['longer', () => new Float64Array(4097), 'ERR_TRUNCATE'],
    ['shorter', () => new Float64Array(4095), 'ERR_TRUNCATE'],
    ['of another kind', () => new Float32Array(8192), 'ERR_TYPE'],
  ] as const) {
    it(`fail when an array is ${what}, be it the first or the last to come, and leave nothing for the next`, async () => {
      for (const order of [
        [1, 2, 3, 0],
        [1, 0, 2, 3],
      ]) {
        await simulate(4, {}, async (world, rank) => {
          await turns(3 * order[rank]!)
          const own = rank === 3 ? wrong() : new Float64Array(4096)
          const call = world.reduceInto(own, rank === 0 ? new Float64Array(4096) : null, SUM, 0)
          if (rank === 0) await assert.rejects(within(call, 'the root'), { code })
          else
            await within(
              Promise.resolve(call).catch(() => undefined),
              'the others',
            )
          await reduceAfter(world, 0, Float64Array, 32 * KiB, SUM, 0)
        })
      }
    })
  }
})
