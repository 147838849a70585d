import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type ErrorCode, OnecopyError } from '@onecopy/transport'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { prepareTransports } from '../src/launcher/shared-resources.js'

describe('the transports of a job that is to start', () => {
  let directory = ''
  beforeEach(() => {
    directory = fs.mkdtempSync(path.join(os.tmpdir(), 'oc-resources-'))
  })
  afterEach(() => fs.rmSync(directory, { recursive: true, force: true }))

  async function prepared(names: readonly string[], settings: Record<string, string> = {}) {
    const { transports, notices } = await prepareTransports(names, { size: 2, directory, settings })
    for (const { prepared } of transports) prepared.release()
    for (const name of fs.readdirSync(directory)) fs.rmSync(path.join(directory, name))
    return { names: transports.map(({ name }) => name), notices: [...notices] }
  }

  function isError(code: ErrorCode, pattern: RegExp): (error: unknown) => boolean {
    return (error) => {
      assert.ok(error instanceof OnecopyError && error.code === code, String(error))
      assert.match(error.message, pattern)
      return true
    }
  }

  /** The pipe transport makes its inboxes nowhere that others may look. */
  function openToOthers(): void {
    fs.chmodSync(directory, 0o755)
  }

  it('are all prepared, in order of preference, and nothing is to be said of them', async () => {
    for (const names of [['cma', 'pipe'], ['pipe', 'cma'], ['pipe']])
      assert.deepEqual(await prepared(names), { names, notices: [] })
  })

  it('do without those that cannot be prepared, whichever they are, and say so', async () => {
    openToOthers()
    for (const names of [
      ['cma', 'pipe'],
      ['pipe', 'cma'],
    ]) {
      const { names: found, notices } = await prepared(names)
      assert.deepEqual(found, ['cma'])
      assert.deepEqual(
        notices.map(([key]) => key),
        ['transport pipe'],
      )
      assert.match(notices[0]?.[1] as string, /^pipe cannot be used: .* is open to others/)
    }
    fs.chmodSync(directory, 0o700)
    const { names, notices } = await prepared(['cma', 'pipe'], { ffi: 'none' })
    assert.deepEqual(names, ['pipe'])
    assert.match(notices[0]?.[1] as string, /^cma cannot be used: .*none/)
  })

  it('are an error when there is none, with the reason or with all reasons', async () => {
    openToOthers()
    await assert.rejects(prepared(['pipe']), isError('ERR_AUTH', /open to others/))
    await assert.rejects(
      prepared(['cma', 'pipe'], { ffi: 'none' }),
      isError(
        'ERR_UNAVAILABLE',
        /^no transport works here: cma cannot be used: .*none.*; pipe cannot be used: .*open to others/,
      ),
    )
  })

  it('are an error when one that is required cannot be prepared; the others are given back', async () => {
    const before = fs.readdirSync('/proc/self/fd').length
    await assert.rejects(
      prepared(['pipe', 'cma'], { ffi: 'none', cma: 'require' }),
      isError('ERR_CMA_DENIED', /^cma is required and cannot be used: .*none/),
    )
    assert.equal(fs.readdirSync('/proc/self/fd').length, before)
  })
})
