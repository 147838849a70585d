import { UINT8 } from '../element-type.js'
import { OneStep } from '../one-step.js'
import { PostedStep } from '../posted-step.js'
import type { Awaited, Exchange, Schedule } from '../schedule.js'
import { goesDirectly } from './choose.js'
import { NOTHING, othersThan } from './messages.js'

/**
 * Waits until every rank of the communicator has called it. Few ranks tell each other. More send ceil(log2(size)) empty messages per rank: in step k to
 * the rank 2^k to the right, after which this rank has heard, at first or second hand, of 2^(k+1) ranks to the left.
 * @see MPI 4.1, 6.3
 * @see Hensgen, Finkel, Manber: Two algorithms for barrier synchronization (1988)
 */
export function barrier(exchange: Exchange): Schedule<void> {
  const { postings, size } = exchange
  const byMessages = () => (goesDirectly(size) ? eachToEach(exchange) : byDissemination(exchange))
  if (postings === null) return byMessages()
  return new PostedStep(exchange, postings, {
    collective: 'barrier',
    own: NOTHING,
    type: UINT8,
    sources: othersThan(exchange.rank, size),
    byteLengths: new Array(size - 1).fill(0),
    take: () => undefined,
    byMessages,
  })
}

function eachToEach(exchange: Exchange): Schedule<void> {
  const { rank, size } = exchange
  const waits: Awaited<unknown>[] = []
  return new OneStep(
    () => {
      for (let step = 1; step < size; step++) {
        waits[step - 1] = exchange.sendBytes(NOTHING, (rank + step) % size)
        waits[size - 2 + step] = exchange.receiveBytes(NOTHING, (rank - step + size) % size)
      }
      return waits
    },
    () => undefined,
  )
}

function* byDissemination(exchange: Exchange): Schedule<void> {
  const { rank, size } = exchange
  for (let distance = 1; distance < size; distance *= 2) {
    const send = exchange.sendBytes(NOTHING, (rank + distance) % size)
    yield [send, exchange.receiveBytes(NOTHING, (rank - distance + size) % size)]
  }
}
