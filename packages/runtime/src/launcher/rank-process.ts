import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import type { Duplex, Readable } from 'node:stream'
import {
  encodeMessage,
  type LauncherMessage,
  MessageReader,
  namespaceName,
  RANK_MESSAGE_BYTES_MAX,
  type RankMessage,
  validRankMessage,
} from './control-message.js'
import { LineForwarder, type OutputSink } from './output.js'

/** The descriptor of the control line in a rank; the transports' follow. */
export const LINK_DESCRIPTOR = 3

/** How long the control line of a dead rank is read on when a grandchild holds it open. */
const LINE_DRAIN_MS = 40

/** Of a rank's standard error, what goes into a message about its end. */
const TAIL_BYTES_MAX = 2048

export interface RankCommand {
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  readonly stdin: 'inherit' | 'ignore'
  /** What the rank inherits after the control line, in this order. */
  readonly descriptors: readonly number[]
}

/** What a job knows of a rank's process, whoever has started it. */
export type JobProcess = Pick<RankProcess, keyof RankProcess>

export interface RankEvents {
  message(process: JobProcess, message: RankMessage): void
  /** The rank said something that is no message. */
  garbled(process: JobProcess, error: Error): void
  /** The process has ended and everything it had said has been heard. */
  ended(process: JobProcess): void
}

/** One rank's process, seen from the launcher. */
export class RankProcess {
  readonly rank: number
  readonly stdout: LineForwarder | null
  readonly stderr: LineForwarder | null
  /** Set once the process has ended. */
  exitCode: number | null = null
  signal: string | null = null
  /** Why the process could not be started. */
  startError: Error | null = null
  ended = false
  /** The rank has said that it is finished. */
  left = false
  /** The rank whose failure this one says it dies of; null when it says nothing. */
  consequenceOf: number | null = null
  /** Boot has said hello: node has come as far as the script. */
  booted = false
  /** The process that runs the script behind a wrapper; null when there is none, or it cannot be seen from here. */
  wrappedPid: number | null = null
  /** Null when the system refused to start it. */
  readonly #child: ChildProcess | null
  readonly #line: Duplex | null
  readonly #events: RankEvents
  #lineOpen = true
  #exited = false

  constructor(rank: number, command: RankCommand, events: RankEvents, sinks: RankSinks, label: string) {
    this.rank = rank
    this.#events = events
    const stdio: StdioOptions = [command.stdin, 'pipe', 'pipe', 'pipe', ...command.descriptors]
    this.#child = this.#spawn(command, stdio)
    // Where descriptors have run out there is a child without streams, and its error comes as an event.
    this.stdout = forward(this.#child?.stdout ?? null, sinks.stdout, label, 0)
    this.stderr = forward(this.#child?.stderr ?? null, sinks.stderr, label, TAIL_BYTES_MAX)
    this.#line = (this.#child?.stdio?.[LINK_DESCRIPTOR] as Duplex | null | undefined) ?? null
    this.#listen()
  }

  /** What the system refuses is thrown, or comes as an event, by its errno: here it is a rank that has ended either way. */
  #spawn({ file, args, cwd, env }: RankCommand, stdio: StdioOptions): ChildProcess | null {
    try {
      const child = spawn(file, args, { cwd, env, stdio, windowsHide: true })
      child.on('error', (error) => this.#onError(error))
      child.on('exit', (exitCode, signal) => this.#onExit(exitCode, signal))
      return child
    } catch (error) {
      this.startError = error as Error
      this.#exited = true
      // not from inside the constructor: nobody knows this rank yet
      setImmediate(() => this.#end())
      return null
    }
  }

  /** The child's process id; null when it could not be started. */
  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** Whether the process ended well: by itself with code 0, or after it had said that it was finished. */
  get endedWell(): boolean {
    return this.left || (this.exitCode === 0 && this.signal === null)
  }

  send(message: LauncherMessage): void {
    if (this.#line?.writable) this.#line.write(encodeMessage(message))
  }

  /** Sends a signal to the child, and to the script's own process behind a wrapper. Never throws. */
  kill(signal: NodeJS.Signals): void {
    if (!this.#exited) this.#child?.kill(signal)
    // The line is open, so the process at its end lives, and the pid is still its own.
    if (this.wrappedPid === null || !this.#lineOpen) return
    try {
      process.kill(this.wrappedPid, signal)
    } catch {
      // It ended in this moment.
    }
  }

  /** Hangs up: a script that has outlived its wrapper ends when its line does. */
  hangUp(): void {
    this.#line?.destroy()
    // A process that not even SIGKILL ends must not keep the launcher.
    if (!this.#exited) this.#child?.unref()
  }

  /** How the process ended, in words. */
  get endText(): string {
    if (this.startError !== null) return `could not be started: ${this.startError.message}`
    return this.signal === null ? `exit code ${this.exitCode}` : `killed by ${this.signal}`
  }

  #listen(): void {
    const line = this.#line
    if (line === null) {
      this.#lineOpen = false
      return
    }
    const reader = new MessageReader(RANK_MESSAGE_BYTES_MAX, (value) => this.#receive(validRankMessage(value)))
    line.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk)
      } catch (error) {
        line.destroy()
        this.#events.garbled(this, error as Error)
      }
    })
    line.on('error', () => {})
    line.on('close', () => this.#onLineClosed())
  }

  #receive(message: RankMessage): void {
    if (message.type === 'hello') this.#hello(message.pid, message.namespace)
    else if (message.type === 'consequence') this.consequenceOf = message.rank
    this.#events.message(this, message)
  }

  #hello(pid: number, namespace: string): void {
    this.booted = true
    // Another namespace's pid is a stranger's here.
    if (namespace === namespaceName() && pid !== this.#child?.pid) this.wrappedPid = pid
  }

  #onLineClosed(): void {
    this.#lineOpen = false
    if (this.#exited) this.#end()
  }

  #onError(error: Error): void {
    // A signal that could not be sent comes here too; only a failed start leaves no pid.
    if (this.pid !== null) return
    this.startError = error
    this.#exited = true
    this.#end()
  }

  #onExit(exitCode: number | null, signal: string | null): void {
    this.#exited = true
    this.exitCode = exitCode
    this.signal = signal
    // 'exit' and not 'close': a grandchild may hold the pipes for as long as it likes.
    if (this.#lineOpen) setTimeout(() => this.#end(), LINE_DRAIN_MS)
    else this.#end()
  }

  #end(): void {
    if (this.ended) return
    this.ended = true
    this.#events.ended(this)
  }
}

export interface RankSinks {
  readonly stdout: OutputSink
  readonly stderr: OutputSink
}

function forward(stream: Readable | null, sink: OutputSink, label: string, tailBytes: number): LineForwarder | null {
  return stream === null ? null : new LineForwarder(stream, sink, label, tailBytes)
}
