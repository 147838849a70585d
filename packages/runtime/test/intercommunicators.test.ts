import assert from 'node:assert/strict'
import { AttributeKey } from '../src/attributes.js'
import type { Communicator } from '../src/communicator.js'
import { ANY_SOURCE, CONGRUENT, IDENT, PROC_NULL, ROOT, UNDEFINED, UNEQUAL } from '../src/constants.js'
import { MAX, Operation, SUM } from '../src/operation.js'
import { turns, within } from './support/deadline.js'
import { simulate } from './support/simulated-job.js'
import { across, SHAPES } from './support/two-groups.js'

for (const shape of SHAPES) {
  describe(`an intercommunicator of ${shape[0]} and ${shape[1]} ranks`, () => {
    it('has two groups', async () => {
      await across(shape, async ({ world, local, inter, otherSize }) => {
        assert.deepEqual([inter.rank, inter.size, inter.remoteSize], [local.rank, local.size, otherSize])
        assert.equal(inter.group.compare(local.group), IDENT)
        assert.equal(inter.remoteGroup.compare(world.group.difference(local.group)), IDENT)
        assert.equal(inter.compare(inter), IDENT)
        assert.equal(inter.compare(local), UNEQUAL)
        assert.equal(local.compare(inter), UNEQUAL)
        const copy = await inter.dup()
        assert.equal(copy.compare(inter), CONGRUENT)
        assert.throws(() => inter.send(1, otherSize), RangeError)
        assert.throws(() => inter.bcast(1, otherSize), RangeError)
        assert.throws(() => inter.bcast(1, 'root' as never), TypeError)
        copy.free()
        assert.throws(() => copy.barrier(), TypeError)
      })
    })

    it('carries messages to the other side only', async () => {
      await across(shape, async ({ world, local, inter, first, otherSize }) => {
        const sends: PromiseLike<void>[] = []
        for (let dest = 0; dest < otherSize; dest++) {
          sends.push(inter.send({ from: world.rank, to: dest }, dest, 4))
          sends.push(inter.send(new Float64Array(50_000).fill(world.rank), dest, 5))
        }
        const other = first ? shape[0] : 0
        const sources = new Set<number>()
        for (let i = 0; i < otherSize; i++) {
          const { data, source } = await inter.recvMessage<{ from: number; to: number }>(ANY_SOURCE, 4)
          assert.deepEqual(data, { from: other + source, to: local.rank })
          sources.add(source)
          const into = new Float64Array(50_000)
          assert.equal((await inter.recvInto(into, source, 5)).source, source)
          assert.ok(into.every((item) => item === other + source))
        }
        assert.equal(sources.size, otherSize)
        await Promise.all(sends)
        await inter.barrier()
      })
    })

    it('has collectives across', async () => {
      await across(shape, async ({ world, local, inter, first, otherSize }) => {
        const theirs = Array.from({ length: otherSize }, (_, i) => (first ? shape[0] + i : i))
        const sum = theirs.reduce((a, b) => a + b, 0)
        assert.deepEqual(await inter.allgather(world.rank), theirs)
        assert.deepEqual(
          await inter.alltoall(theirs.map((to) => `${world.rank} to ${to}`)),
          theirs.map((from) => `${from} to ${world.rank}`),
        )
        assert.equal(await inter.allreduce(world.rank, SUM), sum)
        const summed = new Int32Array(5)
        await inter.allreduceInto(new Int32Array(5).fill(world.rank), summed, MAX)
        assert.deepEqual(summed, new Int32Array(5).fill(Math.max(...theirs)))
        assert.equal(
          await inter.reduceScatterBlock(
            theirs.map((to) => world.rank * 100 + to),
            SUM,
          ),
          theirs.reduce((total, from) => total + from * 100 + world.rank, 0),
        )
        const all = new Float64Array(2 * otherSize)
        await inter.allgatherInto(Float64Array.of(world.rank, -world.rank), all)
        assert.deepEqual(
          [...all],
          theirs.flatMap((rank) => [rank, -rank]),
        )
        const out = new Int32Array(otherSize).map((_, i) => world.rank * 10 + i)
        const into = new Int32Array(otherSize)
        await inter.alltoallInto(out, into)
        assert.deepEqual(
          [...into],
          theirs.map((from) => from * 10 + local.rank),
        )
        for (const firstHasRoot of [true, false]) {
          const rootRank = 0
          const inRootGroup = first === firstHasRoot
          const root = inRootGroup ? (local.rank === rootRank ? ROOT : PROC_NULL) : rootRank
          const isRoot = root === ROOT
          assert.equal(await inter.bcast(isRoot ? 'news' : null, root), inRootGroup ? undefined : 'news')
          const memory = new Uint8Array(20_000).fill(isRoot ? 7 : 0)
          await inter.bcastInto(root === PROC_NULL ? null : memory, root)
          if (!inRootGroup) assert.ok(memory.every((byte) => byte === 7))
          assert.deepEqual(await inter.gather(world.rank, root), isRoot ? theirs : undefined)
          const values = theirs.map((rank) => `for ${rank}`)
          assert.equal(
            await inter.scatter(isRoot ? values : undefined, root),
            inRootGroup ? undefined : `for ${world.rank}`,
          )
          assert.equal(await inter.reduce(world.rank, SUM, root), isRoot ? sum : undefined)
          const reduced = new Float64Array(3)
          await inter.reduceInto(Float64Array.of(world.rank, 1, 2), isRoot ? reduced : null, SUM, root)
          if (isRoot) assert.deepEqual([...reduced], [sum, otherSize, 2 * otherSize])
          const gathered = new Int32Array(otherSize)
          await inter.gatherInto(Int32Array.of(world.rank), isRoot ? gathered : null, { root })
          if (isRoot) assert.deepEqual([...gathered], theirs)
          const mine = new Int32Array(1)
          await inter.scatterInto(isRoot ? Int32Array.from(theirs) : null, inRootGroup ? null : mine, { root })
          if (!inRootGroup) assert.equal(mine[0], world.rank)
        }
      })
    })

    it('is split by colour and key, null where only one side has a colour', async () => {
      await across(shape, async ({ world, inter, first, otherSize }) => {
        // colour 0 on both sides where ranks are even; colours 1 and 2 are of one side each
        const color = inter.rank % 2 === 0 ? 0 : first ? 1 : 2
        const part = await inter.split(color, -inter.rank)
        assert.equal(part === null, color !== 0)
        if (part !== null) {
          assert.deepEqual([part.size, part.remoteSize], [Math.ceil(inter.size / 2), Math.ceil(otherSize / 2)])
          // the highest rank comes first
          assert.equal(part.rank, part.size - 1 - inter.rank / 2)
          const theirs = inter.remoteGroup
          const expected = theirs.incl(
            Array.from({ length: otherSize }, (_, rank) => rank)
              .filter((rank) => rank % 2 === 0)
              .reverse(),
          )
          assert.equal(part.remoteGroup.compare(expected), IDENT)
          assert.deepEqual(
            await part.allgather(world.rank),
            expected.translate([...Array(expected.size).keys()], world.group),
          )
          part.free()
        }
        // one rank of each side, and nobody of one side
        assert.equal(
          (await inter.split(inter.rank === 0 ? 7 : UNDEFINED))?.remoteSize ?? null,
          inter.rank === 0 ? 1 : null,
        )
        assert.equal(await inter.split(first ? 3 : UNDEFINED), null)
        assert.equal(await inter.split(first ? 3 : 4), null)
        assert.equal((await inter.splitType('shared'))?.compare(inter), CONGRUENT)
        assert.equal(await inter.splitType(UNDEFINED), null)
        assert.throws(() => inter.split(-1), TypeError)
        assert.throws(() => inter.split(0, 0.5), TypeError)
        assert.throws(() => inter.splitType('numa' as never), TypeError)
        await inter.barrier()
      })
    })

    it('is made of a group on each side', async () => {
      await across(shape, async ({ world, local, inter, otherSize }) => {
        const backwards = Array.from({ length: inter.size }, (_, rank) => inter.size - 1 - rank)
        const turned = await inter.create(inter.group.incl(backwards))
        assert.deepEqual([turned?.rank, turned?.remoteSize], [inter.size - 1 - inter.rank, otherSize])
        assert.deepEqual(await turned?.allgather(world.rank), (await inter.allgather(world.rank)).reverse())
        const lasts = await inter.create(inter.group.incl([inter.size - 1]))
        assert.equal(lasts === null, inter.rank !== inter.size - 1)
        assert.deepEqual(await lasts?.allgather(1), lasts === null ? undefined : [1])
        const firstIsEmpty = local.group.members.includes(0) ? [] : [0]
        assert.equal(await inter.create(inter.group.incl(firstIsEmpty)), null)
        assert.throws(() => inter.create(world.group), TypeError)
        assert.throws(() => inter.create(inter.remoteGroup), TypeError)
        await inter.barrier()
      })
    })

    it('is duplicated from a duplicate, which may be freed before', async () => {
      await across(shape, async ({ world, inter }) => {
        const copy = await inter.dup()
        const again = await copy.dup()
        copy.free()
        assert.deepEqual(await again.allgather(world.rank), await inter.allgather(world.rank))
        again.free()
      })
    })

    it('merges into one, the high group last', async () => {
      await across(shape, async ({ world, inter, first }) => {
        for (const high of [
          [false, true],
          [true, false],
          [false, false],
          [true, true],
        ]) {
          const merged = await inter.merge(first ? high[0] : high[1])
          const firstComesFirst = high[0] === high[1] || !high[0]
          const order = Array.from({ length: world.size }, (_, i) => i)
          const expected = firstComesFirst ? order : [...order.slice(shape[0]), ...order.slice(0, shape[0])]
          assert.deepEqual(await merged.allgather(world.rank), expected)
          merged.free()
        }
      })
    })
  })
}

