// The reduction of two ranks to one: the root reads, and for long arrays the other rank writes into its result.
import assert from 'node:assert/strict'
import type { Transport } from '@onecopy/transport'
import type { Communicator } from '../src/communicator.js'
import { IN_PLACE } from '../src/constants.js'
import { MAX, MIN, PROD, SUM } from '../src/operation.js'
import type { Postings } from '../src/postings.js'
import { Pulls, WRITING, WRITTEN } from '../src/pulls.js'
import type { Exchange } from '../src/schedule.js'
import { within } from './support/deadline.js'
import { Guarded } from './support/guarded.js'
import { Random } from './support/random.js'
import { type SimulatedJobOptions, simulate, simulateShortPostings } from './support/simulated-job.js'
import { turns } from './support/turns.js'

const SEED = Number(process.env.ONECOPY_SEED ?? Date.now() % 1_000_000)
const KiB = 1024
/** Every length at which something else is done: message and read, read and shared, one and two pieces on either rank, read and message. */
const BORDERS = [48, 96, (256 * 5) / 3, 640, 2048].map((kib) => Math.floor((kib * KiB) / 64) * 64)
const KINDS = [Float64Array, Float32Array, Int32Array] as const
const OPERATIONS = [
  [SUM, (a: number, b: number) => a + b],
  [PROD, (a: number, b: number) => a * b],
  [MIN, Math.min],
  [MAX, Math.max],
] as const

type Kind = (typeof KINDS)[number]

/** Two ranks reduce `length` elements to each in turn, in place and not; says what goes wrong. */
async function reduceAll(kind: Kind, length: number, options: SimulatedJobOptions = {}): Promise<void> {
  await simulate(2, options, async (world, rank) => {
    for (const [index, [op, combine]] of OPERATIONS.entries()) {
      const root = index % 2
      const item = (of: number) => (i: number) => ((i % 97) + 1) * (of === 0 ? 3 : -2)
      const filled = (of: number) => new kind(length).map((_, i) => item(of)(i))
      const wanted = new kind(length).map((_, i) => combine(item(0)(i), item(1)(i)))
      const own = new Guarded<InstanceType<Kind>>(kind, length)
      own.view.set(filled(rank))
      const result = new Guarded<InstanceType<Kind>>(kind, length)
      const what = `${op.name} of ${length} ${kind.name}`
      await within(world.reduceInto(own.view, rank === root ? result.view : null, op, root), what)
      if (rank === root) assert.ok(Buffer.compare(bytes(result.view), bytes(wanted)) === 0, what)
      assert.ok(Buffer.compare(bytes(own.view), bytes(filled(rank))) === 0, `what was given: ${what}`)
      await within(
        world.reduceInto(rank === root ? IN_PLACE : own.view, rank === root ? own.view : null, op, root),
        what,
      )
      if (rank === root) assert.ok(Buffer.compare(bytes(own.view), bytes(wanted)) === 0, `in place: ${what}`)
      own.check()
      result.check()
    }
  })
}

function bytes(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength)
}

