// RELIABILITY.md, rows 32 to 35: shared memory that is small, full, forbidden or too much to ask for.
import assert from 'node:assert/strict'
import type { RunningCommand } from './support/command.js'
import { withoutRoom, withoutSharedMemory, withSharedMemory } from './support/namespace.js'
import {
  addressSpaceEnvironment,
  noticesOf,
  reportsOf,
  requireCommand,
  requireUser,
  runTraffic,
  skipBecause,
  type TrafficOptions,
  USERS,
  useCleanRoom,
  userName,
} from './support/reliability.js'
import { canFilter } from './support/system-call-filter.js'

const NO_MEMFD = { call: 'memfd_create', answer: 'ENOSYS' } as const
const MAP_SHARED = 1
const MIB = 2 ** 20
/** How a shared mapping is asked for: by its flags, the fourth argument. */
const SHARED_MAPPING = { argument: 3, value: MAP_SHARED } as const
const ONCE: TrafficOptions = { rounds: 1 }

for (const uid of USERS) {
  describe(`shared memory, as ${userName(uid)}`, () => {
    const held = useCleanRoom()
    const user = uid === undefined ? {} : { uid }

    before(function () {
      requireUser(this, uid)
      if (!canFilter) skipBecause(this, 'system call filters need Linux on x64 or arm64')
    })

    /** Mount namespaces are made by root; the command then runs as the user under test. */
    function requireMounts(test: Mocha.Context): void {
      requireCommand(test, 'unshare', '-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/dev/shm')
    }

    for (const options of ['size=64k', 'size=1m', 'ro']) {
      it(`does not depend on /dev/shm (${options})`, async function () {
        requireMounts(this)
        const run = await runTraffic(held.room, { ...ONCE, ...user, through: withSharedMemory(options) })
        for (const { transports } of reportsOf(run)) assert.ok(transports.includes('cma (single copy)'))
        assert.equal(run.stderr, '')
      })
    }

    it('does not depend on /dev/shm (absent)', async function () {
      requireMounts(this)
      const run = await runTraffic(held.room, { ...ONCE, ...user, through: withoutSharedMemory(held.room.folder) })
      for (const { transports } of reportsOf(run)) assert.ok(transports.includes('cma (single copy)'))
      assert.equal(run.stderr, '')
    })

    it('is a file where there is no memfd, unlinked before the ranks start', async () => {
      const run = await runTraffic(held.room, { ...ONCE, ...user, filter: { rules: [NO_MEMFD] } })
      for (const { transports } of reportsOf(run)) assert.ok(transports.includes('cma (single copy)'))
      assert.equal(run.stderr, '')
    })

    it('is a file in the job’s directory where there is no memfd and /dev/shm is tiny', async function () {
      requireMounts(this)
      const through = withSharedMemory('size=64k')
      const run = await runTraffic(held.room, { ...ONCE, ...user, through, filter: { rules: [NO_MEMFD] } })
      for (const { transports } of reportsOf(run)) assert.ok(transports.includes('cma (single copy)'))
    })

    it('has no place at all: an error that names sizes and places, or the other transport', async function () {
      requireMounts(this)
      const filter = { rules: [NO_MEMFD] }
      const through = withoutRoom(held.room.folder)
      const refused = await runTraffic(held.room, { ...ONCE, ...user, through, filter, flags: ['-t', 'cma'] })
      assert.equal(refused.exitCode, 1, `${refused.signal} ${refused.stdout}`)
      assert.match(
        refused.stderr,
        /no place for \d+ bytes of shared memory: memfd_create: ENOSYS; .*ENOSPC.*\(ERR_NO_SHM\)/,
      )
      // Pipes carry what is short; for longer frames they need a file too, and there is no place for that either.
      const short = await runTraffic(held.room, { ...ONCE, ...user, through, filter, lengths: [0, 1, 64, 65] })
      assert.match(short.stderr, /^onecopy: cma cannot be used: no place for/)
      const run = await runTraffic(held.room, { ...ONCE, ...user, through, filter })
      assert.equal(run.exitCode, 1, `${run.signal} ${run.stdout}`)
      assert.match(run.stderr, /ERR_NO_SHM/)
    })

    it('is refused before anything is allocated when the wish is absurd', async () => {
      const filter = { rules: [{ call: 'fallocate', answer: 'kill' }] } as const
      for (const env of [{ ONECOPY_RING_BYTES: String(2 ** 40) }, { ONECOPY_SHM_MAX: '100000' }]) {
        const refused = await runTraffic(held.room, { ...ONCE, ...user, env, filter, flags: ['-t', 'cma'] })
        assert.equal(refused.exitCode, 1, `${refused.signal} ${refused.stderr}`)
        assert.match(refused.stderr, /\(ERR_LIMIT\)/)
      }
    })

    it('cannot be mapped by one rank: the others go round it', async () => {
      const filter = { ranks: [1], rules: [{ call: 'mmap', answer: 'ENOMEM', where: SHARED_MAPPING }] } as const
      const run = await runTraffic(held.room, { ...ONCE, ...user, filter })
      const [zero, one] = reportsOf(run)
      assert.deepEqual(zero?.transports, ['self', 'pipe', 'cma (single copy)'])
      assert.deepEqual(one?.transports, ['pipe', 'self', 'pipe'])
      assert.match(run.stderr, /^onecopy: cma cannot be used by rank 1: .*mmap.*ENOMEM/m)
      assert.equal(noticesOf(run).length, 1, run.stderr)
    })

    it('cannot be mapped by one rank, and nothing else is allowed: no rank starts, and each hears why', async () => {
      const filter = { ranks: [1], rules: [{ call: 'mmap', answer: 'ENOMEM', where: SHARED_MAPPING }] } as const
      // All of what everybody says, not the first one's words only.
      for (const log of ['info', 'debug']) {
        const flags = ['-t', 'cma', '--log', log]
        const run = await runTraffic(held.room, { ...ONCE, ...user, filter, flags })
        assertNoSharedMemory(
          run,
          /: no transport connects ranks \d and \d\. cma on rank 1: .*mmap of \d+ bytes .*: ENOMEM$/m,
        )
        assert.match(run.stderr, /errno: 12,\n\s+syscall: 'mmap'/)
      }
    })

    it('has no room in one rank’s address space: no rank starts, and each hears why', async function () {
      requireCommand(this, 'prlimit', '--version')
      const env = { ...addressSpaceEnvironment({ rank: 1, bytesMore: 256 * MIB }), ONECOPY_RING_BYTES: `${256 * MIB}` }
      const run = await runTraffic(held.room, {
        ...ONCE,
        ...user,
        env,
        size: 2,
        flags: ['-t', 'cma', '--log', 'debug'],
      })
      assertNoSharedMemory(
        run,
        /: no transport connects ranks \d and \d\. cma on rank 1: .*mmap of \d+ bytes .*: ENOMEM$/m,
      )
      const healthy = await runTraffic(held.room, { ...ONCE, ...user, env, size: 2 })
      assert.deepEqual(
        reportsOf(healthy, 2).map(({ transports }) => transports),
        [
          ['self', 'pipe'],
          ['pipe', 'self'],
        ],
      )
    })

    for (const flags of [[], ['-t', 'cma']]) {
      it(`cannot be reserved by one rank: the job ends with the reason (${flags.join(' ') || 'any transport'})`, async () => {
        const filter = { ranks: [1], rules: [{ call: 'fallocate', answer: 'ENOSPC' }] } as const
        const run = await runTraffic(held.room, { ...ONCE, ...user, filter, flags })
        assertNoSharedMemory(
          run,
          /: no shared memory: fallocate of \d+ bytes in the ring from rank 1 to rank \d: ENOSPC$/m,
        )
        assert.match(run.stderr, /errno: 28,\n\s+syscall: 'fallocate'/)
      })
    }

    /** The job ended as a whole, with this code and no other, and in these words. */
    function assertNoSharedMemory(run: RunningCommand, words: RegExp): void {
      assert.equal(run.exitCode, 1, `${run.signal} ${run.stderr}`)
      assert.equal(run.stdout, '')
      assert.match(run.stderr, words)
      const codes = [...run.stderr.matchAll(/ERR_\w+/g)].map(([code]) => code)
      assert.deepEqual([...new Set(codes)], ['ERR_NO_SHM'], run.stderr)
      assert.match(run.stderr, /^onecopy: rank \d failed: exit code 1$/m)
    }
  })
}
