// ULFM's behaviours, in a job that goes on when ranks fail.
import assert from 'node:assert/strict'
import { ANY_SOURCE } from '../src/constants.js'
import { SUM } from '../src/operation.js'
import { turns, within } from './support/deadline.js'
import { type SimulatedJob, simulate, simulateJob } from './support/simulated-job.js'

const CONTINUE = { settings: { onFailure: 'continue' } }

async function withLost(
  size: number,
  lost: readonly number[],
  script: (job: SimulatedJob, rank: number) => Promise<void>,
) {
  const job = await simulateJob(size, CONTINUE)
  const survivors = job.worlds.map((_, rank) => rank).filter((rank) => !lost.includes(rank))
  const running = survivors.map((rank) => script(job, rank))
  await turns(20)
  for (const rank of lost) job.kill(rank)
  await within(Promise.all(running), 'the survivors')
  await within(job.close(), 'finalize')
}

describe('revoke', () => {
  for (const size of [1, 2, 3, 5]) {
    it(`ends what waits and what comes, on ${size} ranks, and nothing else`, async () => {
      await simulate(size, {}, async (world, rank) => {
        const copy = await world.dup()
        const waiting = [
          copy.recv(ANY_SOURCE, 3),
          copy.probe(ANY_SOURCE, 3),
          ...(size > 1 ? [copy.recv((rank + 1) % size, 3)] : []),
        ]
        // a message that nobody receives does not hold up its sender
        const sent = copy.send(new Uint8Array(300_000), (rank + 1) % size, 77)
        if (rank === size - 1) copy.revoke()
        for (const request of waiting) await assert.rejects(within(request, 'a receive'), { code: 'ERR_REVOKED' })
        await within(
          sent.then(
            () => undefined,
            () => undefined,
          ),
          'a send',
        )
        assert.equal(copy.isRevoked, true)
        assert.throws(() => copy.send(1, 0), { code: 'ERR_REVOKED' })
        assert.throws(() => copy.recv(), { code: 'ERR_REVOKED' })
        assert.throws(() => copy.barrier(), { code: 'ERR_REVOKED' })
        assert.throws(() => copy.dup(), { code: 'ERR_REVOKED' })
        copy.revoke()
        assert.equal(await within(copy.agree(rank === 0 ? 6 : 3), 'agree'), size === 1 ? 6 : 2)
        const shrunk = await within(copy.shrink(), 'shrink')
        assert.deepEqual(await shrunk.allgather(rank), await world.allgather(rank))
        copy.free()
        assert.equal(world.isRevoked, false)
        await world.barrier()
      })
    })
  }
})

describe('agree', () => {
  it('gives everybody the bits that all have, in both orders of arrival', async () => {
    await simulate(3, {}, async (world, rank) => {
      const [one, two] = [world.agree(0b111 & ~(1 << rank)), world.agree()]
      assert.equal(await within(two, 'the second'), -1)
      assert.equal(await within(one, 'the first'), 0)
      assert.throws(() => world.agree(1.5), TypeError)
      assert.throws(() => world.agree(2 ** 31), TypeError)
    })
  })

  it('fails when the job is over, also what was under way', async () => {
    const job = await simulateJob(2)
    const [zero] = job.worlds
    const copies = await Promise.all(job.worlds.map((world) => world.dup()))
    const waiting = [
      assert.rejects(within(zero!.agree(), 'an agreement'), { code: 'ERR_CLOSED' }),
      assert.rejects(within(copies[0]!.shrink(), 'shrink'), { code: 'ERR_CLOSED' }),
    ]
    await turns()
    await within(job.close(), 'finalize')
    await Promise.all(waiting)
    await assert.rejects(within(copies[0]!.agree(), 'an agreement after the end'), { code: 'ERR_CLOSED' })
  })

  it('does not wait for the dead', async () => {
    await withLost(3, [1], async (job, rank) => {
      assert.equal(await job.worlds[rank]!.agree(rank === 0 ? 5 : 7), 5)
    })
  })
})

