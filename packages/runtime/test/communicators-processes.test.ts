import assert from 'node:assert/strict'
import { bundledScript } from './support/bundle.js'
import { CleanRoom } from './support/clean.js'
import { runCommand } from './support/command.js'

const script = bundledScript('ranks/communicators.ts')
/** How messages can travel, by `--transport` and ONECOPY_CMA. */
const WAYS = { cma: ['cma', ''], 'cma without single copy': ['cma', 'off'], pipe: ['pipe', ''] } as const

describe('communicators between processes', () => {
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

  async function run(size: number, way: keyof typeof WAYS, face: string, what: string): Promise<void> {
    const [transport, cma] = WAYS[way]
    const survives = what === 'survive'
    const args = ['run', '-n', String(size), '--transport', transport]
    if (survives) args.push('--on-failure', 'continue')
    const { exitCode, stdout, stderr } = await runCommand([...args, script, face, what], {
      env: { ...room.env, ONECOPY_CMA: cma },
    })
    const right = Array.from({ length: survives ? size - 1 : size }, (_, rank) => `rank ${rank} of ${size}: right`)
    assert.deepEqual(stdout.trim().split('\n').sort(), right, stderr)
    assert.equal(exitCode, survives ? 137 : 0, stderr)
  }

  for (const way of Object.keys(WAYS) as (keyof typeof WAYS)[]) {
    for (const face of ['sync', 'async', 'mixed']) {
      const size = { sync: 2, async: 3, mixed: 4 }[face] as number
      for (const what of ['made', 'between', 'across', 'survive']) {
        it(`${what}: ${size} ranks, ${face} face, over ${way}`, () => run(size, way, face, what))
      }
    }
  }

  it('made: 1 rank, both faces', async () => {
    await run(1, 'cma', 'sync', 'made')
    await run(1, 'cma', 'async', 'made')
  })

  it('cycles: 4 ranks, mixed faces', () => run(4, 'cma', 'mixed', 'cycles'))

  it('survive: 5 ranks, mixed faces', () => run(5, 'cma', 'mixed', 'survive'))
})
