import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { FrameReceiver, PreparedTransport, Transport, TransportJob } from '@onecopy/transport'
import { pipeProvider } from '@onecopy/transport-pipe'

/** A job whose ranks live in this process, or in children that run a file of `ranks/`. */
export class PipeJob {
  readonly size: number
  readonly directory: string
  readonly token = new Uint8Array(32).fill(7)
  readonly notices: string[] = []
  private readonly prepared: PreparedTransport
  private readonly transports: Transport[] = []
  private readonly children: ChildProcess[] = []

  private constructor(size: number, directory: string, prepared: PreparedTransport) {
    this.size = size
    this.directory = directory
    this.prepared = prepared
  }

  static async prepare(size: number): Promise<PipeJob> {
    const directory = mkdtempSync(join(tmpdir(), 'onecopy-pipe-test-'))
    chmodSync(directory, 0o700)
    try {
      return new PipeJob(size, directory, await pipeProvider.prepare({ size, directory, settings: {} }))
    } catch (error) {
      rmSync(directory, { recursive: true, force: true })
      throw error
    }
  }

  /** The descriptor that {@link pipeProvider} made. */
  get descriptor(): number | null {
    return this.prepared.descriptor
  }

  job(rank: number, changes: Partial<TransportJob> = {}): TransportJob {
    return {
      rank,
      size: this.size,
      token: this.token,
      directory: this.directory,
      launcherPid: process.pid,
      descriptor: this.prepared.descriptor,
      data: this.prepared.data,
      settings: {},
      notice: (key, message) => this.notices.push(`${key}: ${message}`),
      ...changes,
    }
  }

  async open(rank: number): Promise<Transport> {
    const transport = pipeProvider.open(this.job(rank))
    this.transports.push(transport)
    return transport
  }

  /** Starts `ranks/<file>` as a rank in a process of its own; its standard output is collected. */
  start(rank: number, file: string, scenario: string): RankProcess {
    const path = fileURLToPath(new URL(`./ranks/${file}`, import.meta.url))
    const job = JSON.stringify({
      rank,
      size: this.size,
      directory: this.directory,
      token: Buffer.from(this.token).toString('hex'),
      scenario,
    })
    const child = spawn(process.execPath, ['--expose-gc', '--import', 'tsx', path, job], {
      stdio: ['ignore', 'pipe', 'inherit', this.prepared.descriptor as number],
    })
    this.children.push(child)
    return new RankProcess(child)
  }

  async close(): Promise<void> {
    for (const child of this.children) child.kill('SIGKILL')
    for (const transport of this.transports) transport.abort()
    this.prepared.release()
    rmSync(this.directory, { recursive: true, force: true })
  }

  /** The names in the job's directory. */
  names(): string[] {
    return readdirSync(this.directory).sort()
  }
}

/** A child that plays a rank. */
export class RankProcess {
  readonly child: ChildProcess
  output = ''
  private readonly ended: Promise<unknown[]>

  constructor(child: ChildProcess) {
    this.child = child
    this.ended = once(child, 'close')
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text
    })
  }

  /** Waits for its end; answers the exit code, or the signal's name. */
  async end(): Promise<number | string> {
    const [code, signal] = await this.ended
    return (code ?? signal) as number | string
  }
}

/** What one end has received. */
export class Collector implements FrameReceiver {
  readonly frames: { peer: number; words: number[]; bytes: Uint8Array }[] = []

  frame(peer: number, words: Int32Array, wordCount: number, bytes: Uint8Array, byteOffset: number, byteLength: number) {
    this.frames.push({
      peer,
      words: [...words.subarray(0, wordCount)],
      bytes: bytes.slice(byteOffset, byteOffset + byteLength),
    })
  }
}

const DEADLINE_MILLISECONDS = 15_000

/** Lets the event loop turn until `isDone` answers true. */
export async function until(isDone: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + DEADLINE_MILLISECONDS
  while (!isDone()) {
    if (Date.now() > deadline) throw new Error(`${what}: not within ${DEADLINE_MILLISECONDS} ms`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
