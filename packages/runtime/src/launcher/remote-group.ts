import type { Desk, MemberEnd } from './bridge-desk.js'
import type { JoinLine } from './join-line.js'

/** What is told of members whose launcher is gone: that took its ranks along. */
export const GONE: MemberEnd = { how: 'failed', exitCode: null, signal: 'SIGKILL' }

/** Seats the members of the other job, who are reached through their launcher, from `first` to `first + size - 1`. */
export function seatRemoteGroup(line: JoinLine, desk: Desk, first: number, size: number): void {
  for (let member = first; member < first + size; member++) {
    desk.seat(member, (message) => line.say({ type: 'member', member, message }))
  }
  line.hear((message) => {
    if (message.type !== 'member' && message.type !== 'ended') throw new Error(`'${message.type}' out of turn`)
    const { member } = message
    if (!(Number.isInteger(member) && member >= first && member < first + size)) throw new Error('no such member')
    if (message.type === 'member') desk.heard(member, message.message)
    else desk.ended(member, checkedEnd(message))
  })
  const lost = (): void => {
    for (let member = first; member < first + size; member++) desk.ended(member, GONE)
  }
  line.whenClosed(lost)
  if (line.isClosed) lost()
}

function checkedEnd({ how, exitCode, signal }: MemberEnd): MemberEnd {
  return {
    how: how === 'left' ? 'left' : 'failed',
    exitCode: Number.isInteger(exitCode) ? exitCode : null,
    signal: typeof signal === 'string' ? signal : null,
  }
}
