import type { OnecopyError } from '@onecopy/transport'
import type { TypedArray } from './collectives/arrays.js'
import type { Arriving, Awaited, Exchange, Watched } from './schedule.js'

/** Some ranks of an exchange, numbered anew: what a schedule needs that only they take part in. */
export class SubExchange implements Exchange {
  /** -1 when this rank is not among them. */
  readonly rank: number
  readonly size: number
  /** Postings are for all ranks of a communicator. */
  readonly postings = null
  readonly #whole: Exchange
  readonly #ranks: readonly number[]

  constructor(whole: Exchange, ranks: readonly number[]) {
    this.#whole = whole
    this.#ranks = ranks
    this.rank = ranks.indexOf(whole.rank)
    this.size = ranks.length
  }

  sendBytes(bytes: Uint8Array, dest: number, elementType?: number, receiving?: boolean): Awaited<void> {
    return this.#whole.sendBytes(bytes, this.#ranks[dest] as number, elementType, receiving)
  }

  receiveBytes(into: Uint8Array, source: number, elementType?: number): Arriving {
    return this.#whole.receiveBytes(into, this.#ranks[source] as number, elementType)
  }

  bytesOf(view: ArrayBufferView): Uint8Array {
    return this.#whole.bytesOf(view)
  }

  aside<T extends TypedArray>(like: T, length: number): T {
    return this.#whole.aside(like, length)
  }

  sendValue(value: unknown, dest: number): Awaited<void> {
    return this.#whole.sendValue(value, this.#ranks[dest] as number)
  }

  receiveValue(source: number): Awaited<unknown> {
    return this.#whole.receiveValue(this.#ranks[source] as number)
  }

  whyHopeless(source: number): OnecopyError | null {
    return this.#whole.whyHopeless(this.#ranks[source] as number)
  }

  watch(watcher: Watched): Awaited<void> {
    return this.#whole.watch(watcher)
  }
}
