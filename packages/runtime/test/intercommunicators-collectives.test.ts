// Between two groups: reduceScatter in all forms, layouts, and persistent collectives.
import assert from 'node:assert/strict'
import { IN_PLACE, PROC_NULL, ROOT } from '../src/constants.js'
import { MAXLOC, Operation, SUM } from '../src/operation.js'
import type { PersistentRequest } from '../src/persistent-request.js'
import { within } from './support/deadline.js'
import { randomFrom } from './support/simulated-exchange.js'
import { across, SHAPES, type Side } from './support/two-groups.js'

const SEED = Number(process.env.ONECOPY_SEED ?? Math.floor(Math.random() * 2 ** 31))

function upTo<T>(count: number, of: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => of(index))
}

/** World ranks of the other side. */
function theirsOf({ first, inter, otherSize }: Side): number[] {
  return upTo(otherSize, (rank) => (first ? inter.size + rank : rank))
}

for (const shape of SHAPES) {
  describe(`collectives between ${shape[0]} and ${shape[1]} ranks (ONECOPY_SEED=${SEED})`, () => {
    it('reduceScatter gives each rank the combination of what the other side has for it', async () => {
      await across(shape, async (side) => {
        const { world, inter, otherSize } = side
        const expected = theirsOf(side).reduce((total, from) => total + 100 * from + inter.rank, 0)
        const values = upTo(otherSize, (to) => 100 * world.rank + to)
        assert.equal(await inter.reduceScatter(values, SUM), expected)
        assert.equal(await inter.reduceScatterBlock(values, SUM), expected)
        const joined = await inter.reduceScatter(
          upTo(otherSize, (to) => `${world.rank}>${to} `),
          Operation.create((a: string, b: string) => a + b),
        )
        assert.equal(
          joined,
          theirsOf(side)
            .map((from) => `${from}>${inter.rank} `)
            .join(''),
        )
        assert.throws(() => inter.reduceScatter([...values, 1], SUM), RangeError)
      })
    })

    it('reduceScatterInto divides equally many elements, among different numbers of ranks', async () => {
      await across(shape, async (side) => {
        const { world, inter } = side
        for (const length of [0, 12, 12_000]) {
          const send = new Float64Array(length).map((_, index) => 1000 * world.rank + index)
          const total = (index: number) => theirsOf(side).reduce((sum, from) => sum + 1000 * from + index, 0)
          const each = length / inter.size
          const recv = new Float64Array(each)
          await inter.reduceScatterBlockInto(send, recv, SUM)
          assert.deepEqual(
            [...recv],
            upTo(each, (index) => total(inter.rank * each + index)),
          )
          // everything to the last rank
          const counts = upTo(inter.size, (rank) => (rank === inter.size - 1 ? length : 0))
          const whole = new Float64Array(counts[inter.rank]!)
          await inter.reduceScatterInto(send, whole, SUM, { counts })
          assert.deepEqual([...whole], upTo(whole.length, total))
        }
      })
    })

    it('reduceScatterInto gives an operation whole blocks, as those cut them who receive them', async () => {
      await across(shape, async ({ inter, otherSize, world }) => {
        const lengths: number[] = []
        const longer = Operation.create(
          (a: Int32Array, b: Int32Array) => {
            lengths.push(a.length)
            return a.map((item, index) => Math.max(item, b[index]!))
          },
          { elementwise: false },
        )
        // 1, 2, 3 … elements, the last rank the rest of ten
        const cut = (size: number) => upTo(size, (rank) => (rank < size - 1 ? rank + 1 : 10 - (size * (size - 1)) / 2))
        const counts = cut(inter.size)
        const recv = new Int32Array(counts[inter.rank]!)
        await inter.reduceScatterInto(new Int32Array(10).fill(world.rank), recv, longer, { counts })
        assert.deepEqual(
          [...recv],
          upTo(recv.length, () => (world.rank < shape[0] ? shape[0] + shape[1] : shape[0]) - 1),
        )
        for (const length of lengths) assert.ok(cut(otherSize).includes(length), `a block of ${length}`)
      })
    })

    it('reduceScatterInto says what is wrong, at the call or on both sides', async () => {
      await across(shape, async ({ inter, first }) => {
        const [send, recv] = [new Float64Array(12), new Float64Array(12 / inter.size)]
        assert.throws(() => inter.reduceScatterBlockInto(send, send, SUM), RangeError)
        assert.throws(() => inter.reduceScatterInto(send, new Float64Array(13), SUM), RangeError)
        assert.throws(() => inter.reduceScatterInto(send, recv, SUM, { counts: [1, 2, 3, 4, 5] }), TypeError)
        assert.throws(() => inter.reduceScatterInto(send, new Int32Array(recv.length), SUM), TypeError)
        assert.throws(() => inter.reduceScatterInto(IN_PLACE as never, recv, SUM), /IN_PLACE, which is not possible/)
        assert.throws(() => inter.allreduceInto(IN_PLACE as never, recv, SUM), /IN_PLACE, which is not possible/)
        assert.throws(() => inter.reduceScatterBlockInto(send, recv, 'sum' as never), TypeError)
        const pairs = new Float64Array(2 * inter.size)
        assert.throws(() => inter.reduceScatterInto(pairs, pairs.slice(0, 1), MAXLOC, { counts: [] }), TypeError)
        const longer = new Float64Array(first ? 12 : 24)
        const attempt = inter.reduceScatterBlockInto(longer, new Float64Array(longer.length / inter.size), SUM)
        await assert.rejects(within(attempt, 'the collective'), { name: 'OnecopyError' })
        const others = first ? new Float64Array(12) : new BigInt64Array(12)
        const result = first ? new Float64Array(12) : new BigInt64Array(12)
        await assert.rejects(within(inter.allreduceInto(others, result, SUM), 'the next'), { name: 'OnecopyError' })
        await inter.barrier()
      })
    })

    it('alltoallInto takes the layouts that it takes within one group', async () => {
      await across(shape, async (side) => {
        const { world, inter, first, otherSize } = side
        // rank i of the first side sends i+j+1 elements to rank j of the second, which sends i+j+2 back
        const length = (i: number, j: number, forth: boolean) => i + j + (forth ? 1 : 2)
        const counts = (forth: boolean) => upTo(otherSize, (other) => length(inter.rank, other, forth))
        const [sendCounts, recvCounts] = [counts(first), counts(!first)]
        const total = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)
        const recv = new Int32Array(total(recvCounts))
        await inter.alltoallInto(new Int32Array(total(sendCounts)).fill(world.rank), recv, { sendCounts, recvCounts })
        const expected = theirsOf(side).flatMap((from, index) => upTo(recvCounts[index]!, () => from))
        assert.deepEqual([...recv], expected)
        const ones = upTo(otherSize, () => 1)
        const doubles = new Float64Array(otherSize)
        await inter.alltoallInto(new Float64Array(otherSize).fill(world.rank), doubles, {
          counts: ones,
          types: upTo(otherSize, () => Float64Array),
        })
        assert.deepEqual([...doubles], theirsOf(side))
        const wrong = inter.alltoallInto(new Float64Array(otherSize), new Float64Array(otherSize), {
          counts: ones,
          types: upTo(otherSize, () => (first ? Float64Array : BigInt64Array)),
        })
        await assert.rejects(within(wrong, 'other elements'), { name: 'OnecopyError' })
        await inter.barrier()
      })
    })

    it('persistent ones of every kind, started again and again, and all at once in any order', async () => {
      await across(shape, async (side) => {
        for (const inter of [side.inter, await side.inter.dup()]) {
          const cases = Object.values(casesOf({ ...side, inter }))
          for (let round = 0; round < 4; round++) {
            for (const { request, fill, check } of cases) {
              fill(round)
              assert.equal(await within(request.start(), 'a persistent collective'), undefined)
              check(round)
            }
          }
          const random = randomFrom(SEED + side.world.rank)
          for (let round = 4; round < 8; round++) {
            for (const { fill } of cases) fill(round)
            const order = [...cases].sort(() => random() - 0.5)
            for (const { request } of order) request.start()
            const ordinary = inter.allgather(round)
            await within(Promise.all(order.map(({ request }) => request)), 'all of them')
            assert.deepEqual(
              await ordinary,
              upTo(inter.remoteSize, () => round),
            )
            for (const { check } of cases) check(round)
          }
        }
      })
    })
  })
}

