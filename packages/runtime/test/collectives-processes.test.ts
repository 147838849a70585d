import assert from 'node:assert/strict'
import { bundledScript } from './support/bundle.js'
import { CleanRoom } from './support/clean.js'
import { runCommand } from './support/command.js'

const script = bundledScript('ranks/collectives.ts')
/** Pipes know neither of these: with one of them set (npm test -- --matrix) they have had their turn without. */
const onlyCma = process.env.ONECOPY_CMA !== undefined || process.env.ONECOPY_FFI !== undefined

describe('collectives between processes', () => {
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

  for (const transport of onlyCma ? ['cma'] : ['cma', 'pipe']) {
    for (const size of [1, 2, 3, 4]) {
      for (const face of ['sync', 'async', 'mixed']) {
        it(`${size} ranks, ${face} face, over ${transport}`, async function () {
          if (transport === 'cma' && process.platform !== 'linux') this.skip()
          const args = ['run', '-n', String(size), '--transport', transport, script, face]
          const run = await runCommand(args, { env: room.env })
          assert.equal(run.exitCode, 0, run.stderr)
          const lines = run.stdout.trim().split('\n').sort()
          assert.deepEqual(
            lines,
            Array.from({ length: size }, (_, rank) => `rank ${rank} of ${size}: right`),
          )
        })
      }
    }
  }
})
