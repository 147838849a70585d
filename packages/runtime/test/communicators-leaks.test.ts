// Communicators that come and go, and those that never come to be, leave nothing behind: neither numbers nor memory.
import assert from 'node:assert/strict'
import { AttributeKey } from '../src/attributes.js'
import type { Communicator } from '../src/communicator.js'
import type { CommunicatorBase } from '../src/communicator-base.js'
import type { Intercommunicator } from '../src/intercommunicator.js'
import { turns } from './support/deadline.js'
import { heapBytes } from './support/heap.js'
import { type SimulatedJob, simulateJob } from './support/simulated-job.js'

/** Numbers that a slot serves for: see context-table.ts. */
const GENERATIONS = 1024
/** Slots of communicators that are there at the same time, or about to be. */
const SLOTS_AT_ONCE = 10
/** What compiled code, its feedback and the test itself may come to; less than 40 bytes for each of 10 000 communicators. */
const RETAINED_BYTES_MAX = 384 * 1024
/** A collective that has failed is remembered, up to 16 384 for each context: for messages that are late for it. */
const BROKEN_BYTES_MAX = 256
const MINUTE = 60_000

interface Sides {
  readonly world: Communicator
  readonly local: Communicator
  readonly inter: Intercommunicator
  readonly rank: number
  readonly first: boolean
}

/** Ranks 0 and up to `firstSize`, and the others. */
async function sidesOf(world: Communicator, rank: number, firstSize: number): Promise<Sides> {
  const first = rank < firstSize
  const local = (await world.split(first ? 0 : 1)) as Communicator
  const inter = await local.createIntercomm(0, local.rank === 0 ? world : null, first ? firstSize : 0)
  return { world, local, inter, rank, first }
}

/** Runs `cycle` so often on all ranks and looks at what is left; the first tenth is for the compiler. */
async function staysFlat(
  job: SimulatedJob,
  sides: readonly Sides[],
  cycles: number,
  cycle: (sides: Sides, index: number) => Promise<void>,
  failedPerCycle = 0,
): Promise<void> {
  const run = (from: number, to: number) =>
    Promise.all(
      sides.map(async (side) => {
        for (let index = from; index < to; index++) await cycle(side, index)
      }),
    )
  await run(0, cycles / 10)
  const before = heapBytes()
  await run(cycles / 10, cycles)
  await turns(20)
  // on both contexts of an intercommunicator
  const broken = sides.length * cycles * failedPerCycle * 2
  const retained = heapBytes() - before
  for (const { rank } of sides) {
    const { slotCount } = job.jobs[rank]!.contexts
    const slots = SLOTS_AT_ONCE + Math.ceil((2 * cycles * Math.max(1, failedPerCycle)) / GENERATIONS)
    assert.ok(slotCount <= slots, `rank ${rank} has ${slotCount} slots after ${cycles} cycles`)
  }
  assert.ok(retained < RETAINED_BYTES_MAX + broken * BROKEN_BYTES_MAX, `${retained} bytes are left of ${cycles} cycles`)
}

async function withSides(
  size: number,
  firstSize: number,
  settings: Record<string, string>,
  script: (job: SimulatedJob, sides: readonly Sides[]) => Promise<void>,
): Promise<void> {
  const job = await simulateJob(size, { settings })
  const sides = await job.run((world, rank) => sidesOf(world, rank, firstSize))
  await script(job, sides)
  await job.close()
}

const CYCLES: Readonly<Record<string, (sides: Sides, index: number) => Promise<CommunicatorBase | null>>> = {
  'an intercommunicator duplicated': ({ inter }) => Promise.resolve(inter.dup()),
  'an intercommunicator merged': ({ inter, first }, index) =>
    Promise.resolve(inter.merge(index % 3 === 0 ? first : index % 3 === 1)),
  'an intercommunicator split': ({ inter, rank }, index) => Promise.resolve(inter.split((rank + index) % 2)),
  'an intercommunicator of a part': ({ inter }, index) =>
    Promise.resolve(inter.create(inter.group.incl([index % inter.size]))),
  'two groups joined': ({ world, local, first }) =>
    Promise.resolve(local.createIntercomm(0, local.rank === 0 ? world : null, first ? 1 : 0)),
}

