import { NOT_TOLD, OnecopyError, REGION_WORDS, type RemoteMemory, TOLD_ILL } from '@onecopy/transport'
import { PULL_BYTES_MAX } from './collectives/choose.js'
import { Condition, Happening, Pause } from './condition.js'
import type { Postings } from './postings.js'
import { isReadable } from './protocol.js'
import type { Awaited, Exchange, Schedule, Watched } from './schedule.js'

// What a rank posts whose part lies in memory for the others to read, in int32 words:
//
//     type     of the elements
//     then, for each region:  its length in bytes, its name (REGION_WORDS words)
const TYPE_AT = 0
const REGIONS_AT = 1
const WORDS_PER_REGION = 1 + REGION_WORDS

/** The stage of a rank that has given up: its memory is not to be believed any more. */
const WITHDRAWN = 2
/** The stages of a rank that writes into another's memory: from here on, and no more. */
export const WRITING = 0
export const WRITTEN = 1

/** The posting that names a rank's memory, for as long as it may be read; serves for one call after the other. */
export class Names {
  private readonly bytes: Uint8Array
  private readonly words: Int32Array
  private readonly remote: RemoteMemory
  private readonly regions: readonly Uint8Array[]
  private named = false

  /** All of `regions` must be exposable. */
  constructor(remote: RemoteMemory, type: number, regions: readonly Uint8Array[]) {
    this.remote = remote
    this.regions = regions
    this.words = new Int32Array(REGIONS_AT + regions.length * WORDS_PER_REGION)
    this.words[TYPE_AT] = type
    this.bytes = new Uint8Array(this.words.buffer)
  }

  /** Whether they are given out: somebody may be reading. */
  get isNamed(): boolean {
    return this.named
  }

  /** Names the memory; gives what is to be posted. */
  name(): Uint8Array {
    const regions = this.regions
    for (let i = 0; i < regions.length; i++) {
      const at = REGIONS_AT + i * WORDS_PER_REGION
      this.words[at] = regions[i]!.length
      this.remote.expose(regions[i]!, this.words, at + 1)
    }
    this.named = true
    return this.bytes
  }

  withdraw(): void {
    if (!this.named) return
    this.named = false
    for (let i = 0; i < this.regions.length; i++) {
      this.remote.withdraw(this.words, REGIONS_AT + i * WORDS_PER_REGION + 1)
    }
  }
}

/** The type of elements that `source` has named in its posting. */
export function namedType(postings: Postings, source: number, number: number): number {
  return postings.wordOf(source, number, TYPE_AT)
}

/** The length in bytes of the first region that `source` has named. */
export function namedLength(postings: Postings, source: number, number: number): number {
  return postings.wordOf(source, number, REGIONS_AT)
}

const NOBODY: readonly number[] = []

/**
 * One call in which ranks read each other's memory, and after {@link start} the next one: the names are in the postings, each rank
 * reads what it needs, and tells on the board that a stage of this is over, well or ill (single copy may be refused at any time, in one
 * direction only). Nobody's memory is its own again before its readers have told.
 */
export class Pulls implements Watched {
  error: unknown = undefined
  private readonly exchange: Exchange
  private readonly postings: Postings
  private readonly words = new Int32Array(REGION_WORDS)
  /** Of this call's posting. */
  number = 0
  /** Nothing has been refused so far. */
  isWell = true
  /** Bytes since the last pause. */
  private moved = 0
  private awaited = NOBODY
  private stage = 0
  private found = 0

  constructor(exchange: Exchange, postings: Postings) {
    this.exchange = exchange
    this.postings = postings
  }

  /** A call begins whose posting has this number. */
  start(number: number): void {
    this.number = number
    this.isWell = true
    this.moved = 0
    this.error = undefined
  }

  /** Fills `into` from `offset` on of a region of `source`; false when this or an earlier read was refused. */
  read(source: number, region: number, offset: number, into: Uint8Array): boolean {
    const { remote } = this.postings
    if (!this.isWell) return false
    if (remote === null || !isReadable(remote, into)) {
      this.isWell = false
      return false
    }
    this.takeRegion(source, region)
    this.moved += into.length
    try {
      this.postings.read(source, this.words, offset, into)
    } catch (error) {
      if (!(error instanceof OnecopyError)) throw error
      this.isWell = false
    }
    // asked after the copy, and said before its owner has its memory back: so what was copied is what was meant
    this.checkNamed(source)
    return this.isWell
  }

  /** As {@link read}, with a pause for the event loop now and then. */
  *readInTurns(source: number, region: number, offset: number, into: Uint8Array): Schedule<void> {
    for (let start = 0; start < into.length; start += PULL_BYTES_MAX) {
      const piece = into.length <= PULL_BYTES_MAX ? into : into.subarray(start, start + PULL_BYTES_MAX)
      if (!this.read(source, region, offset + start, piece)) return
      const pause = this.pause()
      if (pause !== null) yield pause
    }
  }

