// The door of a job that listens, without ranks. Whole jobs that join are in processes-join.test.ts.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { OnecopyError } from '@onecopy/transport'
import { encodeMessage } from '../src/launcher/control-message.js'
import { connectToGroup, type JoinParty, listenForGroup } from '../src/launcher/join.js'
import { findName } from '../src/launcher/names.js'
import { until } from './support/clean.js'
import { within } from './support/deadline.js'

/** Far below what a knock that nobody answers would wait. */
const SOON_MS = 5000

describe('the door of a job that listens', () => {
  let base: string
  let env: NodeJS.ProcessEnv

  beforeEach(() => {
    base = fs.mkdtempSync(path.join(os.tmpdir(), 'oc-join-'))
    env = { XDG_RUNTIME_DIR: base, TMPDIR: base }
  })

  afterEach(() => fs.rmSync(base, { recursive: true }))

  /** A party whose bridge takes until `ready` to prepare. */
  function party(wish: { ready?: Promise<never>; timeoutMs?: number } = {}): JoinParty {
    const directory = fs.mkdtempSync(path.join(base, 'job-'))
    const home = {
      shared: { directory, guardian: { pid: null, watchName: () => {} } },
      options: { env },
      isEnding: false,
      notice: (_key: string, text: string) => assert.fail(text),
    }
    return {
      home: home as unknown as JoinParty['home'],
      name: 'door',
      size: 1,
      timeoutMs: wish.timeoutMs ?? null,
      signal: new AbortController().signal,
      makeResources: () => wish.ready ?? assert.fail('nobody was to come in'),
      open: () => assert.fail('nothing was to be opened'),
      shut: () => {},
    }
  }

  /** Somebody with the right token; resolves with what is said when the door is shut. */
  function visitor(entry: { socket: string; token: string }): Promise<string> {
    return new Promise((resolve) => {
      let said = ''
      const socket = net.connect(entry.socket)
      socket.on('connect', () => socket.write(encodeMessage({ type: 'knock', token: entry.token, size: 1 })))
      socket.on('data', (bytes) => {
        said += bytes.toString()
      })
      socket.on('error', () => {})
      socket.on('close', () => resolve(said))
    })
  }

  const entry = () => findName('door', env)

  it('is shut in the face of everybody but the first, while the first is received', async () => {
    let failToPrepare: (error: Error) => void = () => {}
    const ready = new Promise<never>((_, reject) => {
      failToPrepare = reject
    })
    const listening = listenForGroup(party({ ready }))
    listening.catch(() => {})
    await until(() => entry() !== null, SOON_MS, 'somebody who listens')
    const found = entry()!
    // all at once: whoever is heard first
    const visitors = Array.from({ length: 8 }, () => visitor(found))
    const said: string[] = []
    for (const each of visitors) void each.then((words) => said.push(words))
    await until(() => said.length === 7, SOON_MS, 'seven who were sent away')
    assert.deepEqual(said, new Array(7).fill(''))
    assert.equal(entry(), null, 'the name is free again')
    assert.equal(await within(visitor(found), 'one who comes late', SOON_MS), '')
    failToPrepare(new OnecopyError('ERR_NO_SHM', 'no room'))
    await assert.rejects(listening, { code: 'ERR_NO_SHM' })
    await until(() => said.length === 8, SOON_MS, 'the first')
    assert.match(said[7] as string, /"sorry".*no room/)
  })

  it('is not waited at for longer than the caller wants', async () => {
    const listening = listenForGroup(party({ ready: new Promise<never>(() => {}) }))
    listening.catch(() => {})
    await until(() => entry() !== null, SOON_MS, 'somebody who listens')
    const connecting = connectToGroup(party({ timeoutMs: 200 }))
    await within(assert.rejects(connecting, { code: 'ERR_TIMEOUT' }), 'the end of its patience', SOON_MS)
  })
})
