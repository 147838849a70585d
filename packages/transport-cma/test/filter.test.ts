import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, it } from 'mocha'

const KILL_PROCESS = 0x80000000
const ERRNO = 0x00050000

/** What a job of two ranks in one process sees when a seccomp filter answers `action` to the calls numbered. */
function underFilter(action: number, calls: 'both' | 'writev'): Record<string, unknown> {
  const script = fileURLToPath(new URL('./ranks/filtered.mjs', import.meta.url))
  const out = execFileSync(process.execPath, [script, String(action), calls], { encoding: 'utf8', timeout: 15_000 })
  return JSON.parse(out) as Record<string, unknown>
}

// These run the built package: a filter's probe is a script of its own in dist.
describe('under a real system call filter', () => {
  if (process.platform !== 'linux') {
    it.skip('all (skipped: seccomp is Linux)')
    return
  }

  it('that kills: a child finds out, no rank does', () => {
    const seen = underFilter(KILL_PROCESS, 'both')
    assert.deepEqual([seen.canRead, seen.canWrite, seen.frame], [false, false, 7])
    assert.match(String(seen.whyNot), /filter ends processes.*SIGSYS/)
    assert.match(String(seen.probe), /no single copy: the system call filter ends processes/)
    assert.equal(
      (seen.notices as string[]).every((notice) => notice.startsWith('cma-refused: ')),
      true,
    )
  })

  it('that kills at process_vm_writev only: single copy is off both ways', () => {
    const seen = underFilter(KILL_PROCESS, 'writev')
    assert.deepEqual([seen.canRead, seen.canWrite, seen.frame], [false, false, 7])
  })

  for (const [errno, name] of [
    [1, 'EPERM'],
    [13, 'EACCES'],
    [38, 'ENOSYS'],
  ] as const) {
    it(`that answers ${name}: frames go on, with one notice that names it`, () => {
      const seen = underFilter(ERRNO | errno, 'both')
      assert.deepEqual([seen.canRead, seen.canWrite, seen.frame], [false, false, 7])
      assert.match(String(seen.whyNot), new RegExp(name))
      assert.match(String(seen.probe), new RegExp(`no single copy: .*${name}.*under a system call filter`))
      assert.equal((seen.notices as string[]).length >= 1, true)
    })
  }

  it('that refuses writing only: reading goes on', () => {
    const seen = underFilter(ERRNO | 1, 'writev')
    assert.deepEqual([seen.canRead, seen.canWrite, seen.frame], [true, false, 7])
    assert.match(String(seen.whyNot), /process_vm_writev: EPERM/)
  })
})
