import { readlinkSync } from 'node:fs'
import type { ErrorCode, ErrorFields } from '@onecopy/transport'

/**
 * What travels between a rank and its launcher: a little-endian 32-bit length, then that many bytes of JSON.
 *
 *     | length, 4 bytes | JSON, `length` bytes of UTF-8 |
 *
 * Both ends check what they read: the launcher because a script may write nonsense to any descriptor it inherits, the
 * rank because a message it cannot believe is better an error than a guess.
 */

/** What a rank may say at once. A card is a few hundred bytes; statistics and reasons stay well under this. */
export const RANK_MESSAGE_BYTES_MAX = 256 * 1024

/** What the launcher may say at once: every rank's card in one answer. 1024 ranks of the largest card fit. */
export const LAUNCHER_MESSAGE_BYTES_MAX = 256 * 1024 * 1024

export const LENGTH_BYTES = 4

/**
 * Where boot leaves a rank's link for `init`. Boot comes with the launcher, and the script may load a copy of the library that is
 * installed elsewhere. A property of `globalThis` under a registered symbol is the one place in a process where both meet.
 */
export const LINK_SLOT = Symbol.for('onecopy.link')

/** The launcher's first message: who the rank is. Never in argv (the world can read it) nor in the environment (inherited). */
export interface JobMessage {
  readonly type: 'job'
  readonly rank: number
  readonly size: number
  readonly launcherPid: number
  readonly directory: string
  /** 32 bytes, in hexadecimal. */
  readonly token: string
  readonly transports: readonly { name: string; descriptor: number | null; data: unknown }[]
  readonly settings: Readonly<Record<string, string>>
  /** Whether the rank should ask the kernel to be killed with its parent. */
  readonly deathSignal: boolean
  /** Variables that were for the C library alone, which has read them: what a rank starts is not to inherit them. */
  readonly spentVariables: readonly string[]
  /** The line of the bridge to the ranks that have spawned this job; null when nobody has. */
  readonly parentLine: number | null
}

/** A file that the launcher holds open, for ranks that cannot inherit it. */
export interface HeldFile {
  readonly descriptor: number
  /** Its device and inode: what a rank has opened again must be the same file. */
  readonly device: string
  readonly inode: string
}

/**
 * The first message over the line of a bridge: who this rank is among the ranks of both groups, the first group's in order,
 * then the second's.
 */
export interface BridgeMessage {
  readonly type: 'bridge'
  readonly rank: number
  /** Ranks of the first and of the second group. */
  readonly groups: readonly [number, number]
  /** Who holds the files, as a pid in the namespace of that name. */
  readonly holder: { readonly pid: number; readonly namespace: string }
  readonly directory: string
  /** 32 bytes, in hexadecimal. */
  readonly token: string
  readonly transports: readonly { readonly name: string; readonly file: HeldFile | null; readonly data: unknown }[]
  readonly settings: Readonly<Record<string, string>>
}

/** What a rank asks its launcher for, on behalf of `members` of its job (by rank, in the order of their communicator). */
export type Question = SpawnQuestion | JoinQuestion

export interface SpawnQuestion {
  readonly verb: 'spawn'
  readonly members: readonly number[]
  readonly programs: readonly { readonly size: number; readonly script: string; readonly args: readonly string[] }[]
  readonly cwd: string
  /** Added to the job's environment; null takes a variable out. */
  readonly env: Readonly<Record<string, string | null>>
  /** Null: as the job. */
  readonly nodeArgs: readonly string[] | null
  readonly startTimeout: number | null
}

export interface JoinQuestion {
  readonly verb: 'listen' | 'connect'
  readonly members: readonly number[]
  readonly name: string
  /** Null: for as long as it takes. */
  readonly timeoutMs: number | null
}

export type LauncherMessage =
  | JobMessage
  | { readonly type: 'answer'; readonly number: number; readonly answer: unknown }
  | {
      readonly type: 'declined'
      readonly number: number
      readonly code: ErrorCode | 'TypeError'
      readonly message: string
      /** What an OnecopyError carries besides. */
      readonly fields: ErrorFields
    }
  /** Something said over the line of a bridge. */
  | { readonly type: 'line'; readonly line: number; readonly message: unknown }
  | { readonly type: 'gathered'; readonly round: number; readonly cards: unknown[] }
  | {
      readonly type: 'refused'
      readonly round: number
      readonly code: 'ERR_EARLY_EXIT' | 'ERR_START_TIMEOUT'
      readonly message: string
      readonly rank: number
    }
  | {
      readonly type: 'ended'
      readonly rank: number
      readonly how: 'left' | 'failed'
      readonly exitCode: number | null
      readonly signal: string | null
    }
  | { readonly type: 'agreed'; readonly id: string; readonly flags: number; readonly ended: readonly number[] }
  | { readonly type: 'aborted'; readonly byRank: number; readonly exitCode: number; readonly reason: string }

