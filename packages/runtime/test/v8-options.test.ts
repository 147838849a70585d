import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { Script } from 'node:vm'
import { afterEach, describe, it } from 'mocha'
import { keepBytecode, resetOptions, widenInlining } from '../src/v8-options.js'

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

describe("V8's options", () => {
  const { execArgv } = process
  afterEach(() => {
    process.execArgv = execArgv
    setFlagsFromString(`${OPTION}=920`)
    setFlagsFromString('--flush-bytecode')
  })

  for (const change of [widenInlining, keepBytecode]) {
    it(`are changed for a rank, and changed back (${change.name})`, () => {
      assert.equal(changesOptions(change), true)
      assert.equal(changesOptions(resetOptions), true)
      assert.equal(
        changesOptions(() => {
          change()
          resetOptions()
        }),
        false,
      )
    })
  }

  for (const given of [`${OPTION}=500`, `${OPTION.replaceAll('-', '_').replace('__', '--')}=500`]) {
    it(`are the user's choice with ${given}`, () => {
      process.execArgv = [...execArgv, given]
      for (const change of [widenInlining, resetOptions]) assert.equal(changesOptions(change), false)
    })
  }

  for (const given of ['--flush-bytecode', '--no-flush-bytecode', '--no_flush_bytecode']) {
    it(`are the user's choice with ${given}`, () => {
      process.execArgv = [...execArgv, given]
      for (const change of [keepBytecode, resetOptions]) assert.equal(changesOptions(change), false)
    })
  }
})
