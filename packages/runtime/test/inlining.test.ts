import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'
import { afterEach, describe, it } from 'mocha'
import { widenInlining } from '../src/inlining.js'

const OPTION = '--max-inlined-bytecode-size-cumulative'

/**
 * V8 takes cached code only under the options that it was made with, which is the one way to see that they have changed. The code
 * is offered for another source of the same length (all that V8 compares), because it keeps the compiled script itself.
 */
async function changesOptions(run: () => Promise<void>): Promise<boolean> {
  const cachedData = new Script('1 + 1').createCachedData()
  await run()
  return new Script('1 + 2', { cachedData }).cachedDataRejected === true
}

describe('room for inlining', () => {
  const { execArgv } = process
  afterEach(() => {
    process.execArgv = execArgv
    setFlagsFromString(`${OPTION}=920`)
  })

  it('is made', async () => {
    assert.equal(await changesOptions(widenInlining), true)
  })
  for (const given of [`${OPTION}=500`, `${OPTION.replaceAll('-', '_').replace('__', '--')}=500`]) {
    it(`is the user's choice with ${given}`, async () => {
      process.execArgv = [...execArgv, given]
      assert.equal(await changesOptions(widenInlining), false)
    })
  }
})
