import assert from 'node:assert/strict'
import { AttributeKey } from '../src/attributes.js'
import type { Communicator } from '../src/communicator.js'
import {
  ANY_SOURCE,
  CONGRUENT,
  ERRORS_ARE_FATAL,
  ERRORS_RETURN,
  IDENT,
  PROC_NULL,
  SIMILAR,
  UNDEFINED,
  UNEQUAL,
} from '../src/constants.js'
import { ContextTable } from '../src/context-table.js'
import { Group } from '../src/group.js'
import { SUM } from '../src/operation.js'
import { turns, within } from './support/deadline.js'
import { simulate, simulateJob } from './support/simulated-job.js'

const SIZES = [1, 2, 3, 4, 5]
const JOB = { identities: Array.from({ length: 8 }, (_, rank) => `here ${rank}`) }
/** Knows two of the processes of the first, by other numbers, and one of its own. */
const BRIDGE = { identities: ['here 2', 'there 0', 'here 1'] }
const STRANGERS = { identities: ['elsewhere 0'] }
const group = (...members: number[]) => new Group(JOB, 2, members)

describe('groups', () => {
  const whole = group(0, 1, 2, 3, 4, 5, 6, 7)

  it('include and exclude by rank and by range', () => {
    assert.deepEqual(whole.incl([5, 2, 0]).members, [5, 2, 0])
    assert.deepEqual(whole.incl([]).members, [])
    assert.deepEqual(whole.excl([0, 7, 3]).members, [1, 2, 4, 5, 6])
    assert.deepEqual(whole.rangeIncl([[1, 5, 2]]).members, [1, 3, 5])
    assert.deepEqual(
      whole.rangeIncl([
        [6, 1, -2],
        [7, 7],
      ]).members,
      [6, 4, 2, 7],
    )
    assert.deepEqual(whole.rangeIncl([[5, 1]]).members, [])
    assert.deepEqual(whole.rangeExcl([[0, 6, 3]]).members, [1, 2, 4, 5, 7])
  })

  it('know this process', () => {
    assert.equal(whole.rank, 2)
    assert.equal(whole.incl([5, 2]).rank, 1)
    assert.equal(whole.excl([2]).rank, UNDEFINED)
  })

  it('unite, intersect and subtract, keeping the order of the first', () => {
    const [one, two] = [group(3, 1, 5), group(5, 6, 1, 0)]
    assert.deepEqual(one.union(two).members, [3, 1, 5, 6, 0])
    assert.deepEqual(one.intersection(two).members, [1, 5])
    assert.deepEqual(one.difference(two).members, [3])
    assert.deepEqual(two.difference(one).members, [6, 0])
    assert.equal(one.difference(one).size, 0)
  })

  it('translate ranks', () => {
    assert.deepEqual(group(3, 1, 5).translate([0, 1, 2, PROC_NULL], group(5, 1)), [UNDEFINED, 1, 0, PROC_NULL])
  })

  it('compare', () => {
    assert.equal(group(1, 2).compare(group(1, 2)), IDENT)
    assert.equal(group(1, 2).compare(group(2, 1)), SIMILAR)
    assert.equal(group(1, 2).compare(group(1, 2, 3)), UNEQUAL)
    assert.equal(group(1, 2).compare(group(1, 3)), UNEQUAL)
    assert.equal(group().compare(group()), IDENT)
    assert.equal(group(0).compare(new Group(STRANGERS, 0, [0])), UNEQUAL)
  })

  it('know the same processes in another job', () => {
    const [both, all] = [new Group(BRIDGE, 0, [2, 0]), new Group(BRIDGE, 0, [0, 1, 2])]
    assert.equal(group(1, 2).compare(both), IDENT)
    assert.equal(group(2, 1).compare(both), SIMILAR)
    assert.equal(group(1, 3).compare(both), UNEQUAL)
    assert.equal(both.compare(group(1, 2)), IDENT)
    assert.deepEqual(all.translate([0, 1, 2], group(1, 2, 3)), [1, UNDEFINED, 0])
    assert.deepEqual(group(1, 2, 3).translate([0, 1, 2], all), [2, 0, UNDEFINED])
    assert.deepEqual(group(3, 2, 1).intersection(all).members, [2, 1])
    assert.deepEqual(all.difference(group(1, 2)).members, [1])
    assert.deepEqual(group(3, 1).union(both).members, [3, 1, 2])
    assert.throws(() => group(3, 1).union(all), TypeError)
    assert.deepEqual(all.union(both).members, [0, 1, 2])
  })

  it('refuse what are no ranks', () => {
    assert.throws(() => whole.incl([8]), RangeError)
    assert.throws(() => whole.incl([-1]), RangeError)
    assert.throws(() => whole.incl([1, 1]), RangeError)
    assert.throws(() => whole.incl([1.5]), TypeError)
    assert.throws(() => whole.incl(['1' as never]), TypeError)
    assert.throws(() => whole.incl(3 as never), TypeError)
    assert.throws(() => whole.rangeIncl([[0, 5, 0]]), RangeError)
    assert.throws(() => whole.rangeIncl([[0, 1e9]]), RangeError)
    assert.throws(() => whole.rangeIncl([3 as never]), TypeError)
    assert.throws(() => whole.union({} as never), TypeError)
    assert.throws(() => whole.union(new Group(STRANGERS, 0, [0])), TypeError)
    assert.throws(() => whole.translate([8], whole), RangeError)
  })
})

