import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { JobPlan, PreparedTransport, Transport, TransportJob } from '@onecopy/transport'
import { cmaProvider } from '../src/cma-provider.js'

type Settings = JobPlan['settings']

/** A job whose ranks live in this process, or in children that run a file of `ranks/`. */
export class CmaJob {
  readonly directory: string
  readonly prepared: PreparedTransport
  readonly size: number
  readonly notices: string[] = []
  readonly #settings: Settings
  readonly #transports: Transport[] = []
  readonly #children: ChildProcess[] = []

  private constructor(size: number, settings: Settings, directory: string, prepared: PreparedTransport) {
    this.size = size
    this.#settings = settings
    this.directory = directory
    this.prepared = prepared
  }

  static async prepare(size: number, settings: Settings = {}): Promise<CmaJob> {
    const directory = mkdtempSync(join(tmpdir(), 'onecopy-test-'))
    try {
      return new CmaJob(size, settings, directory, await cmaProvider.prepare({ size, directory, settings }))
    } catch (error) {
      rmSync(directory, { recursive: true })
      throw error
    }
  }

  /** Opens one rank in this process. */
  async open(rank: number, settings: Settings = this.#settings): Promise<Transport> {
    const transport = cmaProvider.open({
      ...this.#jobOf(rank),
      token: new Uint8Array(32),
      descriptor: this.prepared.descriptor,
      settings,
      notice: (key, message) => this.notices.push(`${key}: ${message}`),
    })
    this.#transports.push(transport)
    return transport
  }

  async openAll(): Promise<Transport[]> {
    const all: Transport[] = []
    for (let rank = 0; rank < this.size; rank++) all.push(await this.open(rank))
    return all
  }

  /**
   * Starts a child that opens `rank` and does what `ranks/peer.ts` has under `role`.
   * @param wrapper a command to run node under, as in `['setpriv', '--reuid', '61000']`.
   */
  start(rank: number, role: string, wrapper: readonly string[] = []): ChildProcess {
    return this.startScript('peer.ts', rank, wrapper, [role])
  }

  /** Starts a child that runs a file of `ranks/` with the job and some arguments of its own. */
  startScript(script: string, rank: number, wrapper: readonly string[], args: readonly string[]): ChildProcess {
    const path = fileURLToPath(new URL(`./ranks/${script}`, import.meta.url))
    const job = JSON.stringify({ ...this.#jobOf(rank), settings: this.#settings })
    const all = [...wrapper, process.execPath, '--import=tsx', path, job, ...args]
    const { descriptor } = this.prepared
    const child = spawn(all[0] as string, all.slice(1), {
      stdio: ['pipe', 'pipe', 'inherit', descriptor ?? 'ignore'],
      timeout: 30_000,
    })
    this.#children.push(child)
    return child
  }

  close(): void {
    for (const transport of this.#transports) transport.abort()
    for (const child of this.#children) child.kill('SIGKILL')
    this.prepared.release()
    rmSync(this.directory, { recursive: true, force: true })
  }

  #jobOf(rank: number): Omit<TransportJob, 'token' | 'descriptor' | 'settings' | 'notice'> {
    const { size, directory, prepared } = this
    return { rank, size, directory, launcherPid: process.pid, data: prepared.data }
  }
}

/** Turns the event loop until `condition` holds. @throws Error when it does not within `milliseconds`. */
export async function until(what: string, condition: () => boolean, milliseconds = 10_000): Promise<void> {
  const end = performance.now() + milliseconds
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${milliseconds} ms in vain for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
