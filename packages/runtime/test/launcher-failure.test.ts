import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { bundledScript } from './support/bundle.js'
import { CleanRoom } from './support/clean.js'
import { type CommandOptions, PLAIN_UID, RunningCommand, runCommand } from './support/command.js'
import { requireUser } from './support/reliability.js'

const behaviour = bundledScript('ranks/launcher-behaviour.ts')

for (const uid of [undefined, PLAIN_UID]) {
  describe(`a job that fails, as ${uid === undefined ? 'this user' : `uid ${uid}`}`, () => {
    let room: CleanRoom
    let options: CommandOptions

    before(function () {
      requireUser(this, uid)
    })

    beforeEach(() => {
      room = new CleanRoom()
      options = { env: room.env, ...(uid === undefined ? {} : { uid }) }
    })

    afterEach(async () => {
      try {
        await room.assertClean()
      } finally {
        room.close()
      }
    })

    const rows: [string, string, number, RegExp, RegExp][] = [
      ['throws', 'fail', 1, /exit code 1/, /Error: the first failure\n\s+at /],
      ['leaves a rejection unhandled', 'reject', 1, /exit code 1/, /Error: the first rejection\n\s+at /],
      ['calls process.exit(3)', 'exit3', 3, /exit code 3/, /^/],
      ['crashes', 'crash', 139, /killed by SIGSEGV/, /^/],
    ]
    for (const [what, name, exitCode, end, before] of rows) {
      it(`ends with the code of the rank that ${what}, its stack first and nobody else’s`, async () => {
        const run = await runCommand(['run', '-n', '3', behaviour, name, '1'], options)
        assert.equal(run.exitCode, exitCode, run.stderr)
        const lines = run.stderr.trimEnd().split('\n')
        assert.match(lines.at(-1) as string, new RegExp(`^onecopy: rank 1 failed: ${end.source}$`))
        assert.match(run.stderr, before)
        assert.doesNotMatch(run.stderr, /ERR_PROC_FAILED|is dead/)
      })
    }

    it('tells the others of an abort and ends with its code', async () => {
      const run = await runCommand(['run', '-n', '3', behaviour, 'abort', '2'], options)
      assert.equal(run.stderr, 'onecopy: rank 2 aborted the job: seen enough (exit code 7)\n')
      assert.equal(run.exitCode, 7)
    })

    it('goes on when a rank has left', async () => {
      const run = await runCommand(['run', '-n', '3', behaviour, 'leave-one', '1'], options)
      assert.equal(run.exitCode, 0, run.stderr)
      assert.match(run.stdout, /rank 0 hears that 1 left/)
      assert.match(run.stdout, /rank 2 hears that 1 left/)
    })

    it('names a rank that ended before it joined', async () => {
      const left = await runCommand(['run', '-n', '2', behaviour, 'early-exit', '1'], options)
      assert.equal(left.exitCode, 1)
      assert.match(left.stderr, /rank 1 ended before it called init\(\): exit code 0/)
      assert.match(left.stderr, /onecopy: rank 0 failed: exit code 1/)
      const crashed = await runCommand(['run', '-n', '2', behaviour, 'early-crash', '1'], options)
      assert.equal(crashed.exitCode, 1)
      assert.match(crashed.stderr, /Error: broken before init/)
      assert.match(
        crashed.stderr,
        /onecopy: rank 1 failed: exit code 1, before it called init\(\) \(ERR_EARLY_EXIT\)\n/,
      )
    })

    it('names a script with a syntax error', async () => {
      const script = path.join(room.folder, 'broken.mjs')
      fs.writeFileSync(script, 'const = 1\n')
      const run = await runCommand(['run', '-n', '2', script], options)
      assert.equal(run.exitCode, 1)
      assert.match(run.stderr, /SyntaxError/)
      assert.match(run.stderr, /onecopy: rank [01] failed: exit code 1, before it called init\(\) \(ERR_EARLY_EXIT\)/)
    })

    it('is content with a script that never joins', async () => {
      const run = await runCommand(['run', '-n', '2', behaviour, 'plain'], options)
      assert.equal(run.exitCode, 0, run.stderr)
      assert.deepEqual(run.stdout.trim().split('\n').sort(), ['rank 0', 'rank 1'])
    })

    it('does not wait for ever for a rank that does not join', async () => {
      const run = await runCommand(['run', '-n', '3', '--start-timeout', '2', behaviour, 'absent', '1'], options)
      assert.equal(run.exitCode, 1)
      assert.match(
        run.stderr,
        /onecopy: rank 1 did not call init\(\) within 2 s \(--start-timeout\) \(ERR_START_TIMEOUT\)/,
      )
    })

    it('ends after its time', async () => {
      const run = await runCommand(['run', '-n', '2', '--timeout', '1.5', behaviour, 'spin-deaf'], options)
      assert.equal(run.exitCode, 124)
      assert.match(run.stderr, /the job did not end within 1.5 s \(--timeout\) \(ERR_TIMEOUT\)/)
    })

    it('notices a death though a grandchild holds every descriptor open', async () => {
      const run = await runCommand(['run', '-n', '2', behaviour, 'grandchild', '1'], options)
      const pid = Number(/grandchild (\d+)/.exec(run.stdout)?.[1])
      assert.equal(run.exitCode, 137)
      assert.match(run.stderr, /rank 1 failed: killed by SIGKILL/)
      process.kill(pid, 'SIGKILL')
      await room.assertClean(2000)
    })

    // Over pipe alone no rank loads FFI, and so none gets the kernel's death signal: end-of-file and the guardian remain.
    for (const transport of ['cma,pipe', 'pipe']) {
      for (const name of ['idle', 'spin-pump', 'spin-deaf']) {
        it(`leaves nothing behind when the launcher is killed (${name}, ${transport})`, async () => {
          const run = new RunningCommand(['run', '-n', '2', '-t', transport, behaviour, name], options)
          await run.printed(/ready \d+/, 2)
          process.kill(run.pid, 'SIGKILL')
          await room.assertClean(2000)
        })
      }
    }

    for (const [signal, exitCode] of [
      ['SIGTERM', 143],
      ['SIGINT', 130],
      ['SIGHUP', 129],
    ] as const) {
      it(`ends on ${signal} though ranks are deaf to it`, async () => {
        const run = new RunningCommand(['run', '-n', '2', behaviour, 'spin-deaf'], options)
        await run.printed(/ready \d+/, 2)
        process.kill(run.pid, signal)
        await run.ended
        assert.equal(run.exitCode, exitCode, run.stderr)
      })
    }

    it('ends on Ctrl-C, which reaches launcher and ranks alike, and kills at the second', async () => {
      const once = new RunningCommand(['run', '-n', '2', behaviour, 'idle'], { ...options, group: true })
      await once.printed(/ready \d+/, 2)
      process.kill(-once.pid, 'SIGINT')
      await once.ended
      assert.equal(once.exitCode, 130, once.stderr)
      assert.equal(once.stderr, '')
      const twice = new RunningCommand(['run', '-n', '2', behaviour, 'spin-deaf'], { ...options, group: true })
      await twice.printed(/ready \d+/, 2)
      process.kill(-twice.pid, 'SIGINT')
      await new Promise((resolve) => setTimeout(resolve, 150))
      process.kill(-twice.pid, 'SIGINT')
      await twice.ended
      assert.equal(twice.exitCode, 130, twice.stderr)
    })
  })
}

