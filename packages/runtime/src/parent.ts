import { init, PARENT } from './init.js'
import type { Intercommunicator } from './intercommunicator.js'
import { publishedLink } from './launcher/link-slot.js'

/**
 * In a process that was spawned: the communicator to the ranks that have spawned it, once everybody has come; the same one
 * each time. Joins the job first, as {@link init} does. Null in a process that was not spawned, and once that communicator has been
 * disconnected or freed.
 * @example
 * const boss = await parent()
 * if (boss === null) throw new Error('start me with world.spawn()')
 * @see MPI 4.1, 11.8.2 (MPI_Comm_get_parent)
 */
export function parent(): Promise<Intercommunicator> | null {
  if ((publishedLink()?.parentLine ?? null) === null) return null
  const holder = globalThis as { [PARENT]?: Intercommunicator }
  if (holder[PARENT]?.isOver) return null
  return init().then(() => holder[PARENT] as Intercommunicator)
}