export type RankMessage =
  /**
   * The process that runs boot; another one than the launcher's child when a wrapper stands between. The pid means something
   * to the launcher only if the namespace is its own too.
   */
  | { readonly type: 'hello'; readonly pid: number; readonly namespace: string }
  | { readonly type: 'card'; readonly round: number; readonly card: unknown }
  | { readonly type: 'notice'; readonly key: string; readonly message: string }
  | { readonly type: 'abort'; readonly exitCode: number; readonly reason: string }
  | { readonly type: 'leave' }
  | { readonly type: 'agree'; readonly id: string; readonly members: readonly number[]; readonly flags: number }
  /** An uncaught error is about to end this rank, its stack to follow on stderr; `of` is the rank it blames, or -1. */
  | { readonly type: 'dying'; readonly of: number }
  /** This rank dies of another rank's failure: its end is a consequence and not news. */
  | { readonly type: 'consequence'; readonly rank: number }
  | { readonly type: 'stats'; readonly report: object }
  | { readonly type: 'ask'; readonly number: number; readonly question: Question }
  | { readonly type: 'cancel'; readonly number: number }
  | { readonly type: 'line'; readonly line: number; readonly message: unknown }
  /** Over the line of a bridge: this rank has opened what the launcher holds for it. */
  | { readonly type: 'met' }

/** One message as it goes over the line. */
export function encodeMessage(message: object): Buffer {
  const text = JSON.stringify(message)
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + Buffer.byteLength(text))
  bytes.write(text, LENGTH_BYTES, 'utf8')
  bytes.writeUInt32LE(bytes.length - LENGTH_BYTES, 0)
  return bytes
}

/** Cuts a stream of bytes back into messages, wherever the stream was cut. */
export class MessageReader {
  readonly #bytesMax: number
  readonly #receive: (message: unknown) => void
  #pieces: Buffer[] = []
  #held = 0
  #wanted = LENGTH_BYTES
  #readingLength = true

  /** `receive` gets each message, parsed and not yet validated. */
  constructor(bytesMax: number, receive: (message: unknown) => void) {
    this.#bytesMax = bytesMax
    this.#receive = receive
  }

  /**
   * Takes the next piece of the stream; it is copied where it must be kept.
   * @throws Error when the stream cannot be this protocol. The reader is of no use after that.
   */
  push(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      const piece = Math.min(this.#wanted - this.#held, chunk.length - at)
      this.#pieces.push(Buffer.from(chunk.subarray(at, at + piece)))
      this.#held += piece
      at += piece
      if (this.#held === this.#wanted) this.#complete()
    }
  }

  #complete(): void {
    const whole = this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces)
    this.#pieces = []
    this.#held = 0
    if (this.#readingLength) {
      const length = whole.readUInt32LE(0)
      if (length === 0 || length > this.#bytesMax) {
        throw new Error(`a control message of ${length} bytes; 1 to ${this.#bytesMax} are possible`)
      }
      this.#wanted = length
      this.#readingLength = false
    } else {
      this.#wanted = LENGTH_BYTES
      this.#readingLength = true
      this.#receive(JSON.parse(whole.toString('utf8')))
    }
  }
}

/**
 * Checks what a rank said.
 * @throws Error naming what is wrong with it.
 */
