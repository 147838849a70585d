// Who gets a name, whatever happens in between. What jobs make of names is in processes-join.test.ts.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type Claim, claimName, findName } from '../src/launcher/names.js'
import { pidNamespace, processStartTime } from '../src/launcher/process-identity.js'

const NAME = 'service'
const ENTRY = { socket: '/nowhere', token: '00' }

describe('a name among this user’s jobs', () => {
  let base: string
  let jobs: string[]

  beforeEach(() => {
    base = fs.mkdtempSync(path.join(os.tmpdir(), 'oc-names-'))
    jobs = ['one', 'other'].map((name) => path.join(base, name))
    for (const job of jobs) fs.mkdirSync(job, { mode: 0o700 })
  })

  afterEach(() => fs.rmSync(base, { recursive: true }))

  const folder = (): string => path.join(base, `onecopy-names-${process.geteuid?.()}`)

  const claim = (job: number): Promise<Claim> =>
    claimName(NAME, { ...ENTRY, socket: `/of/${job}` }, jobs[job] as string)

  /** Whose it is, as somebody who connects sees it. */
  const owner = (): string | undefined => findName(NAME, { XDG_RUNTIME_DIR: base })?.socket

  /** What a killed owner leaves; its guardian may still be there. */
  async function leaveStale(guardian: number | null = null): Promise<string> {
    const { file } = await claim(0)
    const [id] = fs.readFileSync(file, 'utf8').split('\n')
    const { pid } = spawnSync(process.execPath, ['--version'])
    const gone = { ...ENTRY, pid, startTime: '1', namespace: pidNamespace() }
    const watcher = guardian === null ? null : { pid: guardian, startTime: processStartTime(guardian) }
    fs.writeFileSync(file, `${id}\n${JSON.stringify({ ...gone, guardian: watcher })}\n`)
    return file
  }

  it('is one job’s until it is given back, and leaves nothing', async () => {
    const mine = await claim(0)
    await assert.rejects(claim(1), { code: 'ERR_UNAVAILABLE', message: /is taken: the launcher with pid/ })
    assert.equal(owner(), '/of/0')
    mine.release()
    assert.equal(owner(), undefined)
    assert.deepEqual(fs.readdirSync(base).sort(), ['one', 'other'])
  })

  it('goes to exactly one of two who find a dead job’s, wherever the one gets in between the other’s steps', async () => {
    const outcomes = new Set<string>()
    for (let step = 0, isOver = false; !isOver; step++) {
      await leaveStale()
      let late: Promise<Claim> | null = null
      const early = interrupted(
        step,
        () => claim(0),
        () => {
          late = claim(1)
          late.catch(() => {})
        },
      )
      isOver = late === null
      const claims = await Promise.allSettled([early, late ?? claim(1)])
      const winners = claims.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []))
      const when = `interrupted before step ${step}`
      assert.equal(winners.length, 1, `${winners.length} have it, ${when}`)
      assert.equal(owner(), `/of/${winners[0]}`, when)
      for (const settled of claims) if (settled.status === 'fulfilled') settled.value.release()
      assert.deepEqual(fs.readdirSync(base).sort(), ['one', 'other'], `left, ${when}`)
      outcomes.add(String(winners))
    }
    assert.deepEqual([...outcomes].sort(), ['0', '1'], 'each of them wins somewhere')
  })

  it('of a dead job can be had although somebody was killed who was taking it', async () => {
    const file = await leaveStale()
    const [id] = fs.readFileSync(file, 'utf8').split('\n')
    fs.copyFileSync(file, `${file}-${id}`)
    const mine = await claim(1)
    assert.equal(owner(), '/of/1')
    mine.release()
    assert.deepEqual(fs.readdirSync(base).sort(), ['one', 'other'])
  })

  it('of a dead job is left to its guardian while there is one', async () => {
    const file = await leaveStale(process.pid)
    let isGone = false
    const claiming = claim(1).then((mine) => {
      assert.ok(isGone)
      return mine
    })
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
    assert.ok(fs.existsSync(file))
    isGone = true
    fs.rmSync(file)
    ;(await claiming).release()
    assert.ok(!fs.existsSync(folder()))
  })
})

const CALLS = [
  'linkSync',
  'openSync',
  'fstatSync',
  'closeSync',
  'unlinkSync',
  'rmSync',
  'existsSync',
  'mkdirSync',
] as const

/** Runs `action`, with `intrusion` just before its system call number `step`, should it get there. */
function interrupted<T>(step: number, action: () => T, intrusion: () => void): T {
  const file = fs as unknown as Record<string, (...args: unknown[]) => unknown>
  const originals = CALLS.map((name) => [name, file[name] as (...args: unknown[]) => unknown] as const)
  const restore = (): void => {
    for (const [name, original] of originals) file[name] = original
  }
  let calls = 0
  for (const [name, original] of originals) {
    file[name] = (...args) => {
      if (calls++ === step) {
        restore()
        intrusion()
      }
      return original(...args)
    }
  }
  try {
    return action()
  } finally {
    restore()
  }
}
