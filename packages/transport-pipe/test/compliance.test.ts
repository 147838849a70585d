import { complianceSuite } from '@onecopy/transport/compliance'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { PipeJob } from './pipe-job.js'

complianceSuite(
  { describe, it, beforeEach, afterEach },
  {
    name: 'pipe',
    turn: () => new Promise((resolve) => setImmediate(resolve)),
    lacks: {
      remoteMemory: 'FIFOs carry frames only',
      remoteWrite: 'FIFOs carry frames only',
      board: 'FIFOs have one reader',
    },
    async open(size) {
      const job = await PipeJob.prepare(size)
      const transports = await Promise.all(Array.from({ length: size }, (_, rank) => job.open(rank)))
      return { transports, close: () => job.close() }
    },
  },
)
