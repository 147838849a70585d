import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'
import { afterEach, describe, it } from 'mocha'
import { narrowInlining, widenInlining } from '../src/inlining.js'

const OPTION = '--max-inlined-bytecode-size-cumulative'

/** No two scripts of this process are alike: V8 has compiled those that are. */
let scripts = 1000

/**
 * V8 takes cached code only under the options that it was made with, which is the one way to see that they have changed. The code
 * is offered for another source of the same length (all that V8 compares), because it keeps the compiled script itself.
 */
function changesOptions(run: () => void): boolean {
  const cachedData = new Script(`1 + ${scripts++}`).createCachedData()
  run()
  return new Script(`1 + ${scripts++}`, { cachedData }).cachedDataRejected === true
}

describe('room for inlining', () => {
  const { execArgv } = process
  afterEach(() => {
    process.execArgv = execArgv
    setFlagsFromString(`${OPTION}=920`)
  })

  it('is made, and taken back', () => {
    assert.equal(changesOptions(widenInlining), true)
    assert.equal(changesOptions(narrowInlining), true)
    assert.equal(
      changesOptions(() => {
        widenInlining()
        narrowInlining()
      }),
      false,
    )
  })
  for (const given of [`${OPTION}=500`, `${OPTION.replaceAll('-', '_').replace('__', '--')}=500`]) {
    it(`is the user's choice with ${given}`, () => {
      process.execArgv = [...execArgv, given]
      for (const change of [widenInlining, narrowInlining]) assert.equal(changesOptions(change), false)
    })
  }
})
