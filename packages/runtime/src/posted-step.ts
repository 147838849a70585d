import { OnecopyError, type RemoteMemory } from '@onecopy/transport'
import { lengthError } from './collectives/messages.js'
import { elementTypeName, VALUE } from './element-type.js'
import { OneStep } from './one-step.js'
import type { Postings } from './postings.js'
import { isExposable } from './protocol.js'
import { Names, namedLength, namedType, Pulls } from './pulls.js'
import type { Awaited, Exchange, Schedule, Watched } from './schedule.js'

/** A collective in which every rank hears of every other: says on the board, if there is one, that this rank's part goes by messages. */
export function saidToGoByMessages<T>(
  exchange: Exchange,
  collective: string,
  byMessages: () => Schedule<T>,
): Schedule<T> {
  if (exchange.postings === null) return byMessages()
  return new PostedStep(exchange, exchange.postings, {
    collective,
    own: BY_MESSAGES,
    type: VALUE,
    sources: [],
    byteLengths: [],
    take: () => undefined as T,
    byMessages,
  })
}

/** What a rank posts whose part of the collective goes by messages. */
export const BY_MESSAGES = -1
/** What a rank posts whose part lies in memory that it names, for others to read: see pulls.ts. */
const IN_MEMORY = -2
/** The same where ranks do different things with what they name, so that those who do not agree on that find out. */
export const ROOT_IN_MEMORY = -3
export const HELPER_IN_MEMORY = -4

/** One rank's part of a collective by postings. */
export interface PostedPlan<T> {
  readonly collective: string
  /**
   * The memory that it posts; or the memory, in pieces, that others read where it lies; or that its part goes by messages; null when
   * it posts nothing.
   */
  readonly own: Uint8Array | readonly Uint8Array[] | typeof BY_MESSAGES | null
  /** What of the memory that it posts nobody reads, from byte to byte: it is left out. */
  readonly unread?: readonly [start: number, end: number]
  /** As what it posts names of memory, and expects those of its sources; IN_MEMORY both if it says nothing. */
  readonly names?: { readonly own: number; readonly expected: number }
  /** The type of elements that it posts and expects; VALUE where it has no memory. */
  readonly type: number
  /** The ranks whose postings it reads. */
  readonly sources: readonly number[]
  /** How many bytes it expects of each of them; of those beyond its end another rank sees to that. */
  readonly byteLengths: readonly number[]
  /** Called when all of them are there and fit: takes what is in them. */
  readonly take: (number: number) => T
  /**
   * What comes instead of `take` when this rank's part, and what it expects, is too long to be posted and can be read where it lies; or
   * when what is posted is worked on in stages. Null where nothing is left to wait for, and the collective has no result.
   */
  readonly pull?: (pulls: Pulls) => Schedule<T> | null
  /** Whether this rank can pull, besides reading all others' memory: asked each time. */
  readonly isAble?: () => boolean
  /** The ranks that write into what this one names, as `Pulls.startWriting` says. */
  readonly writers?: readonly number[]
  /** Called for each source as soon as its posting is seen, in whatever order they come; whether they fit is found out later. */
  readonly arrived?: (index: number, number: number) => void
  /** What can be done before anything has come: called each time, once this rank has posted or found no room to. */
  readonly meanwhile?: () => void
  /** Nothing but the caller's memory is needed to pull, nor by messages where those go in one step. */
  readonly isLight?: boolean
  /**
   * This rank, which posts nothing, expects its sources' parts by messages: it begins with those at once, and looks beside whether
   * the others do the same. Waiting for their word first would be a context switch more.
   */
  readonly beginsByMessages?: boolean
  /** The same by messages, for where a part is too long to be posted. */
  readonly byMessages: () => Schedule<T>
}

/**
 * A collective, or the beginning of one, whose ranks post for each other on the transport's board. Each rank posts what it has for
 * the others, or that this goes by messages, and reads the postings that it needs. A rank that finds another's part gone by messages
 * does the same, so whatever lengths the ranks give, they come together, or fail as they would by messages.
 *
 * May be run again, as OneStep.
 */
