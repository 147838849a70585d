import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import os from 'node:os'
import { bundledScript } from './support/bundle.js'
import { runCommand } from './support/command.js'
import { skipBecause } from './support/reliability.js'

const script = bundledScript('ranks/huge-pages.ts')
/** MADV_COLLAPSE. */
const KERNEL_MIN = 6.1

/** Why no memory gets huge pages here, or null. */
function whyNot(): string | null {
  const [, version = '0'] = /^(\d+\.\d+)/.exec(os.release()) ?? []
  if (process.platform !== 'linux' || Number.parseFloat(version) < KERNEL_MIN)
    return 'Linux 6.1 gathers pages when asked'
  try {
    const folder = '/sys/kernel/mm/transparent_hugepage'
    if (readFileSync(`${folder}/enabled`, 'utf8').includes('[never]')) return 'no huge pages, by the administrator'
    if (readFileSync(`${folder}/enabled`, 'utf8').includes('[always]'))
      return 'huge pages everywhere, by the administrator'
    if (readFileSync(`${folder}/hpage_pmd_size`, 'utf8').trim() !== '2097152') return 'huge pages are not of 2 MiB'
    return null
  } catch {
    return 'a kernel without transparent huge pages'
  }
}

/** The bytes of huge pages that each of two ranks has in the end. */
async function hugeBytes(setting: string, options: string[] = [], cma?: string): Promise<number[]> {
  const env = { ...process.env, ONECOPY_HUGE_PAGES: setting, ONECOPY_CMA: cma }
  const run = await runCommand(['run', '-n', '2', ...options, script], { env })
  assert.equal(run.exitCode, 0, run.stderr)
  return run.stdout.trim().split('\n').map(Number)
}

describe('memory that travels again and again', function () {
  this.timeout(60_000)

  for (const ffi of ['koffi', 'ffi-napi']) {
    it(`gets huge pages, and arrives as it was sent, through ${ffi}`, async function () {
      const reason = whyNot()
      const bytes = await hugeBytes('on', ['--transport', 'cma', '--ffi', ffi])
      assert.equal(bytes.length, 2)
      if (reason !== null) skipBecause(this, reason)
      for (const each of bytes) assert.ok(each > 0, `${each} bytes of huge pages`)
    })
  }

  it('keeps its pages where the user wants that', async function () {
    const reason = whyNot()
    const bytes = await hugeBytes('off', ['--transport', 'cma'])
    if (reason !== null) skipBecause(this, reason)
    assert.deepEqual(bytes, [0, 0])
  })

  for (const [way, options, cma] of [
    ['pipe', ['--transport', 'pipe'], undefined],
    ['rings', ['--transport', 'cma'], 'off'],
  ] as const) {
    it(`keeps its pages where bytes travel another way: ${way}`, async function () {
      const reason = whyNot()
      const bytes = await hugeBytes('on', [...options], cma)
      if (reason !== null) skipBecause(this, reason)
      assert.deepEqual(bytes, [0, 0])
    })
  }
})
