import fs from 'node:fs'
import { OnecopyError } from '@onecopy/transport'
import type { Job } from '../job.js'
import type { Agreed, Extension, JobLink, JobListener, LinkTransport, Waiting } from '../job-link.js'
import { type BridgeMessage, type HeldFile, namespaceName, validLauncherMessage } from '../launcher/control-message.js'
import { Conversation } from '../launcher/conversation.js'
import { outsideWord } from '../outside-word.js'
import type { Schedule } from '../schedule.js'

/**
 * A rank's link to the coordinator of a bridge: the same conversation as with its launcher, over a line of the link it has.
 * Its world are the ranks of both groups, the first group's in order, then the second's.
 */
export class BridgeLink implements JobLink {
  readonly rank: number
  readonly size: number
  readonly groups: readonly [number, number]
  readonly launcherPid: number | null
  readonly directory: string
  readonly token: Uint8Array
  readonly transports: readonly LinkTransport[]
  readonly settings: Readonly<Record<string, string | undefined>>
  readonly #home: JobLink
  readonly #carrier: Extension
  readonly #line: number
  readonly #conversation: Conversation
  readonly #descriptors: number[] = []
  #isHeld = false
  #isAwaited = false
  #isLost = false
  #hasLeft = false

  /**
   * Waits on `line` for the coordinator to say who this rank is.
   * @throws OnecopyError ERR_LAUNCHER_LOST.
   */
  static *open({ link: home, engine }: Job, carrier: Extension, line: number): Schedule<BridgeLink> {
    carrier.hold()
    try {
      return yield* outsideWord<BridgeLink>(engine, ({ resolve, reject }) => {
        let link: BridgeLink | null = null
        carrier.open(line, {
          message: (message) => {
            if (link !== null) {
              link.#conversation.receive(validLauncherMessage(message))
              return
            }
            try {
              link = new BridgeLink(home, carrier, line, validBridge(message))
              resolve(link)
            } catch (error) {
              reject(error as Error)
            }
          },
          lost: () => {
            if (link === null) reject(lostError())
            else link.#lost()
          },
        })
      })
    } finally {
      carrier.release()
    }
  }

  private constructor(home: JobLink, carrier: Extension, line: number, job: BridgeMessage) {
    this.rank = job.rank
    this.groups = job.groups
    this.size = job.groups[0] + job.groups[1]
    this.directory = job.directory
    this.token = Buffer.from(job.token, 'hex')
    this.settings = job.settings
    // Whom the world has admitted to this rank's memory is admitted already, and stays so when the bridge is gone.
    this.launcherPid = home.size > 1 ? null : (home.launcherPid ?? process.pid)
    this.transports = job.transports.map(({ name, file, data }) => ({ name, data, ...this.#reopen(file, job.holder) }))
    this.#home = home
    this.#carrier = carrier
    this.#line = line
    this.#conversation = new Conversation({
      write: (message) => {
        if (!this.#hasLeft) carrier.say(line, message)
      },
      keepAlive: (isWaiting) => {
        this.#isAwaited = isWaiting
        this.#hold()
      },
      whyLost: () => (this.#isLost ? lostError() : null),
    })
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
    this.#home.pump()
  }

  ref(): void {
    this.#isReferenced = true
    this.#hold()
  }

  unref(): void {
    this.#isReferenced = false
    this.#hold()
  }

  /** Tells the coordinator that this rank has opened what is held for it. */
  met(): void {
    if (!this.#hasLeft) this.#carrier.say(this.#line, { type: 'met' })
  }

  notice(key: string, message: string): void {
    if (!this.#hasLeft) this.#carrier.say(this.#line, { type: 'notice', key, message })
  }

  /** The launcher shows what a job's own ranks report. */
  stats(_report: object): void {}

  /** Ends this rank's own job; the other group hears that its members have failed, or ends with it. */
  abort(exitCode: number, reason: string): void {
    this.#home.abort(exitCode, reason)
  }

  leave(): void {
    if (this.#hasLeft) return
    this.#conversation.leave()
    if (!this.#isLost) this.#carrier.say(this.#line, { type: 'leave' })
    this.#hasLeft = true
    // whatever it waited for will not come any more, and must not keep the process alive
    this.#hold()
    this.#carrier.close(this.#line)
    for (const descriptor of this.#descriptors) fs.closeSync(descriptor)
  }

  #isReferenced = false

  #hold(): void {
    const wanted = !this.#hasLeft && (this.#isReferenced || this.#isAwaited)
    if (wanted === this.#isHeld) return
    this.#isHeld = wanted
    if (wanted) this.#carrier.hold()
    else this.#carrier.release()
  }

  #lost(): void {
    if (this.#isLost) return
    this.#isLost = true
    this.#conversation.lost(lostError())
  }

  /**
   * Opens a file that another process holds: a memfd has no name, and a process that runs cannot inherit it. The kernel lets
   * the same user do that only, and its device and inode prove that it is the one that was meant.
   */
  #reopen(file: HeldFile | null, holder: BridgeMessage['holder']): Pick<LinkTransport, 'descriptor' | 'problem'> {
    if (file === null) return { descriptor: null, problem: null }
    if (holder.namespace !== namespaceName()) {
      return { descriptor: null, problem: 'the process that holds it lives in another pid namespace' }
    }
    const path = `/proc/${holder.pid}/fd/${file.descriptor}`
    try {
      const descriptor = fs.openSync(path, fs.constants.O_RDWR)
      this.#descriptors.push(descriptor)
      const { dev, ino } = fs.fstatSync(descriptor, { bigint: true })
      if (String(dev) === file.device && String(ino) === file.inode) return { descriptor, problem: null }
      return { descriptor: null, problem: `${path} is another file than the one that was meant` }
    } catch (error) {
      return { descriptor: null, problem: `cannot open ${path}: ${(error as Error).message}` }
    }
  }
}

function lostError(): OnecopyError {
  return new OnecopyError('ERR_LAUNCHER_LOST', 'the launcher that holds the bridge to the other job is gone')
}

function validBridge(value: unknown): BridgeMessage {
  const { type, rank, groups, transports, holder } = (value ?? {}) as Partial<BridgeMessage>
  if ((type as string) === 'aborted') throw new OnecopyError('ERR_ABORTED', 'the job is being ended')
  const isValid =
    type === 'bridge' &&
    Number.isInteger(rank) &&
    Array.isArray(groups) &&
    groups.length === 2 &&
    Array.isArray(transports) &&
    Number.isInteger(holder?.pid)
  if (!isValid) throw new OnecopyError('ERR_PROTOCOL', 'what the coordinator of the bridge says makes no sense')
  return value as BridgeMessage
}
