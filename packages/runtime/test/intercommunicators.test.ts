import assert from 'node:assert/strict'
import { AttributeKey } from '../src/attributes.js'
import type { Communicator } from '../src/communicator.js'
import { ANY_SOURCE, CONGRUENT, IDENT, PROC_NULL, ROOT, UNEQUAL } from '../src/constants.js'
import type { Intercommunicator } from '../src/intercommunicator.js'
import { MAX, Operation, SUM } from '../src/operation.js'
import { within } from './support/deadline.js'
import { simulate } from './support/simulated-job.js'

/** Ranks of the first and of the second group. */
const SHAPES = [
  [1, 1],
  [1, 2],
  [2, 1],
  [2, 2],
  [2, 3],
  [3, 2],
  [1, 4],
] as const

interface Side {
  readonly world: Communicator
  readonly local: Communicator
  readonly inter: Intercommunicator
  /** This rank is in the first group. */
  readonly first: boolean
  readonly otherSize: number
}

/** Runs `script` on both sides of an intercommunicator whose groups have these sizes. */
async function across(
  [firstSize, secondSize]: readonly [number, number],
  script: (side: Side) => Promise<void>,
): Promise<void> {
  await simulate(firstSize + secondSize, {}, async (world, rank) => {
    const first = rank < firstSize
    const local = await world.split(first ? 0 : 1)
    assert.ok(local !== null)
    // the last rank of each group leads it
    const leader = local.size - 1
    const remoteLeader = first ? firstSize + secondSize - 1 : firstSize - 1
    const peer = local.rank === leader ? world : null
    const inter = await local.createIntercomm(leader, peer, remoteLeader, 3)
    await script({ world, local, inter, first, otherSize: first ? secondSize : firstSize })
    await within(world.barrier(), 'the end')
  })
}

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
