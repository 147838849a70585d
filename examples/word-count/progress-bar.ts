import { Writable } from 'node:stream'
import { Presets, SingleBar } from 'cli-progress'

const MEGABYTE = 1e6
const ERASE_TO_END = '\x1b[0K'
const FIRST_COLUMN = '\x1b[1G'

/** A bar on standard error that shows bytes done, if a person watches; otherwise nothing at all. */
export class ProgressBar {
  readonly #bar: SingleBar
  readonly #totalBytes: number

  constructor(totalBytes: number) {
    const columns = Number(process.env.ONECOPY_TERMINAL_COLUMNS ?? 0)
    const stream = columns > 0 ? launchersTerminal(columns) : process.stderr
    const format = '{what} [{bar}] {percentage} % of {megabytes} MB, {duration} s'
    // Without a terminal, cli-progress writes nothing.
    this.#bar = new SingleBar({ stream, format, barsize: 30, hideCursor: false, linewrap: true }, Presets.legacy)
    this.#totalBytes = totalBytes
    this.#bar.start(totalBytes, 0, { what: '', megabytes: Math.round(totalBytes / MEGABYTE) })
  }

  /** Shows how many bytes are done, and what is going on. */
  update(bytes: number, what: string): void {
    this.#bar.update(Math.min(bytes, this.#totalBytes), { what })
  }

  /** Shows 100 % and gives the line up. */
  finish(what: string): void {
    this.#bar.update(this.#totalBytes, { what })
    this.#bar.stop()
  }
}

/**
 * The terminal that the launcher passes our standard error on to. The launcher passes whole lines; in a terminal a carriage
 * return ends one too, so one goes behind every frame of the bar.
 */
function launchersTerminal(columns: number): NodeJS.WritableStream {
  const stream = new Writable({
    decodeStrings: false,
    write(text: string, _encoding, done) {
      process.stderr.write(text.endsWith(ERASE_TO_END) ? `${text}\r${FIRST_COLUMN}` : text)
      done()
    },
  })
  return Object.assign(stream, { isTTY: true, columns })
}
