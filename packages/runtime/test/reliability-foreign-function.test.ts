// RELIABILITY.md, row 40: no way to call C, in the launcher, in the ranks, or in one of them.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import type { DoctorReport } from '../src/launcher/doctor-report.js'
import { runCommand } from './support/command.js'
import { withEmptied, withReplaced } from './support/namespace.js'
import {
  noticesOf,
  reportsOf,
  requireCommand,
  runTraffic,
  type TrafficOptions,
  useCleanRoom,
} from './support/reliability.js'

const require = createRequire(import.meta.url)
const folderOf = (name: string): string => path.dirname(require.resolve(name)).replace(/\/lib$/, '')

/** The compiled parts below a folder. */
function addonsOf(folder: string): string[] {
  const names = fs.readdirSync(folder, { recursive: true }).map(String)
  return names.filter((name) => name.endsWith('.node')).map((name) => path.join(folder, name))
}

describe('without foreign functions', () => {
  const held = useCleanRoom()
  let healthy: string[] = []

  async function assertSameResults(
    options: TrafficOptions,
    transports: readonly string[],
    notices: number,
  ): Promise<void> {
    if (healthy.length === 0) healthy = reportsOf(await runTraffic(held.room, { rounds: 1 })).map(({ hash }) => hash)
    const run = await runTraffic(held.room, { rounds: 1, ...options })
    const reports = reportsOf(run)
    assert.deepEqual(
      reports.map(({ hash }) => hash),
      healthy,
    )
    for (const report of reports) assert.deepEqual([...new Set(report.transports)].sort(), transports, run.stderr)
    assert.equal(noticesOf(run).length, notices, run.stderr)
  }

  it('by ONECOPY_FFI=none: pipes carry everything, with one notice', async () => {
    await assertSameResults({ env: { ONECOPY_FFI: 'none' } }, ['pipe', 'self'], 1)
  })

  it('by --no-addons in the ranks', async () => {
    await assertSameResults({ flags: ['--node-arg=--no-addons'] }, ['pipe', 'self'], 1)
  })

  it('by --no-addons everywhere', async () => {
    await assertSameResults({ env: { NODE_OPTIONS: '--no-addons' } }, ['pipe', 'self'], 1)
  })

  it('by the permission model in the ranks', async () => {
    const major = Number(process.versions.node.split('.')[0])
    const permission = major < 24 ? '--experimental-permission' : '--permission'
    // a rank's line to the launcher is a socket, which is the network to Node 25 and later
    const net = process.allowedNodeEnvironmentFlags.has('--allow-net') ? ['--allow-net'] : []
    const words = [permission, '--allow-fs-read=*', '--allow-fs-write=*', ...net, '--no-warnings']
    await assertSameResults({ flags: words.map((word) => `--node-arg=${word}`) }, ['pipe', 'self'], 1)
  })

  it('by missing packages: the second one is taken, and without it pipes', async function () {
    requireCommand(this, 'unshare', '-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/dev/shm')
    const second = withEmptied([folderOf('koffi')])
    await assertSameResults({ through: second }, ['cma (single copy)', 'self'], 0)
    const none = withEmptied([folderOf('koffi'), folderOf('ffi-napi')])
    await assertSameResults({ through: none }, ['pipe', 'self'], 1)
  })

  for (const [what, make, why] of [
    ['made for another C library', koffiOfAnotherLibc, /koffi: .*\.so/],
    ['no library at all', garbage, /koffi: .*(?:too short|invalid ELF header)/],
  ] as const) {
    it(`by packages whose compiled part is ${what}: the same, and doctor says so`, async function () {
      this.timeout(60_000)
      requireCommand(this, 'unshare', '-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/dev/shm')
      const wrong = make()
      const koffi = addonsOf(path.join(folderOf('koffi'), '..', '@koromix'))
      const others = [...addonsOf(folderOf('ffi-napi')), ...addonsOf(folderOf('ref-napi'))]
      const second = withReplaced(koffi, wrong)
      await assertSameResults({ through: second }, ['cma (single copy)', 'self'], 0)
      const through = withReplaced([...koffi, ...others], wrong)
      await assertSameResults({ through }, ['pipe', 'self'], 1)

      const doctor = await runCommand(['doctor', '--json'], { env: held.room.env, through })
      assert.equal(doctor.exitCode, 0, doctor.stderr)
      const { facts, transports } = JSON.parse(doctor.stdout) as DoctorReport
      for (const name of ['FFI: koffi', 'FFI: ffi-napi']) {
        assert.match(facts.find(([fact]) => fact === name)?.[1] ?? '', /^no: no FFI package works: /)
      }
      assert.match(facts.find(([fact]) => fact === 'FFI: koffi')?.[1] ?? '', why)
      assert.deepEqual(
        transports.map(({ name, available, measurements }) => [name, available, measurements !== null]),
        [
          ['cma', false, false],
          ['pipe', true, true],
        ],
      )
      assert.match(transports[0]?.detail ?? '', why)
    })
  }

  /** Koffi's own compiled part for musl where this machine has glibc, and the other way round. */
  function koffiOfAnotherLibc(): string {
    const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } }
    const other = header.glibcVersionRuntime === undefined ? 'linux_' : 'musl_'
    const addons = addonsOf(path.join(folderOf('koffi'), '..', '@koromix'))
    // A copy: the place it comes from is covered too.
    const copy = path.join(held.room.folder, 'koffi.node')
    fs.copyFileSync(addons.find((addon) => path.basename(path.dirname(addon)).startsWith(other)) as string, copy)
    return copy
  }

  function garbage(): string {
    const file = path.join(held.room.folder, 'garbage.node')
    fs.writeFileSync(file, 'no library at all\n'.repeat(1000))
    return file
  }
})
