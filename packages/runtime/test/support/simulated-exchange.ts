import { OnecopyError } from '@onecopy/transport'
import { newLike } from '../../src/collectives/arrays.js'
import { allocate, arrayOver, bytesOf, elementTypeOf, UINT8, VALUE } from '../../src/element-type.js'
import type { Arriving, Awaited, Exchange, Schedule } from '../../src/schedule.js'
import { Status } from '../../src/status.js'

/** Numbers from 0 to 1 that a seed repeats (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** How one rank's schedule ended. */
export type Outcome<T> =
  | { readonly how: 'returned'; readonly value: T }
  | { readonly how: 'failed'; readonly error: unknown }
  | { readonly how: 'waiting' }

/**
 * A communicator's ranks in one process: runs one schedule per rank over queues in memory, delivering messages and resuming
 * ranks in an order drawn from the seed. Each message is eager (copied at once) or rendezvous (read when it is delivered)
 * by the draw. Watches what an exchange demands: memory lent to it is neither changed nor lent twice, nobody is left
 * waiting, nothing is left over.
 */
export class SimulatedRanks {
  readonly size: number
  /** Messages and bytes that each rank has sent. */
  readonly messages: number[]
  readonly bytes: number[]
  readonly #random: () => number
  readonly #lanes: Lane[] = []

  constructor(size: number, seed: number) {
    this.size = size
    this.messages = new Array(size).fill(0)
    this.bytes = new Array(size).fill(0)
    this.#random = randomFrom(seed)
    for (let i = 0; i < size * size; i++) this.#lanes.push({ messages: [], receives: [] })
  }

  /** Every rank's result; throws the first rank's error, or when a rank hangs or a message is left over. */
  run<T>(program: (exchange: Exchange) => Schedule<T>): T[] {
    const outcomes = this.settle(program)
    for (const [rank, outcome] of outcomes.entries()) {
      if (outcome.how === 'failed') throw outcome.error
      if (outcome.how === 'waiting') throw new Error(`rank ${rank} of ${this.size} waits for ever`)
    }
    for (const lane of this.#lanes) {
      if (lane.messages.length + lane.receives.length > 0) throw new Error('a message or a receive is left over')
    }
    return outcomes.map((outcome) => (outcome as { value: T }).value)
  }

  /** How each rank ends when everything that can happen has happened. */
  settle<T>(program: (exchange: Exchange) => Schedule<T>): Outcome<T>[] {
    const runs = Array.from({ length: this.size }, (_, rank) => new Run(program(this.#exchange(rank))))
    for (;;) {
      const lanes = this.#lanes.filter((lane) => lane.messages.length > 0 && lane.receives.length > 0)
      const ready = runs.filter((run) => run.ready)
      if (lanes.length + ready.length === 0) break
      const drawn = Math.floor(this.#random() * (lanes.length + ready.length))
      if (drawn < lanes.length) deliver(lanes[drawn]!)
      else ready[drawn - lanes.length]!.advance()
    }
    return runs.map((run) => run.outcome)
  }

  #exchange(rank: number): Exchange {
    const lent: Loan[] = []
    const sendRaw = (bytes: Uint8Array, dest: number, elementType: number): Awaited<void> => {
      this.messages[rank]!++
      this.bytes[rank]! += bytes.length
      const eager = this.#random() < 0.5
      const sending = new Pending<void>(eager ? null : lend(lent, bytes, 'send'))
      if (eager) sending.complete(undefined)
      this.#lane(rank, dest).messages.push({
        elementType,
        value: undefined,
        bytes: bytes.slice(),
        source: rank,
        sending,
      })
      return sending
    }
    return {
      rank,
      size: this.size,
      bytesOf,
      aside: (like, length) => newLike(like, length),
      postings: null,
      whyHopeless: () => null,
      watch: () => {
        throw new Error('there is nothing to watch for')
      },
      sendBytes: (bytes, dest, elementType = UINT8) => sendRaw(bytes, dest, elementType),
      sendValue: (value, dest) => {
        const elementType = elementTypeOf(value)
        if (elementType !== VALUE) return sendRaw(bytesOf(value), dest, elementType)
        this.messages[rank]!++
        const sending = new Pending<void>(null)
        sending.complete(undefined)
        const copy = structuredClone(value)
        this.#lane(rank, dest).messages.push({ elementType, value: copy, bytes: null, source: rank, sending })
        return sending
      },
      receiveBytes: (into, source, elementType) => {
        const receiving = new Pending<unknown>(lend(lent, into, 'receive'))
        this.#lane(source, rank).receives.push({ receiving, into, elementType })
        return receiving as Pending<unknown> & Arriving
      },
      receiveValue: (source) => {
        const receiving = new Pending<unknown>(null)
        this.#lane(source, rank).receives.push({ receiving, into: null, elementType: undefined })
        return receiving
      },
    }
  }

  #lane(source: number, dest: number): Lane {
    if (!(source >= 0 && source < this.size && dest >= 0 && dest < this.size)) {
      throw new Error(`a message from rank ${source} to rank ${dest} of ${this.size}`)
    }
    return this.#lanes[source * this.size + dest]!
  }
}

