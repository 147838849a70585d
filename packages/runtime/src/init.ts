import { isMainThread } from 'node:worker_threads'
import { OnecopyError } from '@onecopy/transport'
import type { Communicator } from './communicator.js'
import type { Intercommunicator } from './intercommunicator.js'
import { Job } from './job.js'
import type { JobLink } from './job-link.js'
import { publishedLink } from './launcher/link-slot.js'
import { LoneLink } from './lone-link.js'
import { intercommunicatorOver, openBridge } from './processes/bridge.js'
import { TRANSPORTS } from './transports.js'
import { widenInlining } from './v8-options.js'

/** Where the process keeps its world: one per process, even when two copies of this library meet in it. */
const WORLD = Symbol.for('onecopy.world')
/** … and its way to the ranks that have spawned it. */
export const PARENT = Symbol.for('onecopy.parent')

/**
 * Joins the job this process was started in and gives its world: a communicator of all ranks. Done when every rank has
 * called it, and in a spawned job when its parents have met it. A process that no launcher started is a world of one. Calling it again gives the same world.
 * @throws OnecopyError ERR_START_TIMEOUT, ERR_EARLY_EXIT when not every rank gets here; ERR_UNAVAILABLE when some pair of ranks
 *   has no transport, with the reasons.
 * @throws TypeError in a worker thread: a rank is a process.
 * @example
 * const world = await init()
 * console.log(`rank ${world.rank} of ${world.size}`)
 * @see MPI 4.1, 11.2.1
 */
export function init(): Promise<Communicator> {
  if (!isMainThread)
    throw new TypeError('init() was called in a worker thread: a rank is a process, call it in the main thread')
  const holder = globalThis as { [WORLD]?: Promise<Communicator> }
  holder[WORLD] ??= join()
  return holder[WORLD]
}

/** Whether {@link init} has been called in this process, in whichever copy of this library. */
export function isInitialized(): boolean {
  return WORLD in globalThis
}

async function join(): Promise<Communicator> {
  const launched = publishedLink()
  const link: JobLink = launched ?? new LoneLink()
  const job = await Job.start(link, TRANSPORTS)
  if (launched !== null) widenInlining()
  // A script that ends leaves the job as if it had called finalize(): what it has sent gets out first.
  process.once('beforeExit', () => {
    job.finalize().catch((error: unknown) => {
      if (!(error instanceof OnecopyError)) throw error
    })
  })
  process.once('exit', () => job.abandon())
  const line = link.parentLine ?? null
  if (line !== null) {
    const holder = globalThis as { [PARENT]?: Intercommunicator }
    const meeting = job.engine.run(intercommunicatorOver(job, openBridge(job, line), 'parents'))
    job.engine.began(meeting)
    holder[PARENT] = (await meeting) as Intercommunicator
  }
  return job.world
}
