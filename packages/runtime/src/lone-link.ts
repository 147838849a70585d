import type { Agreed, JobLink, JobListener, LinkTransport } from './job-link.js'
import { settingsFromEnvironment } from './settings.js'

/** The link of a process that no launcher has started: a world of one, with nobody to tell anything. */
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

  constructor(environment: NodeJS.ProcessEnv = process.env) {
    this.settings = settingsFromEnvironment(environment)
  }

  /** A world of one has its own card only. Copied as JSON would, so that nothing works alone that fails in a job. */
  allgather(card: unknown): Promise<unknown[]> {
    return Promise.resolve([JSON.parse(JSON.stringify(card ?? null))])
  }

  listen(_listener: JobListener): void {}

  agree(_id: string, _members: readonly number[], flags: number, done: (agreed: Agreed) => void): void {
    done({ flags, ended: [] })
  }

  pump(): void {}

  ref(): void {}

  unref(): void {}

  notice(key: string, message: string): void {
    if (this.#notices.has(key)) return
    this.#notices.add(key)
    process.stderr.write(`onecopy: ${message}\n`)
  }

  /** With nobody else to end, the reason is all there is to say; ending the process is the caller's. */
  abort(exitCode: number, reason: string): void {
    process.stderr.write(`onecopy: aborted: ${reason} (exit code ${exitCode})\n`)
  }

  leave(): void {}

  stats(_report: object): void {}
}