interface Message {
  readonly source: number
  readonly elementType: number
  readonly value: unknown
  readonly bytes: Uint8Array | null
  readonly sending: Pending<void>
}

interface Receive {
  readonly receiving: Pending<unknown>
  readonly into: Uint8Array | null
  readonly elementType: number | undefined
}

interface Lane {
  readonly messages: Message[]
  readonly receives: Receive[]
}

/** Memory that belongs to the exchange until it is given back, and what it held. */
interface Loan {
  readonly bytes: Uint8Array
  readonly was: Uint8Array
  readonly purpose: 'send' | 'receive'
  end(): void
}

function lend(lent: Loan[], bytes: Uint8Array, purpose: 'send' | 'receive'): Loan {
  for (const other of lent) {
    if (purpose === 'send' && other.purpose === 'send') continue
    if (sharesMemory(bytes, other.bytes)) throw new Error(`memory lent to ${other.purpose} is lent again to ${purpose}`)
  }
  const loan: Loan = { bytes, was: bytes.slice(), purpose, end: () => lent.splice(lent.indexOf(loan), 1) }
  lent.push(loan)
  return loan
}

function sharesMemory(a: Uint8Array, b: Uint8Array): boolean {
  return (
    a.buffer === b.buffer &&
    Math.max(a.byteOffset, b.byteOffset) < Math.min(a.byteOffset + a.byteLength, b.byteOffset + b.byteLength)
  )
}

class Pending<T> implements Awaited<T> {
  done = false
  error: unknown = undefined
  #value: T | undefined
  readonly #loan: Loan | null

  constructor(loan: Loan | null) {
    this.#loan = loan
  }

  result(): T {
    if (!this.done) throw new Error('result() of something that is not done')
    if (this.error !== undefined) throw this.error
    return this.#value as T
  }

  complete(value: T): void {
    this.done = true
    this.#value = value
  }

  /** Of a receive into memory. */
  get messageBytes(): number {
    return (this.#value as Status).byteLength
  }

  fail(error: unknown): void {
    this.done = true
    this.error = error
  }

  giveBack(): void {
    if (this.#loan === null) return
    this.#loan.end()
    if (Buffer.compare(this.#loan.bytes, this.#loan.was) !== 0) {
      throw new Error(`memory lent to ${this.#loan.purpose} was changed meanwhile`)
    }
  }
}

function deliver({ messages, receives }: Lane): void {
  const message = messages.shift()!
  const { receiving, into, elementType } = receives.shift()!
  message.sending.giveBack()
  receiving.giveBack()
  if (!message.sending.done) message.sending.complete(undefined)
  const { bytes, source } = message
  if (into === null) {
    receiving.complete(bytes === null ? message.value : arrayOf(message.elementType, bytes))
  } else if (bytes === null) {
    receiving.fail(new OnecopyError('ERR_TYPE', 'a value came for raw memory', { source }))
  } else if (elementType !== undefined && elementType !== message.elementType) {
    receiving.fail(new OnecopyError('ERR_TYPE', 'another element type came', { source }))
  } else if (bytes.length > into.length) {
    receiving.fail(new OnecopyError('ERR_TRUNCATE', 'too long', { source }))
  } else {
    into.set(bytes)
    receiving.complete(new Status(source, 0, bytes.length))
  }
}

function arrayOf(elementType: number, bytes: Uint8Array): unknown {
  const memory = allocate(bytes.length)
  new Uint8Array(memory).set(bytes)
  return arrayOver(elementType, memory, bytes.length)
}

/** One rank's schedule, driven as the runtime drives it. */
class Run<T> {
  outcome: Outcome<T> = { how: 'waiting' }
  readonly #schedule: Schedule<T>
  #step: readonly Awaited<unknown>[] = []

  constructor(schedule: Schedule<T>) {
    this.#schedule = schedule
  }

  get ready(): boolean {
    return this.outcome.how === 'waiting' && (this.#step.every((awaited) => awaited.done) || this.#failed !== undefined)
  }

  get #failed(): Pending<unknown> | undefined {
    return (this.#step as readonly Pending<unknown>[]).find((awaited) => awaited.error !== undefined)
  }

  advance(): void {
    try {
      const failed = this.#failed
      const next = failed === undefined ? this.#schedule.next() : this.#schedule.throw(failed.error)
      if (next.done === true) this.outcome = { how: 'returned', value: next.value }
      else this.#step = Array.isArray(next.value) ? next.value : [next.value as Awaited<unknown>]
    } catch (error) {
      this.outcome = { how: 'failed', error }
    }
  }
}
