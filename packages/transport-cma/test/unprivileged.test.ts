import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, it } from 'mocha'
import { AS_PLAIN_USER, PLAIN_UID, requireRoot } from './skip.js'

/** Each of these runs what matters over both FFI packages by itself. */
const AREAS = ['compliance', 'doorbell', 'remote-memory', 'segment']

/** Root may look into every process and open every file, so what root's tests say about permissions is only half of it. */
describe('cma: as an ordinary user', () => {
  it(`everything works as uid ${PLAIN_UID}, over both FFI packages`, async function () {
    requireRoot(this)
    this.timeout(120_000)
    const directory = mkdtempSync(join(tmpdir(), 'onecopy-cma-user-'))
    try {
      chownSync(directory, PLAIN_UID, PLAIN_UID)
      const mocha = createRequire(import.meta.url).resolve('mocha/bin/mocha.js')
      const files = AREAS.map((area) => fileURLToPath(new URL(`./${area}.test.ts`, import.meta.url)))
      const options = ['--no-config', '--import=tsx', '--timeout', '20000', ...files]
      const [file, ...args] = [...AS_PLAIN_USER, process.execPath, mocha, ...options]
      const child = spawn(file as string, args, {
        env: { ...process.env, TMPDIR: directory, HOME: directory },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let output = ''
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding('utf8').on('data', (text: string) => {
          output += text
        })
      }
      const [code] = await once(child, 'close')
      assert.equal(code, 0, output)
      for (const suite of ['cma over koffi', 'cma over ffi-napi', 'remote memory over koffi']) {
        // A suite's title, and a test of its that has passed.
        assert.match(output, new RegExp(`${suite}\\b[^]*?✔`), output)
      }
      assert.match(output, /[1-9]\d* passing/)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
