// What a rank of the security tests runs: makes every kind of traffic, says what it finds of itself and of its network
// namespace, and waits for a line on standard input (rank 0) or for rank 0.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { init, SUM } from 'onecopy'
import type { JobLink } from '../../src/job-link.js'

/** What a rank prints once everybody has talked to everybody. */
export interface SecurityReport {
  readonly rank: number
  readonly pid: number
  readonly directory: string
  /** Hexadecimal. Only a test may print it. */
  readonly token: string
  readonly grandchild: number
  /** Entries of the job's directory, and it itself, with what group and others may do. */
  readonly modes: readonly (readonly [string, string])[]
  /** Lines of /proc/net/tcp and its like, without their headings. */
  readonly internet: readonly string[]
  /** Names of the sockets in this network namespace that have one. */
  readonly names: readonly string[]
  readonly handlers: number
  readonly dumpable: number | null
}

const PR_GET_DUMPABLE = 3

const world = await init()
const { rank, size } = world
const link = (globalThis as Record<symbol, unknown>)[Symbol.for('onecopy.link')] as JobLink

for (let shift = 1; shift < size; shift++) {
  const dest = (rank + shift) % size
  const source = (rank - shift + size) % size
  for (const data of [new Uint8Array(8), new Uint8Array(300_000).fill(7), { list: [new Uint8Array(50_000)] }]) {
    world.sync.sendrecv(data, dest, source)
    await Promise.all([world.recv(source), world.send(data, dest)])
  }
}
await world.allreduce(rank, SUM)
const grandchild = spawn('sleep', ['30'], { stdio: 'ignore' })
await once(grandchild, 'spawn')

const report: SecurityReport = {
  rank,
  pid: process.pid,
  directory: link.directory,
  token: Buffer.from(link.token).toString('hex'),
  grandchild: grandchild.pid as number,
  modes: ['', ...fs.readdirSync(link.directory)].map((name) => {
    return [name, (fs.lstatSync(path.join(link.directory, name)).mode & 0o777).toString(8)] as const
  }),
  internet: ['tcp', 'tcp6', 'udp', 'udp6', 'raw', 'raw6'].flatMap((name) => tableOf(`/proc/net/${name}`)),
  names: tableOf('/proc/net/unix').flatMap((line) => line.trim().split(/\s+/).slice(7)),
  handlers: ['SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL'].reduce((sum, signal) => sum + process.listenerCount(signal), 0),
  dumpable: await askDumpable(),
}
fs.writeSync(1, `report ${JSON.stringify(report)}\n`)
if (rank === 0) await once(process.stdin, 'data')
await world.barrier()
grandchild.kill('SIGKILL')
process.stdin.destroy()

function tableOf(file: string): string[] {
  if (!fs.existsSync(file)) return []
  return fs.readFileSync(file, 'utf8').trim().split('\n').slice(1)
}

async function askDumpable(): Promise<number | null> {
  if (process.platform !== 'linux') return null
  const { default: koffi } = await import('koffi')
  const prctl = koffi.load(null).func('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong'])
  return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) as number
}
