// What the reliability tests share: who runs them, what this machine can do, and jobs of ranks that exchange checked data.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import type { Context } from 'mocha'
import type { LateFilter, TrafficReport } from '../ranks/reliability-traffic.js'
import type { AddressSpace } from './address-space-preload.js'
import { bundledScript } from './bundle.js'
import type { CallFaults } from './call-faults.js'
import { CleanRoom, until } from './clean.js'
import { type CommandOptions, PLAIN_UID, type RunningCommand, runCommand } from './command.js'
import type { FilterPlan } from './filter-preload.js'

/** The user of a test: undefined for the one who runs the tests. */
export type Uid = number | undefined

/** As root hardly a permission fault shows, so what is about permissions runs as both. */
export const USERS: readonly Uid[] = [undefined, PLAIN_UID]

export function userName(uid: Uid): string {
  return uid === undefined ? 'this user' : `uid ${uid}`
}

/** Skips the test, or from a hook its whole suite, saying why: for the reporter, and in a test's title for mocha's own. */
export function skipBecause(test: Context, reason: string): never {
  const runnable = test.test as { type: string; title: string; parent?: object } | undefined
  if (runnable?.type === 'hook') {
    Object.assign(runnable.parent ?? {}, { skipReason: reason })
  } else if (runnable !== undefined) {
    Object.assign(runnable, { skipReason: reason })
    runnable.title += ` (skipped: ${reason})`
  }
  test.skip()
}

/** Skips unless the tests may become `uid` and that user may read this repository. */
export function requireUser(test: Context, uid: Uid): void {
  if (uid === undefined) return
  if (process.geteuid?.() !== 0) skipBecause(test, 'only root can become another user')
  const words = ['--reuid', String(uid), '--regid', String(uid), '--clear-groups', 'test', '-r']
  const readable = spawnSync('setpriv', [...words, bundledScript('support/filter-preload.ts')]).status === 0
  const repository = spawnSync('setpriv', [...words, new URL(import.meta.url).pathname]).status === 0
  if (!readable || !repository) skipBecause(test, `uid ${uid} may not read this repository`)
}

/** Skips unless `command` runs to a good end here. */
export function requireCommand(test: Context, ...command: string[]): void {
  const [file, ...args] = command
  const { error, status, stderr } = spawnSync(file as string, args, { encoding: 'utf8', timeout: 5000 })
  if (error === undefined && status === 0) return
  skipBecause(test, `${command.join(' ')}: ${error?.message ?? stderr.trim()}`)
}

/** Skips unless so much memory is free. */
export function requireMemory(test: Context, byteCount: number): void {
  const [, kibibytes] = /^MemAvailable:\s+(\d+) kB/m.exec(fs.readFileSync('/proc/meminfo', 'utf8')) ?? []
  if (Number(kibibytes) * 1024 >= byteCount) return
  skipBecause(test, `it needs ${Math.ceil(byteCount / 2 ** 30)} GiB of free memory`)
}

/** Runs each test of the calling suite in a clean room; afterwards nothing of its jobs may be left. */
export function useCleanRoom(): { readonly room: CleanRoom } {
  const holder = {} as { room: CleanRoom }
  beforeEach(() => {
    holder.room = new CleanRoom()
  })
  afterEach(async () => {
    try {
      await holder.room.assertClean()
    } finally {
      holder.room.close()
    }
  })
  return holder
}

export interface TrafficOptions extends Omit<CommandOptions, 'env'> {
  readonly env?: NodeJS.ProcessEnv
  readonly size?: number
  readonly face?: 'sync' | 'async' | 'mixed'
  readonly rounds?: number
  readonly lengths?: readonly number[]
  /** Options of `onecopy run`. */
  readonly flags?: readonly string[]
  /** In force from before the ranks' first instruction; with `ranks: [-1]` for the launcher as well. */
  readonly filter?: FilterPlan
  readonly lateFilter?: LateFilter
}

let trafficScript: string | undefined
let preload: string | undefined
let faultPreload: string | undefined

/** Environment that puts `plan` in force in node processes, the launcher among them. */
export function filterEnvironment(plan: FilterPlan): NodeJS.ProcessEnv {
  preload ??= bundledScript('support/filter-preload.ts')
  return { OC_TEST_FILTER: JSON.stringify(plan), NODE_OPTIONS: `--import=file://${preload}` }
}

/** Environment that leaves one rank little address space. */
export function addressSpaceEnvironment(space: AddressSpace): NodeJS.ProcessEnv {
  const file = bundledScript('support/address-space-preload.ts')
  return { OC_TEST_ADDRESS_SPACE: JSON.stringify(space), NODE_OPTIONS: `--import=file://${file}` }
}

/** Environment that makes the ranks' single copies fail as `faults` says. */
export function callFaultEnvironment(faults: CallFaults | null): NodeJS.ProcessEnv {
  faultPreload ??= bundledScript('support/call-faults.ts')
  return {
    OC_TEST_CALL_FAULTS: JSON.stringify(faults),
    NODE_OPTIONS: `--import=file://${faultPreload}`,
    // It is koffi's calls that are made to fail.
    ONECOPY_FFI: 'koffi',
  }
}

/** Runs ranks that exchange checked messages; gives the command, ended, whatever came of it. */
export function runTraffic(room: CleanRoom, options: TrafficOptions): Promise<RunningCommand> {
  trafficScript ??= bundledScript('ranks/reliability-traffic.ts')
  const {
    size = 3,
    face = 'mixed',
    rounds = 2,
    lengths = [],
    flags = [],
    filter,
    lateFilter,
    env,
    ...command
  } = options
  const args = ['run', '-n', String(size), ...flags, trafficScript, face, String(rounds), ...lengths.map(String)]
  return runCommand(args, {
    ...command,
    env: {
      ...room.env,
      ...(filter === undefined ? {} : filterEnvironment(filter)),
      ...(lateFilter === undefined ? {} : { OC_TEST_LATE_FILTER: JSON.stringify(lateFilter) }),
      ...env,
    },
  })
}

/** What ranks printed about their traffic, by rank, of a job that ended well. */
export function reportsOf(run: RunningCommand, size = 3): TrafficReport[] {
  assert.equal(run.exitCode, 0, `exit code ${run.exitCode}, ${run.signal}: ${run.stderr}${run.stdout}`)
  const reports = run.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as TrafficReport)
    .sort((a, b) => a.rank - b.rank)
  assert.deepEqual(
    reports.map(({ rank }) => rank),
    Array.from({ length: size }, (_, rank) => rank),
  )
  return reports
}

/** The launcher's own lines. */
export function noticesOf(run: RunningCommand): string[] {
  return run.stderr.split('\n').filter((line) => line.startsWith('onecopy: '))
}

/** Waits until every process sleeps: whoever was to block has blocked. */
export async function allAsleep(pids: readonly number[]): Promise<void> {
  let quiet = 0
  await until(
    () => {
      quiet = pids.every((pid) => stateOf(pid) === 'S') ? quiet + 1 : 0
      return quiet >= 3
    },
    10_000,
    `ranks ${pids.join(', ')} asleep`,
  )
}

function stateOf(pid: number): string {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
  } catch {
    return ''
  }
}
