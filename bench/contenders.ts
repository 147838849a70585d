import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from './measure.js'
import type { Runner } from './rounds.js'

/** One way to move a message between two processes (or threads) of this machine. */
export interface Contender extends Runner {
  /** The longest message it is given: some take minutes for what others do in milliseconds. */
  readonly bytesMax: number
  /** Whether it can carry the small object of the second table. */
  readonly carriesObjects: boolean
  /** A rough guess of one message's time, to choose how many make a batch. */
  readonly guess: { readonly microseconds: number; readonly bytesPerMicrosecond: number }
}

const here = dirname(fileURLToPath(import.meta.url))
const FAST = { microseconds: 0.5, bytesPerMicrosecond: 6000 }
const ALL_BYTES = 64 * 2 ** 20

/** The command line that starts `script` on `size` ranks. */
export function onecopyRun(
  size: number,
  script: string,
  args: readonly string[],
  options: readonly string[] = [],
): Command {
  const bin = join(dirname(createRequire(import.meta.url).resolve('onecopy/package.json')), 'bin', 'onecopy.mjs')
  return { file: process.execPath, args: [bin, 'run', '-n', `${size}`, ...options, scriptPath(script), ...args] }
}

export function scriptPath(name: string): string {
  return join(here, 'contenders', `${name}.mjs`)
}

export function makeContenders(): Contender[] {
  const openMpi = compile('openmpi', 'ping-pong')
  const mpich = compile('mpich', 'ping-pong')
  const asRoot = rootOptions()
  return [
    onecopy('sync', 'onecopy sync', 'onecopy-sync', FAST),
    onecopy('sync-ffi-napi', 'sync, ffi-napi', 'onecopy-sync', FAST, { ONECOPY_FFI: 'ffi-napi' }),
    onecopy('async', 'onecopy async', 'onecopy-async', { microseconds: 4, bytesPerMicrosecond: 5000 }),
    onecopy('async-into', 'async, recvInto', 'onecopy-async-into', { microseconds: 4, bytesPerMicrosecond: 6000 }),
    onecopy(
      'rings',
      'sync, no CMA',
      'onecopy-sync',
      { microseconds: 0.5, bytesPerMicrosecond: 4000 },
      { ONECOPY_CMA: 'off' },
    ),
    onecopy(
      'pipe',
      'sync, pipe',
      'onecopy-sync',
      { microseconds: 15, bytesPerMicrosecond: 1500 },
      { ONECOPY_TRANSPORT: 'pipe' },
    ),
    mpi('openmpi', 'Open MPI', openMpi, 'mpirun.openmpi', asRoot),
    mpi('openmpi-no-cma', 'Open MPI, no CMA', openMpi, 'mpirun.openmpi', [
      ...asRoot,
      '--mca',
      'btl_vader_single_copy_mechanism',
      'none',
    ]),
    mpi('mpich', 'MPICH', mpich, 'mpirun.mpich', []),
    node('worker-threads', 'worker_threads', 'worker-threads', [], ALL_BYTES, true, [60, 2500]),
    node('fork-advanced', 'fork advanced', 'fork', ['advanced'], 16 * 2 ** 20, true, [100, 500]),
    node('fork-json', 'fork json', 'fork', ['json'], 2 ** 20, true, [100, 8]),
    node('stdio-pipe', 'plain pipe', 'stdio-pipe', [], ALL_BYTES, false, [60, 1000]),
  ]
}

/** The ranks of one job, doing one collective after the other: onecopy and both C libraries. */
export function makeCollectiveRunners(size: number): Runner[] {
  const openMpi = compile('openmpi', 'collectives')
  const mpich = compile('mpich', 'collectives')
  return [
    {
      key: 'onecopy',
      title: 'onecopy',
      isOnecopy: true,
      command: (plan) => onecopyRun(size, 'collectives', [plan]),
      whyNot: null,
    },
    // more ranks than cores is what it has to be told; it then yields while it waits
    collectiveMpi('openmpi', 'Open MPI', openMpi, 'mpirun.openmpi', [...rootOptions(), '--oversubscribe'], size),
    collectiveMpi('mpich', 'MPICH', mpich, 'mpirun.mpich', [], size),
  ]
}

function collectiveMpi(
  key: string,
  title: string,
  program: Compiled,
  launcher: string,
  options: readonly string[],
  size: number,
): Runner {
  const command = (plan: string): Command => ({
    file: launcher,
    args: [...options, '-n', `${size}`, program.path, plan],
  })
  return { key, title, isOnecopy: false, command, whyNot: program.whyNot }
}

/** Open MPI refuses to run as root without being told to; the rest is its own choice of what is best here. */
function rootOptions(): string[] {
  return process.getuid?.() === 0 ? ['--allow-run-as-root'] : []
}

function onecopy(
  key: string,
  title: string,
  script: string,
  guess: Contender['guess'],
  env: Readonly<Record<string, string>> = {},
): Contender {
  const command = (plan: string): Command => ({ ...onecopyRun(2, script, [plan]), env })
  const carriesObjects = script === 'onecopy-async'
  return { key, title, isOnecopy: true, bytesMax: ALL_BYTES, carriesObjects, guess, command, whyNot: null }
}

function node(
  key: string,
  title: string,
  script: string,
  args: readonly string[],
  bytesMax: number,
  carriesObjects: boolean,
  [microseconds, bytesPerMicrosecond]: [number, number],
): Contender {
  const command = (plan: string): Command => ({ file: process.execPath, args: [scriptPath(script), plan, ...args] })
  const guess = { microseconds, bytesPerMicrosecond }
  return { key, title, isOnecopy: false, bytesMax, carriesObjects, guess, command, whyNot: null }
}

function mpi(key: string, title: string, program: Compiled, launcher: string, options: readonly string[]): Contender {
  return {
    key,
    title,
    isOnecopy: false,
    bytesMax: ALL_BYTES,
    carriesObjects: false,
    guess: FAST,
    command: (plan) => ({ file: launcher, args: [...options, '-n', '2', program.path, plan] }),
    whyNot: program.whyNot,
  }
}

interface Compiled {
  readonly path: string
  readonly whyNot: string | null
}

function compile(library: 'openmpi' | 'mpich', program: 'ping-pong' | 'collectives'): Compiled {
  const folder = join(here, '..', 'node_modules', '.cache', 'onecopy', 'bench')
  const path = join(folder, `${program}-${library}`)
  const compiler = `mpicc.${library}`
  mkdirSync(folder, { recursive: true })
  const result = spawnSync(compiler, ['-O2', '-o', path, join(here, 'c', `${program}.c`)], { encoding: 'utf8' })
  if (result.status === 0) return { path, whyNot: null }
  const isMissing = (result.error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT'
  return { path, whyNot: isMissing ? `${compiler} is not installed` : `${compiler} failed: ${result.stderr}` }
}
