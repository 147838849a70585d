import type { Board, BoardChannel } from '@onecopy/transport'
import { goesDirectly } from './collectives/choose.js'
import { firstUseOf } from './context-table.js'
import type { Job } from './job.js'
import type { ProgressEngine } from './progress.js'

const NUMBER_MAX = 2 ** 31 - 1

/**
 * One communicator's channel on the board, and the numbers of its postings. Every rank counts the same: one number for each
 * collective that looks at the board, in the order in which they are called.
 */
export class Postings {
  readonly channel: BoardChannel
  readonly board: Board
  readonly #engine: ProgressEngine
  readonly #members: readonly number[]
  #taken = 0
  /** This rank reads nothing up to here any more, and some of what is above. */
  #doneUpTo = 0
  readonly #doneAbove = new Set<number>()
  #roomUpTo: number
  #wishes = false

  /** `members`: ranks of the job, as the communicator counts them. */
  constructor(board: Board, channel: BoardChannel, engine: ProgressEngine, members: readonly number[]) {
    this.board = board
    this.channel = channel
    this.#engine = engine
    this.#members = members
    this.#roomUpTo = board.slots
  }

  /** Whether so much can be posted. */
  fits(byteLength: number): boolean {
    return byteLength <= this.board.bytesMax
  }

  /** The number of a collective that begins; 0 when there are none left (in 2^31 calls). */
  take(): number {
    if (this.#taken === NUMBER_MAX) return 0
    this.#taken++
    return this.#taken
  }

  /** Whether posting `number` can be made. If not, this rank will be woken when it may be. */
  hasRoom(number: number): boolean {
    if (number <= this.#roomUpTo) return true
    if (!this.#findsRoom(number) && !this.#wishes) {
      this.#wishes = true
      this.channel.wishForRoom(true)
      // somebody may have looked for the wish just before
      this.#findsRoom(number)
    }
    if (number > this.#roomUpTo) return false
    if (this.#wishes) this.channel.wishForRoom(false)
    this.#wishes = false
    return true
  }

  /** This rank reads nothing of posting `number` any more. */
  done(number: number): void {
    if (number !== this.#doneUpTo + 1) {
      if (number > 0) this.#doneAbove.add(number)
      return
    }
    this.#doneUpTo = number
    while (this.#doneAbove.size > 0 && this.#doneAbove.delete(this.#doneUpTo + 1)) this.#doneUpTo++
    this.channel.done(this.#doneUpTo)
  }

  #findsRoom(number: number): boolean {
    let least = this.#doneUpTo
    for (let member = 0; member < this.#members.length; member++) {
      const world = this.#members[member]!
      if (world === this.#engine.messenger.rank || this.#engine.endOf(world) !== null) continue
      least = Math.min(least, this.channel.doneBy(member))
    }
    this.#roomUpTo = least + this.board.slots
    return number <= this.#roomUpTo
  }
}

/**
 * Where the ranks of a communicator can post; null where they cannot: too many of them, a transport without a board, no channel
 * left. Every rank comes to the same answer, from what all have agreed on.
 */
export function postingsOf(job: Job, context: number, members: readonly number[]): Postings | null {
  const { engine } = job
  if (members.length < 2 || !goesDirectly(members.length)) return null
  const others = members.filter((world) => world !== engine.messenger.rank)
  const transports = new Set(others.map((world) => engine.messenger.link(world).transport))
  const [transport] = transports
  // a channel is one communicator's for as long as the job lives, so a number that serves again has none
  const index = firstUseOf(context)
  if (transports.size !== 1 || transport === undefined || index < 0) return null
  const { board } = transport
  if (board === null || index >= board.channels) return null
  return new Postings(board, board.channel(index, members), engine, members)
}