export class PostedStep<T> implements Schedule<T>, Watched {
  /** What the wait for postings has failed with. */
  error: unknown = undefined
  /** Once {@link conclude} has given null. */
  result: T | undefined = undefined
  private readonly exchange: Exchange
  private readonly postings: Postings
  // The plan, field by field: plans are written in many places, and V8 would look each field up anew if it were asked for them.
  private readonly collective: string
  private readonly own: Uint8Array | typeof BY_MESSAGES | null
  /** The names of the memory that others read where it lies; null when it posts something else. */
  private readonly names: Names | null
  private readonly pull: ((pulls: Pulls) => Schedule<T> | null) | null
  /** It expects names of memory, not the postings themselves. */
  private readonly expectsNames: boolean
  private readonly namedAs: number
  private readonly expectedNames: number
  private readonly isAble: (() => boolean) | null
  private readonly writers: readonly number[]
  private readonly meanwhile: (() => void) | null
  private readonly arrived: ((index: number, number: number) => void) | null
  private readonly pulls: Pulls | null
  /** It holds no memory but the caller's. */
  readonly isLight: boolean
  private readonly beginsByMessages: boolean
  /** Bytes of what it posts, where that is long; else 0. Names and words are always short. */
  private readonly longLength: number
  /** Others may post long arrays, for which they must hear at once what this rank has read. */
  private readonly isAmongLong: boolean
  /** What it posts of its own, where a part is left out. */
  private readonly parts: readonly [first: Uint8Array, last: Uint8Array] | null
  private readonly type: number
  private readonly sources: readonly number[]
  private readonly byteLengths: readonly number[]
  private readonly take: (number: number) => T
  private readonly make: () => Schedule<T>
  private number = 0
  /** It reads no posting of this number any more. */
  private isOver = true
  /** What it posts this time says that it goes by messages. */
  private isByMessages = false
  private isPosted = false
  /** Postings that are there: so many of the plan's sources. */
  private found = 0
  /** Where the plan wants to know of each: a bit for each source whose posting has been seen. */
  private seen = 0
  private steps: Schedule<T> | null = null
  /** What serves again when it goes by messages again. */
  private kept: OneStep<T> | null = null

  constructor(exchange: Exchange, postings: Postings, plan: PostedPlan<T>) {
    this.exchange = exchange
    this.postings = postings
    this.collective = plan.collective
    const { own } = plan
    this.names = Array.isArray(own) ? namesOf(postings.remote, plan.type, own) : null
    this.own = this.names !== null ? NOTHING : Array.isArray(own) ? BY_MESSAGES : (own as Uint8Array | null)
    this.pull = plan.pull ?? null
    this.expectsNames = this.pull !== null && !(own instanceof Uint8Array)
    this.namedAs = plan.names?.own ?? IN_MEMORY
    this.expectedNames = plan.names?.expected ?? IN_MEMORY
    this.isAble = plan.isAble ?? null
    this.writers = plan.writers ?? NOBODY
    this.meanwhile = plan.meanwhile ?? null
    this.arrived = plan.arrived ?? null
    this.pulls = this.pull === null ? null : new Pulls(exchange, postings)
    this.isLight = plan.isLight === true
    this.beginsByMessages = plan.beginsByMessages === true
    this.type = plan.type
    this.sources = plan.sources
    this.byteLengths = plan.byteLengths
    const { bytesMax } = postings.board
    const { unread } = plan
    const isLong = own instanceof Uint8Array && own.length > bytesMax
    this.longLength = isLong ? own.length : 0
    this.parts = isLong && unread !== undefined ? [own.subarray(0, unread[0]), own.subarray(unread[1])] : null
    // one whose own part goes by messages, or by name, does not know how long the others' are
    const mayBe = isLong || this.own === BY_MESSAGES || this.names !== null
    this.isAmongLong = postings.takesLong && (mayBe || plan.byteLengths.some((length) => length > bytesMax))
    this.take = plan.take
    this.make = plan.byMessages
  }

  /** Posts, if there is room; else `done` will. */
  start(): void {
    this.number = this.postings.take()
    this.error = undefined
    this.found = 0
    this.seen = 0
    this.isOver = false
    this.isByMessages = this.own === BY_MESSAGES || (this.names !== null && !this.reachesMemory())
    if (this.isAmongLong) this.postings.beginLong(this.number, this.longLength > 0)
    this.isPosted = this.own === null
    if (this.isPosted) this.postings.passOver(this.number)
    else this.post()
    if (this.meanwhile !== null && !this.isByMessages) this.meanwhile()
  }

