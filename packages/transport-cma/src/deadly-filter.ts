import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { isFiltered } from './refusal.js'

const PROBE_MILLISECONDS_MAX = 5000

/**
 * Whether a system call filter of this process would kill whoever tries a single copy: a child tries it. No filter, no
 * child; so this costs nothing outside containers, and about 100 ms inside.
 * @returns the reason not to try, in words, or null.
 */
export function findDeadlyFilter(ffi: string): string | null {
  if (!isFiltered()) return null
  const script = fileURLToPath(new URL('./deadly-filter-child.js', import.meta.url))
  // on demand: loading it costs milliseconds that only filtered processes need to pay
  const { spawnSync } = createRequire(import.meta.url)('node:child_process') as typeof import('node:child_process')
  const { signal } = spawnSync(process.execPath, [script, ffi], { stdio: 'ignore', timeout: PROBE_MILLISECONDS_MAX })
  return signal === null
    ? null
    : `the system call filter ends processes that try process_vm_readv or writev (${signal})`
}
