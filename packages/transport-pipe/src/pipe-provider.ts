import { closeSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  type JobPlan,
  OnecopyError,
  type PreparedTransport,
  type Transport,
  type TransportJob,
  type TransportProvider,
} from '@onecopy/transport'
import { createBulkFile, createNamedBulkFile } from './bulk-file.js'
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
    const geometry = bulkGeometryOf(plan.size)
    if (plan.latecomers === true) return prepareNamed(createNamedBulkFile(geometry, plan.directory), plan.directory)
    const descriptor = createBulkFile(geometry, plan.directory)
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

  open(job: TransportJob): Transport {
    requirePrivate(job.directory)
    const source = job.descriptor ?? namedBulkFile(job)
    if (source === null) {
      throw new OnecopyError(
        'ERR_UNAVAILABLE',
        "The pipe transport's descriptor did not reach this rank: it must be inherited",
      )
    }
    try {
      return new PipeTransport(job, bulkGeometryOf(job.size), source)
    } catch (error) {
      if (!isSystemError(error) || error instanceof OnecopyError) throw error
      throw new OnecopyError(
        'ERR_UNAVAILABLE',
        `Rank ${job.rank} cannot open its inbox, or the file for large frames, in ${job.directory}: ${reasonOf(error)}`,
        { rank: job.rank, ...errorFields(error) },
      )
    }
  },
}

/** For ranks that inherit nothing: the file has a name until everybody has opened it. */
function prepareNamed(bulkFile: string, directory: string): PreparedTransport {
  return {
    descriptor: null,
    data: { bulkFile },
    release(): void {
      rmSync(join(directory, bulkFile), { force: true })
    },
  }
}

/** The path of the file that {@link prepareNamed} speaks of; null when it does not. */
function namedBulkFile(job: TransportJob): string | null {
  const name = (job.data as { bulkFile?: unknown } | null)?.bulkFile
  return typeof name === 'string' && !name.includes('/') ? join(job.directory, name) : null
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
