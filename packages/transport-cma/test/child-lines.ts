import type { ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { until } from './cma-job.js'

/** The lines a child has printed so far, growing. */
export class ChildLines {
  readonly all: string[] = []

  constructor(child: ChildProcess) {
    if (child.stdout !== null) createInterface({ input: child.stdout }).on('line', (line) => this.all.push(line))
  }

  /** The first line that starts with `prefix`, once there is one, without the prefix. */
  async next(prefix: string): Promise<string> {
    await until(`a line ${prefix}…`, () => this.all.some((line) => line.startsWith(prefix)), 15_000)
    const index = this.all.findIndex((line) => line.startsWith(prefix))
    return (this.all.splice(index, 1)[0] as string).slice(prefix.length).trim()
  }
}
