import fs from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import tty from 'node:tty'

/** Bytes that may wait for a slow reader of our output before the ranks' pipes are left unread. */
const QUEUE_BYTES_MAX = 256 * 1024

/** A line longer than this is passed on in pieces: memory is bounded, whatever a rank prints. */
const LINE_BYTES_MAX = 1024 * 1024

/** A descriptor that another process has made non-blocking is tried again after this time. */
const BUSY_RETRY_MS = 5

const NEWLINE = 10
const CARRIAGE_RETURN = 13

/**
 * Where lines go: a descriptor, a stream, or nowhere. Writes to a descriptor are made off the event loop, because a pipe
 * that nobody reads would otherwise hold the launcher, and with it every notice of a dead rank.
 */
export class OutputSink {
  readonly #destination: number | Writable | null
  #queue: Buffer[] = []
  #queued = 0
  #writing = false
  #broken = false
  #drained: (() => void)[] = []

  constructor(destination: number | Writable | null) {
    this.#destination = destination
    if (typeof destination === 'object' && destination !== null) destination.on('error', this.#onError)
  }

  readonly #onError = (): void => {
    this.#break()
  }

  /** Whether a person watches: then a progress bar's carriage return is as good as the end of a line. */
  get isTerminal(): boolean {
    return typeof this.#destination === 'number' && tty.isatty(this.#destination)
  }

  /** Whether more should be kept back, until {@link whenDrained} calls. */
  get full(): boolean {
    return this.#queued >= QUEUE_BYTES_MAX
  }

  /** Takes whole lines, in one piece; they are never mixed with another caller's. */
  write(lines: Buffer): void {
    if (this.#broken || this.#destination === null || lines.length === 0) return
    this.#queue.push(lines)
    this.#queued += lines.length
    if (!this.#writing) this.#next()
  }

  /** Calls back once when there is room again. */
  whenDrained(callback: () => void): void {
    this.#drained.push(callback)
  }

  /** Resolves when everything has been written, or nobody reads any more. */
  flush(): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (!this.#writing && this.#queue.length === 0) resolve()
        else this.#drained.push(look)
      }
      look()
    })
  }

  /** Lets go of the stream; it is not ended, because it is not ours. */
  release(): void {
    if (typeof this.#destination === 'object') this.#destination?.off('error', this.#onError)
  }

  #next(): void {
    const bytes = this.#queue.length === 1 ? (this.#queue[0] as Buffer) : Buffer.concat(this.#queue)
    this.#queue = []
    this.#writing = true
    if (typeof this.#destination === 'number') this.#writeDescriptor(this.#destination, bytes, 0)
    else this.#destination?.write(bytes, (error) => (error ? this.#break() : this.#written(bytes.length)))
  }

  #writeDescriptor(descriptor: number, bytes: Buffer, at: number): void {
    fs.write(descriptor, bytes, at, bytes.length - at, null, (error, byteCount) => {
      if (error !== null) {
        if (error.code === 'EAGAIN') setTimeout(() => this.#writeDescriptor(descriptor, bytes, at), BUSY_RETRY_MS)
        else this.#break()
        return
      }
      if (at + byteCount < bytes.length) this.#writeDescriptor(descriptor, bytes, at + byteCount)
      else this.#written(bytes.length)
    })
  }

  #written(byteCount: number): void {
    this.#queued -= byteCount
    this.#writing = false
    if (this.#queue.length > 0) this.#next()
    this.#tellDrained()
  }

  /** The reader of our output is gone (`| head -1`). The job goes on: what it prints is read and dropped. */
  #break(): void {
    this.#broken = true
    this.#writing = false
    this.#queue = []
    this.#queued = 0
    this.#tellDrained()
  }

  #tellDrained(): void {
    if (this.full) return
    const waiting = this.#drained
    this.#drained = []
    for (const callback of waiting) callback()
  }
}

/** Passes one stream of one rank on, whole lines at a time. */
export class LineForwarder {
  readonly #stream: Readable
  readonly #sink: OutputSink
  readonly #prefix: Buffer | null
  readonly #tailBytesMax: number
  readonly #returnEndsLine: boolean
  #held: Buffer[] = []
  #heldBytes = 0
  #tail = ''
  #suppressed = false
  #suppressedLines = 0
  #paused = false
  #lastAt = performance.now()
  #ended = false
  #onEnd: (() => void)[] = []

