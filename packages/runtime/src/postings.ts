import type { Board, BoardChannel, RemoteMemory } from '@onecopy/transport'
import { goesDirectly } from './collectives/choose.js'
import { firstUseOf } from './context-table.js'
import type { Job } from './job.js'
import type { ProgressEngine } from './progress.js'

/** Numbers come again after 2^32, and a slot may hold what was said long ago and nothing since: so each is cleared now and then. */
const CLEARED_EVERY = 2 ** 16

/**
 * One communicator's channel on the board, and the numbers of its postings. Every rank counts the same: one number for each
 * collective that looks at the board, in the order in which they are called.
 */
export class Postings {
  readonly channel: BoardChannel
  readonly board: Board
  /** The memory of the other members, as far as they let it be read; null where there is no such thing. */
  readonly remote: RemoteMemory | null
  // the board's, at hand
  private readonly slots: number
  private readonly shortBytesMax: number
  private readonly boardWords: Int32Array
  private readonly engine: Pick<ProgressEngine, 'endOf' | 'failure' | 'messenger'>
  private readonly members: readonly number[]
  private taken = 0
  /** This rank reads nothing up to here any more, and some of what is above. */
  private doneUpTo = 0
  private readonly doneAbove = new Set<number>()
  /** Nobody reads anything up to here any more, as far as is known. */
  private allDoneUpTo: number
  /** This rank's last posting that took all places of long ones. */
  private lastWhole: number
  /** Collectives under way in which long arrays may be posted. */
  private longUnderWay = 0
  /** Numbers under which this rank has yet to post a long array, in their order. */
  private readonly longWaiting = new Set<number>()
  private wishes = false

  /**
   * @param members ranks of the job, as the communicator counts them.
   * @param first what the numbers start from, other than 0 only in tests of their wrap.
   */
  constructor(
    board: Board,
    channel: BoardChannel,
    remote: RemoteMemory | null,
    engine: Pick<ProgressEngine, 'endOf' | 'failure' | 'messenger'>,
    members: readonly number[],
    first = 0,
  ) {
    this.board = board
    this.slots = board.slots
    this.shortBytesMax = board.bytesMax
    this.remote = remote
    const { buffer, byteOffset, byteLength } = board.bytes
    this.boardWords = new Int32Array(buffer, byteOffset, byteLength >> 2)
    this.channel = channel
    this.engine = engine
    this.members = members
    this.taken = first
    this.doneUpTo = first
    this.allDoneUpTo = first
    this.lastWhole = first
  }

  /** Whether this rank may read the memory of all other members, as far as it knows: then they most likely may read its own. */
  get reachesMemory(): boolean {
    if (this.remote === null) return false
    for (let member = 0; member < this.members.length; member++) {
      const world = this.members[member]!
      if (world !== this.engine.messenger.rank && !this.remote.canRead(world)) return false
    }
    return true
  }

  /** Fills `into` from a member's memory. @throws OnecopyError as RemoteMemory.read. */
  read(member: number, words: Int32Array, offset: number, into: Uint8Array): void {
    const world = this.members[member]!
    this.remote!.read(world, words, 0, offset, into, 0, into.byteLength)
    this.engine.messenger.link(world).bytesSingleCopy += into.byteLength
  }

  /** Copies `from` into a member's memory. @throws OnecopyError as RemoteMemory.write. */
  write(member: number, words: Int32Array, offset: number, from: Uint8Array): void {
    const world = this.members[member]!
    this.remote!.write(world, words, 0, offset, from, 0, from.byteLength)
    this.engine.messenger.link(world).bytesSingleCopy += from.byteLength
  }

  /** Whether this rank may write into a member's memory, as far as it knows. */
  mayWriteTo(member: number): boolean {
    return this.remote?.canWrite(this.members[member]!) === true
  }

  /** Whether a member's process takes part in nothing any more, or this one's does not: then nobody would hear of it. */
  hasEnded(member: number): boolean {
    return this.engine.failure !== null || this.engine.endOf(this.members[member]!) !== null
  }

  /** Fills `into` from a posting of `byteLength` bytes, from `offset` on. */
  copy(member: number, number: number, byteLength: number, offset: number, into: Uint8Array): void {
    const at = this.channel.offsetOf(member, number, byteLength) + offset
    this.engine.messenger.delivery.copier.copy(into, 0, this.board.bytes, at, into.length)
  }

  /** A short posting's int32 at `index`: somebody else's writing. */
  wordOf(member: number, number: number, index: number): number {
    return this.boardWords[this.channel.offsetOf(member, number, 0) / 4 + index]!
  }

  /** Whether longer arrays can be posted here than on every channel. */
  get takesLong(): boolean {
    return this.channel.bytesMax > this.board.bytesMax
  }

  /** Whether so much can be posted. */
  fits(byteLength: number): boolean {
    return byteLength <= this.channel.bytesMax
  }

  /** The number of a collective that begins. */
  take(): number {
    this.taken = after(this.taken)
    return this.taken
  }

