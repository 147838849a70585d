// RELIABILITY.md, rows 20 to 28 and 31: single copy refused, in part, late, or with nonsense for an answer.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import type { HugeReport } from './ranks/reliability-huge-message.js'
import { bundledScript } from './support/bundle.js'
import type { CallFaults } from './support/call-faults.js'
import { type RunningCommand, runCommand } from './support/command.js'
import { whyNoLandlock } from './support/landlock.js'
import {
  callFaultEnvironment,
  noticesOf,
  reportsOf,
  requireCommand,
  requireMemory,
  requireUser,
  runTraffic,
  skipBecause,
  USERS,
  useCleanRoom,
  userName,
} from './support/reliability.js'
import { type Answer, canFilter } from './support/system-call-filter.js'

const BOTH_CALLS = ['process_vm_readv', 'process_vm_writev'] as const
const CAP_SYS_PTRACE = 1n << 19n
/** Of the groups that ranks are given, the first. */
const GROUP_BASE = 62_000
const SINGLE_COPY = 'cma (single copy)'
const hugeMessage = bundledScript('ranks/reliability-huge-message.ts')
const midMessage = bundledScript('ranks/reliability-mid-message.ts')
/** The message of over 2 GiB, once, and all that a rank may ask for besides. */
const HUGE_DATA_BYTES_MAX = 3.5 * 2 ** 30
/** What a rank uses without the message, and a part of it in the rings. */
const HUGE_EXTRA_BYTES_MAX = 400e6
/** As much as all slots of a ring can hold of a stream's frames. */
const HUGE_RING_BYTES = 4 * 2 ** 20
const HUGE_DEADLINE_MS = 60_000

/** What the receiver of the disturbed message tells. */
interface MidMessage {
  readonly byteLength: number
  readonly bytesSingleCopy: number
  readonly bytesStreamed: number
}

/** What every rank receives is the same whichever way it comes. */
const hashes = new Map<string, string>()

/** Remembers the hash chains of the first job, and compares those of later ones, by rank. */
function assertSameData(reports: ReturnType<typeof reportsOf>, plan: string): void {
  for (const { rank, hash } of reports) {
    const key = `${plan}, rank ${rank}`
    if (!hashes.has(key)) hashes.set(key, hash)
    assert.equal(hash, hashes.get(key), key)
  }
}

