import { errnoName } from './errno.js'
import type { Libc } from './libc/libc.js'
import { PR_SET_PDEATHSIG, SIGKILL } from './libc/numbers.js'

/**
 * Makes the kernel end this process (SIGKILL) as soon as the thread that started it ends, so that no rank outlives its
 * launcher, whatever it is doing. Call it from the main thread.
 * @param parentPid who must be the parent: a parent that ended before the call would never be noticed by the kernel.
 * @returns null when it holds; otherwise why not, in words. When the parent is gone the caller should end.
 */
export function setParentDeathSignal(libc: Libc, parentPid: number): string | null {
  const result = libc.prctl(PR_SET_PDEATHSIG, SIGKILL)
  if (result < 0) return `prctl(PR_SET_PDEATHSIG): ${errnoName(-result)}`
  const parent = libc.parentPid()
  return parent === parentPid ? null : `process ${parentPid} is not the parent any more (${parent} is)`
}
