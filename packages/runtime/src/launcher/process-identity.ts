import fs from 'node:fs'

/** Fields of /proc/<pid>/stat after the command's name, which may itself hold spaces and brackets. */
const STATE_FIELD = 0
const START_TIME_FIELD = 19

/**
 * When process `pid` started, in clock ticks since boot: together with the pid it names one process for good, because pids
 * are used again. '0' where the system does not tell (no /proc); null when there is no such process, or only what its parent has
 * yet to take note of.
 */
export function processStartTime(pid: number): string | null {
  let stat: string
  try {
    stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    if (fs.existsSync('/proc/self/stat')) return null
    return isAlive(pid) ? '0' : null
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[STATE_FIELD] === 'Z' ? null : (fields[START_TIME_FIELD] ?? '0')
}

/** The inode of this process's pid namespace: a pid means something only together with it. 0 where there are none. */
export function pidNamespace(): number {
  try {
    return Number(/\d+/.exec(fs.readlinkSync('/proc/self/ns/pid'))?.[0] ?? 0)
  } catch {
    return 0
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