describe(`a reduction of two ranks to one (ONECOPY_SEED=${SEED})`, function () {
  this.timeout(60_000)

  for (const kind of KINDS) {
    it(`is right around every border: ${kind.name}`, async () => {
      for (const border of BORDERS) {
        for (const more of [-1, 0, 1]) await reduceAll(kind, border / kind.BYTES_PER_ELEMENT + more)
      }
    })

    it(`is right for any length: ${kind.name}`, async () => {
      const random = new Random(SEED)
      for (let i = 0; i < 12; i++) await reduceAll(kind, random.between(5000, 600_000 / kind.BYTES_PER_ELEMENT))
    })
  }

  it('sends no message, and copies each byte once', async () => {
    for (const [length, written] of [
      [8192, 0],
      [32_768, 1],
    ] as const) {
      await simulate(2, {}, async (world, rank) => {
        const before = world.statistics
        await world.reduceInto(new Float64Array(length), rank === 0 ? new Float64Array(length) : null, SUM)
        await world.barrier()
        const { messages, bytesSingleCopy } = world.statistics
        assert.equal(messages, before.messages)
        const copied = bytesSingleCopy - before.bytesSingleCopy
        if (written === 0) assert.equal(copied, rank === 0 ? 8 * length : 0)
        else assert.ok(rank === 0 ? copied < 5.5 * length : copied < 7 * length && copied > 6 * length, `${copied}`)
      })
    }
  })

  it('is right where it takes several turns of the event loop, and takes them', async () => {
    for (const length of [1_000_001, 2_500_000]) await reduceAll(Float64Array, length)
    await simulate(2, {}, async (world, rank) => {
      const [own, result] = [new Float64Array(2_000_000).fill(rank + 1), new Float64Array(2_000_000)]
      let seen = 0
      let isOver = false
      const look = (): void => {
        seen++
        if (!isOver) setImmediate(look)
      }
      setImmediate(look)
      await world.reduceInto(own, rank === 0 ? result : null, SUM)
      isOver = true
      // 16 MB, of which each rank moves a MiB or somewhat more at a time
      assert.ok(seen >= 6, `${seen} turns`)
      if (rank === 0) assert.ok(result.every((value) => value === 3))
    })
  })

  const refusals: Record<string, SimulatedJobOptions> = {
    'there is no such thing': { remoteMemory: false },
    'it is refused to both': { remoteMemory: () => false },
    'it is refused to rank 0': { remoteMemory: (actor) => actor !== 0 },
    'it is refused to rank 1': { remoteMemory: (actor) => actor !== 1 },
    'nobody may write': { remoteMemory: (_actor, _target, operation) => operation === 'read' },
    'nobody may read': { remoteMemory: (_actor, _target, operation) => operation === 'write' },
    'rank 1 may not write': { remoteMemory: (actor, _target, operation) => actor !== 1 || operation === 'read' },
  }
  for (const [what, options] of Object.entries(refusals)) {
    it(`is right where other ranks’ memory cannot be reached: ${what}`, async () => {
      for (const length of [8192, 32_768, 200_000]) await reduceAll(Float64Array, length, options)
    })
  }

  for (const operation of ['read', 'write'] as const) {
    it(`is right when a ${operation} is refused in the middle, whichever it is`, async () => {
      for (const rank of [0, 1]) {
        for (let call = 1; call <= 8; call++) {
          const faults = (of: number) => ({
            seed: 1,
            remoteMemory: of === rank ? [{ error: 'EPERM' as const, operation, call, isPartial: true }] : [],
          })
          await reduceAll(Float64Array, 100_000, { faults })
        }
      }
    })
  }

  it('gives the root its memory back only when nobody writes there any more', async () => {
    const endings = new Set<string>()
    for (let delay = 0; delay < 12; delay++) {
      // who comes how many turns later than the other
      for (const late of [-5, 0, 1, 2, 3]) {
        await simulate(2, {}, async (world, rank) => {
          const copy = await world.dup()
          const length = 32_768
          if (rank === 1) {
            await turns(Math.max(late, 0))
            const call = copy.reduceInto(new Float64Array(length).fill(2), null, SUM)
            await within(
              Promise.resolve(call).catch(() => undefined),
              'the other rank',
            )
            assert.equal(await within(world.allreduce(1, SUM), 'the next collective'), 2)
            return
          }
          await turns(Math.max(-late, 0))
          const controller = new AbortController()
          const result = new Float64Array(length).fill(-1)
          const call = copy.reduceInto(new Float64Array(length).fill(1), result, SUM, 0, { signal: controller.signal })
          const ended = Promise.resolve(call).then(
            () => 'done',
            () => 'given up',
          )
          await turns(delay)
          controller.abort(new Error('enough'))
          const ending = await within(ended, 'the root')
          endings.add(ending)
          if (ending === 'done') assert.ok(result.every((value) => value === 3))
          result.fill(9)
          assert.equal(await within(world.allreduce(1, SUM), 'the next collective'), 2)
          await turns(5)
          assert.ok(
            result.every((value) => value === 9),
            `written to after it was ${ending}, ${delay} and ${late} turns`,
          )
        })
      }
    }
    assert.deepEqual([...endings].sort(), ['done', 'given up'])
  })

  for (const ways of [
    ['abort'],
    ['cancel'],
    ['free'],
    ['revoke'],
    ['abort', 'cancel'],
    ['cancel', 'cancel'],
    ['abort', 'revoke'],
    ['free', 'cancel', 'turn'],
    ['revoke', 'abort', 'turn'],
    ['revoke', 'abort', 'turn', 'cancel', 'turn'],
  ]) {
    it(`keeps the root's memory while the other rank writes, whatever happens: ${ways.join(', ')}`, async () => {
      let meanwhile = (): void => undefined
      const wrap = (transport: Transport): Transport => {
        const memory = transport.remoteMemory!
        const { write } = memory
        memory.write = (...args) => {
          meanwhile()
          meanwhile = () => undefined
          write.apply(memory, args)
        }
        return transport
      }
      let isOver = false
      let wasOver: boolean | null = null
      await simulate(2, { wrap }, async (world, rank) => {
        const copy = await world.dup()
        const own = new Float64Array(32_768).fill(rank + 1)
        if (rank === 1) {
          await within(
            Promise.resolve(copy.reduceInto(own, null, SUM)).catch(() => undefined),
            'the other rank',
          )
          return
        }
        const controller = new AbortController()
        const { signal } = controller
        const call = copy.reduceInto(own, new Float64Array(32_768).fill(-1), SUM, 0, { signal })
        const acts: Record<string, () => void> = {
          abort: () => controller.abort(new Error('enough')),
          cancel: () => void call.cancel(),
          free: () => copy.free(),
          revoke: () => copy.revoke(),
          turn: () => void call.test(),
        }
        meanwhile = () => {
          for (const way of ways) acts[way]!()
          wasOver = isOver || call.done
        }
        await assert.rejects(within(call, 'the root'))
        isOver = true
      })
      assert.equal(wasOver, false)
    })
  }

  it('does not pass for done when the other rank has failed in any way', async () => {
    const wrap = (transport: Transport, rank: number): Transport => {
      const memory = transport.remoteMemory!
      if (rank === 1) {
        memory.write = () => {
          throw new TypeError('not a refusal')
        }
      }
      return transport
    }
    await simulate(2, { wrap }, async (world, rank) => {
      const copy = await world.dup()
      const call = copy.reduceInto(new Float64Array(32_768), rank === 0 ? new Float64Array(32_768) : null, SUM)
      await assert.rejects(within(call, 'a rank'), rank === 0 ? { code: 'ERR_COLLECTIVE', rank: 1 } : /not a refusal/)
    })
  })

  it('fails on ranks that each take themselves for the root, or the other, or are in another collective', async () => {
    const own = new Float64Array(32_768)
    const result = () => new Float64Array(32_768)
    const calls: Record<string, (comm: Communicator, rank: number) => PromiseLike<unknown>> = {
      'two roots': (comm, rank) => comm.reduceInto(own, result(), SUM, rank),
      'no root': (comm, rank) => comm.reduceInto(own, null, SUM, 1 - rank),
      'an allreduce on the root': (comm, rank) =>
        rank === 0 ? comm.allreduceInto(own, result(), SUM) : comm.reduceInto(own, null, SUM, 0),
      'an allreduce on the other': (comm, rank) =>
        rank === 0 ? comm.reduceInto(own, result(), SUM, 0) : comm.allreduceInto(own, result(), SUM),
      'an allgather': (comm, rank) =>
        rank === 0 ? comm.reduceInto(own, result(), SUM, 0) : comm.allgatherInto(own, new Float64Array(65_536)),
    }
    for (const [what, call] of Object.entries(calls)) {
      for (const simulated of [simulate, simulateShortPostings]) {
        const codes = await simulated(2, {}, async (world, rank) => {
          const copy = await world.dup()
          const code = await within(Promise.resolve(call(copy, rank)), what).then(
            () => 'done',
            (error: { code?: string }) => error.code ?? String(error),
          )
          assert.equal(await within(world.allreduce(1, SUM), 'the next collective'), 2)
          return code
        })
        for (const code of codes) assert.match(code, /^ERR_(TRUNCATE|TYPE|COLLECTIVE)$/, what)
      }
    }
  })

  it('leaves nothing of the caller in the operation', async () => {
    for (const options of [{}, { remoteMemory: () => false }]) {
      await simulate(2, options, async (world, rank) => {
        const own = new Float64Array(8192)
        await world.reduceInto(own, rank === 0 ? new Float64Array(8192) : null, SUM)
        assert.deepEqual(Object.keys(SUM.accumulatorFor(own)?.owner ?? {}), [])
      })
    }
  })

  it('is not written to by a rank that comes to it after the root has been given its memory back', async () => {
    let giveUp = (): void => undefined
    // once the root has read: the other rank has been told that it may write, and has not had its turn yet
    const wrap = (transport: Transport, rank: number): Transport => {
      const memory = transport.remoteMemory!
      const { read } = memory
      memory.read = (...args) => {
        read.apply(memory, args)
        if (rank === 0) queueMicrotask(giveUp)
      }
      return transport
    }
    await simulate(2, { wrap }, async (world, rank) => {
      const copy = await world.dup()
      if (rank === 1) {
        const call = copy.reduceInto(new Float64Array(32_768).fill(2), null, SUM)
        await assert.rejects(within(call, 'the other rank'), { code: 'ERR_COLLECTIVE', rank: 0 })
        return
      }
      await turns(3)
      const controller = new AbortController()
      giveUp = () => controller.abort(new Error('enough'))
      const result = new Float64Array(32_768).fill(-1)
      const call = copy.reduceInto(new Float64Array(32_768).fill(1), result, SUM, 0, { signal: controller.signal })
      await assert.rejects(within(call, 'the root'), /enough/)
      result.fill(9)
      await turns()
      assert.ok(result.every((value) => value === 9))
    })
  })

  it('fails on both ranks when one of them ends in the middle', async () => {
    for (const dying of [0, 1]) {
      for (let delay = 0; delay < 8; delay++) {
        await simulate(2, { settings: { onFailure: 'continue' } }, async (world, rank, job) => {
          const call = world.reduceInto(new Float64Array(100_000), rank === 0 ? new Float64Array(100_000) : null, SUM)
          const ended = Promise.resolve(call).then(
            () => 'done',
            (error: { code?: string }) => error.code,
          )
          await turns(delay)
          if (rank === dying) {
            job.kill(rank)
            return
          }
          assert.match(String(await within(ended, 'who is left')), /^(done|ERR_PROC_FAILED|ERR_COLLECTIVE)$/)
        })
      }
    }
  })

  describe('memory that is written to', () => {
    const [MINE, OTHER] = [0, 1]

    /** One rank's pulls of a call, over words that the test writes for the other one. */
    function pullsOf() {
      const told = new Map<string, number>()
      const waits: { done: boolean }[] = []
      let hasEnded = false
      const postings = {
        channel: {
          tell: (_number: number, stage: number, isWell: boolean) => told.set(`${MINE} ${stage}`, isWell ? 1 : 2),
          told: (rank: number, _number: number, stage: number) => told.get(`${rank} ${stage}`) ?? 0,
        },
        hasRoom: () => true,
        hasEnded: () => hasEnded,
      }
      const exchange = { whyHopeless: () => new Error('revoked'), watch: (watcher: never) => watcher }
      const pulls = new Pulls(exchange as unknown as Exchange, postings as unknown as Postings)
      pulls.start(1)
      const say = (stage: number, value = 1): void => void told.set(`${OTHER} ${stage}`, value)
      return { pulls, say, told, waits, end: () => (hasEnded = true) }
    }

    const WITHDRAWN = 2

    it('is withdrawn at once where nobody has begun', () => {
      const { pulls, told } = pullsOf()
      assert.equal(pulls.withdraw([OTHER]).next().done, true)
      assert.equal(told.get(`${MINE} ${WITHDRAWN}`), 2)
    })

    it('is withdrawn when who has begun is over, well or ill, or has ended, and not before', () => {
      for (const how of ['well', 'ill', 'ended']) {
        const { pulls, say, end } = pullsOf()
        say(WRITING)
        const withdrawal = pulls.withdraw([OTHER])
        const wait = withdrawal.next().value as unknown as { readonly done: boolean; readonly isDue: boolean }
        assert.deepEqual([wait.done, wait.isDue], [false, false], 'revoked or not')
        if (how === 'ended') end()
        else say(WRITTEN, how === 'well' ? 1 : 2)
        assert.deepEqual([wait.done, wait.isDue], [true, true])
        assert.equal(withdrawal.next().done, true)
      }
    })

    it('is not written to once it has been withdrawn, and says so in any case before it asks', () => {
      const { pulls, say, told } = pullsOf()
      say(WITHDRAWN, 2)
      assert.throws(() => pulls.startWriting(OTHER), { code: 'ERR_COLLECTIVE', rank: OTHER })
      assert.equal(told.get(`${MINE} ${WRITING}`), 1)
    })
  })
})
