import type { FaultOptions } from './fault-options.js'

/** Which peers are alive as the wrapper tells it, and what has passed between this rank and each. */
export class PeerFates {
  readonly seed: number
  private readonly callsLeft = new Map<number, number>()
  private readonly dead = new Set<number>()

  constructor(options: FaultOptions) {
    this.seed = options.seed
    for (const { peer, afterCalls } of options.deaths ?? []) {
      if (afterCalls <= 0) this.dead.add(peer)
      else this.callsLeft.set(peer, afterCalls)
    }
  }

  isDead(peer: number): boolean {
    return this.dead.has(peer)
  }

  kill(peer: number): void {
    this.dead.add(peer)
  }

  /** Counts a frame or a remote copy, which may have been the last. */
  count(peer: number): void {
    const left = this.callsLeft.get(peer)
    if (left === undefined) return
    this.callsLeft.set(peer, left - 1)
    if (left === 1) this.dead.add(peer)
  }

  /** Ends every injected error's message, so that whoever reads a log can run the same again. */
  signature(): string {
    return `[injected by withFaults, seed ${this.seed}]`
  }
}
