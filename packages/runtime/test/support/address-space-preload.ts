// Preloaded (`--import`) where a test wants one rank with little address space: reads OC_TEST_ADDRESS_SPACE, a JSON of
// AddressSpace. The limit is set from inside, because how much a bare node takes differs by gigabytes between versions.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'

export interface AddressSpace {
  readonly rank: number
  /** What it may map beyond what it has. */
  readonly bytesMore: number
}

const { rank, bytesMore } = JSON.parse(process.env.OC_TEST_ADDRESS_SPACE ?? '{"rank":-2}') as AddressSpace
if (Number(process.env.ONECOPY_RANK ?? -1) === rank) {
  const kibibytes = Number(/^VmSize:\s+(\d+) kB/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1])
  const limit = kibibytes * 1024 + bytesMore
  const { status, stderr } = spawnSync('prlimit', [`--pid=${process.pid}`, `--as=${limit}:${limit}`], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`prlimit: ${stderr}`)
}