describe('the table of contexts', () => {
  it('mints what nobody else does, and serves a slot again once its minter has given the communicator up', () => {
    const tables = [0, 1, 2].map((rank) => new ContextTable(rank, 3))
    const seen = new Set<number>()
    for (const table of tables) for (let i = 0; i < 100; i++) seen.add(table.mint())
    assert.equal(seen.size, 300)
    const [a, b] = tables as [ContextTable, ContextTable]
    const context = a.mint()
    const before = a.slotCount
    b.freed(context)
    assert.notEqual(a.mint(), context, 'taken while its minter still has it')
    assert.equal(a.slotCount, before + 1)
    assert.equal(a.isOver(context), false)
    a.freed(context)
    a.freed(context)
    assert.equal(a.isOver(context), true)
    const again = a.mint()
    assert.equal(a.slotCount, before + 1)
    assert.notEqual(again, context, 'a late frame would be taken for a new one')
    a.mint()
    assert.equal(a.slotCount, before + 2, 'given up twice, it serves twice')
    assert.deepEqual([a.isOver(again), b.isOver(again), b.isOver(context)], [false, false, true])
  })

  it('takes a number back as if it had never been minted', () => {
    const table = new ContextTable(1, 2)
    const context = table.mint()
    table.unmint(context)
    assert.equal(table.mint(), context)
    assert.equal(table.isOver(context), false)
    assert.equal(table.slotCount, 1)
  })

  it('stays flat over many generations', () => {
    const table = new ContextTable(0, 1)
    for (let i = 0; i < 10_000; i++) {
      const context = table.mint()
      assert.equal(table.isOver(context), false, `cycle ${i}`)
      table.freed(context)
      assert.equal(table.isOver(context), true)
    }
    assert.ok(table.slotCount <= Math.ceil(10_000 / 1024), `${table.slotCount} slots`)
  })

  it('never takes a context for one that was given up here many generations ago', () => {
    const [zero, two] = [new ContextTable(0, 4), new ContextTable(2, 4)]
    const first = zero.mint()
    zero.freed(first)
    two.freed(first)
    for (let i = 0; i < 3000; i++) {
      const context = zero.mint()
      assert.equal(two.isOver(context), false, `generation ${i}`)
      zero.freed(context)
    }
    assert.equal(two.isOver(first), true)
    assert.equal(two.isOver(first + 1), true, "its collectives' context is not")
  })
})

