import { type ErrorCode, type ErrorFields, OnecopyError } from '@onecopy/transport'
import type { Agreed, Asked, Extension, JobListener, PeerEnd, Waiting } from '../job-link.js'
import { abortFields, abortText, type LauncherMessage, type Question, type RankMessage } from './control-message.js'

export interface ConversationOptions {
  /** Writes a message out, before it returns. */
  readonly write: (message: RankMessage) => void
  /** Somebody waits for a word of the other end, or nobody does any more. */
  readonly keepAlive: (isWaiting: boolean) => void
  /** Whether the line has been lost, so that nobody starts to wait for it. */
  readonly whyLost: () => Error | null
}

/** Who hears what comes over a line within the line. */
interface Hearer {
  message(message: unknown): void
  lost(): void
}

/**
 * What a rank and whoever coordinates its job say to each other, whatever carries it: cards, ends, questions, and the lines
 * of bridges, each of which carries such a conversation again.
 */
export class Conversation implements Extension {
  /** The job is being ended because of another rank's failure, or an abort. */
  failing = false
  readonly #options: ConversationOptions
  #listener: JobListener | null = null
  #early: ((listener: JobListener) => void)[] = []
  #rounds = 0
  #waiting: { readonly round: number; readonly who: Waiting<unknown[]> } | null = null
  #asked = 0
  readonly #agreements = new Map<string, (agreed: Agreed) => void>()
  readonly #questions = new Map<number, Waiting<unknown>>()
  readonly #lines = new Map<number, Hearer>()
  /** What came over a line before anybody listened to it. */
  readonly #unheard = new Map<number, unknown[]>()
  #holds = 0

  constructor(options: ConversationOptions) {
    this.#options = options
  }

