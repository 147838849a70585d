import { performance } from 'node:perf_hooks'

/** So many looks in a row may find nothing before looking gets rarer. */
const EAGER_LOOKS = 32
const PATIENT_LOOKS = 512
const SOON_MILLISECONDS = 0.016
const LATER_MILLISECONDS = 0.2

/**
 * Says when a poll should look into the inbox again. A look at an empty FIFO costs some 5 us, much more than a poll of a
 * transport that nobody uses may take from one that is used; so looks that find nothing for long get rarer, and the first
 * frame after a long silence may be seen a fifth of a millisecond late.
 */
export class LookSchedule {
  private emptyLooks = 0
  private lastLook = 0
  private isAfterSleep = false
  private patience = 0

  /** Whether a poll should look now. */
  isTime(): boolean {
    if (this.isAfterSleep) {
      this.isAfterSleep = false
      return this.isDue(this.patience)
    }
    if (this.emptyLooks < EAGER_LOOKS) return true
    return this.isDue(this.emptyLooks < PATIENT_LOOKS ? SOON_MILLISECONDS : LATER_MILLISECONDS)
  }

  /** Whether the last look that counts is so long ago. */
  isDue(milliseconds: number): boolean {
    return performance.now() - this.lastLook >= milliseconds
  }

  /** A poll has looked. */
  looked(hasFound: boolean): void {
    if (hasFound) {
      this.emptyLooks = 0
      return
    }
    if (this.emptyLooks < PATIENT_LOOKS) this.emptyLooks++
    if (this.emptyLooks >= EAGER_LOOKS) this.lastLook = performance.now()
  }

  /** A sleeper has looked and found nothing. */
  lookedAsleep(): void {
    this.lastLook = performance.now()
  }

  /** A sleep ends that looks every `patience` milliseconds: the one poll after it need not look more often. */
  slept(patience: number): void {
    this.isAfterSleep = true
    this.patience = patience
  }

  /** Something is likely to come: the next looks are not put off. */
  expect(): void {
    this.emptyLooks = 0
    this.isAfterSleep = false
  }
}
