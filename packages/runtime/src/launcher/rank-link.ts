import fs from 'node:fs'
import net from 'node:net'
import { OnecopyError } from '@onecopy/transport'
import type { Agreed, Extension, JobLink, JobListener, LinkTransport, Waiting } from '../job-link.js'
import {
  encodeMessage,
  type JobMessage,
  LAUNCHER_MESSAGE_BYTES_MAX,
  type LauncherMessage,
  LENGTH_BYTES,
  MessageReader,
  namespaceName,
  RANK_MESSAGE_BYTES_MAX,
  type RankMessage,
  validLauncherMessage,
} from './control-message.js'
import { Conversation } from './conversation.js'

/** The line is read in pieces of this size; most messages are a few hundred bytes. */
const READ_BYTES = 16 * 1024

/** How long handlers may run once the launcher is gone: everything has to be over within 250 ms (RELIABILITY, row 10). */
const LAUNCHER_LOST_GRACE_MS = 60

/** How long a full line is waited for. A launcher that was stopped for longer than this has lost the rank's message. */
const WRITE_PATIENCE_MS = 30_000

/** Of a notice or a reason; more than a screen of it helps nobody. */
const TEXT_LENGTH_MAX = 8192

/** A rank's end of the socket pair it inherited from its launcher. */
export class RankLink implements JobLink {
  readonly rank: number
  readonly size: number
  readonly launcherPid: number
  readonly directory: string
  readonly token: Uint8Array
  readonly transports: readonly LinkTransport[]
  readonly settings: Readonly<Record<string, string | undefined>>
  /** Whether this rank should ask the kernel to be killed with its parent. */
  readonly deathSignal: boolean
  /** Variables of the environment that this rank should not hand on. */
  readonly spentVariables: readonly string[]
  readonly parentLine: number | null

  readonly #descriptor: number
  readonly #socket: net.Socket
  readonly #reader: MessageReader
  readonly #pumpBuffer = Buffer.allocUnsafe(READ_BYTES)
  readonly #sleepCell = new Int32Array(new SharedArrayBuffer(4))
  readonly #conversation: Conversation
  readonly #isAdopted: boolean
  #arrived: LauncherMessage[] = []
  #isReferenced = false
  #isAwaited = false
  #held = false
  #lostAt = -1
  #left = false

  /** Reads who this rank is from `descriptor`; the launcher has written it before or right after the start. */
  static open(descriptor: number): RankLink {
    return new RankLink(descriptor, null, readJob(descriptor))
  }

  /**
   * The line of a process that nobody has launched to a launcher that it has started itself, over `socket`. When that is lost,
   * so is what it had launched; the process goes on.
   */
  static adopted(socket: net.Socket, descriptor: number, job: JobMessage): RankLink {
    return new RankLink(descriptor, socket, job)
  }