describe('single copy', () => {
  const held = useCleanRoom()

  before(function () {
    if (!canFilter) skipBecause(this, 'system call filters need Linux on x64 or arm64')
  })

  it('carries the long messages of a healthy job, and says nothing', async () => {
    const run = await runTraffic(held.room, {})
    const reports = reportsOf(run)
    assertSameData(reports, '2 rounds')
    for (const { transports, bytesSingleCopy } of reports) {
      assert.deepEqual(new Set(transports), new Set(['self', SINGLE_COPY]))
      assert.ok(bytesSingleCopy > 1e6)
    }
    assert.equal(run.stderr, '')
  })

  /** One message of two ranks, in the middle of which `victim` gets `answer` from both calls; gives what came which way. */
  async function disturb(answer: string, victim: 0 | 1) {
    const counting: CallFaults = { calls: BOTH_CALLS, fault: 'stuck', after: Number.MAX_SAFE_INTEGER, every: 1 }
    const env = { ...held.room.env, ...callFaultEnvironment(counting), OC_TEST_ANSWER: answer }
    const run = await runCommand(['run', '-n', '2', midMessage, 'denied', String(victim)], { env })
    assert.equal(run.exitCode, 0, run.stderr)
    const { told } = JSON.parse(run.stdout) as { told: MidMessage }
    return { ...told, notices: noticesOf(run) }
  }

  for (const answer of ['EPERM', 'ENOSYS', 'EFAULT', 'zero', 'stuck']) {
    it(`is given up in the middle of a message when reading turns out ${answer}`, async () => {
      const { byteLength, bytesSingleCopy, bytesStreamed, notices } = await disturb(answer, 1)
      // The half that the sender had begun to write may come once more.
      assert.ok(bytesSingleCopy + bytesStreamed >= byteLength, `${bytesSingleCopy} and ${bytesStreamed}`)
      assert.ok(bytesSingleCopy > 0 && bytesStreamed > 0, `${bytesSingleCopy} and ${bytesStreamed}`)
      assert.equal(notices.length, 1, notices.join('\n'))
    })

    it(`is left to the receiver in the middle of a message when writing turns out ${answer}`, async () => {
      const { byteLength, bytesSingleCopy, bytesStreamed, notices } = await disturb(answer, 0)
      assert.deepEqual([bytesSingleCopy, bytesStreamed], [byteLength, 0])
      // EFAULT says that this memory is not there, and nothing about the next.
      assert.equal(notices.length, answer === 'EFAULT' ? 0 : 1, notices.join('\n'))
    })
  }

  for (const victim of [0, 1] as const) {
    it(`goes on in the middle of a message when calls move no more than a page, in rank ${victim}`, async () => {
      const { byteLength, bytesSingleCopy, bytesStreamed, notices } = await disturb('page', victim)
      assert.deepEqual([bytesSingleCopy, bytesStreamed, notices], [byteLength, 0, []])
    })
  }

  const faults: [string, CallFaults, boolean][] = [
    ['is retried on EINTR', { calls: BOTH_CALLS, fault: 'EINTR', after: 0, every: 2 }, true],
    ['is retried on EAGAIN and ENOMEM', { calls: BOTH_CALLS, fault: 'ENOMEM', after: 1, every: 3 }, true],
    ['goes on after short counts', { calls: BOTH_CALLS, fault: 'short', after: 0, every: 1 }, true],
    ['is given up when ENOMEM does not end', { calls: BOTH_CALLS, fault: 'ENOMEM', after: 12, every: 1 }, false],
    ['goes on where calls move no more than a page', { calls: BOTH_CALLS, fault: 'page', after: 0, every: 1 }, true],
    ['is given up when EPERM comes after some calls', { calls: BOTH_CALLS, fault: 'EPERM', after: 7, every: 1 }, false],
    ['is given up when 0 comes after some calls', { calls: BOTH_CALLS, fault: 'zero', after: 7, every: 1 }, false],
    [
      'is given up when EFAULT comes after some calls',
      { calls: BOTH_CALLS, fault: 'EFAULT', after: 7, every: 1 },
      false,
    ],
    [
      'is given up when calls claim short counts after some',
      { calls: BOTH_CALLS, fault: 'stuck', after: 7, every: 1 },
      false,
    ],
  ]
  for (const [what, plan, stays] of faults) {
    it(what, async () => {
      const run = await runTraffic(held.room, { env: callFaultEnvironment(plan) })
      const reports = reportsOf(run)
      assertSameData(reports, '2 rounds')
      for (const { transports } of reports) assert.equal(transports.includes(SINGLE_COPY), stays, transports.join())
      assert.equal(noticesOf(run).length, stays ? 0 : 1, run.stderr)
    })
  }

  it('ends only the message whose memory is gone, on both sides', async () => {
    const env = { ...held.room.env, ...callFaultEnvironment(null) }
    const run = await runCommand(['run', '-n', '2', midMessage, 'unmapped'], { env })
    assert.equal(run.exitCode, 0, run.stderr)
    for (const line of run.stdout.trim().split('\n')) {
      assert.deepEqual(JSON.parse(line).told, ['arrived', 'arrived', 'ERR_BUFFER_GONE', 'arrived'])
    }
  })

  for (const cma of ['on', 'off']) {
    it(`of a message of over 2 GiB, which lies in memory once (ONECOPY_CMA=${cma})`, async function () {
      requireMemory(this, 2 * HUGE_DATA_BYTES_MAX)
      // Seconds where there is a CPU for each rank; on a busy machine the rings go round once per time slice.
      this.timeout(2 * HUGE_DEADLINE_MS)
      const env = { ...held.room.env, ONECOPY_CMA: cma, ONECOPY_RING_BYTES: String(HUGE_RING_BYTES) }
      // So that a mistake here cannot take the machine's memory.
      const through = ['prlimit', `--data=${HUGE_DATA_BYTES_MAX}`]
      const run = await runCommand(['run', '-n', '2', hugeMessage], { env, through, deadlineMs: HUGE_DEADLINE_MS })
      assert.equal(run.exitCode, 0, run.stderr)
      for (const line of run.stdout.trim().split('\n')) {
        const { rank, byteLength, bytesSingleCopy, bytesStreamed, residentBytesMax } = JSON.parse(line) as HugeReport
        const received = rank === 0 ? 0 : byteLength
        assert.deepEqual([bytesSingleCopy, bytesStreamed], cma === 'on' ? [received, 0] : [0, received], line)
        assert.ok(residentBytesMax < received + HUGE_EXTRA_BYTES_MAX, line)
      }
      assert.equal(run.stderr, '')
    })
  }

  for (const cma of ['on', 'off']) {
    it(`of thousands of pieces (ONECOPY_CMA=${cma})`, async () => {
      const env = { ...held.room.env, ONECOPY_CMA: cma }
      const run = await runCommand(['run', '-n', '2', midMessage, 'pieces'], { env })
      assert.equal(run.exitCode, 0, run.stderr)
      assert.equal((JSON.parse(run.stdout) as { told: number }).told >= (4 * 5000 * 5000) / 2, cma === 'on')
    })
  }
})

