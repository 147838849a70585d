// RELIABILITY.md, rows 1, 5 to 10: ranks that are killed, crash, fail or leave while others wait for them, and a launcher that
// is killed.
import assert from 'node:assert/strict'
import type { Told } from './ranks/reliability-endings.js'
import { bundledScript } from './support/bundle.js'
import { RunningCommand, runCommand } from './support/command.js'
import { Random } from './support/random.js'
import { allAsleep, filterEnvironment, noticesOf, skipBecause, useCleanRoom } from './support/reliability.js'
import { canFilter } from './support/system-call-filter.js'

const script = bundledScript('ranks/reliability-endings.ts')
const lastWords = bundledScript('ranks/reliability-last-words.ts')
const FACES = ['sync', 'async'] as const
const seed = Number(process.env.ONECOPY_TEST_SEED ?? Date.now() % 1_000_000)

/** What calls failed with, by rank. */
function toldBy(run: RunningCommand): Told[] {
  return [...run.stdout.matchAll(/^(?:\[\d+\] )?told (.*)$/gm)].map((line) => JSON.parse(line[1] as string) as Told)
}

/** Every rank's process, by rank, once all are about to wait. */
async function readyPids(run: RunningCommand, size: number): Promise<number[]> {
  const pids: number[] = []
  for (const [, rank, pid] of await run.printed(/ready (\d+) (\d+)/, size)) pids[Number(rank)] = Number(pid)
  return pids
}

