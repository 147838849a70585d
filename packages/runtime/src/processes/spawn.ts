import { fileURLToPath } from 'node:url'
import { checkRoot } from '../arguments.js'
import type { Intercommunicator } from '../intercommunicator.js'
import type { Job } from '../job.js'
import type { SpawnQuestion } from '../launcher/control-message.js'
import type { Exchange, Schedule } from '../schedule.js'
import { askForBridge, intercommunicatorOver } from './bridge.js'

/** One of several programs to spawn: MPI's `MPI_Comm_spawn_multiple`. */
export interface SpawnProgram {
  /** A file as `onecopy run` takes it, relative to `cwd`, or a file URL: `new URL('./worker.js', import.meta.url)`. */
  readonly script: string | URL
  /** How many processes run it. */
  readonly size: number
  /** Words for this program's script; default none. */
  readonly args?: readonly string[]
}

/** How children start. Only what the root says counts. */
export interface SpawnOptions {
  /** Words for the script, in `process.argv` behind it. */
  readonly args?: readonly string[]
  /** The rank whose options count, and whose launcher starts the children. Default: 0. */
  readonly root?: number
  /** Added to the job's environment; undefined takes a variable out. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Default: the root's working directory. */
  readonly cwd?: string
  /** Options for node itself, before the script. Default: as the job's. */
  readonly nodeArgs?: readonly string[]
  /** Seconds that those who have come wait for the others. Default: as the job's. */
  readonly startTimeout?: number
}

/** Starts `programs` as a job of their own and opens the bridge to it; every rank of `members` calls it. */
export function spawnJob(
  home: Job,
  exchange: Exchange,
  members: readonly number[],
  programs: readonly SpawnProgram[],
  options: SpawnOptions,
): Schedule<Intercommunicator> {
  const { root = 0 } = options
  checkRoot(root, members.length)
  const bridge = askForBridge(home, exchange, root, undefined, () => questionOf(members, programs, options))
  return intercommunicatorOver(home, bridge, 'spawned')
}

/** The programs in either form of the call. */
export function programsOf(
  script: string | URL | readonly SpawnProgram[],
  size: number | SpawnOptions | undefined,
  options: SpawnOptions | undefined,
): [readonly SpawnProgram[], SpawnOptions] {
  if (typeof script !== 'string' && !(script instanceof URL)) return [script, (size as SpawnOptions | undefined) ?? {}]
  const args = options?.args
  return [[{ script, size: size as number, ...(args === undefined ? {} : { args }) }], options ?? {}]
}

function questionOf(
  members: readonly number[],
  programs: readonly SpawnProgram[],
  options: SpawnOptions,
): SpawnQuestion {
  const { env = {}, cwd, nodeArgs, startTimeout } = options
  return {
    verb: 'spawn',
    members,
    programs: programs.map(({ script, size, args = [] }) => ({
      script: script instanceof URL ? fileURLToPath(script) : script,
      size,
      args: args.map(String),
    })),
    cwd: cwd ?? process.cwd(),
    env: Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value ?? null])),
    nodeArgs: nodeArgs ?? null,
    startTimeout: startTimeout ?? null,
  }
}