  /** What is to be waited for once in a while, so that the event loop gets a turn; null where it is not time for that. */
  pause(): Awaited<void> | null {
    if (this.moved < PULL_BYTES_MAX) return null
    this.moved = 0
    return this.exchange.watch(new Pause())
  }

  /** This rank does not even try: it counts as refused. */
  refuse(): void {
    this.isWell = false
  }

  /**
   * This rank is about to write into what `dest` has named, and says {@link WRITTEN} when it does so no more, whatever happens. `dest` must
   * have told that it waits for that.
   */
  startWriting(dest: number): void {
    // said before it is asked, and `dest` asks after it has said: one of the two always hears of the other
    this.postings.channel.tell(this.number, WRITING, true)
    this.checkNamed(dest)
  }

  /** Copies `from` to `offset` of a region of `dest`, after {@link startWriting}; false when this or something earlier was refused. */
  write(dest: number, region: number, offset: number, from: Uint8Array): boolean {
    if (!this.isWell) return false
    this.takeRegion(dest, region)
    this.moved += from.length
    try {
      this.postings.write(dest, this.words, offset, from)
    } catch (error) {
      if (!(error instanceof OnecopyError)) throw error
      this.isWell = false
    }
    return this.isWell
  }

  /** This rank gives up what it has named: nobody who reads it from now on believes it, and when this is over none of `writers` writes to it. */
  *withdraw(writers: readonly number[]): Schedule<void> {
    const { channel } = this.postings
    channel.tell(this.number, WITHDRAWN, false)
    for (const writer of writers) {
      if (channel.told(writer, this.number, WRITING) === NOT_TOLD) continue
      const isOver = (): boolean =>
        channel.told(writer, this.number, WRITTEN) !== NOT_TOLD || this.postings.hasEnded(writer)
      while (!isOver()) {
        try {
          yield this.exchange.watch(new Happening(isOver))
        } catch {
          // given up once more, for another reason: the first one stands, and who writes still does
        }
      }
    }
  }

  /** This rank is over with a stage; what went ill before counts. Gives whether it went well. */
  *tell(stage: number): Schedule<boolean> {
    yield* this.roomToTell()
    return this.say(stage)
  }

  /** Waits until {@link say} may be called: at once on a rank that has posted; on others this is the first word in their slot. */
  *roomToTell(): Schedule<void> {
    if (!this.hasRoom) yield this.exchange.watch(new Condition(this.exchange, () => this.hasRoom))
  }

  /** Whether {@link say} may be called. */
  get hasRoom(): boolean {
    return this.postings.hasRoom(this.number)
  }

  /** As {@link tell}, where there is room. */
  say(stage: number): boolean {
    this.postings.channel.tell(this.number, stage, this.isWell)
    return this.isWell
  }

  /** Waits until `ranks` have told that they are over with a stage; gives those for whom it went ill. */
  *told(ranks: readonly number[], stage: number): Schedule<readonly number[]> {
    this.awaited = ranks
    this.stage = stage
    this.found = 0
    if (!this.done) yield this.exchange.watch(this)
    if (this.error !== undefined) throw this.error
    return this.illAmong(ranks, stage)
  }

  private takeRegion(member: number, region: number): void {
    const at = REGIONS_AT + region * WORDS_PER_REGION + 1
    for (let i = 0; i < REGION_WORDS; i++) this.words[i] = this.postings.wordOf(member, this.number, at + i)
  }

  /** @throws OnecopyError when that rank has given up what it had named. */
  private checkNamed(member: number): void {
    if (this.postings.channel.told(member, this.number, WITHDRAWN) === NOT_TOLD) return
    const message = `rank ${member} has failed in this collective; its own error says why`
    throw new OnecopyError('ERR_COLLECTIVE', message, { rank: member })
  }

  private illAmong(ranks: readonly number[], stage: number): readonly number[] {
    const { channel } = this.postings
    let ill = NOBODY
    for (let i = 0; i < ranks.length; i++) {
      if (channel.told(ranks[i]!, this.number, stage) === TOLD_ILL) ill = [...ill, ranks[i]!]
    }
    return ill
  }

  get done(): boolean {
    const { channel } = this.postings
    for (; this.found < this.awaited.length; this.found++) {
      const rank = this.awaited[this.found]!
      if (channel.told(rank, this.number, this.stage) !== NOT_TOLD) continue
      this.error = this.exchange.whyHopeless(rank) ?? undefined
      return this.error !== undefined
    }
    return true
  }

  get isDue(): boolean {
    const { channel } = this.postings
    return this.awaited.every((rank) => channel.told(rank, this.number, this.stage) !== NOT_TOLD)
  }

  cancel(): void {}
}
