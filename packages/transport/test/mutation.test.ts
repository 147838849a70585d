import assert from 'node:assert/strict'
import { createInProcessNetwork, type Transport } from '@onecopy/transport'
import { complianceSuite } from '@onecopy/transport/compliance'
import { BOARD_MUTANTS } from './mutants/board-mutants.js'
import { FRAME_MUTANTS } from './mutants/frame-mutants.js'
import { MEMORY_MUTANTS } from './mutants/memory-mutants.js'
import { PassThrough } from './mutants/pass-through.js'
import { type Outcome, runTiny } from './mutants/tiny-runner.js'
import { WAKE_MUTANTS } from './mutants/wake-mutants.js'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function runOn(Mutant: new (inner: Transport, rank: number) => Transport): Promise<Outcome> {
  return runTiny((runner) => {
    complianceSuite(runner, {
      name: Mutant.name,
      turn,
      deadlineMilliseconds: 400,
      async open(size) {
        const network = createInProcessNetwork({ size, schedule: setImmediate })
        const transports = Array.from({ length: size }, (_, rank) => new Mutant(network.transport(rank), rank))
        return {
          transports,
          kill: (rank) => network.kill(rank),
          close: () => {
            for (const transport of transports) transport.abort()
          },
        }
      },
    })
  })
}

describe('the compliance suite can fail', () => {
  it('passes a wrapper that changes nothing', async () => {
    const outcome = await runOn(PassThrough)
    assert.equal(outcome.failure, null)
    assert.deepEqual(outcome.skipped, [])
    assert.ok(outcome.passed >= 70, `only ${outcome.passed} tests ran`)
  })

  for (const { mutant, foundBy } of [...FRAME_MUTANTS, ...WAKE_MUTANTS, ...MEMORY_MUTANTS, ...BOARD_MUTANTS]) {
    it(`fails a transport that is broken: ${mutant.name}`, async () => {
      const { failure } = await runOn(mutant)
      assert.ok(failure !== null, 'the suite passed it')
      assert.match(failure, foundBy)
    })
  }
})