describe(`ranks that end while others wait (seed ${seed})`, () => {
  const held = useCleanRoom()
  const random = new Random(seed)

  /** Starts a job that waits in `what`, kills ranks once all sleep, and checks what everybody learnt. */
  async function killWhileWaiting(what: string, face: string, size: number, victims: readonly number[]): Promise<void> {
    const run = new RunningCommand(['run', '-n', String(size), script, what, face], { env: held.room.env })
    const pids = await readyPids(run, size)
    await allAsleep(pids)
    for (const victim of victims) process.kill(pids[victim] as number, 'SIGKILL')
    await run.ended
    assert.equal(run.exitCode, 137, run.stderr)
    const failed = Number(/^onecopy: rank (\d+) failed: killed by SIGKILL$/m.exec(run.stderr)?.[1])
    assert.ok(victims.includes(failed), run.stderr)
    assert.equal(noticesOf(run).length, 1, run.stderr)
    const told = toldBy(run)
    const survivors = pids.map((_, rank) => rank).filter((rank) => !victims.includes(rank))
    assert.deepEqual(told.map(({ rank }) => rank).sort(), survivors, run.stdout + run.stderr)
    for (const { code, failed: named, message, rank } of told) {
      assert.equal(code, 'ERR_PROC_FAILED', `rank ${rank}: ${message}`)
      assert.ok(victims.includes(named as number), `rank ${rank} blames ${named}: ${message}`)
    }
  }

  it('tells who has ended the job, with which code and why', async () => {
    const run = await runCommand(['run', '-n', '2', lastWords, 'abort'], { env: held.room.env })
    assert.match(run.stdout, /^told {"code":"ERR_ABORTED","rank":1,"byRank":1,"exitCode":9,"reason":"disk full"}$/m)
    assert.equal(run.exitCode, 9)
  })

  it('lets ranks go on that single copy is refused to, where it is required', async function () {
    if (!canFilter) skipBecause(this, 'system call filters need Linux on x64 or arm64')
    const rules = (['process_vm_readv', 'process_vm_writev'] as const).map((call) => ({
      call,
      answer: 'EPERM' as const,
    }))
    const env = { ...held.room.env, ...filterEnvironment({ rules }), ONECOPY_CMA: 'require', ONECOPY_TRANSPORT: 'cma' }
    const run = await runCommand(['run', '-n', '2', lastWords, 'required'], { env })
    assert.equal(run.exitCode, 0, run.stderr)
    assert.deepEqual(run.stdout.trim().split('\n').sort(), ['told ERR_CMA_DENIED', 'told ERR_CMA_DENIED', 'told short'])
  })

  it('does not take the death of a sender for a refusal of single copy', async () => {
    for (let time = 0; time < 3; time++) {
      const args = ['run', '-n', '2', '--on-failure', 'continue', lastWords, 'send']
      const run = await runCommand(args, { env: held.room.env })
      assert.match(run.stdout, /^told {"code":"ERR_PROC_FAILED","rank":1}$/m)
      assert.equal(run.stderr, 'onecopy: rank 1 failed: killed by SIGKILL\n')
      assert.equal(run.exitCode, 137)
    }
  })

  for (const face of FACES) {
    for (const what of ['barrier', 'recv', 'any', 'probe', 'send', 'ssend', 'allreduce']) {
      it(`tells everyone whose ${what} (${face}) waits that a rank was killed`, async () => {
        await killWhileWaiting(what, face, 3, [random.between(0, 2)])
      })
    }

    it(`tells everyone when rank 0 is killed (${face})`, () => killWhileWaiting('barrier', face, 4, [0]))
    it(`tells everyone when two are killed at once (${face})`, () => killWhileWaiting('barrier', face, 4, [1, 3]))
    it(`ends when every rank is killed at once (${face})`, () => killWhileWaiting('recv', face, 3, [0, 1, 2]))

    it(`notices a death though the others have only just begun to wait (${face})`, async () => {
      const run = new RunningCommand(['run', '-n', '2', script, 'recv', face], { env: held.room.env })
      const pids = await readyPids(run, 2)
      const victim = random.between(0, 1)
      process.kill(pids[victim] as number, 'SIGKILL')
      await run.ended
      assert.equal(run.exitCode, 137, run.stderr)
      assert.deepEqual(
        toldBy(run).map(({ rank, code, failed }) => [rank, code, failed]),
        [[1 - victim, 'ERR_PROC_FAILED', victim]],
      )
    })

    for (const [way, settings] of [
      ['single copy', {}],
      ['rings', { ONECOPY_CMA: 'off' }],
      ['pipes', { ONECOPY_TRANSPORT: 'pipe' }],
    ] as const) {
      it(`never tears a long message over ${way} when an end of it is killed (${face})`, async function () {
        this.timeout(40_000)
        for (const victim of [0, 1]) {
          const env = { ...held.room.env, ...settings }
          const run = new RunningCommand(['run', '-n', '2', script, 'stream', face], { env })
          const pids = await readyPids(run, 2)
          await run.printed(/whole \d+/)
          // Somewhere in the message after that.
          await new Promise((resolve) => setTimeout(resolve, random.between(0, 15)))
          process.kill(pids[victim] as number, 'SIGKILL')
          await run.ended
          assert.equal(run.exitCode, 137, run.stderr)
          assert.match(run.stderr, new RegExp(`^onecopy: rank ${victim} failed: killed by SIGKILL$`, 'm'))
          assert.doesNotMatch(run.stderr, /Error/)
        }
      })
    }

    const crashes: [string, number, string][] = [
      ['SIGSEGV', 139, 'SIGSEGV'],
      ['SIGBUS', 135, 'SIGBUS'],
      ['abort', 134, 'SIGABRT'],
      ['memory', 134, 'SIGABRT'],
    ]
    for (const [how, exitCode, signal] of crashes) {
      it(`names what a rank crashed of: ${how} (${face})`, async () => {
        const args = ['run', '-n', '3', '--node-arg=--max-old-space-size=20', script, 'crash', face, '2']
        const run = await runCommand(args, { env: { ...held.room.env, OC_TEST_CRASH: how } })
        assert.equal(run.exitCode, exitCode, run.stderr)
        assert.match(run.stderr, new RegExp(`^onecopy: rank 2 failed: killed by ${signal}$`, 'm'))
        const told = toldBy(run).map(({ rank, code, failed }) => [rank, code, failed])
        assert.deepEqual(told.sort(), [
          [0, 'ERR_PROC_FAILED', 2],
          [1, 'ERR_PROC_FAILED', 2],
        ])
      })
    }

    const failures: [string, number, boolean][] = [
      ['throw', 1, true],
      ['reject', 1, true],
      ['exit', 3, false],
    ]
    for (const [how, exitCode, hasStack] of failures) {
      it(`shows first how a rank failed, and nobody else’s noise: ${how} (${face})`, async () => {
        const env = { ...held.room.env, OC_TEST_FAILURE: how, ONECOPY_LOG: undefined }
        const run = await runCommand(['run', '-n', '3', '--label', script, 'fail', face, '1'], { env })
        assert.equal(run.exitCode, exitCode, run.stderr)
        const told = toldBy(run).map(({ rank, code, failed }) => [rank, code, failed])
        assert.deepEqual(told.sort(), [
          [0, 'ERR_PROC_FAILED', 1],
          [2, 'ERR_PROC_FAILED', 1],
        ])
        const lines = run.stderr.trimEnd().split('\n')
        const verdict = lines.indexOf(`onecopy: rank 1 failed: exit code ${exitCode}`)
        const words = lines.slice(0, verdict)
        for (const line of words) assert.match(line, /^\[1\]/, run.stderr)
        const stack = words.findIndex((line) => /^\[1\] Error: the first failure$/.test(line))
        if (hasStack) assert.match(words[stack + 1] ?? '', /^\[1\] +at .*reliability-endings\.mjs/, run.stderr)
        else assert.deepEqual(words, [])
        // What is left is the launcher's own.
        assert.equal(lines.length, verdict + 2, run.stderr)
        assert.match(lines[verdict + 1] as string, /^onecopy: \d+ lines that other ranks wrote on stderr after that/)
      })
    }

    for (const transport of ['cma', 'pipe']) {
      it(`lets a rank leave, and the others go on without it (${face}, ${transport})`, async () => {
        const args = ['run', '-n', '4', '-t', transport, script, 'leave', face, '2']
        const run = await runCommand(args, { env: held.room.env })
        assert.equal(run.exitCode, 0, run.stderr)
        assert.equal(run.stderr, '')
        const told = toldBy(run)
        for (const rank of [0, 1, 3]) {
          const mine = told.filter((each) => each.rank === rank)
          assert.deepEqual(
            mine.map(({ call, code, failed }) => [call, code, failed]),
            ['recv', 'send', 'barrier'].map((call) => [call, 'ERR_PROC_FAILED', 2]),
            run.stdout,
          )
          for (const { message } of mine) assert.match(message, /rank 2 has (left the job|ended)/)
          assert.match(run.stdout, new RegExp(`^ring ${rank} right$`, 'm'))
        }
      })

      for (const what of ['leave-much', 'leave-after']) {
        it(`loses nothing when ranks leave early: ${what} (${face}, ${transport})`, async () => {
          const args = ['run', '-n', '2', '-t', transport, script, what, face]
          const run = await runCommand(args, { env: held.room.env })
          assert.equal(run.exitCode, 0, run.stderr)
          assert.equal(run.stderr, '')
          if (what === 'leave-much') assert.match(run.stdout, /^took everything$/m)
        })
      }

      it(`ends the wait of a rank that nobody is left to send to (${face}, ${transport})`, async () => {
        const run = await runCommand(['run', '-n', '3', '-t', transport, script, 'alone', face], { env: held.room.env })
        assert.equal(run.exitCode, 0, run.stderr)
        const told = toldBy(run)
        assert.deepEqual(
          told.map(({ rank, call, code }) => [rank, call, code]),
          ['any', 'later', 'probe'].map((call) => [0, call, 'ERR_PROC_FAILED']),
          run.stdout,
        )
        for (const { message } of told) assert.match(message, /has left the job/)
        assert.match(run.stdout, /^done 0 self$/m)
      })
    }

    it(`hears all that was sent before the senders left (${face})`, async () => {
      const run = await runCommand(['run', '-n', '4', script, 'trickle', face], { env: held.room.env })
      assert.equal(run.exitCode, 0, run.stderr)
      assert.match(run.stdout, /^heard 1 2 3$/m)
      assert.deepEqual(
        toldBy(run).map(({ call, code }) => [call, code]),
        [['any', 'ERR_PROC_FAILED']],
      )
    })

    it(`lets the others go on after a death with --on-failure continue (${face})`, async () => {
      const args = ['run', '-n', '3', '--on-failure', 'continue', script, 'continue', face, '1']
      const run = new RunningCommand(args, { env: held.room.env })
      const pids = await readyPids(run, 3)
      await allAsleep(pids)
      process.kill(pids[1] as number, 'SIGKILL')
      await run.ended
      assert.equal(run.exitCode, 137, run.stderr)
      const told = toldBy(run).map(({ rank, call, code, failed }) => [rank, call, code, failed].join(' '))
      assert.deepEqual(told.sort(), [
        '0 recv ERR_PROC_FAILED 1',
        '0 send ERR_PROC_FAILED 1',
        '2 recv ERR_PROC_FAILED 1',
        '2 send ERR_PROC_FAILED 1',
      ])
      for (const rank of [0, 2]) assert.match(run.stdout, new RegExp(`^ring ${rank} right$`, 'm'))
    })
  }
})

