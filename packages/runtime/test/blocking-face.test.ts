import assert from 'node:assert/strict'
import { bundledScript } from './support/bundle.js'
import { CleanRoom } from './support/clean.js'
import { runCommand } from './support/command.js'

describe('the blocking face', () => {
  for (const [transport, cma] of [
    ['cma', ''],
    ['cma', 'off'],
    ['pipe', ''],
  ] as const) {
    it(`has every verb do its work over ${transport}${cma === 'off' ? ' without single copy' : ''}`, async () => {
      const room = new CleanRoom()
      try {
        const args = ['run', '-n', '2', '--transport', transport, bundledScript('ranks/blocking-face.ts')]
        const { exitCode, stdout, stderr } = await runCommand(args, { env: { ...room.env, ONECOPY_CMA: cma } })
        assert.equal(exitCode, 0, stderr)
        assert.deepEqual(stdout.trim().split('\n').sort(), ['rank 0 is done', 'rank 1 is done'])
        await room.assertClean()
      } finally {
        room.close()
      }
    })
  }
})