describe('an intercommunicator', () => {
  it('has no scans, as MPI defines none', async () => {
    await across([1, 1], async ({ inter }) => {
      for (const verb of ['scan', 'scanInto', 'exscan', 'exscanInto', 'scanInit', 'exscanInit']) {
        assert.ok(!(verb in inter || verb in inter.sync), verb)
      }
    })
  })
})

describe('persistent collectives between two groups', () => {
  it('check their arguments when they are made, and end with the communicator', async () => {
    await across([1, 2], async ({ inter }) => {
      assert.throws(() => inter.bcastInit(new Float64Array(1), inter.remoteSize), RangeError)
      assert.throws(() => inter.bcastInit(null, ROOT), TypeError)
      assert.throws(() => inter.allreduceInit(new Float64Array(1), new Float64Array(2), SUM), RangeError)
      assert.throws(() => inter.reduceScatterBlockInit(new Float64Array(2), new Float64Array(5), SUM), RangeError)
      const copy = await inter.dup()
      const barrier = copy.barrierInit()
      copy.free()
      assert.throws(() => barrier.start(), TypeError)
      assert.throws(() => copy.barrierInit(), TypeError)
    })
  })

  it('go on after a start that has failed, however often', async () => {
    await across([2, 2], async ({ inter, first, local }) => {
      let isBroken = true
      const fussy = Operation.create((a: number, b: number) => {
        if (isBroken && first) throw new Error('not now')
        return a + b
      })
      const total = new Float64Array(1)
      const sum = inter.allreduceInit(Float64Array.of(local.rank + 1), total, fussy)
      for (let start = 0; start < 10; start++) {
        isBroken = start % 2 === 0
        if (isBroken) await assert.rejects(within(sum.start(), 'a start that fails'))
        else await within(sum.start(), 'a start')
        if (!isBroken) assert.equal(total[0], 3)
        await inter.barrier()
      }
    })
  })
})

