import type net from 'node:net'
import {
  encodeMessage,
  type LauncherMessage,
  MessageReader,
  RANK_MESSAGE_BYTES_MAX,
  type RankMessage,
  validRankMessage,
} from './control-message.js'
import type { JobProcess, RankEvents } from './rank-process.js'

/**
 * The process that has started this launcher in order to spawn or to join, as the only rank of its job. It was here before
 * us, writes to where it likes, and is not ours to end; all we learn of its end is that its line is gone.
 */
export class AdoptedProcess implements JobProcess {
  readonly rank = 0
  readonly stdout = null
  readonly stderr = null
  readonly startError = null
  readonly pid = null
  readonly wrappedPid = null
  readonly booted = true
  exitCode: number | null = null
  readonly signal = null
  ended = false
  left = false
  consequenceOf: number | null = null
  readonly #line: net.Socket
  readonly #events: RankEvents

  constructor(line: net.Socket, events: RankEvents) {
    this.#line = line
    this.#events = events
    const reader = new MessageReader(RANK_MESSAGE_BYTES_MAX, (value) => this.#receive(validRankMessage(value)))
    line.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk)
      } catch (error) {
        events.garbled(this, error as Error)
        line.destroy()
      }
    })
    line.on('error', () => {})
    line.on('close', () => this.#end())
  }

  get endedWell(): boolean {
    return this.left
  }

  get endText(): string {
    return this.left ? 'it has left' : 'its process is gone'
  }

  send(message: LauncherMessage): void {
    if (this.#line.writable) this.#line.write(encodeMessage(message))
  }

  /** Lets go of it: a job that is being ended has nothing more to say to it. */
  kill(): void {
    this.#line.end(() => this.#line.destroy())
    setImmediate(() => this.#end())
  }

  hangUp(): void {
    this.#line.destroy()
  }

  #receive(message: RankMessage): void {
    this.#events.message(this, message)
    // Its exit code is nobody's business here.
    if (message.type === 'leave') setImmediate(() => this.#end())
  }

  #end(): void {
    if (this.ended) return
    this.ended = true
    if (this.left) this.exitCode = 0
    this.#events.ended(this)
  }
}
