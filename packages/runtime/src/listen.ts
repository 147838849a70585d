import { init } from './init.js'
import type { Intercommunicator } from './intercommunicator.js'
import type { JoinOptions } from './processes/join.js'

/** Waits on all ranks of the world for another job: as `world.listen`. @see MPI 4.1, 11.9.4 */
export async function listen(name: string, options?: JoinOptions): Promise<Intercommunicator> {
  return (await init()).listen(name, options)
}

/** Connects all ranks of the world to another job: as `world.connect`. @see MPI 4.1, 11.9.4 */
export async function connect(name: string, options?: JoinOptions): Promise<Intercommunicator> {
  return (await init()).connect(name, options)
}