  post(number: number, kind: number, bytes: Uint8Array): void {
    this.occupy(number, bytes.length)
    this.channel.post(number, kind, bytes)
  }

  /** As {@link post}, without the bytes between the first and the last ones of the `byteLength` that are posted. */
  postParts(number: number, kind: number, byteLength: number, [first, last]: readonly [Uint8Array, Uint8Array]): void {
    this.occupy(number, byteLength)
    this.channel.fill(number, byteLength, 0, first)
    this.channel.fill(number, byteLength, byteLength - last.length, last)
    this.channel.publish(number, kind, byteLength)
  }

  /** This rank does not post `number`. */
  passOver(number: number): void {
    if ((number & (CLEARED_EVERY - 1)) < this.board.slots && this.hasRoom(number)) this.channel.forget(number)
  }

  /** Whether posting `number`, of so many bytes, can be made. If not, this rank will be woken when it may be. */
  hasRoom(number: number, byteLength = 0): boolean {
    let before = (number - this.slots) | 0
    if (byteLength > this.shortBytesMax) {
      // or what comes later would be written over by what comes first, and waits still
      if (!this.isNextLong(number)) return false
      before = this.mustBeDone(number, byteLength)
    }
    if (((before - this.allDoneUpTo) | 0) <= 0) return true
    if (!this.areDone(before) && !this.wishes) {
      this.wishes = true
      this.channel.wishForRoom(true)
      // somebody may have looked for the wish just before
      this.areDone(before)
    }
    if (((before - this.allDoneUpTo) | 0) > 0) return false
    if (this.wishes) this.channel.wishForRoom(false)
    this.wishes = false
    return true
  }

  /**
   * A collective begins in which long arrays may be posted, until {@link done}. There are so few places for them that whoever posts one must
   * hear at once what this rank has read, or two could wait for each other. `posts`: this rank posts one.
   */
  beginLong(number: number, posts: boolean): void {
    this.longUnderWay++
    if (posts) this.longWaiting.add(number)
    this.sayDone()
  }

  /** Tells the others what they have not heard yet of {@link done}. */
  sayDone(): void {
    this.channel.done(this.doneUpTo, true)
  }

  /** This rank reads nothing of posting `number` any more. `isLong`: it was one of those that {@link beginLong} was called for. */
  done(number: number, isLong = false): void {
    const atOnce = this.longUnderWay > 0
    if (isLong) {
      this.longUnderWay--
      this.longWaiting.delete(number)
    }
    if (number !== after(this.doneUpTo)) {
      this.doneAbove.add(number)
      return
    }
    this.doneUpTo = number
    while (this.doneAbove.size > 0 && this.doneAbove.delete(after(this.doneUpTo))) {
      this.doneUpTo = after(this.doneUpTo)
    }
    this.channel.done(this.doneUpTo, atOnce)
  }

  private occupy(number: number, byteLength: number): void {
    if ((number & (CLEARED_EVERY - 1)) < this.slots) this.channel.forget(number)
    if (byteLength <= this.shortBytesMax) return
    this.longWaiting.delete(number)
    if (this.board.slotsFor(byteLength) === 1) this.lastWhole = number
  }

  private isNextLong(number: number): boolean {
    for (const first of this.longWaiting) return first === number
    return true
  }

  /** Up to which number nobody may read anything any more before a long posting is made. */
  private mustBeDone(number: number, byteLength: number): number {
    const before = (number - this.board.slotsFor(byteLength)) | 0
    if (((this.lastWhole - before) | 0) > 0) return this.lastWhole
    // which are no numbers: see after
    return before === 0 || before === -1 ? -2 : before
  }

  /** Looks anew whether nobody reads `number` any more. */
  private areDone(number: number): boolean {
    let least = this.doneUpTo
    for (let member = 0; member < this.members.length; member++) {
      const world = this.members[member]!
      if (world === this.engine.messenger.rank || this.engine.endOf(world) !== null) continue
      const done = this.channel.doneBy(member)
      if (((done - least) | 0) < 0) least = done
    }
    this.allDoneUpTo = least
    // numbers wrap: what is long over must not become what is yet to come
    if (((this.lastWhole - least) | 0) < 0) this.lastWhole = least
    return ((number - least) | 0) <= 0
  }
}

/** Numbers are int32 and wrap, past 0, which says that nothing has been posted, and its complement. */
function after(number: number): number {
  return number === -2 ? 1 : (number + 1) | 0
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
  // A channel is one communicator's for as long as the job lives, so a number that serves again has none. Nor has a world that is too
  // large to post.
  const index = firstUseOf(context) - (goesDirectly(job.link.size) ? 0 : 1)
  if (transports.size !== 1 || transport === undefined || index < 0) return null
  const { board } = transport
  if (board === null || index >= board.channels) return null
  const postings = new Postings(board, board.channel(index, members), transport.remoteMemory, engine, members)
  // whoever posts a long array waits for what this rank has read, and where ranks give other lengths it does not know that it is waited for
  engine.watchBoard(board, postings.takesLong ? () => postings.sayDone() : null)
  return postings
}
