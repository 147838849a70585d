// RELIABILITY.md, row 40: no way to call C, in the launcher, in the ranks, or in one of them.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import path from 'node:path'
import { withEmptied } from './support/namespace.js'
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
    const words = [permission, '--allow-fs-read=*', '--allow-fs-write=*', '--no-warnings']
    await assertSameResults({ flags: words.map((word) => `--node-arg=${word}`) }, ['pipe', 'self'], 1)
  })

  it('by missing packages: the second one is taken, and without it pipes', async function () {
    requireCommand(this, 'unshare', '-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/dev/shm')
    const second = withEmptied([folderOf('koffi')])
    await assertSameResults({ through: second }, ['cma (single copy)', 'self'], 0)
    const none = withEmptied([folderOf('koffi'), folderOf('ffi-napi')])
    await assertSameResults({ through: none }, ['pipe', 'self'], 1)
  })
})