  allgather(card: unknown, who: Waiting<unknown[]>): void {
    if (this.#waiting !== null) throw new TypeError('allgather is called again before the last one is over')
    const round = this.#rounds++
    const lost = this.#said({ type: 'card', round, card: card ?? null })
    if (lost !== null) {
      who.reject(lost)
      return
    }
    this.#waiting = { round, who }
    this.#look()
  }

  listen(listener: JobListener): void {
    this.#listener = listener
    const early = this.#early
    this.#early = []
    for (const tell of early) tell(listener)
  }

  /** Proposes `flags`; `done` is told what it comes to. */
  agree(id: string, members: readonly number[], flags: number, done: (agreed: Agreed) => void): void {
    this.#agreements.set(id, done)
    this.#look()
    if (this.#options.whyLost() === null) this.#options.write({ type: 'agree', id, members, flags })
  }

  /** This rank leaves: it counts as ended, so it waits for no agreement. */
  leave(): void {
    this.#agreements.clear()
    this.#look()
  }

  ask(question: Question, who: Waiting<unknown>): Asked {
    const number = this.#asked++
    const lost = this.#said({ type: 'ask', number, question })
    if (lost === null) {
      this.#questions.set(number, who)
      this.#look()
    } else {
      who.reject(lost)
    }
    return {
      cancel: () => {
        if (this.#questions.has(number)) this.#options.write({ type: 'cancel', number })
      },
    }
  }

  open(line: number, hearer: Hearer): void {
    this.#lines.set(line, hearer)
    const unheard = this.#unheard.get(line) ?? []
    this.#unheard.delete(line)
    for (const message of unheard) hearer.message(message)
    if (this.#options.whyLost() !== null) hearer.lost()
  }

  say(line: number, message: object): void {
    this.#options.write({ type: 'line', line, message })
  }

  close(line: number): void {
    this.#lines.delete(line)
    this.#unheard.delete(line)
  }

  hold(): void {
    this.#holds++
    this.#look()
  }

  release(): void {
    this.#holds--
    this.#look()
  }

  receive(message: LauncherMessage): void {
    switch (message.type) {
      case 'gathered':
        this.#settle(message.round, (who) => who.resolve(message.cards))
        break
      case 'refused':
        this.#settle(message.round, (who) =>
          who.reject(new OnecopyError(message.code, message.message, { rank: message.rank })),
        )
        break
      case 'ended':
        this.#ended({
          rank: message.rank,
          how: message.how,
          exitCode: message.exitCode ?? null,
          signal: message.signal ?? null,
        })
        break
      case 'aborted':
        this.#aborted(message.byRank, message.exitCode, message.reason)
        break
      case 'agreed': {
        const done = this.#agreements.get(message.id)
        this.#agreements.delete(message.id)
        this.#look()
        done?.({ flags: message.flags, ended: message.ended })
        break
      }
      case 'answer':
        this.#answered(message.number, (waiting) => waiting.resolve(message.answer))
        break
      case 'declined':
        this.#answered(message.number, (waiting) =>
          waiting.reject(this.#declined(message.code, message.message, message.fields)),
        )
        break
      case 'line':
        this.#heard(message.line, message.message)
        break
      case 'job':
        // Said once, at the start; a second one changes nothing.
        break
    }
  }

  /** Nothing will come any more. */
  lost(error: Error): void {
    this.failing = true
    this.#settle(null, (who) => who.reject(error))
    for (const number of [...this.#questions.keys()]) this.#answered(number, (waiting) => waiting.reject(error))
    for (const hearer of [...this.#lines.values()]) hearer.lost()
    this.#tell((listener) => listener.launcherLost())
  }

  #ended(end: PeerEnd): void {
    if (end.how === 'failed') this.failing = true
    this.#tell((listener) => listener.peerEnded(end))
  }

  #aborted(byRank: number, exitCode: number, reason: string): void {
    this.failing = true
    const error = new OnecopyError('ERR_ABORTED', abortText(byRank, reason), abortFields(byRank, exitCode, reason))
    this.#settle(null, (who) => who.reject(error))
    for (const number of [...this.#questions.keys()]) this.#answered(number, (waiting) => waiting.reject(error))
    // The job's bridges end with it; on them its ranks have other numbers.
    for (const hearer of [...this.#lines.values()]) hearer.message({ type: 'aborted', byRank: -1, exitCode, reason })
    this.#tell((listener) => listener.aborted(byRank, exitCode, reason))
  }

  #declined(code: ErrorCode | 'TypeError', message: string, fields: ErrorFields): Error {
    return code === 'TypeError' ? new TypeError(message) : new OnecopyError(code, message, fields ?? {})
  }

  #heard(line: number, message: unknown): void {
    const hearer = this.#lines.get(line)
    if (hearer !== undefined) {
      hearer.message(message)
      return
    }
    const unheard = this.#unheard.get(line) ?? []
    unheard.push(message)
    this.#unheard.set(line, unheard)
  }

  /** Writes it out, unless the line is lost, or is found to be: then answers why. */
  #said(message: RankMessage): Error | null {
    const { write, whyLost } = this.#options
    if (whyLost() === null) write(message)
    return whyLost()
  }

  /** Ends the waiting allgather if it is the one of this round; any, for null. */
  #settle(round: number | null, how: (who: Waiting<unknown[]>) => void): void {
    const waiting = this.#waiting
    if (waiting === null || (round !== null && waiting.round !== round)) return
    this.#waiting = null
    this.#look()
    how(waiting.who)
  }

  #answered(number: number, how: (waiting: Waiting<unknown>) => void): void {
    const waiting = this.#questions.get(number)
    if (waiting === undefined) return
    this.#questions.delete(number)
    this.#look()
    how(waiting)
  }

  #look(): void {
    const isWaiting = this.#waiting !== null || this.#questions.size > 0 || this.#agreements.size > 0
    this.#options.keepAlive(isWaiting || this.#holds > 0)
  }

  #tell(tell: (listener: JobListener) => void): void {
    if (this.#listener === null) this.#early.push(tell)
    else tell(this.#listener)
  }
}
