import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, it } from 'mocha'

const UID = 61000
const isRoot = process.geteuid?.() === 0

/** Root may open everything, so what root's tests say about permissions is only half of it. */
describe('pipe: as an ordinary user', () => {
  const test = isRoot ? it : it.skip
  test(`everything between processes works as uid ${UID}${isRoot ? '' : ' (skipped: only root can become another user)'}`, async function () {
    this.timeout(120_000)
    const directory = mkdtempSync(join(tmpdir(), 'onecopy-pipe-user-'))
    try {
      chownSync(directory, UID, UID)
      const mocha = createRequire(import.meta.url).resolve('mocha/bin/mocha.js')
      const files = ['processes', 'provider', 'compliance'].map((area) =>
        fileURLToPath(new URL(`./${area}.test.ts`, import.meta.url)),
      )
      const child = spawn(
        'setpriv',
        [`--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', process.execPath, mocha].concat([
          '--no-config',
          '--import=tsx',
          '--timeout',
          '20000',
          ...files,
        ]),
        { env: { ...process.env, TMPDIR: directory, HOME: directory }, stdio: ['ignore', 'pipe', 'pipe'] },
      )
      let output = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
      const [code] = await once(child, 'close')
      assert.equal(code, 0, output)
      assert.match(output, /passing/)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
