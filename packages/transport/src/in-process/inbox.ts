import type { FrameQueue } from './frame-queue.js'

/** The queues that hold frames for one rank, in turn, and the wake-up that rank has asked for. */
export class Inbox {
  private readonly schedule: (callback: () => void) => void
  private first: FrameQueue | null = null
  private last: FrameQueue | null = null
  private listener: (() => void) | null = null
  private isWakeScheduled = false
  // Made once, so that arming and firing allocate nothing.
  private readonly fire = (): void => {
    this.isWakeScheduled = false
    const listener = this.listener
    this.listener = null
    if (listener !== null) listener()
  }

  constructor(schedule: (callback: () => void) => void) {
    this.schedule = schedule
  }

  get isEmpty(): boolean {
    return this.first === null
  }

  /** Learns that `queue` holds frames. */
  add(queue: FrameQueue): void {
    if (!queue.isReady) {
      queue.isReady = true
      queue.nextReady = null
      if (this.last === null) this.first = queue
      else this.last.nextReady = queue
      this.last = queue
    }
    this.ring()
  }

  /** Has the wake-up fire soon, if there is one. */
  ring(): void {
    if (this.listener !== null && !this.isWakeScheduled) {
      this.isWakeScheduled = true
      this.schedule(this.fire)
    }
  }

  /** The queue whose turn it is, taken out; null when no frame waits. Put it back with {@link add} while it has frames. */
  take(): FrameQueue | null {
    const queue = this.first
    if (queue === null) return null
    this.first = queue.nextReady
    if (this.first === null) this.last = null
    queue.nextReady = null
    queue.isReady = false
    return queue
  }

  /** Arms the one wake-up, or takes it back. */
  arm(listener: (() => void) | null): void {
    this.listener = listener
  }

  /** Drops every frame and the wake-up. */
  clear(): void {
    this.listener = null
    for (let queue = this.take(); queue !== null; queue = this.take()) queue.clear()
  }
}