  /** `prefix` goes before each line; the last `tailBytesMax` bytes are kept for {@link tail}. */
  constructor(stream: Readable, sink: OutputSink, prefix: string, tailBytesMax: number) {
    this.#stream = stream
    this.#sink = sink
    this.#prefix = prefix === '' ? null : Buffer.from(prefix)
    this.#tailBytesMax = tailBytesMax
    this.#returnEndsLine = sink.isTerminal
    stream.on('data', (chunk: Buffer) => this.#take(chunk))
    stream.on('error', () => this.#end())
    stream.on('close', () => this.#end())
  }

  /** The last lines that came, for a message about how this rank ended. */
  get tail(): string {
    return this.#tail.trim()
  }

  /** Lines that came after {@link suppress}. */
  get suppressedLines(): number {
    return this.#suppressedLines
  }

  /** From now on lines are counted and dropped. */
  suppress(): void {
    this.#suppressed = true
  }

  /**
   * Resolves when the stream is over and its last line, finished or not, is handed on. A stream that somebody else holds
   * open (a grandchild) counts as over when nothing has come for `quietMs`.
   */
  finish(quietMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#ended) {
        resolve()
        return
      }
      const timer = setInterval(() => {
        if (!this.#paused && performance.now() - this.#lastAt >= quietMs) this.#stream.destroy()
      }, quietMs)
      this.#lastAt = performance.now()
      this.#onEnd.push(() => {
        clearInterval(timer)
        resolve()
      })
    })
  }

  #take(chunk: Buffer): void {
    this.#lastAt = performance.now()
    if (this.#tailBytesMax > 0) {
      const recent = chunk.subarray(Math.max(0, chunk.length - this.#tailBytesMax)).toString('utf8')
      this.#tail = (this.#tail + recent).slice(-this.#tailBytesMax)
    }
    let cut = chunk.lastIndexOf(NEWLINE) + 1
    // Not the last byte: it may be the first half of a Windows line end.
    if (this.#returnEndsLine) cut = Math.max(cut, chunk.subarray(0, -1).lastIndexOf(CARRIAGE_RETURN) + 1)
    if (cut > 0) {
      this.#held.push(chunk.subarray(0, cut))
      this.#handOn()
    }
    if (cut < chunk.length) {
      this.#held.push(chunk.subarray(cut))
      this.#heldBytes += chunk.length - cut
      if (this.#heldBytes > LINE_BYTES_MAX) {
        this.#held.push(Buffer.from('\n'))
        this.#handOn()
      }
    }
    if (this.#sink.full && !this.#paused) {
      this.#paused = true
      this.#stream.pause()
      this.#sink.whenDrained(() => {
        this.#paused = false
        this.#lastAt = performance.now()
        this.#stream.resume()
      })
    }
  }

  #handOn(): void {
    const lines = this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held)
    this.#held = []
    this.#heldBytes = 0
    if (this.#suppressed) this.#suppressedLines += countLines(lines)
    else this.#sink.write(this.#prefix === null ? lines : labelled(lines, this.#prefix))
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#held.length > 0) {
      // An unfinished last line is finished, or the next rank's line would be glued to it.
      this.#held.push(Buffer.from('\n'))
      this.#handOn()
    }
    for (const callback of this.#onEnd) callback()
  }
}

/** `lines` (whole ones) with `prefix` before each. */
function labelled(lines: Buffer, prefix: Buffer): Buffer {
  const out = Buffer.allocUnsafe(lines.length + countLines(lines) * prefix.length)
  let at = 0
  let from = 0
  while (from < lines.length) {
    const newline = lines.indexOf(NEWLINE, from)
    const end = newline < 0 ? lines.length : newline + 1
    at += prefix.copy(out, at)
    at += lines.copy(out, at, from, end)
    from = end
  }
  return out.subarray(0, at)
}

function countLines(lines: Buffer): number {
  let count = 0
  for (let at = lines.indexOf(NEWLINE); at >= 0; at = lines.indexOf(NEWLINE, at + 1)) count++
  return count
}