const PR_SET_PDEATHSIG = 1
/** Ranks without the kernel's own help against outliving the launcher. */
const NO_DEATH_SIGNAL = {
  rules: [{ call: 'prctl', answer: 'EPERM', where: { argument: 0, value: PR_SET_PDEATHSIG } }],
} as const

describe(`ranks whose launcher is killed (seed ${seed})`, () => {
  const held = useCleanRoom()
  const random = new Random(seed)

  for (const refused of [false, true]) {
    for (const [what, face, doing] of [
      ['recv', 'async', 'idle in an await'],
      ['recv', 'sync', 'parked in a blocking call'],
      ['spin', 'sync', 'busy in blocking calls'],
      ['copy', 'sync', 'in a long copy, blocking'],
      ['copy', 'async', 'in a long copy, awaiting'],
    ] as const) {
      it(`are gone, and all else with them: ${doing}${refused ? ', no death signal' : ''}`, async function () {
        if (refused && !canFilter) skipBecause(this, 'system call filters need Linux on x64 or arm64')
        const env = { ...held.room.env, ...(refused ? filterEnvironment(NO_DEATH_SIGNAL) : {}) }
        const run = new RunningCommand(['run', '-n', '2', script, what, face], { env })
        const pids = await readyPids(run, 2)
        if (what === 'recv') await allAsleep(pids)
        if (what === 'copy') await run.printed(/copied \d+/, 2)
        await new Promise((resolve) => setTimeout(resolve, random.between(0, 60)))
        process.kill(run.pid, 'SIGKILL')
        await held.room.assertClean(2000)
      })
    }
  }
})
