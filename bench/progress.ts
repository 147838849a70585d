/** Says on stderr what is being measured: one line that is rewritten in a terminal, one line per step in a log. */
export class Progress {
  readonly #stepCount: number
  readonly #startedAt = performance.now()
  #step = 0

  constructor(stepCount: number) {
    this.#stepCount = stepCount
  }

  next(what: string): void {
    const percent = Math.round((100 * this.#step++) / this.#stepCount)
    const seconds = Math.round((performance.now() - this.#startedAt) / 1000)
    const line = `${`${percent}`.padStart(3)} %  ${seconds} s  ${what}`
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${line}` : `${line}\n`)
  }

  end(): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
  }
}
