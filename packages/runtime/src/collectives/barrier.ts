import type { Awaited, Exchange, Schedule } from '../schedule.js'
import { goesDirectly } from './choose.js'
import { NOTHING } from './messages.js'

/**
 * Waits until every rank of the communicator has called it. Few ranks tell each other. More send ceil(log2(size)) empty messages per rank: in step k to
 * the rank 2^k to the right, after which this rank has heard, at first or second hand, of 2^(k+1) ranks to the left.
 * @see MPI 4.1, 6.3
 * @see Hensgen, Finkel, Manber: Two algorithms for barrier synchronization (1988)
 */
export function* barrier(exchange: Exchange): Schedule<void> {
  const { rank, size } = exchange
  if (goesDirectly(size)) {
    const waits: Awaited<unknown>[] = []
    for (let step = 1; step < size; step++) waits.push(exchange.sendBytes(NOTHING, (rank + step) % size))
    for (let step = 1; step < size; step++) waits.push(exchange.receiveBytes(NOTHING, (rank - step + size) % size))
    yield waits
    return
  }
  for (let distance = 1; distance < size; distance *= 2) {
    const send = exchange.sendBytes(NOTHING, (rank + distance) % size)
    yield [send, exchange.receiveBytes(NOTHING, (rank - distance + size) % size)]
  }
}
