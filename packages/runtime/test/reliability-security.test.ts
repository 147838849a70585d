// RELIABILITY.md, security requirements 1 to 8 and 13, and row 49.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import type { SecurityReport } from './ranks/reliability-security.js'
import { bundledScript } from './support/bundle.js'
import { RunningCommand } from './support/command.js'
import {
  reportsOf,
  requireCommand,
  requireUser,
  runTraffic,
  skipBecause,
  USERS,
  useCleanRoom,
  userName,
} from './support/reliability.js'
import { canFilter } from './support/system-call-filter.js'

const script = bundledScript('ranks/reliability-security.ts')
/** Another user still. */
const STRANGER_UID = 65534
const SIZE = 2
const PR_SET_DUMPABLE = 4
const PR_SET_PTRACER = 0x59616d61
/** What a rank inherits first, after the line to its launcher. */
const FIRST_TRANSPORT_DESCRIPTOR = 4

for (const uid of USERS) {
  describe(`security, as ${userName(uid)}`, () => {
    const held = useCleanRoom()
    const user = uid === undefined ? {} : { uid }

    before(function () {
      requireUser(this, uid)
      if (process.platform !== 'linux') skipBecause(this, 'what is looked at is in /proc')
    })

    /** Runs ranks up to the point where all have talked; they stay until `look` is done. */
    async function whileTheyTalk(
      through: readonly string[],
      transport: string,
      look: (reports: SecurityReport[], run: RunningCommand) => void | Promise<void>,
    ): Promise<void> {
      const args = ['run', '-n', String(SIZE), '-t', transport, script]
      const run = new RunningCommand(args, { ...user, through, env: held.room.env })
      const lines = await run.printed(/report (.*)\n/, SIZE)
      try {
        await look(
          lines.map((line) => JSON.parse(line[1] as string) as SecurityReport),
          run,
        )
      } finally {
        run.child.stdin?.end('go on\n')
      }
      await run.ended
      assert.equal(run.exitCode, 0, run.stderr)
      assert.equal(run.stderr, '')
    }

    for (const transport of ['cma', 'pipe']) {
      it(`opens no internet socket and names no socket outside of its directory (${transport})`, async function () {
        requireCommand(this, 'unshare', '-n', 'true')
        await whileTheyTalk(['unshare', '-n'], transport, (reports) => {
          for (const { internet, names, directory } of reports) {
            assert.deepEqual(internet, [])
            for (const name of names) assert.ok(name.startsWith(`${directory}/`), `a socket called ${name}`)
          }
        })
      })

      it(`keeps its directory to itself under umask 0 (${transport})`, async () => {
        await whileTheyTalk(['sh', '-c', 'umask 0; exec "$@"', 'sh'], transport, (reports) => {
          for (const { modes, directory, pid } of reports) {
            assert.ok(path.basename(directory).startsWith('onecopy-'))
            assert.deepEqual(modes[0], ['', '700'])
            for (const [name, mode] of modes) assert.match(mode, /00$/, `${name} has mode ${mode}`)
            assert.equal(fs.lstatSync(directory).uid, uid ?? process.geteuid?.())
            if (process.geteuid?.() !== 0) continue
            for (const place of [directory, `/proc/${pid}/fd`, `/proc/${pid}/environ`]) {
              const { status, stderr } = asStranger(['cat', place, `${place}/.`])
              assert.notEqual(status, 0)
              assert.match(stderr, /Permission denied/)
            }
          }
        })
      })

      it(`shows its token nowhere (${transport})`, async () => {
        await whileTheyTalk([], transport, (reports, run) => {
          const tokens = new Set(reports.map(({ token }) => token))
          assert.equal(tokens.size, 1)
          const token = Buffer.from([...tokens][0] as string, 'hex')
          assert.equal(token.length, 32)
          const forms = [token.toString('hex'), token.toString('base64'), token.toString('base64url')]
          const all = [
            run.pid,
            ...held.room.processes().map(({ pid }) => pid),
            ...reports.map((each) => each.grandchild),
          ]
          let looked = 0
          for (const file of all.flatMap((pid) => [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`])) {
            if (!fs.existsSync(file)) continue
            const bytes = fs.readFileSync(file)
            looked++
            assert.equal(bytes.includes(token), false, file)
            for (const form of forms) assert.equal(bytes.includes(form), false, file)
          }
          assert.ok(looked >= 2 * (1 + 2 * SIZE), `only ${looked} files looked at`)
        })
      })
    }

    it('catches no fault signal and leaves it to the user who may look in', async () => {
      await whileTheyTalk([], 'cma', (reports) => {
        for (const { handlers, dumpable } of reports) assert.deepEqual([handlers, dumpable], [0, 1])
      })
    })

    it('changes neither whether it is dumpable nor, but for ptrace_scope 1, who may trace it', async function () {
      if (!canFilter) skipBecause(this, 'system call filters need Linux on x64 or arm64')
      const options = yamaScope() === '1' ? [PR_SET_DUMPABLE] : [PR_SET_DUMPABLE, PR_SET_PTRACER]
      const rules = options.map((value) => {
        return { call: 'prctl', answer: 'kill', where: { argument: 0, value } } as const
      })
      const run = await runTraffic(held.room, { ...user, rounds: 1, filter: { rules } })
      for (const { rank, transports } of reportsOf(run)) {
        transports.forEach((text, peer) => {
          assert.equal(text, peer === rank ? 'self' : 'cma (single copy)')
        })
      }
      assert.equal(run.stderr, '')
    })

    it('never writes into another process with ONECOPY_CMA=no-write', async function () {
      if (!canFilter) skipBecause(this, 'system call filters need Linux on x64 or arm64')
      const filter = { rules: [{ call: 'process_vm_writev', answer: 'kill' }] } as const
      const run = await runTraffic(held.room, { ...user, filter, env: { ONECOPY_CMA: 'no-write' } })
      reportsOf(run)
    })

    it('ends, naming why, when a rank runs as somebody else', async function () {
      if (process.geteuid?.() !== 0 || uid !== undefined) skipBecause(this, 'only root can become another user')
      const wrapper = path.join(held.room.folder, 'stranger.sh')
      const become = `setpriv --reuid ${STRANGER_UID} --regid ${STRANGER_UID} --clear-groups`
      const lines = ['#!/bin/sh', `if [ "$ONECOPY_RANK" = 1 ]; then exec ${become} "$@"; fi`, 'exec "$@"', '']
      fs.writeFileSync(wrapper, lines.join('\n'), { mode: 0o755 })
      const run = await runTraffic(held.room, { rounds: 1, flags: ['--wrapper', wrapper] })
      assert.equal(run.exitCode, 1, run.stderr)
      assert.match(run.stderr, /EACCES/)
    })

    it('does not enter another job’s segment, and leaves that job alone', async () => {
      const wrapper = path.join(held.room.folder, 'intruder.sh')
      await whileTheyTalk([], 'cma', async ([victim]) => {
        const own = `/proc/${victim?.pid}/fd/${FIRST_TRANSPORT_DESCRIPTOR}`
        assert.match(fs.readlinkSync(own), /memfd:onecopy/)
        const lines = ['#!/bin/sh', `exec ${FIRST_TRANSPORT_DESCRIPTOR}<>${own}`, 'exec "$@"', '']
        fs.writeFileSync(wrapper, lines.join('\n'), { mode: 0o755 })
        const flags = ['-t', 'cma', '--wrapper', wrapper]
        const run = await runTraffic(held.room, { ...user, rounds: 1, size: SIZE, flags })
        assert.equal(run.exitCode, 1, run.stderr)
        assert.match(run.stderr, /not the shared segment of this job: its id is another job’s/)
      })
    })

    it('lets jobs run side by side without hearing each other', async () => {
      const plans = [1, 2, 3].map((rounds) => ({ ...user, rounds, lengths: [64, 5000, 100_000], size: 2 }))
      const runs = await Promise.all([...plans, ...plans].map((plan) => runTraffic(held.room, plan)))
      const hashes = runs.map((run) =>
        reportsOf(run, 2)
          .map(({ hash }) => hash)
          .join(),
      )
      for (const [index] of plans.entries()) assert.equal(hashes[index], hashes[index + plans.length])
      assert.equal(new Set(hashes).size, plans.length)
      for (const run of runs) assert.equal(run.stderr, '')
    })
  })
}

function yamaScope(): string | null {
  const file = '/proc/sys/kernel/yama/ptrace_scope'
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim() : null
}

function asStranger(command: readonly string[]): { status: number | null; stderr: string } {
  const words = ['--reuid', String(STRANGER_UID), '--regid', String(STRANGER_UID), '--clear-groups', ...command]
  const { status, stderr } = spawnSync('setpriv', words, { encoding: 'utf8', timeout: 5000 })
  return { status, stderr }
}
