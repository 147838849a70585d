import { fileURLToPath } from 'node:url'
import type { Agreed, Extension, JobLink, JobListener, LinkTransport, Waiting } from './job-link.js'
import { adoptLauncher, type OwnLauncher } from './launcher/adopt.js'
import { settingsFromEnvironment } from './settings.js'

/** From here, because the bundle has this module at its root. */
const LAUNCHER_SCRIPT = fileURLToPath(new URL('./launcher/lone-launcher.js', import.meta.url))

/** The link of a process that no launcher has started: a world of one, with nobody to tell anything until it spawns. */
export class LoneLink implements JobLink {
  readonly rank = 0
  readonly size = 1
  readonly launcherPid = null
  readonly directory = ''
  /** Nobody to tell apart from strangers. */
  readonly token = new Uint8Array(32)
  readonly transports: readonly LinkTransport[] = []
  readonly settings: Readonly<Record<string, string | undefined>>
  readonly #notices = new Set<string>()
  #launcher: OwnLauncher | null = null

  constructor(environment: NodeJS.ProcessEnv = process.env) {
    this.settings = settingsFromEnvironment(environment)
  }

  /** A world of one has its own card only. Copied as JSON would, so that nothing works alone that fails in a job. */
  allgather(card: unknown, waiting: Waiting<unknown[]>): void {
    waiting.resolve([JSON.parse(JSON.stringify(card ?? null))])
  }

  /** Other jobs are heard of on their bridges; the world has nobody else in it. */
  listen(_listener: JobListener): void {}

  agree(_id: string, _members: readonly number[], flags: number, done: (agreed: Agreed) => void): void {
    done({ flags, ended: [] })
  }

  /** Starts a launcher when there is none yet, or none any more. */
  extension(): Extension {
    if (this.#launcher === null || this.#launcher.link.failing) {
      const launcher = adoptLauncher(LAUNCHER_SCRIPT, this.settings)
      this.#launcher = launcher
      // Without this word, the end of this process would be a failure to whoever is connected to it.
      process.once('exit', (exitCode) => {
        if (exitCode === 0) launcher.link.leave()
      })
    }
    return this.#launcher.link.extension()
  }

  pump(): void {
    this.#launcher?.link.pump()
  }

  ref(): void {}

  unref(): void {}

  notice(key: string, message: string): void {
    if (this.#notices.has(key)) return
    this.#notices.add(key)
    process.stderr.write(`onecopy: ${message}\n`)
  }

  /** With nobody else to end but what it has spawned, the reason is all there is to say; ending the process is the caller's. */
  abort(exitCode: number, reason: string): void {
    if (this.#launcher === null) process.stderr.write(`onecopy: aborted: ${reason} (exit code ${exitCode})\n`)
    else this.#launcher.link.abort(exitCode, reason)
  }

  /** As a launcher does, the process waits for what it has spawned, and ends with its code when it has none of its own. */
  leave(): void {
    const launcher = this.#launcher
    if (launcher === null) return
    launcher.link.leave()
    launcher.process.ref()
    launcher.process.once('exit', (exitCode) => {
      process.exitCode ||= exitCode ?? 1
    })
  }

  stats(_report: object): void {}
}
