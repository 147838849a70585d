const PATIENCE_MILLISECONDS_MIN = 0.02
/** A sleep and the look after it cost up to 0.2 ms of CPU on a slow, busy virtual machine: half a percent of this. */
const PATIENCE_MILLISECONDS_MAX = 40
/** A frame is noticed at most this part of the time already slept later than it could have been. */
const PATIENCE_PART = 1 / 8

/**
 * Puts the thread to sleep in slices that grow with the time slept.
 *
 * Node has no call that waits for a descriptor with a bound in time, so a sleeper has to look up now and then. What it slept
 * counts over many short sleeps, until {@link refresh}.
 */
export class Sleeper {
  // Nobody else has this memory, so the wait always lasts until its time is over.
  private readonly cell = new Int32Array(new SharedArrayBuffer(4))
  private sleptMilliseconds = 0

  /** How long to go without a look into the inbox, in milliseconds. */
  get patience(): number {
    const grown = this.sleptMilliseconds * PATIENCE_PART
    return Math.max(PATIENCE_MILLISECONDS_MIN, Math.min(grown, PATIENCE_MILLISECONDS_MAX))
  }

  /** Sleeps one slice, at most so many milliseconds, and answers how long it was meant to be. */
  sleep(millisecondsMax: number): number {
    const slice = Math.min(this.patience, millisecondsMax)
    Atomics.wait(this.cell, 0, 0, slice)
    // The kernel wakes a sleeper some 50 us late: a slice counts at least that much.
    this.sleptMilliseconds += Math.max(slice, 0.05)
    return slice
  }

  /** Learns that something has come, or is expected soon: the next slices are short again. */
  refresh(): void {
    this.sleptMilliseconds = 0
  }

  /** Leaves the CPU for as short as the kernel can. */
  pause(): void {
    Atomics.wait(this.cell, 0, 0, 0.001)
  }
}
