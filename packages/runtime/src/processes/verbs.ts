import type { Intercommunicator } from '../intercommunicator.js'
import type { Job } from '../job.js'
import { intercommunicatorOver, type Members, openBridge } from './bridge.js'
import { connectBridge, type JoinOptions, listenBridge } from './join.js'
import { programsOf, type SpawnOptions, type SpawnProgram, spawnBridge } from './spawn.js'

/** `Communicator.spawn`. */
export async function spawn(
  job: Job,
  members: Members,
  script: string | URL | readonly SpawnProgram[],
  size?: number | SpawnOptions,
  options?: SpawnOptions,
): Promise<Intercommunicator> {
  const [programs, given] = programsOf(script, size, options)
  return intercommunicatorOver(await spawnBridge(job, members, programs, given), 'spawned')
}

/** `Communicator.listen`. */
export async function listen(
  job: Job,
  members: Members,
  name: string,
  options?: JoinOptions,
): Promise<Intercommunicator> {
  return intercommunicatorOver(await listenBridge(job, members, name, options), name)
}

/** `Communicator.connect`. */
export async function connect(
  job: Job,
  members: Members,
  name: string,
  options?: JoinOptions,
): Promise<Intercommunicator> {
  return intercommunicatorOver(await connectBridge(job, members, name, options), name)
}

/** The way to the ranks that have spawned this one's job, over the link's `line`. */
export async function parentOf(job: Job, line: number): Promise<Intercommunicator> {
  return intercommunicatorOver(await openBridge(job, line), 'parents')
}

/** `Communicator.disconnect`. */
export function disconnect(job: Job): Promise<void> {
  if (job.group.isHome(job)) {
    throw new TypeError(
      'only a communicator from spawn, parent, listen or connect can be disconnected: free() this one',
    )
  }
  return job.finalize()
}