describe('communicators that come and go', function () {
  this.timeout(2 * MINUTE)
  for (const [name, make] of Object.entries(CYCLES)) {
    it(`10 000 times ${name} and freed`, async () => {
      await withSides(3, 1, {}, (job, sides) =>
        staysFlat(job, sides, 10_000, async (side, index) => {
          const made = await make(side, index)
          made?.free()
        }),
      )
    })
  }

  it('hold no numbers where a rank that has not minted them keeps them', async () => {
    await withSides(3, 1, {}, async (job, sides) => {
      const kept: CommunicatorBase[] = []
      await Promise.all(
        sides.map(async ({ inter, rank }) => {
          for (let index = 0; index < 100; index++) {
            const made = await inter.dup()
            if (rank === 2) kept.push(made)
            else made.free()
          }
        }),
      )
      for (const { contexts } of job.jobs) assert.ok(contexts.slotCount <= SLOTS_AT_ONCE, `${contexts.slotCount} slots`)
      for (const made of kept) made.free()
    })
  })
})

describe('communicators that never come to be', function () {
  this.timeout(2 * MINUTE)
  const giveUp = async (attempt: PromiseLike<CommunicatorBase | null>): Promise<boolean> => {
    try {
      const made = await attempt
      made?.free()
      return false
    } catch {
      return true
    }
  }

  it('1000 times a duplicate that one rank refuses to make', async () => {
    await withSides(3, 1, {}, async (job, sides) => {
      const key = AttributeKey.create<number>({
        copy: () => {
          throw new Error('not this one')
        },
      })
      let refused = 0
      await staysFlat(
        job,
        sides,
        1000,
        async ({ inter, local, rank }, index) => {
          const from = index % 2 === 0 ? inter : local
          const refuses = rank === index % 3
          if (refuses) from.setAttribute(key, index)
          if (await giveUp(from.dup())) refused++
          if (refuses) from.deleteAttribute(key)
        },
        1,
      )
      assert.equal(refused, 1000)
    })
  })

  it('1000 times one that one rank gives up', async () => {
    await withSides(3, 1, {}, async (job, sides) => {
      let givenUp = 0
      await staysFlat(
        job,
        sides,
        1000,
        async ({ world, inter, local, rank }, index) => {
          const controller = new AbortController()
          const options = rank === index % 3 ? { signal: controller.signal } : {}
          const attempts = [inter.dup(options), inter.merge(false, options), local.split(0, 0, options)]
          const ends = Promise.all([...attempts, inter.split(0, 0, options)].map(giveUp))
          controller.abort()
          if ((await ends).includes(true)) givenUp++
          await world.barrier()
        },
        4,
      )
      assert.ok(givenUp >= 1000, `${givenUp} given up`)
    })
  })

  it('1000 times one between groups that overlap', async () => {
    await withSides(2, 1, {}, (job, sides) =>
      staysFlat(
        job,
        sides,
        1000,
        async ({ local }) => {
          await assert.rejects(() => Promise.resolve(local.createIntercomm(0, local, 0)), TypeError)
        },
        1,
      ),
    )
  })

  it('1000 times one with a member that has died', async () => {
    await withSides(3, 1, { onFailure: 'continue' }, async (job, sides) => {
      job.kill(1)
      const living = sides.filter(({ rank }) => rank !== 1)
      let failed = 0
      await staysFlat(
        job,
        living,
        1000,
        async ({ world, inter }, index) => {
          const attempts = [world.dup(), world.split(0), inter.dup(), inter.merge(), inter.split(index)]
          for (const attempt of attempts) if (await giveUp(attempt)) failed++
        },
        5,
      )
      assert.ok(failed >= 1000, `${failed} have failed`)
    })
  })
})
