import fs from 'node:fs'
import path from 'node:path'
import { LaunchArgumentError } from './launch-options.js'

/** The cores this process may use, as `taskset -c` numbers them. Null where the system does not tell. */
export function allowedCores(): number[] | null {
  let list: string | undefined
  try {
    list = /^Cpus_allowed_list:\s*(\S+)/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1]
  } catch {
    return null
  }
  if (list === undefined) return null
  const cores: number[] = []
  for (const range of list.split(',')) {
    const [first, last] = range.split('-').map(Number)
    for (let core = first as number; core <= (last ?? (first as number)); core++) cores.push(core)
  }
  return cores
}

/**
 * The command that pins rank `rank` to one core, to be put before node's: rank i gets the i-th allowed core, and starts over
 * when there are more ranks than cores. `taskset` replaces itself by node, so no process stands between.
 * @throws LaunchArgumentError where ranks cannot be pinned; the message says why.
 */
export function pinCommand(rank: number, environment: NodeJS.ProcessEnv): string[] {
  const cores = allowedCores()
  if (cores === null || cores.length === 0) {
    throw new LaunchArgumentError(
      `--bind core works on Linux only: ${process.platform} does not tell which cores there are`,
    )
  }
  if (!isInPath('taskset', environment)) {
    throw new LaunchArgumentError('--bind core needs the command taskset: install util-linux, or leave the option out')
  }
  return ['taskset', '-c', String(cores[rank % cores.length])]
}

function isInPath(command: string, environment: NodeJS.ProcessEnv): boolean {
  return (environment.PATH ?? '').split(path.delimiter).some((folder) => {
    try {
      fs.accessSync(path.join(folder, command), fs.constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