for (const uid of USERS) {
  describe(`single copy refused, as ${userName(uid)}`, () => {
    const held = useCleanRoom()
    const user = uid === undefined ? {} : { uid }

    before(function () {
      requireUser(this, uid)
      if (!canFilter) skipBecause(this, 'system call filters need Linux on x64 or arm64')
    })

    const answers: Answer[] = ['EPERM', 'ENOSYS', 'EACCES', 'zero']
    for (const answer of answers) {
      it(`to all ranks, answer ${answer}`, async () => {
        const rules = BOTH_CALLS.map((call) => ({ call, answer }))
        const run = await runTraffic(held.room, { ...user, filter: { rules } })
        const reports = reportsOf(run)
        assertSameData(reports, '2 rounds')
        assert.equal(noticesOf(run).length, 1, run.stderr)
        for (const { bytesSingleCopy, transports } of reports) {
          assert.equal(bytesSingleCopy, 0)
          assert.ok(
            transports.every((text) => text === 'self' || text.startsWith('cma (rings')),
            transports.join(),
          )
        }
      })
    }

    it('by a filter that kills whoever tries', async () => {
      const rules = BOTH_CALLS.map((call) => ({ call, answer: 'kill' as const }))
      const run = await runTraffic(held.room, { ...user, filter: { rules } })
      assertSameData(reportsOf(run), '2 rounds')
      assert.equal(noticesOf(run).length, 1, run.stderr)
    })

    it('by ONECOPY_CMA=off, where a filter kills whoever tries', async () => {
      const rules = BOTH_CALLS.map((call) => ({ call, answer: 'kill' as const }))
      const run = await runTraffic(held.room, { ...user, filter: { rules }, env: { ONECOPY_CMA: 'off' } })
      assertSameData(reportsOf(run), '2 rounds')
      assert.equal(run.stderr, '')
    })

    it('for writing only: reading goes on', async () => {
      const run = await runTraffic(held.room, {
        ...user,
        filter: { rules: [{ call: 'process_vm_writev', answer: 'EPERM' }] },
      })
      const reports = reportsOf(run)
      assertSameData(reports, '2 rounds')
      for (const { transports } of reports) assert.deepEqual(new Set(transports), new Set(['self', SINGLE_COPY]))
      assert.ok(noticesOf(run).length <= 1, run.stderr)
    })

    it('for one peer and one direction only: everybody else keeps it', async () => {
      const rules = BOTH_CALLS.map((call) => ({ call, answer: 'EPERM' as const, peer: 1 }))
      const run = await runTraffic(held.room, { ...user, lateFilter: { round: 0, ranks: [0], rules } })
      const [zero, one, two] = reportsOf(run).map(({ transports }) => transports)
      assertSameData(reportsOf(run), '2 rounds')
      assert.match(zero?.[1] as string, /rings; single copy refused: .*EPERM/)
      assert.equal(zero?.[2], SINGLE_COPY)
      assert.deepEqual(one, [SINGLE_COPY, 'self', SINGLE_COPY])
      assert.deepEqual(two, [SINGLE_COPY, SINGLE_COPY, 'self'])
      assert.equal(noticesOf(run).length, 1, run.stderr)
    })

    it('from the second round on, in one rank', async () => {
      const rules = BOTH_CALLS.map((call) => ({ call, answer: 'EPERM' as const }))
      const run = await runTraffic(held.room, { ...user, lateFilter: { round: 1, ranks: [2], rules } })
      const [zero, , two] = reportsOf(run)
      assertSameData(reportsOf(run), '2 rounds')
      assert.equal(zero?.transports[1], SINGLE_COPY)
      assert.match(two?.transports[0] as string, /rings; single copy refused/)
      assert.ok((two?.bytesSingleCopy as number) > 0 && (two?.bytesStreamed as number) > 0, run.stdout)
      assert.equal(noticesOf(run).length, 1, run.stderr)
    })

    it('by a user namespace of each rank’s own', async function () {
      requireCommand(this, 'unshare', '-U', '-r', 'true')
      await assertFallsBack(['--wrapper', 'unshare -U -r'])
    })

    it('by a pid namespace of each rank’s own', async function () {
      const wrapper = uid === undefined ? 'unshare -p -f' : 'unshare -U -r -p -f'
      requireCommand(this, ...wrapper.split(' '), 'true')
      await assertFallsBack(['--wrapper', wrapper])
    })

    it('by a pid namespace with a /proc of each rank’s own', async function () {
      const wrapper = `${uid === undefined ? 'unshare' : 'unshare -U -r'} -p -f --mount-proc`
      requireCommand(this, ...wrapper.split(' '), 'true')
      await assertFallsBack(['--wrapper', wrapper])
    })

    it('by a Landlock domain of each rank’s own', async function () {
      const reason = whyNoLandlock()
      if (reason !== null) skipBecause(this, reason)
      await assertFallsBack([`--node-arg=--import=file://${bundledScript('support/landlock-preload.ts')}`])
    })

    it('by another group of each rank, without the right to look into others', async function () {
      if (process.geteuid?.() !== 0) skipBecause(this, 'only root can prepare it')
      const become = uid === undefined ? groupAsRoot() : groupAsUser(held.room.folder)
      await assertFallsBack(['--wrapper', wrapperScript(held.room.folder, `exec ${become} "$@"`)])
    })

    it('by a rank that is not dumpable', async () => {
      const flags = [`--node-arg=--import=file://${bundledScript('support/dumpable-preload.ts')}`]
      const run = await runTraffic(held.room, { ...user, flags, env: { OC_TEST_UNDUMPABLE: '1' } })
      // Who may look into everybody may look into that one as well.
      assertRefused(run, (_, peer) => peer === 1 && !(uid === undefined && mayLookIntoAll()))
    })

    it('by a rank whose node has a file capability', async function () {
      if (process.geteuid?.() !== 0) skipBecause(this, 'only root can give a file capabilities')
      if (uid === undefined) skipBecause(this, 'whoever has all capabilities gets none from a file')
      const node = path.join(held.room.folder, 'node')
      fs.copyFileSync(process.execPath, node)
      requireCommand(this, 'setcap', 'cap_net_bind_service+ep', node)
      const script = `if [ "$ONECOPY_RANK" = 1 ]; then shift; exec ${node} "$@"; fi\nexec "$@"`
      const run = await runTraffic(held.room, {
        ...user,
        flags: ['--wrapper', wrapperScript(held.room.folder, script)],
      })
      assertRefused(run, (_, peer) => peer === 1)
    })

    async function assertFallsBack(flags: string[]): Promise<void> {
      const run = await runTraffic(held.room, { ...user, flags })
      assertRefused(run, () => true)
      for (const { bytesSingleCopy } of reportsOf(run)) assert.equal(bytesSingleCopy, 0)
    }
  })
}

