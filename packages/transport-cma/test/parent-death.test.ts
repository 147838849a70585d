import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { describe, it } from 'mocha'
import { loadLibc } from '../src/libc/choose.js'
import { setParentDeathSignal } from '../src/parent-death.js'
import { ChildLines } from './child-lines.js'
import { until } from './cma-job.js'

// A process in the middle starts one that asks to die with it, and that would spin for ever.
const SPINNER = `
  import { loadLibc, setParentDeathSignal } from '@onecopy/transport-cma'
  const refusal = setParentDeathSignal(loadLibc(process.argv[1]).libc, process.ppid)
  process.stdout.write(refusal ?? 'pid ' + process.pid + '\\n')
  for (const end = Date.now() + 20000; Date.now() < end;);`
const MIDDLE = `
  import { spawn } from 'node:child_process'
  const args = ['--input-type=module', '-e', process.argv[1], process.argv[2]]
  spawn(process.execPath, args, { stdio: 'inherit', cwd: process.cwd() })`

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('the parent-death signal', () => {
  for (const ffi of ['koffi', 'ffi-napi']) {
    it(`ends a spinning child of a killed parent, over ${ffi}`, async () => {
      const args = ['--input-type=module', '-e', MIDDLE, SPINNER, ffi]
      const middle = spawn(process.execPath, args, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] })
      const pid = Number(await new ChildLines(middle).next('pid '))
      assert.equal(isAlive(pid), true)
      middle.kill('SIGKILL')
      await until('the orphan to end', () => !isAlive(pid), 5000)
    })
  }

  it('says so when the parent is already another', () => {
    const { libc } = loadLibc()
    assert.ok(libc)
    assert.match(setParentDeathSignal(libc, process.ppid + 1) ?? '', /is not the parent any more/)
    // Taken back: this process is to outlive whatever started it.
    libc.prctl(1, 0)
  })
})
