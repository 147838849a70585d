import type { Transport } from '@onecopy/transport'
import type { Progressing } from './blocking-driver.js'
import type { Job } from './job.js'

/**
 * The jobs of one process: its world's, and one per bridge to other jobs. A thread that blocks in one of them moves all, or
 * two processes that wait for each other in different jobs would wait for ever. A job that is alone drives itself, and pays
 * nothing for this.
 */
export class JobGroup implements Progressing {
  readonly #jobs: Job[] = []
  transports: readonly Transport[] = []
  /** The links of the others are lines on the world's. */
  readonly link = { pump: () => this.#jobs[0]?.link.pump() }

  /** All but `job`: what has to end before it does. */
  others(job: Job): Job[] {
    return this.#jobs.filter((other) => other !== job)
  }

  /** Whether `job` is the one that the others came to: the world's. */
  isHome(job: Job): boolean {
    return this.#jobs[0] === job
  }

  add(job: Job): void {
    this.#jobs.push(job)
    this.#changed()
  }

  remove(job: Job): void {
    const at = this.#jobs.indexOf(job)
    if (at < 0) return
    this.#jobs.splice(at, 1)
    job.engine.blockOn(null)
    this.#changed()
  }

  progress(framesMax: number): number {
    const jobs = this.#jobs
    let moved = 0
    for (let i = 0; i < jobs.length; i++) moved += jobs[i]!.engine.progress(framesMax)
    return moved
  }

  handOver(): void {
    for (const { engine } of this.#jobs) engine.handOver()
  }

  #changed(): void {
    const isAlone = this.#jobs.length === 1
    this.transports = this.#jobs.flatMap(({ engine }) => engine.transports)
    for (const { engine } of this.#jobs) engine.blockOn(isAlone ? null : this)
  }
}
