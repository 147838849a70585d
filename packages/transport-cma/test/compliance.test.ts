import { complianceSuite } from '@onecopy/transport/compliance'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { CmaJob } from './cma-job.js'

const withdrawal = 'a region is an address'
const WAYS = [
  { name: 'cma over koffi', settings: { ONECOPY_FFI: 'koffi' }, lacks: { withdrawal } },
  { name: 'cma over ffi-napi', settings: { ONECOPY_FFI: 'ffi-napi' }, lacks: { withdrawal } },
  {
    name: 'cma with remote memory denied',
    settings: { ONECOPY_CMA: 'off' },
    lacks: { remoteMemory: 'ONECOPY_CMA=off', remoteWrite: 'ONECOPY_CMA=off' },
  },
  {
    name: 'cma without remote writes',
    settings: { ONECOPY_CMA: 'no-write' },
    lacks: { withdrawal, remoteWrite: 'ONECOPY_CMA=no-write' },
  },
]

for (const { name, settings, lacks } of WAYS) {
  complianceSuite(
    { describe, it, beforeEach, afterEach },
    {
      name,
      turn: () => new Promise((resolve) => setImmediate(resolve)),
      lacks,
      async open(size) {
        const job = await CmaJob.prepare(size, settings)
        return { transports: await job.openAll(), close: () => job.close() }
      },
    },
  )
}
