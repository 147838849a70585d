import { OnecopyError } from '@onecopy/transport'
import { ANY_SOURCE } from '../constants.js'
import type { Awaited, Exchange, Schedule } from '../schedule.js'

/** What telling of a failure needs besides an exchange. */
export interface FailureExchange extends Exchange {
  sendFailure(notice: Uint8Array, dest: number): Awaited<void>
}

/** Whether the other ranks do not know of the error anyway. */
export function concernsOthers(error: unknown): boolean {
  return !(error instanceof OnecopyError && (error.code === 'ERR_CLOSED' || error.code === 'ERR_MISMATCH'))
}

/**
 * What a rank does in place of the rest of a collective in which it failed (an operation that threw, a length that did not
 * fit): it tells every other rank, and takes in whatever is still sent to it in this call, so that no sender waits. Ranks
 * that wait for this one fail with ERR_COLLECTIVE (ERR_PROC_FAILED when it was a dead rank that this one waited for), and do
 * the same; ranks whose part is done already never notice. The communicator stays good: the next call has a tag of its own.
 *
 * As with any message, this rank takes part in that while it makes progress: while it waits for something, or finalizes.
 *
 * Never ends by itself, as nobody knows how many messages are to come: one receive stays posted until the communicator is
 * freed. A failure costs that, and one short message per pair; a collective that succeeds costs nothing.
 */
export function* failureTold(exchange: FailureExchange, error: unknown): Schedule<void> {
  const { rank, size } = exchange
  if (size === 1) return
  const notice = noticeOf(error, rank)
  for (let dest = 0; dest < size; dest++) if (dest !== rank) exchange.sendFailure(notice, dest)
  for (;;) {
    try {
      yield exchange.receiveValue(ANY_SOURCE)
    } catch (reason) {
      // without a source it is not a message that failed but the receive: the communicator or the job has ended
      if (!(reason instanceof OnecopyError) || reason.source === undefined) return
    }
  }
}

/*
 * A notice says everything by its length, which is known before its bytes are, also to a receive whose memory is for other
 * things: twice the number of the rank that failed first, and one more when that rank's process has ended.
 */

function noticeOf(error: unknown, rank: number): Uint8Array {
  if (!(error instanceof OnecopyError)) return new Uint8Array(2 * rank)
  if (error.code === 'ERR_PROC_FAILED' && error.rank !== undefined) return new Uint8Array(2 * error.rank + 1)
  return new Uint8Array(2 * (error.code === 'ERR_COLLECTIVE' ? (error.rank ?? rank) : rank))
}

/** What a receive fails with that a notice of this length has reached from `source`. */
export function failureOf(noticeLength: number, source: number): OnecopyError {
  const rank = noticeLength >> 1
  return (noticeLength & 1) === 0
    ? new OnecopyError('ERR_COLLECTIVE', `rank ${rank} has failed in this collective; its own error says why`, {
        rank,
        source,
      })
    : new OnecopyError('ERR_PROC_FAILED', `rank ${rank} has ended, and rank ${source} needs it in this collective`, {
        rank,
        source,
      })
}
