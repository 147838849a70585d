import { closeSync } from 'node:fs'
import {
  type JobPlan,
  OnecopyError,
  type PreparedTransport,
  type Probe,
  type Transport,
  type TransportJob,
  type TransportProvider,
} from '@onecopy/transport'
import { admitJob } from './admission.js'
import { type CmaMode, CmaRemoteMemory } from './cma-remote-memory.js'
import { CmaTransport } from './cma-transport.js'
import { findDeadlyFilter } from './deadly-filter.js'
import { Doorbell } from './doorbell.js'
import { HugePages, hasHugePages } from './huge-pages.js'
import { Identity } from './identity.js'
import { loadLibc } from './libc/choose.js'
import type { Libc } from './libc/libc.js'
import { refuseOversized } from './memory-limits.js'
import { probeCma } from './probe.js'
import { defaultGeometry, HEADER_ID_WORDS, ringGeometry, segmentLayout } from './ring-layout.js'
import { createSegment, Segment } from './segment.js'

/** What the launcher tells the ranks about the segment: plain JSON. */
interface SegmentData {
  readonly size: number
  readonly slotCount: number
  readonly payloadBytes: number
  readonly id: readonly number[]
  /** Why no rank may try a single copy, or null. */
  readonly ban: string | null
}

type Settings = Readonly<Record<string, string | undefined>>

/**
 * The transport for ranks on one Linux machine: rings in one shared segment, single copies by process_vm_readv and writev.
 *
 * Settings (from the job, else from the environment): `ONECOPY_FFI` (`koffi`, `ffi-napi`, `none`), `ONECOPY_CMA` (`on`,
 * `off`, `no-write`, `require`), `ONECOPY_HUGE_PAGES` (`on`, `off`), `ONECOPY_RING_BYTES` (payload bytes of a ring, a power of two), `ONECOPY_SHM_MAX` (bytes).
 */
export const cmaProvider: TransportProvider = {
  name: 'cma',
  probe: (): Probe => probeCma(),
  prepare: async (plan) => prepare(plan),
  open,
}

function prepare(plan: JobPlan): PreparedTransport {
  const libc = requireLibc(plan.settings)
  const { size } = plan
  const wish = setting(plan.settings, 'ONECOPY_RING_BYTES')
  const usual = defaultGeometry(size)
  if (wish !== undefined)
    refuseOversized(Number(wish) * size * (size - 1), size, setting(plan.settings, 'ONECOPY_SHM_MAX'))
  const geometry = wish === undefined ? usual : ringGeometry(usual.slotCount, Number(wish))
  const layout = segmentLayout(size, geometry)
  refuseOversized(layout.totalBytes, size, setting(plan.settings, 'ONECOPY_SHM_MAX'))
  const ban = findDeadlyFilter(libc.name)
  const { descriptor, id } = createSegment(libc, layout, plan.directory)
  const data: SegmentData = { size, slotCount: layout.slotCount, payloadBytes: layout.payloadBytes, id, ban }
  let released = false
  return {
    descriptor,
    data,
    release(): void {
      if (released) return
      released = true
      closeSync(descriptor)
    },
  }
}

function open(job: TransportJob): Transport {
  const libc = requireLibc(job.settings)
  if (job.descriptor === null) throw new OnecopyError('ERR_UNAVAILABLE', 'this rank inherited no shared segment')
  const { slotCount, payloadBytes, id, ban: deadly } = checkedData(job.data, job.size)
  const mode = cmaMode(setting(job.settings, 'ONECOPY_CMA'))
  const mayBeHuge = usesHugePages(setting(job.settings, 'ONECOPY_HUGE_PAGES'))
  const ban = mode === 'off' ? 'ONECOPY_CMA=off' : deadly
  if (deadly !== null && mode !== 'off') {
    if (mode === 'require')
      throw new OnecopyError('ERR_CMA_DENIED', `single copy is required (ONECOPY_CMA), but ${deadly}`)
    job.notice('cma-refused', `single copy is off: ${deadly}. Messages go through shared memory instead`)
  }
  const layout = segmentLayout(job.size, ringGeometry(slotCount, payloadBytes))
  const segment = new Segment(libc, job.descriptor, layout, id)
  let doorbell: Doorbell
  try {
    doorbell = new Doorbell(libc, segment, job.rank, job.directory)
  } catch (error) {
    segment.release()
    throw error
  }
  const identity = new Identity(libc, job.size)
  const remoteMemory = new CmaRemoteMemory({
    libc,
    rank: job.rank,
    size: job.size,
    identity,
    words: segment.words,
    mode,
    hugePages: new HugePages(libc, mayBeHuge && ban === null ? hasHugePages : () => false),
    ban,
    notice: (key, message) => job.notice(key, message),
  })
  const undo = ban === null ? admitJob(libc, job.launcherPid) : (): void => undefined
  // Last of all: from here on peers find this rank.
  identity.publish(segment.words, job.rank)
  return new CmaTransport({
    rank: job.rank,
    size: job.size,
    libc,
    segment,
    identity,
    doorbell,
    remoteMemory,
    undo,
  })
}

function requireLibc(settings: Settings): Libc {
  const { libc, reason } = loadLibc(setting(settings, 'ONECOPY_FFI'))
  if (libc === null) throw new OnecopyError('ERR_UNAVAILABLE', `the cma transport cannot work here: ${reason}`)
  return libc
}

/** A setting by its variable's name; a launcher hands `ONECOPY_RING_BYTES` over as `ringBytes`. */
function setting(settings: Settings, variable: string): string | undefined {
  const name = variable
    .replace('ONECOPY_', '')
    .toLowerCase()
    .replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  const value = settings[variable] ?? settings[name] ?? process.env[variable]
  return value === '' ? undefined : value
}

function cmaMode(value: string | undefined): CmaMode {
  if (value === undefined) return 'on'
  if (value === 'on' || value === 'off' || value === 'require' || value === 'no-write') return value
  throw new RangeError(`ONECOPY_CMA is one of on, off, no-write, require; not ${value}`)
}

function usesHugePages(value: string | undefined): boolean {
  if (value === undefined || value === 'on') return true
  if (value === 'off') return false
  throw new RangeError(`ONECOPY_HUGE_PAGES is on or off; not ${value}`)
}

function checkedData(data: unknown, size: number): SegmentData {
  const { slotCount, payloadBytes, id, ban, ...rest } = (data ?? {}) as Partial<SegmentData>
  const valid =
    rest.size === size &&
    typeof slotCount === 'number' &&
    typeof payloadBytes === 'number' &&
    Array.isArray(id) &&
    id.length === HEADER_ID_WORDS &&
    (ban === null || typeof ban === 'string')
  if (!valid)
    throw new OnecopyError('ERR_PROTOCOL', 'what the launcher said about the shared segment does not fit this job')
  return { size, slotCount, payloadBytes, id: id as number[], ban: ban as string | null }
}