for (const size of SIZES) {
  describe(`communicators of ${size}`, () => {
    it('split by colour and key', async () => {
      await simulate(size, {}, async (world, rank) => {
        const half = await world.split(rank % 2, -rank)
        assert.ok(half !== null)
        assert.equal(half.size, Math.ceil((size - (rank % 2)) / 2))
        // the highest rank comes first
        const ranks = await half.allgather(rank)
        assert.deepEqual(
          ranks,
          [...ranks].sort((a, b) => b - a),
        )
        assert.equal(ranks[half.rank], rank)
        assert.equal(await half.allreduce(1, SUM), half.size)
        const none = await world.split(rank === 0 ? 7 : UNDEFINED)
        assert.equal(none === null, rank !== 0)
        assert.equal(none?.size ?? 1, 1)
        const same = await world.split(5)
        assert.equal(same?.compare(world), CONGRUENT)
        const turned = await world.split(0, size - rank)
        assert.equal(turned?.compare(world), size === 1 ? CONGRUENT : SIMILAR)
        assert.equal((await world.splitType('shared'))?.size, size)
        assert.equal(await world.splitType(UNDEFINED), null)
        await world.barrier()
      })
    })

    it('are made of groups, by all or by the group only', async () => {
      await simulate(size, {}, async (world, rank) => {
        const members = Array.from({ length: size }, (_, i) => i)
          .filter((i) => i % 2 === 0)
          .reverse()
        const evens = world.group.incl(members)
        const made = await world.create(evens)
        assert.equal(made === null, rank % 2 === 1)
        if (rank % 2 === 0) {
          const some = await world.createGroup(evens, 3)
          assert.ok(some !== null && made !== null)
          assert.equal(some.compare(made), CONGRUENT)
          assert.deepEqual(await some.allgather(rank), members)
          assert.deepEqual(some.group.translate([some.rank], world.group), [rank])
        }
        const empty = await world.create(world.group.incl([]))
        assert.equal(empty, null)
        await world.barrier()
      })
    })

    it('do not hear each other, and any number may be made at once', async () => {
      await simulate(size, {}, async (world, rank) => {
        const right = (rank + 1) % size
        const made = await Promise.all(
          Array.from({ length: 6 }, (_, i) => (i % 2 === 0 ? world.dup() : world.split(0))),
        )
        const all = [world, ...(made as Communicator[])]
        const sends = all.map((communicator, i) => communicator.send(i, right, 5))
        // in the opposite order
        for (let i = all.length - 1; i >= 0; i--) assert.equal(await all[i]!.recv(ANY_SOURCE, 5), i)
        await Promise.all(sends)
        for (const communicator of made) communicator!.free()
        assert.throws(() => made[0]!.barrier(), TypeError)
        assert.throws(() => made[0]!.group, TypeError)
        await world.barrier()
      })
    })

    it('stay flat over many cycles of split and free', async function () {
      this.timeout(60_000)
      await simulate(
        size,
        {},
        async (world, rank, job) => {
          for (let i = 0; i < 500; i++) {
            const part = await world.split(rank % 2)
            const copy = await part!.dup()
            assert.equal(await copy.bcast(copy.rank === 0 ? i : null), i)
            copy.free()
            part!.free()
          }
          await world.barrier()
          const { slotCount } = job.jobs[rank]!.contexts
          assert.ok(slotCount <= 8, `${slotCount} slots`)
        },
        60_000,
      )
    })
  })
}

