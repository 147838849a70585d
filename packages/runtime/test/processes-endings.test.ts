import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { bundledScript } from './support/bundle.js'
import { CleanRoom } from './support/clean.js'
import { type CommandOptions, PLAIN_UID, RunningCommand, runCommand } from './support/command.js'
import { requireUser } from './support/reliability.js'

const script = bundledScript('ranks/processes.ts')
const TIMEOUT_MS = 30_000

for (const uid of [undefined, PLAIN_UID]) {
  describe(`parents and children that end, as ${uid === undefined ? 'this user' : `uid ${uid}`}`, function () {
    this.timeout(TIMEOUT_MS)
    this.slow(4000)
    let room: CleanRoom
    let options: CommandOptions

    before(function () {
      requireUser(this, uid)
    })

    beforeEach(() => {
      room = new CleanRoom()
      options = { env: room.env, deadlineMs: TIMEOUT_MS - 5000, ...(uid === undefined ? {} : { uid }) }
    })

    afterEach(async () => {
      try {
        await room.assertClean()
      } finally {
        room.close()
      }
    })

    const run = (flags: string[], words: string[]): Promise<RunningCommand> =>
      runCommand(['run', '-n', '2', ...flags, script, ...words], options)

    const childEnds: [string, string, number, RegExp][] = [
      ['throws', 'throw', 1, /Error: thrown on purpose/],
      ['is killed', 'kill', 137, /child 0 failed: killed by SIGKILL/],
      ['exits with 3', 'exit', 3, /child 0 failed: exit code 3/],
      ['aborts', 'abort', 9, /rank 0 aborted the job: on purpose/],
    ]
    for (const [what, how, exitCode, said] of childEnds) {
      for (const transport of ['cma', 'pipe']) {
        it(`a child that ${what} ends both jobs, over ${transport}`, async () => {
          const { stdout, stderr, exitCode: code } = await run(['-t', transport], ['child', how])
          assert.equal(code, exitCode, stdout + stderr)
          assert.match(stderr, said)
          for (const rank of [0, 1]) {
            assert.match(stdout, new RegExp(`^parent ${rank}: ERR_(PROC_FAILED|ABORTED)$`, 'm'))
            assert.match(stdout, new RegExp(`^world of ${rank}: ERR_ABORTED$`, 'm'))
          }
        })
      }
    }

    it('a child that leaves is told to those who wait for it, and to nobody else', async () => {
      const command = await run(['--on-failure', 'continue'], ['child', 'leave'])
      assert.match(command.stdout, /^parent 0: ERR_PROC_FAILED$/m)
      assert.match(command.stdout, /^parent 1: ERR_PROC_FAILED$/m)
      assert.equal(command.exitCode, 0)
    })

    it('a child that is killed leaves the others alone where the job goes on', async () => {
      const { stdout, stderr, exitCode } = await run(['--on-failure', 'continue'], ['child', 'kill', 'go on'])
      assert.match(stdout, /^parent 0: ERR_PROC_FAILED$/m, stderr)
      assert.equal(exitCode, 137)
    })

    for (const face of ['async', 'mixed']) {
      it(`a child that ends before init() fails the spawn, and the job, ${face}`, async () => {
        const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'oc-early-'))
        fs.chmodSync(folder, 0o755)
        try {
          const early = path.join(folder, 'early.mjs')
          fs.writeFileSync(early, 'process.exitCode = 4\n')
          const { stdout, exitCode } = await run([], ['early', early, face])
          assert.match(stdout, /^parent 0: ERR_(EARLY_EXIT|ABORTED)$/m)
          assert.equal(exitCode, 4)
          fs.writeFileSync(early, '')
          const quiet = await run([], ['early', early, face])
          assert.match(quiet.stdout, /^parent 0: ERR_EARLY_EXIT$/m)
          assert.equal(quiet.exitCode, 0)
          fs.writeFileSync(early, 'setInterval(() => {}, 1000)\n')
          const never = await run([], ['early', early, face])
          assert.match(never.stdout, /^parent 0: ERR_(START_TIMEOUT|ABORTED)$/m)
          assert.equal(never.exitCode, 1)
        } finally {
          fs.rmSync(folder, { recursive: true })
        }
      })
    }

    for (const [how, exitCode] of [
      ['throw', 1],
      ['kill', 137],
      ['exit', 3],
      ['abort', 9],
    ] as const) {
      it(`a parent that ends by ${how} ends its children`, async () => {
        const { stdout, stderr, exitCode: code } = await run([], ['parent', how])
        assert.equal(code, exitCode, stdout + stderr)
        assert.equal(stdout.match(/^child: ERR_(PROC_FAILED|ABORTED)$/gm)?.length, 2, stdout)
        assert.equal(stdout.match(/^world: ERR_ABORTED$/gm)?.length, 2, stdout)
      })
    }

    it('a grandchild that fails ends all of them', async () => {
      const { stdout, stderr, exitCode } = await run(['--label'], ['generations', '2'])
      assert.equal(exitCode, 5, stdout + stderr)
      assert.match(stderr, /child 0 failed: exit code 5/)
    })

    for (const how of ['async', 'sync']) {
      it(`nothing stays when the launcher is killed, ${how}`, async () => {
        const command = new RunningCommand(['run', '-n', '2', script, 'wait', how], options)
        await command.printed(/ready/, 4)
        const pids = room.processes().map(({ pid }) => pid)
        assert.ok(pids.length >= 5, String(pids))
        process.kill(command.pid, 'SIGKILL')
        await room.assertClean()
        await command.ended
      })

      it(`all end when the launcher gets SIGTERM, ${how}`, async () => {
        const command = new RunningCommand(['run', '-n', '2', script, 'wait', how], options)
        await command.printed(/ready/, 4)
        process.kill(command.pid, 'SIGTERM')
        await command.ended
        assert.equal(command.exitCode, 143)
      })

      it(`all end when a child is killed from outside, ${how}`, async () => {
        const command = new RunningCommand(['run', '-n', '2', '--label', script, 'wait', how], options)
        await command.printed(/ready/, 4)
        const [found] = await command.printed(/\[child 1\] ready (\d+)/)
        process.kill(Number(found?.[1]), 'SIGKILL')
        await command.ended
        assert.equal(command.exitCode, 137)
      })
    }

    it('after disconnect the jobs have nothing to do with each other, but the launcher still tells', async () => {
      const { stdout, stderr, exitCode } = await run([], ['disconnect'])
      assert.equal(stdout.match(/^went on$/gm)?.length, 2, stdout + stderr)
      assert.equal(stdout.match(/^after: (TypeError|ERR_CLOSED)/gm)?.length, 2, stdout)
      assert.match(stderr, /child 0 failed: exit code 3/)
      assert.equal(exitCode, 3)
    })
  })
}