export function validRankMessage(value: unknown): RankMessage {
  const message = record(value)
  switch (message.type) {
    case 'hello':
      natural(message.pid, 'pid')
      text(message.namespace, 'namespace')
      break
    case 'card':
      natural(message.round, 'round')
      if (!('card' in message)) throw new Error('no card')
      break
    case 'notice':
      text(message.key, 'key')
      text(message.message, 'message')
      break
    case 'abort':
      natural(message.exitCode, 'exitCode')
      text(message.reason, 'reason')
      break
    case 'leave':
      break
    case 'agree':
      text(message.id, 'id')
      ranks(message.members, 'members')
      if (!Number.isInteger(message.flags)) throw new Error('flags is no integer')
      break
    case 'dying':
      if (!Number.isInteger(message.of)) throw new Error('of is no integer')
      break
    case 'consequence':
      if (!Number.isInteger(message.rank)) throw new Error('rank is no integer')
      break
    case 'stats':
      record(message.report)
      break
    case 'ask':
      natural(message.number, 'number')
      validQuestion(message.question)
      break
    case 'cancel':
      natural(message.number, 'number')
      break
    case 'line':
      natural(message.line, 'line')
      record(message.message)
      break
    case 'met':
      break
    default:
      throw new Error(`no such message: ${String(message.type)}`)
  }
  return message as unknown as RankMessage
}

/**
 * Checks what the launcher said.
 * @throws Error naming what is wrong with it.
 */
export function validLauncherMessage(value: unknown): LauncherMessage {
  const message = record(value)
  switch (message.type) {
    case 'job':
      natural(message.rank, 'rank')
      natural(message.size, 'size')
      natural(message.launcherPid, 'launcherPid')
      text(message.directory, 'directory')
      text(message.token, 'token')
      if (!Array.isArray(message.transports)) throw new Error('transports is no list')
      record(message.settings)
      if (!Array.isArray(message.spentVariables)) throw new Error('spentVariables is no list')
      break
    case 'answer':
    case 'declined':
      natural(message.number, 'number')
      break
    case 'line':
      natural(message.line, 'line')
      record(message.message)
      break
    case 'gathered':
      natural(message.round, 'round')
      if (!Array.isArray(message.cards)) throw new Error('cards is no list')
      break
    case 'refused':
      natural(message.round, 'round')
      text(message.code, 'code')
      text(message.message, 'message')
      break
    case 'ended':
      natural(message.rank, 'rank')
      text(message.how, 'how')
      break
    case 'agreed':
      text(message.id, 'id')
      ranks(message.ended, 'ended')
      if (!Number.isInteger(message.flags)) throw new Error('flags is no integer')
      break
    case 'aborted':
      natural(message.exitCode, 'exitCode')
      text(message.reason, 'reason')
      break
    default:
      throw new Error(`no such message: ${String(message.type)}`)
  }
  return message as unknown as LauncherMessage
}

function validQuestion(value: unknown): void {
  const question = record(value)
  const { verb, members } = question
  if (!Array.isArray(members)) throw new Error('members is no list')
  for (const member of members) natural(member, 'member')
  if (verb === 'spawn') {
    text(question.cwd, 'cwd')
    record(question.env)
    if (!Array.isArray(question.programs)) throw new Error('programs is no list')
    for (const program of question.programs) record(program)
    if (question.nodeArgs !== null && !Array.isArray(question.nodeArgs)) throw new Error('nodeArgs is no list')
  } else if (verb === 'listen' || verb === 'connect') {
    text(question.name, 'name')
    if (question.timeoutMs !== null) natural(question.timeoutMs, 'timeoutMs')
  } else {
    throw new Error(`no such question: ${String(verb)}`)
  }
}

function record(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not an object')
  return value as Record<string, unknown>
}

function natural(value: unknown, name: string): void {
  if (!Number.isInteger(value) || (value as number) < 0) throw new Error(`${name} is no natural number`)
}

function ranks(value: unknown, name: string): void {
  if (!Array.isArray(value)) throw new Error(`${name} is no list`)
  for (const rank of value) natural(rank, name)
}

function text(value: unknown, name: string): void {
  if (typeof value !== 'string') throw new Error(`${name} is no string`)
}

/** The pid namespace of this process, as a name to compare; '' where there are none. */
export function namespaceName(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return ''
  }
}

/** What an error says in fields about who ended the job (-1: the launcher), and why. */
export function abortFields(byRank: number, exitCode: number, reason: string): ErrorFields {
  return byRank < 0 ? { exitCode, reason } : { rank: byRank, byRank, exitCode, reason }
}

/** What an abort is called, in the rank's error and in the launcher's line alike. */
export function abortText(byRank: number, reason: string): string {
  return byRank < 0 ? `the job is being ended: ${reason}` : `rank ${byRank} aborted the job: ${reason}`
}
