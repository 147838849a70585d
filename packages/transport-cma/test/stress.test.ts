import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { ChildLines } from './child-lines.js'
import { CmaJob } from './cma-job.js'

const SEED = Number(process.env.SEED ?? 20261123)
const FRAMES = 20_000

describe('several processes at once', () => {
  for (const ffi of ['koffi', 'ffi-napi']) {
    for (const ringBytes of [8192, 262144]) {
      it(`lose no frame and no wake-up over ${ffi}, rings of ${ringBytes} bytes (seed ${SEED})`, async () => {
        const job = await CmaJob.prepare(3, { ONECOPY_FFI: ffi, ONECOPY_RING_BYTES: String(ringBytes) })
        try {
          const children = [0, 1, 2].map((rank) =>
            job.startScript('stress.ts', rank, [], [String(FRAMES), String(SEED)]),
          )
          const results = await Promise.all(children.map((child) => new ChildLines(child).next('wrong ')))
          for (const result of results) assert.match(result, /^0 lost 0 sleeps \d+$/)
        } finally {
          job.close()
        }
      })
    }
  }
})
