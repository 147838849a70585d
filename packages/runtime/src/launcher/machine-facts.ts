import fs from 'node:fs'
import os from 'node:os'
import { FFI_PACKAGES, whyNoFfi } from '../transports.js'
import { allowedCores } from './cores.js'
import type { DoctorReport } from './doctor-report.js'
import { scriptNodeArgs } from './node-command.js'

const CAP_SYS_PTRACE = 19n
const MEBIBYTE = 1024 * 1024

/** What each value of Yama's ptrace_scope means for reading another rank's memory. */
const YAMA: Readonly<Record<string, string>> = {
  '0': 'ranks of one user may read each other',
  '1': 'only descendants may be read: ranks admit each other through the launcher, and single copy works',
  '2': 'only with CAP_SYS_PTRACE: without it, no single copy; an administrator can set kernel.yama.ptrace_scope=1',
  '3': 'never: no single copy until the next boot with a lower value',
}

const SECCOMP: Readonly<Record<string, string>> = {
  '0': 'no filter',
  '1': 'strict',
  '2': 'a filter is installed, as in containers',
}

/** Looks at everything that decides how ranks can talk here. Changes nothing. */
export function machineFacts(environment: NodeJS.ProcessEnv = process.env): DoctorReport['facts'] {
  const facts: [string, string, string][] = []
  const cores = allowedCores()?.length ?? os.availableParallelism()
  facts.push(['node', `${process.version} ${process.platform} ${process.arch}`, ''])
  facts.push(['TypeScript', typescript(), ''])
  facts.push(['kernel', `${os.type()} ${os.release()}`, ''])
  facts.push([
    'cores',
    String(cores),
    cores < os.cpus().length ? `of ${os.cpus().length}; this process may use no more` : '',
  ])
  facts.push(['load', ...load(cores)])
  facts.push(['memory', memory(), ''])
  facts.push(['shared memory', sharedMemory(), ''])
  facts.push(['user', user(), ''])
  for (const name of FFI_PACKAGES) {
    const why = whyNoFfi(name)
    facts.push([`FFI: ${name}`, why === null ? 'loads' : `no: ${why}`, ''])
  }
  if (environment.ONECOPY_FFI) facts.push(['ONECOPY_FFI', environment.ONECOPY_FFI, 'chosen by the environment'])
  if (process.platform === 'linux') facts.push(...linuxFacts())
  return facts
}

function linuxFacts(): [string, string, string][] {
  const scope = read('/proc/sys/kernel/yama/ptrace_scope')
  const status = read('/proc/self/status') ?? ''
  const seccomp = /^Seccomp:\s*(\d)/m.exec(status)?.[1]
  const openFiles = /^Max open files\s+(\S+)/m.exec(read('/proc/self/limits') ?? '')?.[1] ?? 'unknown'
  return [
    ['Yama ptrace_scope', scope ?? 'not there', scope === null ? (YAMA['0'] as string) : (YAMA[scope] ?? '')],
    ['seccomp', seccomp ?? 'unknown', SECCOMP[seccomp ?? ''] ?? ''],
    ['CAP_SYS_PTRACE', hasCapability(status, CAP_SYS_PTRACE) ? 'yes' : 'no', ''],
    ['open files', openFiles, 'three per rank in the launcher'],
  ]
}

function typescript(): string {
  try {
    const [flag, value] = scriptNodeArgs('script.ts')
    if (flag === '--import') return `through tsx (${value})`
    return 'node strips types by itself'
  } catch (error) {
    return (error as Error).message
  }
}

function load(cores: number): [string, string] {
  const load = os.loadavg()[0] as number
  return [
    load.toFixed(2),
    load > cores / 2 ? 'others are at work: what is measured now is slower than it could be' : '',
  ]
}

function memory(): string {
  const available = /^MemAvailable:\s+(\d+)/m.exec(read('/proc/meminfo') ?? '')?.[1]
  const free = available === undefined ? os.freemem() : Number(available) * 1024
  const limit = read('/sys/fs/cgroup/memory.max')
  const limited = limit === null || limit === 'max' ? '' : `, limited to ${mebibytes(Number(limit))} by its cgroup`
  return `${mebibytes(os.totalmem())}, ${mebibytes(free)} available${limited}`
}

function sharedMemory(): string {
  try {
    const { bsize, blocks, bavail } = fs.statfsSync('/dev/shm')
    return `/dev/shm ${mebibytes(bsize * blocks)}, ${mebibytes(bsize * bavail)} free (used only where memfd is refused)`
  } catch {
    return 'no /dev/shm (used only where memfd is refused)'
  }
}

function user(): string {
  const uid = process.geteuid?.()
  if (uid === undefined) return os.userInfo().username
  const map = (read('/proc/self/uid_map') ?? '').trim().split(/\s+/)
  const namespace = map.length === 3 && map[2] !== '4294967295' ? ', in a user namespace of its own' : ''
  return `uid ${uid}${namespace}`
}

function hasCapability(status: string, capability: bigint): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1]
  return effective !== undefined && ((BigInt(`0x${effective}`) >> capability) & 1n) === 1n
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / MEBIBYTE)} MiB`
}

function read(file: string): string | null {
  try {
    return fs.readFileSync(file, 'utf8').trim()
  } catch {
    return null
  }
}