/** A persistent collective of every kind; `fill` gives its memory for a round, `check` says what it holds afterwards. */
interface Case {
  readonly request: PersistentRequest<void>
  fill(round: number): void
  check(round: number): void
}

function casesOf(side: Side): Record<string, Case> {
  const { world, inter, first, otherSize } = side
  const theirs = theirsOf(side)
  /** What rank r of the world contributes in a round. */
  const of = (r: number, round: number) => 10 * round + r
  const sum = (round: number) => theirs.map((r) => of(r, round)).reduce((a, b) => a + b, 0)
  const everyone = (round: number) => theirs.map((r) => of(r, round))
  const root = first ? (inter.rank === 0 ? ROOT : PROC_NULL) : 0
  const isRoot = root === ROOT
  const one = () => new Float64Array(1)
  const each = (size: number) => new Float64Array(size)
  const made: Record<string, Case> = { barrier: { request: inter.barrierInit(), fill() {}, check() {} } }
  const add = (
    name: string,
    send: Float64Array,
    recv: Float64Array,
    request: PersistentRequest<void>,
    wanted: (round: number) => number[] | null,
  ) => {
    made[name] = {
      request,
      fill(round) {
        recv.fill(-1)
        send.fill(of(world.rank, round))
      },
      check(round) {
        const expected = wanted(round)
        if (expected !== null) assert.deepEqual([...recv], expected, name)
      },
    }
  }
  let [s, r] = [one(), one()]
  add('bcast', s, s, inter.bcastInit(root === PROC_NULL ? null : s, root), (round) => (first ? null : [of(0, round)]))
  ;[s, r] = [one(), each(otherSize)]
  add('gather', s, r, inter.gatherInit(first ? null : s, isRoot ? r : null, { root }), (round) =>
    isRoot ? everyone(round) : null,
  )
  ;[s, r] = [each(otherSize), one()]
  add('scatter', s, r, inter.scatterInit(isRoot ? s : null, first ? null : r, { root }), (round) =>
    first ? null : [of(0, round)],
  )
  ;[s, r] = [one(), each(otherSize)]
  add('allgather', s, r, inter.allgatherInit(s, r, { counts: upTo(otherSize, () => 1) }), everyone)
  ;[s, r] = [each(otherSize), each(otherSize)]
  add('alltoall', s, r, inter.alltoallInit(s, r), everyone)
  ;[s, r] = [one(), one()]
  add('reduce', s, r, inter.reduceInit(first ? null : s, isRoot ? r : null, SUM, root), (round) =>
    isRoot ? [sum(round)] : null,
  )
  ;[s, r] = [one(), one()]
  add('allreduce', s, r, inter.allreduceInit(s, r, SUM), (round) => [sum(round)])
  const all = inter.size * otherSize
  ;[s, r] = [each(all), each(otherSize)]
  const counts = upTo(inter.size, () => otherSize)
  add('reduceScatter', s, r, inter.reduceScatterInit(s, r, SUM, { counts }), (round) =>
    upTo(otherSize, () => sum(round)),
  )
  ;[s, r] = [each(all), each(otherSize)]
  add('reduceScatterBlock', s, r, inter.reduceScatterBlockInit(s, r, SUM), (round) => upTo(otherSize, () => sum(round)))
  return made
}
