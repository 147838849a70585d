import type net from 'node:net'
import type { MemberEnd } from './bridge-desk.js'
import { encodeMessage, LAUNCHER_MESSAGE_BYTES_MAX, MessageReader } from './control-message.js'

/**
 * What the launchers of two joined jobs say to each other. The one that has listened holds the bridge's desk; between it and
 * the other job's ranks the other launcher passes messages on.
 */
export type JoinMessage =
  /** Who knocks proves that he can read this user's private files. At most {@link KNOCK_BYTES_MAX}. */
  | { readonly type: 'knock'; readonly token: string; readonly size: number }
  /** How many ranks each side has; what follows is for members. */
  | { readonly type: 'welcome'; readonly groups: readonly [number, number] }
  | { readonly type: 'sorry'; readonly message: string }
  | { readonly type: 'member'; readonly member: number; readonly message: object }
  | ({ readonly type: 'ended'; readonly member: number } & MemberEnd)

/** What may come from somebody who has not said the token. */
const KNOCK_BYTES_MAX = 256

/** A socket between two launchers. Whoever says something that is no message, or makes no sense, is hung up on. */
export class JoinLine {
  readonly #socket: net.Socket
  #reader: MessageReader
  #hearer: ((message: JoinMessage) => void) | null = null
  #unheard: JoinMessage[] = []

  constructor(socket: net.Socket) {
    this.#socket = socket
    this.#reader = this.#newReader(KNOCK_BYTES_MAX)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.#guarded(() => this.#reader.push(chunk)))
  }

  /** From now on it may say more at once. Nothing has come that was not heard yet. */
  trust(): void {
    this.#reader = this.#newReader(LAUNCHER_MESSAGE_BYTES_MAX)
  }

  /** Hears what comes, and first what has come before and nobody heard. What `hearer` throws hangs up. */
  hear(hearer: ((message: JoinMessage) => void) | null): void {
    this.#hearer = hearer
    if (hearer === null) return
    const unheard = this.#unheard
    this.#unheard = []
    this.#guarded(() => {
      for (const message of unheard) hearer(message)
    })
  }

  say(message: JoinMessage): void {
    if (this.#socket.writable) this.#socket.write(encodeMessage(message))
  }

  get isClosed(): boolean {
    return this.#socket.destroyed
  }

  whenClosed(callback: () => void): void {
    this.#socket.once('close', callback)
  }

  /** Closes it once everything has been said. */
  end(): void {
    this.#socket.end()
  }

  /** Hangs up. */
  destroy(): void {
    this.#socket.destroy()
  }

  #newReader(bytesMax: number): MessageReader {
    return new MessageReader(bytesMax, (value) => {
      if (typeof value !== 'object' || value === null) throw new Error('not an object')
      if (this.#hearer === null) this.#unheard.push(value as JoinMessage)
      else this.#hearer(value as JoinMessage)
    })
  }

  #guarded(action: () => void): void {
    try {
      action()
    } catch {
      this.#socket.destroy()
    }
  }
}