describe('a communicator', () => {
  it('keeps attributes, which are copied and deleted as their keys say', async () => {
    await simulate(2, {}, async (world) => {
      const calls: string[] = []
      const copied = AttributeKey.create<string>({
        copy: (_, value) => `${value}, copied`,
        delete: (from, value) => void calls.push(`${from.name}: ${value}`),
      })
      const shared = AttributeKey.create<object>({ copy: AttributeKey.share })
      const kept = AttributeKey.create<number>()
      const object = {}
      world.setAttribute(copied, 'first')
      world.setAttribute(copied, 'second')
      assert.deepEqual(calls, ['world: first'])
      world.setAttribute(shared, object)
      world.setAttribute(kept, 1)
      const copy = await world.dup()
      copy.name = 'copy'
      assert.equal(copy.getAttribute(copied), 'second, copied')
      assert.equal(copy.getAttribute(shared), object)
      assert.equal(copy.getAttribute(kept), undefined)
      assert.equal((await world.split(0))!.getAttribute(shared), undefined)
      copy.free()
      assert.deepEqual(calls.slice(1), ['copy: second, copied'])
      assert.throws(() => copy.getAttribute(kept), TypeError)
      assert.equal(world.deleteAttribute(kept), true)
      assert.equal(world.deleteAttribute(kept), false)
      assert.throws(() => world.setAttribute({} as never, 1), TypeError)
      assert.throws(() => AttributeKey.create({ copy: 3 as never }), TypeError)
      const stubborn = AttributeKey.create<number>({
        delete: () => {
          throw new Error('not this one')
        },
      })
      const other = await world.dup()
      other.setAttribute(stubborn, 1)
      assert.throws(() => other.free(), /not this one/)
      await other.barrier()
    })
  })

  it('checks what it is made from', async () => {
    await simulate(2, {}, async (world) => {
      assert.throws(() => world.split(-1), TypeError)
      assert.throws(() => world.split(1.5), TypeError)
      assert.throws(() => world.split(2 ** 31), TypeError)
      assert.throws(() => world.split(0, 0.5), TypeError)
      assert.throws(() => world.splitType('numa' as never), TypeError)
      assert.throws(() => world.create({} as never), TypeError)
      assert.throws(() => world.create(new Group(STRANGERS, 0, [0])), TypeError)
      assert.throws(() => world.createGroup(world.group, -1), RangeError)
      assert.throws(() => world.compare({} as never), TypeError)
      assert.throws(() => world.free(), TypeError)
      const part = await world.split(world.rank)
      assert.throws(() => part!.create(world.group), TypeError)
      await world.barrier()
    })
  })

  it('has failures end the job where its errhandler says so', async () => {
    const job = await simulateJob(2)
    const [zero, one] = job.worlds
    assert.equal(zero!.errhandler, ERRORS_RETURN)
    assert.throws(() => {
      zero!.errhandler = 'loud' as never
    }, TypeError)
    zero!.errhandler = ERRORS_ARE_FATAL
    const [copy, peer] = await within(Promise.all([zero!.dup(), one!.dup()]), 'dup')
    assert.equal(copy.errhandler, ERRORS_ARE_FATAL)
    const exit = process.exit
    let exited: unknown
    process.exit = ((code: unknown) => {
      exited = code
    }) as never
    try {
      const short = copy.recvInto(new Uint8Array(1), 1)
      await peer.send(new Uint8Array(2), 0)
      await assert.rejects(within(short, 'a receive that is too short'), { code: 'ERR_TRUNCATE' })
    } finally {
      process.exit = exit
    }
    assert.equal(exited, 1)
    assert.match(job.aborted() ?? '', /ERRORS_ARE_FATAL/)
  })
})

describe('a collective that one rank cannot go on with', () => {
  it('is an error for all who wait for it, and the communicator goes on', async () => {
    for (const size of [2, 3, 4, 5]) {
      await simulate(size, {}, async (world, rank) => {
        const reason = new Error('enough')
        if (rank === 0) {
          const controller = new AbortController()
          const waiting = world.barrier({ signal: controller.signal })
          await turns()
          controller.abort(reason)
          await assert.rejects(within(waiting, 'the one that gives up'), reason)
          // rank 1 comes only now
          await world.send('come', 1, 9)
        } else {
          if (rank === 1) await world.recv(0, 9)
          await assert.rejects(within(world.barrier(), 'a barrier without rank 0'), { code: 'ERR_COLLECTIVE', rank: 0 })
        }
        assert.equal(await within(world.allreduce(1, SUM), 'the next collective'), size)
      })
    }
  })

  it('does not hold up ranks that wait for others only, when one has left', async () => {
    await simulate(4, {}, async (world, rank) => {
      if (rank === 2) {
        await world.finalize()
        return
      }
      await assert.rejects(within(world.barrier(), 'a barrier'), { code: 'ERR_PROC_FAILED' })
      if (rank === 0) await turns()
    })
  })

  it('lets go of what was sent for it', async () => {
    await simulate(2, {}, async (world, rank) => {
      const long = new Float64Array(100_000).fill(rank)
      if (rank === 0) {
        const controller = new AbortController()
        const gone = world.allreduceInto(new Float64Array(100_000), new Float64Array(100_000), SUM, {
          signal: controller.signal,
        })
        controller.abort(new Error('enough'))
        await assert.rejects(within(gone, 'given up'), /enough/)
      } else {
        await turns()
        await assert.rejects(within(world.allreduceInto(long, new Float64Array(100_000), SUM), 'left alone'))
      }
      assert.equal(await within(world.allreduce(1, SUM), 'the next one'), 2)
    })
  })
})