/** Holds the job to the right data, to single copy for all who are not refused, and to one notice if anybody is. */
function assertRefused(run: RunningCommand, isRefused: (rank: number, peer: number) => boolean): void {
  const reports = reportsOf(run)
  assertSameData(reports, '2 rounds')
  let refusals = 0
  for (const { rank, transports } of reports) {
    for (const [peer, text] of transports.entries()) {
      const where = `rank ${rank} to ${peer}`
      if (peer === rank) {
        assert.equal(text, 'self')
      } else if (isRefused(rank, peer)) {
        refusals++
        assert.match(text, /^cma \(rings; single copy refused: /, where)
      } else {
        assert.equal(text, SINGLE_COPY, where)
      }
    }
  }
  assert.equal(noticesOf(run).length, refusals > 0 ? 1 : 0, run.stderr)
}

/** Whether whoever runs the tests may look into any process. */
function mayLookIntoAll(): boolean {
  const capabilities = /^CapEff:\s+(\w+)/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
  return (BigInt(`0x${capabilities}`) & CAP_SYS_PTRACE) !== 0n
}

/** Makes a wrapper for ranks of some lines of shell, of which the last executes "$@". */
function wrapperScript(folder: string, lines: string): string {
  const file = path.join(folder, 'wrapper.sh')
  fs.writeFileSync(file, `#!/bin/sh\n${lines}\n`, { mode: 0o755 })
  return file
}

/** Words that give a rank of root's a group of its own and take its rights away. */
function groupAsRoot(): string {
  const group = `$((${GROUP_BASE} + ONECOPY_RANK))`
  return `setpriv --regid ${group} --clear-groups --bounding-set -all --inh-caps -all --`
}

/**
 * Words that give a rank of an unprivileged launcher a group of its own: one set-group-id copy of setpriv per rank, which needs no
 * rights to make its group the real one as well.
 */
function groupAsUser(folder: string): string {
  const setpriv = spawnSync('sh', ['-c', 'command -v setpriv'], { encoding: 'utf8' }).stdout.trim()
  for (let rank = 0; rank < 3; rank++) {
    const copy = path.join(folder, `setpriv-${rank}`)
    fs.copyFileSync(setpriv, copy)
    fs.chownSync(copy, 0, GROUP_BASE + rank)
    fs.chmodSync(copy, 0o2755)
  }
  return `${folder}/setpriv-$ONECOPY_RANK --regid $((${GROUP_BASE} + ONECOPY_RANK)) --keep-groups --`
}