describe('after a failure', () => {
  for (const [size, lost] of [
    [2, [1]],
    [3, [0]],
    [4, [1, 2]],
    [5, [0, 4]],
  ] as const) {
    it(`${size - lost.length} of ${size} ranks go on: getFailed, ackFailed, shrink`, async () => {
      await withLost(size, lost, async (job, rank) => {
        const world = job.worlds[rank]!
        for (;;) {
          try {
            await world.barrier()
            await turns(1)
          } catch (error) {
            assert.equal((error as { code: string }).code, 'ERR_PROC_FAILED')
            break
          }
        }
        world.revoke()
        const shrunk = await within(world.shrink(), 'shrink')
        const survivors = Array.from({ length: size }, (_, i) => i).filter(
          (i) => !(lost as readonly number[]).includes(i),
        )
        assert.deepEqual(await within(shrunk.allgather(rank), 'allgather'), survivors)
        assert.equal(await shrunk.allreduce(1, SUM), size - lost.length)
        assert.deepEqual([...world.getFailed().members].sort(), [...lost])
        assert.equal(world.ackFailed(), lost.length)
        assert.deepEqual(world.group.difference(world.getFailed()).members, survivors)
      })
    })
  }

  for (const [firstSize, size, lost] of [
    [1, 3, [1]],
    [2, 4, [0]],
    [2, 4, [1, 2]],
    [3, 5, [0, 1, 4]],
  ] as const) {
    it(`intercommunicators of ${firstSize} and ${size - firstSize} go on without ${lost.join(' and ')}`, async () => {
      const job = await simulateJob(size, CONTINUE)
      const inters = await job.run(async (world, rank) => {
        const first = rank < firstSize
        const local = await world.split(first ? 0 : 1)
        return local!.createIntercomm(0, local!.rank === 0 ? world : null, first ? firstSize : 0)
      })
      const isLost = (rank: number) => (lost as readonly number[]).includes(rank)
      const left = [...inters.keys()].filter((rank) => !isLost(rank))
      const running = left.map(async (rank) => {
        const inter = inters[rank]!
        const isFirst = (other: number) => other < firstSize
        for (;;) {
          try {
            await inter.barrier()
            await turns(1)
          } catch (error) {
            assert.ok(['ERR_PROC_FAILED', 'ERR_REVOKED'].includes((error as { code: string }).code), String(error))
            break
          }
        }
        if (!inter.isRevoked) inter.revoke()
        const shrunk = await within(inter.shrink(), 'shrink')
        const theirs = left.filter((other) => isFirst(other) !== isFirst(rank))
        assert.deepEqual(await within(shrunk.allgather(rank), 'allgather'), theirs)
        assert.deepEqual([shrunk.size, shrunk.remoteSize], [left.length - theirs.length, theirs.length])
        shrunk.free()
      })
      await turns(20)
      for (const rank of lost) job.kill(rank)
      await within(Promise.all(running), 'the survivors')
      await within(job.close(), 'finalize')
    })
  }

  it('an intercommunicator of which one side is lost cannot shrink', async () => {
    const job = await simulateJob(3, CONTINUE)
    const [, one, two] = await job.run(async (world, rank) => {
      const local = await world.split(rank === 0 ? 0 : 1)
      return local!.createIntercomm(0, local!.rank === 0 ? world : null, rank === 0 ? 1 : 0)
    })
    job.kill(0)
    for (const shrinking of [one!.shrink(), two!.shrink()]) {
      await assert.rejects(within(shrinking, 'shrink'), { code: 'ERR_PROC_FAILED' })
    }
    await within(job.close(), 'finalize')
  })

  it('an intercommunicator shrinks without those who die meanwhile', async () => {
    const job = await simulateJob(5, CONTINUE)
    const inters = await job.run(async (world, rank) => {
      const local = await world.split(rank < 2 ? 0 : 1)
      return local!.createIntercomm(0, local!.rank === 0 ? world : null, rank < 2 ? 2 : 0)
    })
    job.kill(1)
    await turns()
    const shrinking = [0, 3, 4].map((rank) => inters[rank]!.shrink())
    await turns()
    job.kill(2)
    const shrunk = await within(Promise.all(shrinking), 'shrink')
    assert.deepEqual(
      shrunk.map((inter) => [inter.rank, inter.size, inter.remoteSize]),
      [
        [0, 1, 2],
        [0, 2, 1],
        [1, 2, 1],
      ],
    )
    await within(Promise.all(shrunk.map((inter) => inter.barrier())), 'a barrier')
    await within(job.close(), 'finalize')
  })

  it('receives from anybody fail until the failure is acknowledged', async () => {
    await withLost(3, [2], async (job, rank) => {
      const world = job.worlds[rank]!
      if (rank === 1) {
        while (world.getFailed().size === 0) await turns(1)
        await turns(50)
        await world.send('still here', 0, 1)
        return
      }
      await assert.rejects(within(world.recv(ANY_SOURCE, 1), 'a wildcard receive'), {
        code: 'ERR_PROC_FAILED',
        rank: 2,
      })
      await assert.rejects(within(world.recv(ANY_SOURCE, 1), 'another one'), { code: 'ERR_PROC_FAILED' })
      assert.equal(world.ackFailed(), 1)
      assert.equal(await within(world.recv(ANY_SOURCE, 1), 'an acknowledged one'), 'still here')
    })
  })

  it('a rank that dies while others shrink is left out', async () => {
    const job = await simulateJob(4, CONTINUE)
    job.kill(3)
    await turns()
    const shrinking = [0, 1].map((rank) => job.worlds[rank]!.shrink())
    await turns()
    job.kill(2)
    const shrunk = await within(Promise.all(shrinking), 'shrink')
    assert.deepEqual(
      shrunk.map((communicator) => [communicator.rank, communicator.size]),
      [
        [0, 2],
        [1, 2],
      ],
    )
    await within(Promise.all(shrunk.map((communicator) => communicator.barrier())), 'a barrier')
    await within(job.close(), 'finalize')
  })
})
