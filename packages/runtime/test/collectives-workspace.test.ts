// Reductions whose parts are received where they are combined: one at a time has that memory, and whoever comes meanwhile, or
// after one that failed, must not notice.
import assert from 'node:assert/strict'
import { Workspace } from '../src/collectives/workspace.js'
import type { Communicator } from '../src/communicator.js'
import { MAX, SUM } from '../src/operation.js'
import type { Awaited } from '../src/schedule.js'
import { within } from './support/deadline.js'
import { Guarded } from './support/guarded.js'
import { simulateShortPostings } from './support/simulated-job.js'

/** Too long to be posted, and short enough to be received whole. */
const LENGTH = 20_000

const kinds = [Float64Array, Float32Array, Int32Array] as const

function filled(kind: (typeof kinds)[number], rank: number, call: number): InstanceType<(typeof kinds)[number]> {
  return new kind(LENGTH).map((_, i) => (rank + 1) * (call + 1) + (i % 100))
}

/** What `calls` reductions that begin together come to, the last awaited first. */
async function reduceAtOnce(world: Communicator, kind: (typeof kinds)[number], calls: number): Promise<void> {
  const { rank, size } = world
  const results = Array.from(
    { length: calls },
    () => new Guarded<Float64Array | Float32Array | Int32Array>(kind, LENGTH),
  )
  const requests = results.map((result, call) =>
    world.reduceInto(
      filled(kind, rank, call),
      rank === call % size ? result.view : null,
      call % 2 ? MAX : SUM,
      call % size,
    ),
  )
  for (const [call, request] of [...requests.entries()].reverse()) {
    await within(request, `call ${call}`)
    if (rank !== call % size) continue
    const ranks = Array.from({ length: size }, (_, other) => (other + 1) * (call + 1))
    const [sum, max] = [ranks.reduce((a, b) => a + b), Math.max(...ranks)]
    const wanted = new kind(LENGTH).map((_, i) => (call % 2 ? max + (i % 100) : sum + size * (i % 100)))
    assert.deepEqual(results[call]!.view, wanted, `call ${call} on rank ${rank}`)
    results[call]!.check()
  }
}

describe('reductions that combine where parts land', () => {
  for (const size of [2, 3, 4]) {
    for (const kind of kinds) {
      it(`${size} ranks, several at once: ${kind.name}`, () =>
        simulateShortPostings(size, {}, async (world) => {
          for (const calls of [1, 2, 7]) await reduceAtOnce(world, kind, calls)
        }))
    }

    it(`${size} ranks, after one whose lengths differed`, () =>
      simulateShortPostings(size, {}, async (world, rank) => {
        for (let round = 0; round < 3; round++) {
          // what the root waits for is too short, or too long
          const length = LENGTH + (rank === 0 ? 0 : round % 2 ? 1 : -1)
          const own = new Float64Array(length).fill(rank)
          const failing = world.reduceInto(own, rank === 0 ? new Float64Array(length) : null, SUM, 0)
          if (rank === 0) await assert.rejects(within(failing, 'the root'), { code: 'ERR_TRUNCATE' })
          else
            await within(
              Promise.resolve(failing).catch(() => undefined),
              'the others',
            )
          await world.barrier()
          await reduceAtOnce(world, Float64Array, 3)
        }
      }))
  }

  it('gives the memory to one at a time, and to the next when the first has failed', () => {
    const workspace = new Workspace(null as never)
    const [pending, good, bad] = [awaited(false), awaited(true), awaited(true, new Error('no'))]
    const first: Awaited<unknown>[] = []
    assert.equal(workspace.take(first), true)
    assert.equal(workspace.take([]), false, 'the first has not even begun to wait')
    first.push(pending, bad)
    assert.equal(workspace.take([]), false, 'something still comes')
    first[0] = good
    const second = [good, good]
    assert.equal(workspace.take(second), true, 'the first has failed, and nothing comes for it any more')
    assert.equal(workspace.take([]), false, 'all of the second is here, and not yet combined')
    workspace.giveBack()
    assert.equal(workspace.take([]), true)
  })
})

function awaited(done: boolean, error?: Error): Awaited<unknown> {
  return {
    done,
    result() {
      if (error !== undefined) throw error
      return null
    },
  }
}