  /** Looks whether all postings are there that this rank reads; true as well when one will never be. */
  get done(): boolean {
    if (!this.isPosted && !this.post()) return this.isHopeless(this.exchange.rank)
    const sources = this.sources
    const number = this.number
    const { channel } = this.postings
    if (this.arrived !== null) this.lookAhead(this.arrived)
    for (; this.found < sources.length; this.found++) {
      const source = sources[this.found]!
      if (!channel.has(source, number)) return this.isHopeless(source)
      if (this.arrived !== null) this.see(this.found, this.arrived)
      if (this.beginsByMessages && channel.kindOf(source, number) !== BY_MESSAGES) {
        this.error = lengthError(
          this.collective,
          source,
          channel.byteLengthOf(source, number),
          this.byteLengths[this.found]!,
        )
        return true
      }
    }
    return true
  }

  /** Sees those that have come before others that are looked for first. */
  private lookAhead(arrived: (index: number, number: number) => void): void {
    const { channel } = this.postings
    for (let i = this.found + 1; i < this.sources.length; i++) {
      if (channel.has(this.sources[i]!, this.number)) this.see(i, arrived)
    }
  }

  private see(index: number, arrived: (index: number, number: number) => void): void {
    if ((this.seen & (1 << index)) !== 0) return
    this.seen |= 1 << index
    arrived(index, this.number)
  }

  /** Whether whom it waits for has offered its core to others; undefined when it waits for nobody in particular. */
  get isAway(): boolean | undefined {
    const source = this.isPosted ? this.sources[this.found] : undefined
    return source === undefined ? undefined : this.postings.channel.isAway(source)
  }

  get isDue(): boolean {
    const { channel } = this.postings
    if (!this.isPosted) return this.postings.hasRoom(this.number, this.longLength)
    for (let i = this.found; i < this.sources.length; i++) {
      if (!channel.has(this.sources[i]!, this.number)) return false
    }
    return true
  }

  cancel(): void {}

  /** Gives the call up where it stands: its number must not stay open, or nobody would have room any more. */
  abandon(): void {
    if (this.isOver) return
    this.isOver = true
    if (this.names !== null) this.names.withdraw()
    this.postings.done(this.number, this.isAmongLong)
  }

  /** What is to be run instead of waiting, if anything. */
  begin(): Schedule<T> | null {
    if (!this.beginsByMessages) return null
    const rest = this.byMessages()
    return rest instanceof OneStep ? this.beside(rest) : null
  }

  private *beside(step: OneStep<T>): Schedule<T> {
    try {
      yield [...step.start(), this.exchange.watch(this)]
    } finally {
      this.abandon()
    }
    return step.finish()
  }

  /**
   * What comes after the wait: null when the result is there, in `result`; else the rest, by messages.
   * @throws what the collective fails with.
   */
  conclude(): Schedule<T> | null {
    let isPulling = false
    try {
      // a rank that has given the collective up may have posted before: its others fail all the same
      const why = this.error ?? this.exchange.whyHopeless(this.exchange.rank)
      if (why != null) throw why
      if (this.goesByMessages()) return this.byMessages()
      for (let i = 0; i < this.sources.length; i++) this.check(this.sources[i]!, this.byteLengths[i])
      if (this.pull !== null) {
        const pulls = this.pulls!
        pulls.start(this.number)
        const rest = this.pull(pulls)
        if (rest === null) return null
        isPulling = true
        return this.pulling(pulls, rest)
      }
      this.result = this.take(this.number)
      return null
    } finally {
      if (!isPulling) this.abandon()
    }
  }

  private *pulling(pulls: Pulls, rest: Schedule<T>): Schedule<T> {
    try {
      return yield* rest
    } catch (error) {
      // the caller gets its memory back, and somebody may still be about to read it
      if (this.names?.isNamed === true) yield* pulls.withdraw(this.writers)
      throw error
    } finally {
      this.abandon()
    }
  }

