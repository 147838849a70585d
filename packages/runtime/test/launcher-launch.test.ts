import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { PassThrough } from 'node:stream'
import { Worker } from 'node:worker_threads'
import { makeJobDirectory, removeJobDirectory } from '../dist/launcher/job-directory.js'
import { launch } from '../dist/launcher/launch.js'
import { processStartTime } from '../dist/launcher/process-identity.js'
import { bundledScript } from './support/bundle.js'
import { CleanRoom } from './support/clean.js'

const behaviour = bundledScript('ranks/launcher-behaviour.ts')

describe('launch', () => {
  let room: CleanRoom
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

  /** Collects what is written to a stream. */
  function collector(): { stream: PassThrough; text: () => string } {
    const stream = new PassThrough()
    let text = ''
    stream.setEncoding('utf8').on('data', (chunk) => {
      text += chunk
    })
    return { stream, text: () => text }
  }

  function openDescriptors(): number {
    return fs.readdirSync('/proc/self/fd').length
  }

  it('runs jobs side by side without mixing them, and leaves no descriptor and no handler', async () => {
    const handlers = process.listenerCount('SIGINT') + process.listenerCount('SIGTERM') + process.listenerCount('exit')
    const outputs = [collector(), collector(), collector()]
    const job = (index: number) => ({
      size: 2,
      script: behaviour,
      args: ['describe', String(index)],
      env: room.env,
      stdout: (outputs[index] as { stream: PassThrough }).stream,
    })
    await launch(job(0))
    const before = openDescriptors()
    const results = await Promise.all([launch(job(1)), launch(job(2))])
    assert.deepEqual(
      results.map((result) => [result.exitCode, result.failedRank, result.error]),
      [
        [0, null, null],
        [0, null, null],
      ],
    )
    for (const index of [1, 2]) {
      const lines = outputs[index]
        ?.text()
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line))
      assert.equal(lines?.length, 2)
      for (const line of lines ?? []) assert.deepEqual([line.size, line.args], [2, [String(index)]])
    }
    assert.equal(openDescriptors(), before)
    assert.equal(
      process.listenerCount('SIGINT') + process.listenerCount('SIGTERM') + process.listenerCount('exit'),
      handlers,
    )
  })

  it('gives the failing rank, its code and an error with fields', async () => {
    const { stream, text } = collector()
    const result = await launch({
      size: 3,
      script: behaviour,
      args: ['exit3', '2'],
      env: room.env,
      stderr: stream,
      stdout: 'ignore',
    })
    assert.equal(result.exitCode, 3)
    assert.equal(result.failedRank, 2)
    assert.equal(result.signal, null)
    assert.equal(result.error?.code, 'ERR_PROC_FAILED')
    assert.equal(result.error?.exitCode, 3)
    assert.equal(result.ranks[2]?.exitCode, 3)
    assert.equal(text(), 'onecopy: rank 2 failed: exit code 3\n')
  })

  describe('about a rank that never gets as far as the others', () => {
    const early = { size: 2, stdout: 'ignore', stderr: 'ignore' } as const
    const rows: [string, object, string, RegExp][] = [
      [
        'an error before init()',
        { args: ['early-crash', '1'] },
        'ERR_EARLY_EXIT',
        /^rank 1 failed: exit code 1, before it called init\(\) \(ERR_EARLY_EXIT\)\n.*Error: broken before init\n +at /s,
      ],
      [
        'an early end without an error',
        { args: ['early-exit', '1'] },
        'ERR_EARLY_EXIT',
        /^rank 1 ended before it called init\(\): exit code 0; rank 0 failed: exit code 1\nnothing to do for me$/,
      ],
      [
        'no call of init()',
        { args: ['absent', '1'], startTimeout: 2 },
        'ERR_START_TIMEOUT',
        /^rank 1 did not call init\(\) within 2 s \(--start-timeout\)\nx{1,2048}\nstill thinking$/,
      ],
    ]
    for (const [what, options, code, message] of rows) {
      it(`names it and gives its last words: ${what}`, async () => {
        const { error, exitCode } = await launch({ ...early, script: behaviour, env: room.env, ...options })
        assert.equal(exitCode, 1)
        assert.equal(error?.code, code)
        assert.equal(error?.rank, 1)
        assert.match(error?.message ?? '', message)
        assert.ok((error?.message.length ?? 0) < 3000, 'the end of what it wrote, not all')
      })
    }

    it('names it and gives its last words: a syntax error', async () => {
      const script = path.join(room.folder, 'broken.mjs')
      fs.writeFileSync(script, 'const = 1\n')
      const { error, failedRank } = await launch({ ...early, script, env: room.env })
      assert.equal(error?.code, 'ERR_EARLY_EXIT')
      assert.equal(error?.rank, failedRank)
      assert.match(error?.message ?? '', /^rank [01] failed: exit code 1, .*\n.*broken\.mjs:1\n.*SyntaxError: /s)
    })
  })

  it('fails as a whole, and leaves nothing, when the system refuses to start a rank', async () => {
    const { stream, text } = collector()
    // longer than the kernel takes one argument
    const args = ['x'.repeat(200_000)]
    const { exitCode, error } = await launch({ size: 3, script: behaviour, args, stderr: stream })
    assert.equal(exitCode, 1, text())
    assert.match(String(error?.message), /E2BIG/)
  })

  it('ends the job when its signal fires', async () => {
    const controller = new AbortController()
    const stdout = new PassThrough()
    let ready = ''
    stdout.on('data', (chunk) => {
      ready += chunk
      if (ready.split('ready').length === 3) controller.abort()
    })
    const result = await launch({
      size: 2,
      script: behaviour,
      args: ['idle'],
      env: room.env,
      signal: controller.signal,
      stdout,
    })
    assert.equal(result.exitCode, 143)
    assert.equal(result.error?.code, 'ERR_ABORTED')
  })

  it('passes a rank’s statistics on', async () => {
    const result = await launch({ size: 2, script: behaviour, args: ['statistics'], env: room.env })
    assert.deepEqual(result.stats.get(1), { sent: { messages: 11, bytes: 100 }, by: 'pipe' })
  })

  it('refuses mistakes before it makes anything', async () => {
    const wrong: [object, RegExp][] = [
      [{ script: behaviour }, /integer from 1 to 1024, not undefined/],
      [{ size: 2 }, /no script/],
      [{ size: '2', script: behaviour }, /not 2/],
      [{ programs: [] }, /programs is empty/],
      [{ programs: [{ size: 1, script: behaviour }], script: behaviour }, /not both/],
      [{ size: 2, script: behaviour, timeout: -1 }, /timeout must be a number of seconds/],
      [{ size: 2, script: behaviour, onFailure: 'ignore' }, /onFailure must be abort or continue/],
      [{ size: 2, script: behaviour, transport: [] }, /no transport in/],
      [{ size: 2, script: behaviour, ffi: 'deno' }, /ffi must be koffi or ffi-napi or none, not 'deno'/],
      [{ size: 2, script: behaviour, log: 'loud' }, /log must be info or debug, not 'loud'/],
    ]
    for (const [options, message] of wrong) {
      await assert.rejects(launch({ ...options, env: room.env }), (error: Error) => {
        assert.ok(error instanceof TypeError)
        assert.match(error.message, message)
        return true
      })
    }
  })

  it('refuses to run on a worker thread', async () => {
    const source = `
      import { parentPort } from 'node:worker_threads'
      const { launch } = await import(${JSON.stringify(new URL('../dist/launcher/launch.js', import.meta.url).href)})
      launch({ size: 1, script: ${JSON.stringify(behaviour)} }).catch((error) => parentPort.postMessage([error instanceof TypeError, error.message]))`
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { execArgv: [] })
    const message = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    assert.deepEqual(message, [
      true,
      'launch must be called on the main thread: ranks end with the thread that has started them',
    ])
    await worker.terminate()
  })

  it('removes what a killed launcher has left, and nothing else', () => {
    const base = room.folder
    const name = (pid: number, start: string | number, tail: string) =>
      `onecopy-${pid.toString(36)}-${Number(start).toString(36)}-${namespace().toString(36)}-${tail}`
    const make = (leaf: string, mode = 0o700) => {
      const directory = path.join(base, leaf)
      fs.mkdirSync(directory, { mode })
      fs.writeFileSync(path.join(directory, 'file'), '')
      return directory
    }
    const living = processStartTime(process.ppid) as string
    const dead = make(name(process.ppid, Number(living) + 1, 'aaaaaa'))
    const kept = [
      make(name(process.ppid, living, 'bbbbbb')),
      make(name(process.ppid, Number(living) + 1, 'cccccc'), 0o755),
      make(`onecopy-zzz-zzz-1-dddddd`),
      make('onecopy-something-else'),
    ]
    fs.symlinkSync(kept[3] as string, path.join(base, name(process.ppid, Number(living) + 1, 'eeeeee')))
    const made = makeJobDirectory({ TMPDIR: base })
    assert.equal(path.dirname(made), base)
    assert.equal(fs.existsSync(dead), false)
    for (const directory of kept) assert.ok(fs.existsSync(path.join(directory, 'file')), directory)
    removeJobDirectory(made)
    removeJobDirectory(made)
    for (const directory of kept) fs.rmSync(directory, { recursive: true })
    for (const leaf of fs.readdirSync(base)) fs.unlinkSync(path.join(base, leaf))
  })

  function namespace(): number {
    return Number(/\d+/.exec(fs.readlinkSync('/proc/self/ns/pid'))?.[0])
  }
})
