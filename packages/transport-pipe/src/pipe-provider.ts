import { closeSync } from 'node:fs'
import {
  type JobPlan,
  OnecopyError,
  type PreparedTransport,
  type Transport,
  type TransportJob,
  type TransportProvider,
} from '@onecopy/transport'
import { createBulkFile } from './bulk-file.js'
import { findMkfifo, inboxPathOf, makeFifos, whyNotPrivate } from './fifo.js'
import { bulkGeometryOf } from './geometry.js'
import { PipeTransport } from './pipe-transport.js'
import { probePipes } from './probe.js'
import { errorFields, isSystemError, reasonOf } from './system-error.js'

/** Frames through FIFOs and a nameless file: for every machine with Node and a POSIX system, no FFI. */
export const pipeProvider: TransportProvider = {
  name: 'pipe',

  probe: probePipes,

  async prepare(plan: JobPlan): Promise<PreparedTransport> {
    const mkfifo = requireMkfifo()
    requirePrivate(plan.directory)
    const paths = Array.from({ length: plan.size }, (_, rank) => inboxPathOf(plan.directory, rank))
    await makeFifos(mkfifo, paths)
    const descriptor = createBulkFile(bulkGeometryOf(plan.size), plan.directory)
    let isReleased = false
    return {
      descriptor,
      data: null,
      release(): void {
        if (isReleased) return
        isReleased = true
        closeSync(descriptor)
      },
    }
  },

  async open(job: TransportJob): Promise<Transport> {
    requirePrivate(job.directory)
    if (job.descriptor === null) {
      throw new OnecopyError(
        'ERR_UNAVAILABLE',
        "The pipe transport's descriptor did not reach this rank: it must be inherited",
      )
    }
    try {
      return new PipeTransport(job, bulkGeometryOf(job.size), job.descriptor)
    } catch (error) {
      if (!isSystemError(error) || error instanceof OnecopyError) throw error
      throw new OnecopyError(
        'ERR_UNAVAILABLE',
        `Rank ${job.rank} cannot open its inbox in ${job.directory}: ${reasonOf(error)}`,
        { rank: job.rank, ...errorFields(error) },
      )
    }
  },
}

function requireMkfifo(): string {
  const probe = probePipes()
  const mkfifo = probe.available ? findMkfifo() : null
  if (mkfifo !== null) return mkfifo
  throw new OnecopyError(
    'ERR_UNAVAILABLE',
    `The pipe transport cannot work here: ${probe.available ? '' : probe.reason}`,
  )
}

function requirePrivate(directory: string): void {
  const why = whyNotPrivate(directory)
  if (why === null) return
  throw new OnecopyError('ERR_AUTH', `The pipe transport needs a directory that is this user's alone: ${why}`)
}