  private reachesMemory(): boolean {
    return this.postings.reachesMemory && (this.isAble === null || this.isAble())
  }

  private byMessages(): Schedule<T> {
    if (this.kept !== null) return this.kept
    const schedule = this.make()
    if (schedule instanceof OneStep) this.kept = schedule
    return schedule
  }

  private post(): boolean {
    const own = this.own
    if (!this.postings.hasRoom(this.number, this.longLength)) return false
    if (this.isByMessages) this.postings.post(this.number, BY_MESSAGES, NOTHING)
    else if (this.names !== null) this.postings.post(this.number, this.namedAs, this.names.name())
    else if (this.parts !== null) this.postings.postParts(this.number, this.type, this.longLength, this.parts)
    else this.postings.post(this.number, this.type, own as Uint8Array)
    this.isPosted = true
    return true
  }

  private isHopeless(source: number): boolean {
    const why = this.exchange.whyHopeless(source)
    if (why === null) return false
    this.error = why
    return true
  }

  private goesByMessages(): boolean {
    const own = this.own
    const number = this.number
    if (this.isByMessages) return true
    const sources = this.sources
    const { channel } = this.postings
    let others = 0
    for (let i = 0; i < sources.length; i++) if (channel.kindOf(sources[i]!, number) === BY_MESSAGES) others++
    if (others === 0) return false
    // who has posted and sees this goes by messages too; one who only reads cannot have the others do so
    if (own !== null || others === sources.length) return true
    const longer = sources.find((source) => channel.kindOf(source, number) === BY_MESSAGES)!
    throw otherwiseError(this.collective, longer)
  }

  private check(source: number, expected: number | undefined): void {
    const { channel } = this.postings
    const kind = channel.kindOf(source, this.number)
    const isNamed = kind <= IN_MEMORY
    if (isNamed && this.expectsNames && kind !== this.expectedNames) throw otherwiseError(this.collective, source)
    if (expected === undefined) {
      if (isNamed !== this.expectsNames) throw otherwiseError(this.collective, source)
      return
    }
    const type = isNamed ? namedType(this.postings, source, this.number) : kind
    if (type !== this.type) throw typeError(source, type, this.type)
    const byteLength = isNamed
      ? namedLength(this.postings, source, this.number)
      : channel.byteLengthOf(source, this.number)
    if (byteLength !== expected || (!isNamed && !this.postings.fits(byteLength)))
      throw lengthError(this.collective, source, byteLength, expected)
    if (isNamed !== this.expectsNames) throw otherwiseError(this.collective, source)
  }

  // --- as a generator, for those who run any schedule

  next(): IteratorResult<Awaited<unknown> | readonly Awaited<unknown>[], T> {
    this.steps ??= this.run()
    return this.steps.next()
  }

  throw(error: unknown): IteratorResult<Awaited<unknown> | readonly Awaited<unknown>[], T> {
    this.steps ??= this.run()
    return this.steps.throw(error)
  }

  [Symbol.iterator](): this {
    return this
  }

  private *run(): Schedule<T> {
    let begun: Schedule<T> | null
    try {
      this.start()
      begun = this.begin()
      if (begun === null && !this.done) yield this.exchange.watch(this)
    } catch (error) {
      this.abandon()
      throw error
    }
    if (begun !== null) return yield* begun
    const rest = this.conclude()
    return rest === null ? this.result! : yield* rest
  }
}

const NOTHING = new Uint8Array(0)
const NOBODY: readonly number[] = []

/** Names for these pieces of memory; null where they have none. */
function namesOf(remote: RemoteMemory | null, type: number, regions: readonly Uint8Array[]): Names | null {
  if (remote === null || !regions.every((region) => isExposable(remote, region))) return null
  return new Names(remote, type, regions)
}

function otherwiseError(collective: string, source: number): OnecopyError {
  const message = `${collective}: rank ${source} takes part with another length or root, or in another collective, than others`
  return new OnecopyError('ERR_TRUNCATE', message, { source })
}

function typeError(source: number, theirs: number, ours: number): OnecopyError {
  const message = `rank ${source} takes part with a ${elementTypeName(theirs)}, and this rank with a ${elementTypeName(ours)}`
  return new OnecopyError('ERR_TYPE', message, { source })
}
