import assert from 'node:assert/strict'
import { OnecopyError } from '@onecopy/transport'
import { PROC_NULL, ROOT } from '../src/constants.js'
import { MAX, Operation, SUM } from '../src/operation.js'
import { across, type Side } from './support/two-groups.js'

const CHECK = { settings: { check: '1' } }
const SHAPES = [
  [1, 1],
  [1, 2],
  [2, 2],
  [3, 2],
] as const
const doubles = (length: number) => new Float64Array(length)

/** `odd` is what one rank does differently: rank 0 of the second side, or the last rank of the first. */
type Mistake = (side: Side, odd: boolean) => PromiseLike<unknown>

/** What the first side's rank 0 gives as root, the rest of it, and the other side. */
function rootOf({ first, inter }: Side): number {
  if (!first) return 0
  return inter.rank === 0 ? ROOT : PROC_NULL
}

/** By what is wrong: the calls, and what the error says of it. */
const MISTAKES: Readonly<Record<string, readonly [Mistake, RegExp]>> = {
  'another collective': [({ inter }, odd) => (odd ? inter.barrier() : inter.allreduce(1, SUM)), /same collective/],
  'memory instead of a value': [
    (side, odd) => (odd ? side.inter.bcastInto(doubles(1), rootOf(side)) : side.inter.bcast(1, rootOf(side))),
    /same collective/,
  ],
  'no root, or two': [
    (side, odd) => side.inter.bcast(1, odd ? (rootOf(side) === PROC_NULL ? ROOT : PROC_NULL) : rootOf(side)),
    /root (ROOT|PROC_NULL|0) here, (ROOT|PROC_NULL|0) there/,
  ],
  'the roles of the sides': [
    (side, odd) => side.inter.reduce(1, SUM, odd ? (rootOf(side) === ROOT ? 0 : ROOT) : rootOf(side)),
    /root (ROOT|PROC_NULL|0) here, (ROOT|PROC_NULL|0) there/,
  ],
  'another operation': [({ inter }, odd) => inter.allreduce(1, odd ? MAX : SUM), /operation (SUM|MAX) here/],
  'an operation of its own': [
    ({ inter, otherSize }, odd) =>
      inter.reduceScatter(new Array(otherSize).fill(1), odd ? Operation.create((a) => a, { name: 'first' }) : SUM),
    /operation .*first/,
  ],
  'another length': [
    ({ inter }, odd) => inter.allreduceInto(doubles(odd ? 3 : 2), doubles(odd ? 3 : 2), SUM),
    /3 elements/,
  ],
  'another kind of array': [
    ({ inter }, odd) => {
      const make = (): Float64Array | Int32Array => (odd ? new Int32Array(2) : doubles(2))
      return inter.allreduceInto(make(), make(), SUM)
    },
    /Int32Array/,
  ],
  'more than the other side expects': [
    ({ inter, otherSize }, odd) => inter.allgatherInto(doubles(odd ? 2 : 1), doubles(otherSize)),
    /sends 16 bytes to rank \d, which expects 8/,
  ],
  'a block that nobody expects': [
    ({ inter, otherSize }, odd) =>
      inter.alltoallInto(doubles(2 * otherSize), doubles(otherSize), {
        sendCounts: new Array(otherSize).fill(odd ? 2 : 1),
        recvCounts: new Array(otherSize).fill(1),
      }),
    /sends 16 bytes/,
  ],
  'another total to divide': [
    ({ inter }, odd) =>
      inter.reduceScatterBlockInto(doubles(odd ? 24 : 12), doubles((odd ? 24 : 12) / inter.size), SUM),
    /24 elements/,
  ],
  'another persistent collective': [
    ({ inter }, odd) => (odd ? inter.barrierInit() : inter.allreduceInit(doubles(1), doubles(1), SUM)).start(),
    /same collective/,
  ],
  'a split of its own': [({ inter }, odd) => (odd ? inter.split(0) : inter.dup()), /same collective/],
}

