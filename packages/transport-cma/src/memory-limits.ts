import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { OnecopyError } from '@onecopy/transport'

/** One mapping is one typed array; this is the largest that Node 20 makes, and keeps every word index an int32. */
const SEGMENT_BYTES_MAX = 2 ** 32
/** A job's rings may take this part of the memory that is free. */
const AVAILABLE_PART = 1 / 4

/**
 * Refuses a segment that this machine could not fill: the caller's own limit, a quarter of the available memory, the
 * control groups' limits, the limit of a file's size (beyond it the kernel would not answer but kill). Allocates nothing.
 * @param limitSetting bytes, as a user writes them, or undefined.
 * @throws OnecopyError ERR_LIMIT, naming what was wished, the limit, and the cure.
 */
export function refuseOversized(byteLength: number, size: number, limitSetting: string | undefined): void {
  for (const [name, limit] of limits(limitSetting)) {
    if (byteLength <= limit) continue
    throw new OnecopyError(
      'ERR_LIMIT',
      `rings for ${size} ranks could take ${byteLength} bytes of shared memory, over ${name} of ${Math.floor(limit)} bytes; ` +
        'use fewer ranks, smaller rings (ONECOPY_RING_BYTES), or --transport pipe',
    )
  }
}

function* limits(limitSetting: string | undefined): Generator<readonly [string, number]> {
  yield ['the largest mapping', SEGMENT_BYTES_MAX]
  if (limitSetting !== undefined && limitSetting !== '') yield ['the limit ONECOPY_SHM_MAX', Number(limitSetting)]
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(textOf('/proc/meminfo'))
  if (available !== null) yield ['a quarter of the available memory', Number(available[1]) * 1024 * AVAILABLE_PART]
  const fileSize = /^Max file size\s+(\d+)/m.exec(textOf('/proc/self/limits'))
  if (fileSize !== null) yield ['the file size limit (ulimit -f)', Number(fileSize[1])]
  yield ['the memory limit of this control group', controlGroupLimit()]
}

/** The smallest memory limit from this process's control group up to the root, in bytes; Infinity without one. */
function controlGroupLimit(): number {
  let smallest = Infinity
  for (const line of textOf('/proc/self/cgroup').split('\n')) {
    const [, controllers = '', group = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? []
    const unified = controllers === ''
    if (group === '' || !(unified || controllers.split(',').includes('memory'))) continue
    const root = unified ? '/sys/fs/cgroup' : '/sys/fs/cgroup/memory'
    const file = unified ? 'memory.max' : 'memory.limit_in_bytes'
    for (let path = group; ; path = join(path, '..')) {
      // 'max' gives NaN, no file gives 0: neither is a limit.
      const limit = Number(textOf(join(root, path, file)))
      if (limit > 0) smallest = Math.min(smallest, limit)
      if (path === '/') break
    }
  }
  return smallest
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
