import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { CleanRoom } from './support/clean.js'
import { runCommand } from './support/command.js'
import { skipBecause } from './support/reliability.js'

const denial = fileURLToPath(new URL('./support/deny-cma.cjs', import.meta.url))

/** It measures: on a machine that is busy with something else that takes as long as it takes. */
const DEADLINE_MS = 55_000

describe('onecopy doctor', function () {
  this.timeout(DEADLINE_MS + 5000)
  let room: CleanRoom

  before(function () {
    if (process.platform !== 'linux') skipBecause(this, 'what is refused and why is told for Linux only')
  })

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

  it('measures every transport that works and names the thresholds', async () => {
    const run = await runCommand(['doctor', '--json'], { env: room.env, deadlineMs: DEADLINE_MS })
    assert.equal(run.exitCode, 0, run.stderr)
    const report = JSON.parse(run.stdout)
    const facts = report.facts.map(([name]: [string]) => name)
    for (const name of [
      'node',
      'cores',
      'user',
      'FFI: koffi',
      'FFI: ffi-napi',
      'Yama ptrace_scope',
      'seccomp',
      'shared memory',
    ]) {
      assert.ok(facts.includes(name), name)
    }
    assert.deepEqual(
      report.transports.map(({ name }: { name: string }) => name),
      ['cma', 'pipe'],
    )
    for (const { available, failure, measurements, thresholds } of report.transports) {
      if (!available) continue
      assert.equal(failure, null)
      assert.deepEqual(
        measurements.map(({ byteLength }: { byteLength: number }) => byteLength),
        [8, 65536, 1048576],
      )
      for (const { microseconds } of measurements) assert.ok(microseconds > 0)
      assert.ok(thresholds.eagerBytesMax > 0)
    }
  })

  it('says so when there is no FFI, and what jobs use instead', async () => {
    const run = await runCommand(['doctor'], { env: { ...room.env, ONECOPY_FFI: 'none' }, deadlineMs: DEADLINE_MS })
    assert.equal(run.exitCode, 0, run.stderr)
    assert.match(run.stdout, /^ {2}NO {5}cma: .*ONECOPY_FFI=none/m)
    assert.match(run.stdout, /^ {2}works {2}pipe: /m)
    assert.match(run.stdout, /^Jobs run here, over pipe instead of cma\.$/m)
  })

  it('says so when single copy is refused, with the call, the error and what follows', async () => {
    const run = await runCommand(['doctor'], {
      env: { ...room.env, NODE_OPTIONS: `-r ${denial}` },
      deadlineMs: DEADLINE_MS,
    })
    assert.equal(run.exitCode, 0, run.stderr)
    assert.match(run.stdout, /seccomp +2 \(a filter is installed/)
    assert.match(run.stdout, /cma: .*no single copy: process_vm_readv.*EPERM/)
    assert.match(run.stdout, /^Jobs run here, over cma\. Single copy is refused, so large messages cost two copies/m)
  })

  it('says so when nothing works', async () => {
    const env = { ...room.env, ONECOPY_FFI: 'none', PATH: '/nowhere' }
    const run = await runCommand(['doctor', '--json'], { env, deadlineMs: DEADLINE_MS })
    const report = JSON.parse(run.stdout)
    const works = report.transports.some(({ measurements }: { measurements: unknown }) => measurements !== null)
    assert.equal(run.exitCode, works ? 0 : 1)
  })
})