describe('an intercommunicator', () => {
  it('is refused between groups that overlap', async () => {
    await simulate(2, {}, async (world, rank) => {
      const alone = await world.split(rank)
      const inter = alone!.createIntercomm(0, world, 1 - rank, 1)
      assert.equal((await within(inter, 'groups with nothing in common')).remoteSize, 1)
      const self = await world.split(rank)
      await assert.rejects(within(self!.createIntercomm(0, self, 0), 'a group with itself'), TypeError)
    })
  })

  for (const [what, code, end] of [
    ['revoked', 'ERR_REVOKED', (local: Communicator) => local.revoke()],
    ['freed', 'ERR_CLOSED', (local: Communicator) => local.free()],
  ] as const) {
    it(`is not waited for by one side when the other’s communicator is ${what}`, async () => {
      await simulate(4, {}, async (world, rank) => {
        const local = (await world.split(rank < 2 ? 0 : 1))!
        // of the first side one rank never comes
        if (rank === 1) return
        const making = local.createIntercomm(0, rank % 2 === 0 ? world : null, rank === 0 ? 2 : 0)
        if (rank === 0) {
          await turns()
          end(local)
        }
        const wanted = rank === 0 ? code : 'ERR_COLLECTIVE'
        await assert.rejects(within(making, `rank ${rank}`), { code: wanted })
      })
    })
  }

  it('is not kept from being made by an earlier call that was refused for its signal', async () => {
    await simulate(2, {}, async (world, rank) => {
      const alone = (await world.split(rank))!
      if (rank === 0) assert.throws(() => alone.createIntercomm(0, world, 1, 0, { signal: AbortSignal.abort() }))
      assert.equal((await within(alone.createIntercomm(0, world, 1 - rank), 'the next one')).remoteSize, 1)
    })
  })

  it('carries attributes to its duplicate', async () => {
    await across([1, 1], async ({ inter }) => {
      const key = AttributeKey.create<number>({ copy: (_, value) => value + 1 })
      inter.setAttribute(key, 1)
      assert.equal((await inter.dup()).getAttribute(key), 2)
    })
  })

  for (const shape of SHAPES) {
    it(`of ${shape[0]} and ${shape[1]}: an operation that throws on one rank holds up nobody`, async () => {
      await across(shape, async ({ inter, first }) => {
        const broken = Operation.create<number>(() => {
          throw new Error('no')
        })
        const outcome = inter.allreduce(1, first ? broken : SUM).then(
          () => 'done',
          (error: Error) => error.message,
        )
        assert.match(await within(outcome, 'the collective'), /done|no|failed in this collective/)
        assert.equal((await within(inter.allgather(1), 'the next one')).length, inter.remoteSize)
      })
    })

    it(`of ${shape[0]} and ${shape[1]}: revoked by one rank, it ends for all, in every phase of a collective`, async () => {
      await across(shape, async ({ inter, first, local }) => {
        const copy = await inter.dup()
        if (first && local.rank === 0) copy.revoke()
        else await assert.rejects(async () => within(copy.barrier(), 'a barrier'), { code: 'ERR_REVOKED' })
        assert.throws(() => copy.send(1, 0), { code: 'ERR_REVOKED' })
        copy.free()
      })
    })
  }
})