describe('a job that fails', () => {
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

  it('leaves out what others print on stderr because of it, and says so', async () => {
    const run = await runCommand(['run', '-n', '3', behaviour, 'noise', '1'], { env: room.env })
    assert.match(run.stderr, /onecopy: rank 1 failed: exit code 1\nonecopy: 2 lines that other ranks wrote/)
    assert.doesNotMatch(run.stderr, /an echo of it/)
    for (const [flags, log, shown] of [
      [[], 'debug', true],
      [['--log', 'debug'], undefined, true],
      [['--log', 'info'], 'debug', false],
    ] as const) {
      const env = { ...room.env, ONECOPY_LOG: log }
      const { stderr } = await runCommand(['run', '-n', '3', ...flags, behaviour, 'noise', '1'], { env })
      assert.equal(stderr.includes('an echo of it'), shown, stderr)
    }
  })

  it('goes on with --on-failure continue, and still ends with the rank’s code', async () => {
    const args = ['run', '-n', '3', '--on-failure', 'continue', behaviour, 'leave-one', '1']
    const run = new RunningCommand(
      ['run', '-n', '2', '--on-failure', 'continue', '--timeout', '8', behaviour, 'idle'],
      { env: room.env },
    )
    const [first] = await run.printed(/ready (\d+)/, 2)
    process.kill(Number(first?.[1]), 'SIGKILL')
    await run.printed(/told: rank \d failed SIGKILL/)
    process.kill(run.pid, 'SIGTERM')
    await run.ended
    assert.equal(run.exitCode, 143)
    assert.match(run.stderr, /rank \d failed: killed by SIGKILL/)
    assert.equal((await runCommand(args, { env: room.env })).exitCode, 0)
  })

  it('ends with its ranks when a wrapper between dies', async () => {
    const wrapper = path.join(room.folder, 'wrapper.sh')
    fs.writeFileSync(wrapper, '#!/bin/sh\n"$@"\nexit $?\n', { mode: 0o755 })
    const run = new RunningCommand(['run', '-n', '2', '--wrapper', wrapper, behaviour, 'idle'], { env: room.env })
    await run.printed(/ready \d+/, 2)
    const shell = room
      .processes()
      .find(({ command }) => command.startsWith('/bin/sh ') && command.includes('wrapper.sh'))
    process.kill(shell?.pid as number, 'SIGKILL')
    await run.ended
    assert.equal(run.exitCode, 137, run.stderr)
  })

  it('is not harmed when nobody reads its output any more', async () => {
    const run = new RunningCommand(['run', '-n', '2', behaviour, 'flood'], { env: room.env })
    run.child.stdout?.once('data', () => run.child.stdout?.destroy())
    await run.ended
    assert.equal(run.exitCode, 0, run.stderr)
    assert.equal(run.stderr, '')
  })

  it('does not see a failure when the launcher is stopped for a while', async () => {
    const run = new RunningCommand(['run', '-n', '2', behaviour, 'idle'], { env: room.env })
    await run.printed(/ready \d+/, 2)
    process.kill(run.pid, 'SIGSTOP')
    await new Promise((resolve) => setTimeout(resolve, 700))
    process.kill(run.pid, 'SIGCONT')
    process.kill(run.pid, 'SIGTERM')
    await run.ended
    assert.equal(run.exitCode, 143)
    assert.doesNotMatch(run.stdout, /lost/)
  })

  it('says which limit is too low for its ranks', async () => {
    const run = await runCommand(['run', '-n', '40', behaviour, 'plain'], {
      env: room.env,
      through: ['prlimit', '--nofile=64:64'],
    })
    assert.equal(run.exitCode, 1)
    assert.match(
      run.stderr,
      /^onecopy: 40 ranks need 168 open files .* limit is 64: raise it with ulimit -n 168 \(ERR_LIMIT\)\n$/,
    )
  })

  it('tells when node itself does not come up', async () => {
    const wrapper = path.join(room.folder, 'hang.sh')
    fs.writeFileSync(wrapper, '#!/bin/sh\nexec sleep 12\n', { mode: 0o755 })
    const run = await runCommand(['run', '-n', '2', '--start-timeout', '1', '--wrapper', wrapper, behaviour, 'plain'], {
      env: room.env,
    })
    assert.equal(run.exitCode, 1)
    assert.match(run.stderr, /node did not start for ranks 0, 1 within 1 s .*\(ERR_START_TIMEOUT\)/)
  })
})