async function errorOf(call: PromiseLike<unknown>): Promise<OnecopyError> {
  const error = await call.then(
    () => assert.fail('no error'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof OnecopyError, String(error))
  return error
}

describe('collectives between two groups in a job that checks them', () => {
  for (const [name, [start, why]] of Object.entries(MISTAKES)) {
    it(`${name}: an error on every rank of both sides, naming both ranks and both calls`, async () => {
      for (const shape of SHAPES) {
        for (const oddIsFirst of [false, true]) {
          await across(
            shape,
            async (side) => {
              const { inter, first } = side
              const odd = first === oddIsFirst && inter.rank === (oddIsFirst ? inter.size - 1 : 0)
              for (let time = 0; time < 2; time++) {
                const { code, message } = await errorOf(start(side, odd))
                assert.equal(code, 'ERR_MISMATCH')
                assert.match(message, why)
                assert.match(
                  message,
                  /^rank \d of (this|the other) side calls \w+ at .*intercommunicators-check\.test\.ts:\d+, and rank \d of (this|the other) side calls \w+ at .*intercommunicators-check\.test\.ts:\d+: /,
                )
              }
              // nothing is left over, and right calls are right
              assert.equal(await inter.allreduce(1, SUM), inter.remoteSize)
            },
            CHECK,
          )
        }
      }
    })
  }

  it('name a rank of this side where it disagrees with its own side', async () => {
    await across(
      [2, 1],
      async ({ inter, first }) => {
        const { message } = await errorOf(inter.merge(first && inter.rank === 1))
        assert.match(message, first ? /^rank 0 of this side .*rank 1 of this side .*high (true|false) here/ : /high/)
        const group = inter.group.incl(first && inter.rank === 1 ? [1] : [0])
        assert.match((await errorOf(inter.create(group))).message, /group/)
        const counts = first ? (inter.rank === 1 ? [1, 2] : [2, 1]) : [3]
        const divided = inter.reduceScatterInto(doubles(3), doubles(first ? 2 : 3), SUM, { counts })
        assert.match((await errorOf(divided)).message, /counts (1,2|2,1) here/)
        await inter.barrier()
      },
      CHECK,
    )
  })

  it('pass where they are right: every verb, either side as the root', async () => {
    for (const shape of SHAPES) {
      await across(
        shape,
        async (side) => {
          const { inter, first, otherSize } = side
          for (const rootIsFirst of [true, false]) {
            const root = first === rootIsFirst ? (inter.rank === inter.size - 1 ? ROOT : PROC_NULL) : -1
            const named = root === -1 ? otherSize - 1 : root
            const isRoot = root === ROOT
            const gives = named >= 0
            await inter.bcast(isRoot ? 'x' : null, named)
            await inter.bcastInto(named === PROC_NULL ? null : doubles(3), named)
            await inter.gather(1, named)
            const counts = Array.from({ length: otherSize }, (_, rank) => rank + 1)
            const all = (otherSize * (otherSize + 1)) / 2
            const own = doubles(inter.rank + 1)
            await inter.gatherInto(gives ? own : null, isRoot ? doubles(all) : null, { root: named, counts })
            await inter.scatter(isRoot ? counts : undefined, named)
            await inter.scatterInto(isRoot ? doubles(all) : null, gives ? own : null, { root: named, counts })
            await inter.reduce(1, SUM, named)
            await inter.reduceInto(gives ? doubles(2) : null, isRoot ? doubles(2) : null, SUM, named)
            await inter.reduceInit(gives ? doubles(2) : null, isRoot ? doubles(2) : null, MAX, named).start()
          }
          await inter.allgather(1)
          await inter.allgatherInto(doubles(2), doubles(2 * otherSize))
          await inter.alltoall(new Array(otherSize).fill('x'))
          await inter.alltoallInto(doubles(otherSize), new Uint8Array(8 * otherSize))
          // what is combined need not be of one kind on both sides
          const joined = Operation.create((a: unknown, b: unknown) => `${a}${b}`)
          await inter.allreduce(first ? 'x' : 1n, joined)
          await inter.allreduceInto(doubles(2), doubles(2), SUM)
          await inter.reduceScatter(new Array(otherSize).fill(1), SUM)
          await inter.reduceScatterBlockInto(doubles(12), doubles(12 / inter.size), SUM)
          const counts = Array.from({ length: inter.size }, (_, rank) => (rank === 0 ? 12 : 0))
          await inter.reduceScatterInto(doubles(12), doubles(counts[inter.rank]!), SUM, { counts })
          for (const made of [
            await inter.dup(),
            await inter.split(inter.rank % 2),
            await inter.create(inter.group),
            await inter.merge(first),
          ]) {
            made?.free()
          }
          await inter.barrier()
        },
        CHECK,
      )
    }
  })

  it('without the setting nothing is put before the verbs', async () => {
    await across([1, 1], async ({ inter }) => {
      assert.equal(Object.hasOwn(inter, 'barrier'), false)
      assert.equal(Object.hasOwn(inter.sync, 'barrier'), false)
    })
  })
})