  private constructor(descriptor: number, socket: net.Socket | null, job: JobMessage) {
    this.rank = job.rank
    this.size = job.size
    this.launcherPid = job.launcherPid
    this.directory = job.directory
    this.token = Buffer.from(job.token, 'hex')
    this.transports = job.transports
    this.settings = job.settings
    this.deathSignal = job.deathSignal === true
    this.spentVariables = job.spentVariables
    this.parentLine = job.parentLine ?? null
    this.#descriptor = descriptor
    this.#isAdopted = socket !== null
    this.#conversation = new Conversation({
      write: (message) => this.#write(message),
      keepAlive: (isWaiting) => {
        this.#isAwaited = isWaiting
        this.#hold()
      },
      whyLost: () => (this.#lostAt >= 0 ? this.#launcherLostError() : null),
    })
    this.#reader = new MessageReader(LAUNCHER_MESSAGE_BYTES_MAX, (message) => {
      this.#arrived.push(validLauncherMessage(message))
    })
    this.#socket = socket ?? this.#openSocket(descriptor)
    if (socket !== null) socket.on('data', (bytes: Buffer) => this.#take(bytes))
    this.#socket.on('end', () => this.#lost())
    this.#socket.on('error', () => this.#lost())
    this.#socket.on('close', () => this.#lost())
    this.#socket.unref()
    this.#socket.resume()
    this.#write({ type: 'hello', pid: process.pid, namespace: namespaceName() })
  }

  /** Whether the job is being ended because of another rank's failure, an abort, or the launcher's end. */
  get failing(): boolean {
    return this.#conversation.failing
  }

  /** Waits a bounded time for the launcher to say that the job is failing; answers whether it is. Blocks the thread. */
  awaitFailing(milliseconds: number): boolean {
    const deadline = performance.now() + milliseconds
    for (;;) {
      this.pump()
      if (this.failing) return true
      if (performance.now() >= deadline) return false
      Atomics.wait(this.#sleepCell, 0, 0, 2)
    }
  }

  agree(id: string, members: readonly number[], flags: number, done: (agreed: Agreed) => void): void {
    this.#conversation.agree(id, members, flags, done)
  }

  allgather(card: unknown, waiting: Waiting<unknown[]>): void {
    this.#conversation.allgather(card, waiting)
  }

  listen(listener: JobListener): void {
    this.#conversation.listen(listener)
  }

  extension(): Extension {
    return this.#conversation
  }

  pump(): void {
    if (this.#lostAt >= 0) {
      if (!this.#isAdopted && performance.now() - this.#lostAt > LAUNCHER_LOST_GRACE_MS) this.#end()
      return
    }
    for (;;) {
      let byteCount: number
      try {
        byteCount = fs.readSync(this.#descriptor, this.#pumpBuffer)
      } catch (error) {
        if (!isBusy(error)) this.#lost()
        return
      }
      if (byteCount === 0) {
        this.#lost()
        return
      }
      this.#take(this.#pumpBuffer.subarray(0, byteCount))
      if (byteCount < READ_BYTES) return
    }
  }

  ref(): void {
    this.#isReferenced = true
    this.#hold()
  }

  unref(): void {
    this.#isReferenced = false
    this.#hold()
  }

  notice(key: string, message: string): void {
    this.#write({ type: 'notice', key, message: message.slice(0, TEXT_LENGTH_MAX) })
  }

  abort(exitCode: number, reason: string): void {
    this.#write({ type: 'abort', exitCode: exitCode & 0xff, reason: reason.slice(0, TEXT_LENGTH_MAX) })
  }

  leave(): void {
    if (this.#left) return
    this.#left = true
    this.#conversation.leave()
    this.#write({ type: 'leave' })
  }

  /** Hands the launcher what `--stats` shows for this rank: plain JSON, numbers and words by name. */
  stats(report: object): void {
    this.#write({ type: 'stats', report })
  }

  /** Tells the launcher that an uncaught error, which blames rank `of` (-1: nobody), is about to end this rank. */
  dying(of: number): void {
    this.#write({ type: 'dying', of })
  }

  /** Tells the launcher that this rank is about to die of `rank`'s failure (-1: of an abort or the launcher's word). */
  consequence(rank: number): void {
    this.#write({ type: 'consequence', rank })
  }

  #openSocket(descriptor: number): net.Socket {
    // With `onread` the bytes go to the parser when they are read, and never wait in a stream's queue: pump() reads the
    // same descriptor, and what it reads must not overtake them.
    const options: net.SocketConstructorOpts & { onread: net.OnReadOpts } = {
      fd: descriptor,
      readable: true,
      writable: true,
      onread: {
        buffer: Buffer.allocUnsafe(READ_BYTES),
        callback: (byteCount: number, buffer: Uint8Array) => {
          this.#take(buffer.subarray(0, byteCount))
          return true
        },
      },
    }
    return new net.Socket(options)
  }

  /** The one place that decides whether the socket keeps the process alive. */
  #hold(): void {
    const wanted = this.#isReferenced || this.#isAwaited
    if (wanted === this.#held) return
    this.#held = wanted
    if (wanted) this.#socket.ref()
    else this.#socket.unref()
  }

  #take(bytes: Uint8Array): void {
    try {
      this.#reader.push(bytes)
    } catch (error) {
      // Nobody but the launcher writes here: a line that cannot be read is as good as no launcher.
      process.stderr.write(`onecopy: rank ${this.rank}: the launcher's line is garbled: ${String(error)}\n`)
      this.#lost()
    }
    // Outside of the try: what a listener throws is not the launcher's fault. Messages behind it wait for the next bytes.
    for (let message = this.#arrived.shift(); message !== undefined; message = this.#arrived.shift()) {
      this.#conversation.receive(message)
    }
  }

  #lost(): void {
    if (this.#lostAt >= 0) return
    this.#lostAt = performance.now()
    // A live timer, whatever the script does: an orphan must not stay, and it ends even if nothing calls pump().
    if (!this.#isAdopted) setTimeout(() => this.#end(), LAUNCHER_LOST_GRACE_MS)
    this.#conversation.lost(this.#launcherLostError())
  }

  #launcherLostError(): Error {
    return new OnecopyError(
      'ERR_LAUNCHER_LOST',
      'the launcher of this job is gone: it was killed, or its machine is stopping',
    )
  }

  /** Leaves nothing behind, and does not ask the script's exit handlers, which may take for ever. */
  #end(): void {
    removeDirectory(this.directory)
    process.kill(process.pid, 'SIGKILL')
    // Still here: the first process of a pid namespace cannot kill itself.
    process.removeAllListeners('exit')
    process.exit(1)
  }

  /**
   * Writes synchronously: the process may be about to end, or about to spin. The socket object only reads, so nothing can
   * get in between.
   */
  #write(message: RankMessage): void {
    if (this.#lostAt >= 0) return
    const bytes = encodeMessage(message)
    if (bytes.length - LENGTH_BYTES > RANK_MESSAGE_BYTES_MAX) {
      throw new RangeError(`a ${message.type} of ${bytes.length} bytes; ${RANK_MESSAGE_BYTES_MAX} are possible`)
    }
    let at = 0
    const deadline = performance.now() + WRITE_PATIENCE_MS
    while (at < bytes.length) {
      try {
        at += fs.writeSync(this.#descriptor, bytes, at)
      } catch (error) {
        if (!isBusy(error) || performance.now() > deadline) {
          this.#lost()
          return
        }
        Atomics.wait(this.#sleepCell, 0, 0, 1)
      }
    }
  }
}

/** Reads the first message, and not a byte more, while the descriptor still blocks. */
function readJob(descriptor: number): JobMessage {
  const length = readExactly(descriptor, LENGTH_BYTES).readUInt32LE(0)
  if (length > LAUNCHER_MESSAGE_BYTES_MAX) throw new Error(`a job description of ${length} bytes`)
  const message = validLauncherMessage(JSON.parse(readExactly(descriptor, length).toString('utf8')))
  if (message.type !== 'job') throw new Error(`the launcher began with '${message.type}'`)
  return message
}

function readExactly(descriptor: number, byteCount: number): Buffer {
  const bytes = Buffer.allocUnsafe(byteCount)
  const sleepCell = new Int32Array(new SharedArrayBuffer(4))
  let at = 0
  while (at < byteCount) {
    try {
      const taken = fs.readSync(descriptor, bytes, at, byteCount - at, null)
      if (taken === 0) throw new Error('the launcher was gone before it said who this rank is')
      at += taken
    } catch (error) {
      if (!isBusy(error)) throw error
      Atomics.wait(sleepCell, 0, 0, 1)
    }
  }
  return bytes
}

function isBusy(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'EAGAIN' || code === 'EINTR'
}

function removeDirectory(directory: string): void {
  try {
    fs.rmSync(directory, { recursive: true, force: true })
  } catch {
    // Another rank or the guardian is removing it at the same moment.
  }
}
