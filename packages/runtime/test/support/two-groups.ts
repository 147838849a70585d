import assert from 'node:assert/strict'
import type { Communicator } from '../../src/communicator.js'
import type { Intercommunicator } from '../../src/intercommunicator.js'
import { within } from './deadline.js'
import { type SimulatedJobOptions, simulate } from './simulated-job.js'

/** Ranks of the first and of the second group. */
export const SHAPES = [
  [1, 1],
  [1, 2],
  [2, 1],
  [2, 2],
  [2, 3],
  [3, 2],
  [1, 4],
] as const

/** What a rank of either side has. */
export interface Side {
  readonly world: Communicator
  readonly local: Communicator
  readonly inter: Intercommunicator
  /** This rank is in the first group. */
  readonly first: boolean
  readonly otherSize: number
}

/** Runs `script` on both sides of an intercommunicator whose groups have these sizes. */
export async function across(
  [firstSize, secondSize]: readonly [number, number],
  script: (side: Side) => Promise<void>,
  options: SimulatedJobOptions = {},
): Promise<void> {
  await simulate(firstSize + secondSize, options, async (world, rank) => {
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
