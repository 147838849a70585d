import type { Exchange, Watched } from './schedule.js'

/** Comes about when it is looked for a second time: whoever waits for it lets others have their turn. */
export class Pause implements Watched {
  readonly error = undefined
  readonly isDue = true
  #wasAsked = false

  get done(): boolean {
    const wasAsked = this.#wasAsked
    this.#wasAsked = true
    return wasAsked
  }

  cancel(): void {}
}

/** Something that comes about by itself, whatever becomes of this rank's communicator. */
export class Happening implements Watched {
  readonly error = undefined
  readonly #holds: () => boolean

  constructor(holds: () => boolean) {
    this.#holds = holds
  }

  get done(): boolean {
    return this.#holds()
  }

  get isDue(): boolean {
    return this.#holds()
  }

  cancel(): void {}
}

/** Something that comes about by itself; or never any more, when this rank's communicator is revoked, freed or given up. */
export class Condition implements Watched {
  error: unknown = undefined
  readonly #exchange: Exchange
  readonly #holds: () => boolean

  constructor(exchange: Exchange, holds: () => boolean) {
    this.#exchange = exchange
    this.#holds = holds
  }

  get done(): boolean {
    if (this.#holds()) return true
    this.error = this.#exchange.whyHopeless(this.#exchange.rank) ?? undefined
    return this.error !== undefined
  }

  get isDue(): boolean {
    return this.#holds()
  }

  cancel(): void {}
}
