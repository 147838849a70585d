import assert from 'node:assert/strict'
import { linesOf, run } from './support/run-example.ts'

/** Starting ranks takes most of the time, on a busy machine several seconds. */
const TIMEOUT_MS = 90_000
const KILLED = 137
const GRIDS = [
  [1, '1 x 1'],
  [2, '1 x 2'],
  [3, '1 x 3'],
  [4, '2 x 2'],
  [6, '2 x 3'],
] as const

describe('examples with communicators', function () {
  this.timeout(TIMEOUT_MS)
  this.slow(10_000)

  for (const [ranks, grid] of GRIDS) {
    it(`summa on ${ranks} ranks, with shares that differ`, async () => {
      const [first, second] = await linesOf(ranks, 'summa', 131)
      assert.match(first ?? '', new RegExp(`^131 x 131 on a grid of ${grid} ranks in `))
      assert.match(second ?? '', /^the same product as one rank finds alone/)
    })
  }

  it('summa with less than a row for each rank', async () => {
    assert.match((await linesOf(4, 'summa', 1))[0] ?? '', /^1 x 1 on a grid of 2 x 2 ranks/)
  })

  for (const ranks of [2, 3, 4]) {
    for (const lost of [ranks - 1, 0]) {
      it(`survive on ${ranks} ranks loses rank ${lost} and finishes`, async () => {
        const script = ['--on-failure', 'continue', 'examples/survive.ts', 20_000, lost] as const
        const { exitCode, stdout, stderr } = await run(ranks, ...script)
        assert.deepEqual(stdout.split('\n').slice(0, -1), [
          `round 10: lost rank ${lost}; ${ranks - 1} of ${ranks} ranks go on`,
          '2262 primes below 20000, as a sieve finds',
          `finished with ${ranks - 1} of ${ranks} ranks`,
        ])
        assert.equal(exitCode, KILLED, stderr)
      })
    }
  }

  it('survive on one rank has nobody to lose', async () => {
    assert.deepEqual(await linesOf(1, 'survive', 20_000), [
      '2262 primes below 20000, as a sieve finds',
      'finished with 1 of 1 ranks',
    ])
  })

  it('survive says which flag it needs', async () => {
    const { exitCode, stdout, stderr } = await run(2, 'examples/survive.ts')
    assert.equal(exitCode, 2)
    assert.equal(stdout, '')
    assert.match(stderr, /run it with --on-failure continue/)
  })
})
