import { Agreements } from './agreements.js'
import type { BridgeResources } from './bridge-resources.js'
import { type BridgeMessage, type LauncherMessage, validRankMessage } from './control-message.js'
import { Exchange } from './exchange.js'
import { Extensions, type Home } from './extensions.js'

/** How the process of a member ended. */
export interface MemberEnd {
  readonly how: 'left' | 'failed'
  readonly exitCode: number | null
  readonly signal: string | null
}

/** Whoever coordinates a bridge, seen from the line to one of its members. */
export interface Desk {
  /** Connects `member`: from now on it can be told something. */
  seat(member: number, tell: (message: LauncherMessage | BridgeMessage) => void): void
  /** `member` said something. @throws Error when it is no message, or out of turn. */
  heard(member: number, message: unknown): void
  /** The process of `member` has ended, after everything it had said. */
  ended(member: number, end: MemberEnd): void
}

export interface BridgeDeskOptions {
  /** Members of the first and of the second group. */
  readonly groups: readonly [number, number]
  readonly resources: BridgeResources
  readonly home: Home
  /** What a member is called in errors. */
  readonly nameOf: (member: number) => string
  /** How long members who have come wait for the next one. */
  readonly startTimeoutMs: number
  /** Told when they gave up waiting for the `missing` ones. */
  readonly onStartTimeout?: (missing: readonly number[]) => void
  /** Every member of one of the groups has left by itself: the jobs have nothing to do with each other any more. */
  readonly onParted?: () => void
  /** Everybody has gone. */
  readonly onOver?: () => void
}

/**
 * The coordinator of a bridge: what a launcher is to its job, a desk is to the ranks of two jobs together. Members are
 * numbered through, the first group's first.
 */
export class BridgeDesk implements Desk {
  readonly #options: BridgeDeskOptions
  readonly #size: number
  readonly #exchange: Exchange
  readonly #agreements = new Agreements((member, id, agreed) => this.#send(member, { type: 'agreed', id, ...agreed }))
  readonly #extensions: Extensions
  readonly #tell: ((message: LauncherMessage | BridgeMessage) => void)[] = []
  readonly #gone = new Set<number>()
  readonly #parted: [number, number] = [0, 0]
  readonly #met = new Set<number>()
  #isOver = false

  constructor(options: BridgeDeskOptions) {
    this.#options = options
    this.#size = options.groups[0] + options.groups[1]
    this.#exchange = new Exchange({
      size: this.#size,
      startTimeoutMs: options.startTimeoutMs,
      nameOf: options.nameOf,
      send: (member, message) => this.#send(member, message),
      onStartTimeout: (missing) => options.onStartTimeout?.(missing),
    })
    this.#extensions = new Extensions(options.home, (member, message) => this.#send(member, message))
    for (const [key, text] of options.resources.notices) options.home.notice(key, text)
  }

  seat(member: number, tell: (message: LauncherMessage | BridgeMessage) => void): void {
    const { groups, resources } = this.#options
    const { holder, directory, token, transports, settings } = resources
    this.#tell[member] = tell
    tell({ type: 'bridge', rank: member, groups, holder, directory, token, transports, settings })
  }

  heard(member: number, value: unknown): void {
    if (this.#gone.has(member)) return
    const message = validRankMessage(value)
    switch (message.type) {
      case 'card':
        this.#exchange.card(member, message.round, message.card)
        break
      case 'met':
        this.#met.add(member)
        if (this.#met.size === this.#size) this.#options.resources.hide()
        break
      case 'notice':
        this.#options.home.notice(message.key, message.message)
        break
      case 'agree':
        this.#agreements.propose(member, message.id, message.members, message.flags)
        break
      case 'leave':
        this.#leave(member)
        break
      default:
        this.#extensions.heard(member, message)
    }
  }

  ended(member: number, end: MemberEnd): void {
    if (this.#gone.has(member)) return
    this.#gone.add(member)
    this.#extensions.ended(member, end)
    this.#broadcast({ type: 'ended', rank: member, ...end })
    this.#agreements.ended(member)
    const { exitCode, signal } = end
    this.#exchange.ended(member, signal === null ? `exit code ${exitCode ?? 0}` : `killed by ${signal}`)
    if (this.#gone.size === this.#size) this.close()
  }

  /** Ends the bridge, whoever is still on it. Idempotent. */
  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#exchange.close()
    this.#extensions.close()
    this.#options.resources.release()
    this.#options.onOver?.()
  }

  #leave(member: number): void {
    const { groups, onParted } = this.#options
    const group = member < groups[0] ? 0 : 1
    this.#parted[group]++
    if (this.#parted[group] === groups[group]) onParted?.()
    this.ended(member, { how: 'left', exitCode: 0, signal: null })
  }

  #send(member: number, message: LauncherMessage): void {
    if (!this.#gone.has(member)) this.#tell[member]?.(message)
  }

  #broadcast(message: LauncherMessage): void {
    for (let member = 0; member < this.#size; member++) this.#send(member, message)
  }
}
