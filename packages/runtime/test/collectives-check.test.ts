import assert from 'node:assert/strict'
import { OnecopyError } from '@onecopy/transport'
import type { Communicator } from '../src/communicator.js'
import { Operation, PROD, SUM } from '../src/operation.js'
import { CleanRoom } from './support/clean.js'
import { rankSource, runCommand } from './support/command.js'
import { within } from './support/deadline.js'
import { simulate } from './support/simulated-job.js'

const CHECK = { settings: { check: '1' } }
const doubles = (length: number) => new Float64Array(length)

async function errorOf(call: PromiseLike<unknown>): Promise<OnecopyError> {
  const error = await call.then(
    () => assert.fail('no error'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof OnecopyError, String(error))
  return error
}

/** What rank 1 does differently from the others, and what the error says of it. */
const MISTAKES: Readonly<Record<string, [(comm: Communicator, odd: boolean) => PromiseLike<unknown>, RegExp]>> = {
  'another collective': [(c, odd) => (odd ? c.barrier() : c.allreduce(1, SUM)), /same collective/],
  'memory instead of a value': [(c, odd) => (odd ? c.bcastInto(doubles(1)) : c.bcast(1)), /same collective/],
  'another root': [(c, odd) => c.bcast('x', odd ? 1 : 0), /root/],
  'another root, of gather': [(c, odd) => c.gatherInto(doubles(1), doubles(c.size), { root: odd ? 1 : 0 }), /root/],
  'another operation': [(c, odd) => c.allreduce(1, odd ? PROD : SUM), /operation (SUM|PROD)/],
  'another operation without a name': [
    (c, odd) => c.allreduce(1, odd ? Operation.create((a, b) => a * b) : Operation.create((a, b) => a + b)),
    /operation \(a, ?b\) ?=> ?a ?[*+] ?b here, \(a, ?b\) ?=> ?a ?[*+] ?b there/,
  ],
  'an operation of its own': [
    (c, odd) => c.scan(1, odd ? Operation.create((a) => a, { name: 'first' }) : SUM),
    /operation .*first/,
  ],
  'another kind of value': [(c, odd) => c.allreduce(odd ? 1n : 1, SUM), /bigint/],
  'another kind of array': [
    (c, odd) => c.allreduceInto(odd ? new Int32Array(2) : doubles(1), odd ? new Int32Array(2) : doubles(1), SUM),
    /Int32Array/,
  ],
  'another length': [(c, odd) => c.exscanInto(doubles(odd ? 3 : 2), doubles(odd ? 3 : 2), SUM), /3 elements/],
  'another length to fill': [(c, odd) => c.bcastInto(doubles(odd ? 3 : 2)), /24 bytes/],
  'more than the root expects': [(c, odd) => c.gatherInto(doubles(odd ? 2 : 1), doubles(c.size)), /16 bytes/],
  'less than the root sends': [(c, odd) => c.scatterInto(doubles(c.size), doubles(odd ? 0 : 1)), /0 bytes/],
  'other blocks': [
    (c, odd) =>
      c.allgatherInto(doubles(1), doubles(c.size + 1), {
        counts: Array.from({ length: c.size }, (_, r) => (r === 2 && odd ? 2 : 1)),
      }),
    /blocks/,
  ],
  'a block that nobody expects': [
    (c, odd) =>
      c.alltoallInto(doubles(2 * c.size), doubles(c.size), {
        recvCounts: new Array(c.size).fill(1),
        sendCounts: Array.from({ length: c.size }, (_, r) => (odd && r !== 1 ? 2 : 1)),
      }),
    /sends 16 bytes/,
  ],
  'other elements in a block': [
    (c, odd) =>
      c.alltoallInto(doubles(c.size), doubles(c.size), {
        counts: new Array(c.size).fill(1),
        types: new Array(c.size).fill(odd ? BigInt64Array : Float64Array),
      }),
    /BigInt64Array/,
  ],
  'other counts': [
    (c, odd) =>
      c.reduceScatterInto(doubles(c.size), doubles(1), SUM, {
        counts: Array.from({ length: c.size }, (_, r) => (odd ? (r === 0 ? 0 : r === 2 ? 2 : 1) : 1)),
      }),
    /counts/,
  ],
  'another persistent collective': [
    (c, odd) => (odd ? c.bcastInit(doubles(1)) : c.allreduceInit(doubles(1), doubles(1), SUM)).start(),
    /same collective/,
  ],
  'a duplicate of its own': [(c, odd) => (odd ? c.dup() : c.barrier()), /same collective/],
}

describe('collectives in a job that checks them', () => {
  for (const [name, [start, why]] of Object.entries(MISTAKES)) {
    it(`${name}: an error on every rank, naming both ranks and both calls`, async () => {
      for (const size of [3, 4, 9]) {
        await simulate(size, CHECK, async (world, rank) => {
          const errors = [await errorOf(start(world, rank === 1)), await errorOf(start(world, rank === 1))]
          for (const error of errors) {
            assert.equal(error.code, 'ERR_MISMATCH')
            assert.match(error.message, why)
            assert.match(
              error.message,
              /^rank \d calls \w+ at .*collectives-check\.test\.ts:\d+, and rank \d calls \w+ at .*collectives-check\.test\.ts:\d+: /,
            )
            assert.match(error.message, /rank 1 calls/)
            assert.ok(
              rank === 1 ? error.rank !== 1 : [0, 1].includes(error.rank!),
              `rank ${rank} is told of rank ${error.rank}`,
            )
          }
          // nothing is left over, and right calls are right
          assert.equal(await world.allreduce(1, SUM), size)
        })
      }
    })
  }

  it('what is right passes, on both sides of every choice', async () => {
    for (const size of [1, 2, 3, 4]) {
      await simulate(size, CHECK, async (world, rank) => {
        const comm = await world.dup()
        for (const length of [0, 1, 20_000]) {
          await comm.bcastInto(rank % 2 === 0 ? doubles(length) : new Uint8Array(8 * length))
          await comm.gatherInto(doubles(length), rank === 0 ? doubles(length * size) : null)
          await comm.scatterInto(rank === 0 ? doubles(length * size) : null, doubles(length))
          await comm.allgatherInto(
            doubles(length),
            doubles(length * size),
            rank % 2 === 0 ? {} : { counts: new Array(size).fill(length) },
          )
          await comm.alltoallInto(doubles(length * size), doubles(length * size))
          await comm.allreduceInto(doubles(length).fill(1), doubles(length), SUM)
          await comm.reduceInto(doubles(length), rank === 0 ? doubles(length) : null, SUM)
          await comm.reduceScatterBlockInto(doubles(length * size), doubles(length), SUM)
          await comm.scanInit(doubles(length), doubles(length), SUM).start()
        }
        const union = Operation.create((a: unknown[], b: unknown[]) => [...a, ...b])
        assert.equal((await comm.allreduce(rank === 0 ? [1, 'two'] : [3n], union)).length, size + 1)
        assert.deepEqual(
          await comm.alltoall(Array.from({ length: size }, (_, r) => (r === 0 ? null : 'x'.repeat(r)))),
          new Array(size).fill(rank === 0 ? null : 'x'.repeat(rank)),
        )
        assert.throws(() => comm.bcast(1, size), RangeError)
        await comm.barrier()
      })
    }
  })

  for (const [what, start] of Object.entries({
    'another verb': (local: Communicator, world: Communicator, odd: boolean) =>
      odd ? local.barrier() : local.createIntercomm(0, world, world.rank === 0 ? 2 : 0),
    'another leader': (local: Communicator, world: Communicator, odd: boolean) =>
      local.createIntercomm(odd ? 1 : 0, world, world.rank === 0 ? 2 : 0),
  })) {
    it(`an intercommunicator with ${what} on one side: an error there, and the other side does not wait`, async () => {
      await simulate(4, CHECK, async (world) => {
        const local = (await world.split(world.rank < 2 ? 0 : 1))!
        const error = await errorOf(within(Promise.resolve(start(local, world, world.rank === 1)), what))
        if (world.rank < 2) {
          assert.equal(error.code, 'ERR_MISMATCH')
          assert.match(error.message, /createIntercomm at .*collectives-check.test/)
          assert.match(error.message, what === 'another leader' ? /local leader/ : /same collective/)
        } else {
          assert.equal(error.code, 'ERR_COLLECTIVE')
        }
        const inter = await within(local.createIntercomm(0, world, world.rank === 0 ? 2 : 0), 'the next one')
        assert.equal(await inter.allreduce(1, SUM), 2)
        inter.free()
      })
    })
  }

  it('without the setting nothing is put before the verbs', async () => {
    for (const settings of [{}, { check: '0' }] as Record<string, string>[]) {
      await simulate(2, { settings }, async (world) => {
        assert.equal(Object.hasOwn(world, 'barrier'), false)
        assert.equal(Object.hasOwn(world.sync, 'barrier'), false)
      })
    }
  })

  describe('between processes', () => {
    let room: CleanRoom
    beforeEach(() => {
      room = new CleanRoom()
    })
    afterEach(async () => {
      try {
        await room.assertClean()
      } finally {
        room.close()
      }
    })
    const script = rankSource('collectives-check.ts')

    for (const [name, args, env] of [
      ['--check', ['--check'], {}],
      ['ONECOPY_CHECK', [], { ONECOPY_CHECK: '1' }],
    ] as const) {
      for (const face of ['sync', 'async', 'mixed']) {
        it(`${name}, ${face} face: both ranks and both lines`, async () => {
          const run = await runCommand(['run', '-n', '3', ...args, script, face], { env: { ...room.env, ...env } })
          assert.equal(run.exitCode, 0, run.stderr)
          const lines = run.stdout.trim().split('\n')
          assert.equal(lines.length, 3)
          for (const line of lines)
            assert.match(
              line,
              /^ERR_MISMATCH rank [01] calls allreduce at .*collectives-check\.ts:\d+, and rank 2 calls barrier at .*collectives-check\.ts:\d+: all ranks/,
            )
          const numbers = new Set([...run.stdout.matchAll(/check\.ts:(\d+)/g)].map(([, number]) => number))
          assert.ok(numbers.size >= 2, 'two calls on one line')
        })

        it(`${name}, ${face} face, between two groups: both ranks and both lines`, async () => {
          const command = ['run', '-n', '3', ...args, script, face, 'across']
          const run = await runCommand(command, { env: { ...room.env, ...env } })
          assert.equal(run.exitCode, 0, run.stderr)
          const lines = run.stdout.trim().split('\n')
          assert.equal(lines.length, 3)
          for (const line of lines) {
            assert.match(
              line,
              /^ERR_MISMATCH rank \d of (?:this|the other) side calls (\w+) at (.*collectives-check\.ts:\d+), and rank \d of (?:this|the other) side calls (?!\1)\w+ at (?!\2).*collectives-check\.ts:\d+: all ranks/,
            )
          }
        })
      }
    }
  })
})
