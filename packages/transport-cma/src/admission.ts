import { readFileSync } from 'node:fs'
import type { Libc } from './libc/libc.js'
import { PR_SET_PTRACER } from './libc/numbers.js'
import { yamaScope } from './refusal.js'

/** More generations than any launcher is away; ends the walk if /proc should show a circle. */
const GENERATIONS_MAX = 64

/**
 * Under Yama's ptrace_scope 1 only an ancestor may read a process, and whoever that process names, with his descendants: the
 * launcher's pid admits this job's ranks and nobody else. Under every other scope that would change nothing, so nothing is
 * done; whether this process is dumpable is never touched, because that is the user's own protection.
 *
 * A launcher that is no ancestor from here is not named: in a pid namespace of the rank's own its pid means a stranger.
 * @returns how to take it back.
 */
export function admitJob(libc: Libc, launcherPid: number | null, scope: number | null = yamaScope()): () => void {
  const admits = scope === 1 && launcherPid !== null && isSelfOrAncestor(launcherPid)
  if (!admits || libc.prctl(PR_SET_PTRACER, launcherPid) < 0) return () => undefined
  return () => {
    libc.prctl(PR_SET_PTRACER, 0)
  }
}

/** Whether `pid` is this process, or has started it, through however many others. */
function isSelfOrAncestor(pid: number): boolean {
  let current = process.pid
  for (let i = 0; i < GENERATIONS_MAX && current > 0; i++) {
    if (current === pid) return true
    current = current === process.pid ? process.ppid : parentOf(current)
  }
  return false
}

/** The parent of another process; 0 when there is none, or /proc does not say. */
function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the name in parentheses, which may hold anything; the state follows, then the parent.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return 0
  }
}
