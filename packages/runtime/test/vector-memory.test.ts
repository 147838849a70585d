import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, it } from 'mocha'
import { FLOAT64 } from '../src/element-type.js'

const FLAG = '--trace-protector-invalidation'
const KERNELS = new URL('../dist/collectives/vector-kernels.js', import.meta.url).href

/** What V8 says while `script` runs, with the kernels' functions at hand. */
function tracedOf(script: string): string {
  const source = `const { vectorKernelFor, vectorAccumulatorFor } = await import('${KERNELS}'); ${script}`
  return execFileSync(process.execPath, [FLAG, '--input-type=module', '-e', source], { encoding: 'utf8' })
}

describe('the memory of vector kernels', () => {
  it('never grows: V8 would look at each use of any typed array whether its memory has gone', function () {
    if (!execFileSync(process.execPath, ['--v8-options'], { encoding: 'utf8' }).includes(FLAG)) {
      Object.assign(this.test ?? {}, { skipReason: `this Node has no ${FLAG}` })
      this.skip()
    }
    const grown = tracedOf('const memory = new WebAssembly.Memory({ initial: 1 }); memory.buffer; memory.grow(1)')
    assert.match(grown, /ArrayBufferDetaching/, 'the trace works')
    const made = tracedOf(
      `if (vectorKernelFor('SUM', ${FLOAT64}) === null || vectorAccumulatorFor('SUM', ${FLOAT64}, 65536) === null) throw new Error()`,
    )
    assert.doesNotMatch(made, /ArrayBufferDetaching/)
  })
})
