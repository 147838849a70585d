import { ERROR_CODES, type ErrorCode, OnecopyError } from '@onecopy/transport'
import { SERVICE_TAG_MIN } from './collective-exchange.js'
import { ANY_TAG } from './constants.js'
import type { ContextTable } from './context-table.js'
import { BROKEN, REVOKE } from './envelope.js'
import type { Messenger, MessengerConcerns } from './messenger.js'

interface State {
  members: readonly number[]
  onRevoked: ((error: OnecopyError) => void) | null
  revoked: OnecopyError | null
  /** Collectives that some rank could not go on with, by tag: what waits for them fails with this. */
  readonly broken: Map<number, OnecopyError>
  /** World ranks whose failure the program has taken note of. */
  readonly acknowledged: Set<number>
}

/** Broken collectives remembered per communicator: others are late by a few calls, not by thousands. */
const BROKEN_MAX = 1024
/** Which code a number on the wire means: the order of the table, the same in every rank of a job. */
const CODES = Object.keys(ERROR_CODES) as ErrorCode[]

/**
 * What befalls communicators as a whole: who their ranks are, revocation, collectives that cannot be completed, failures that
 * have been acknowledged. Keyed by the even context; the odd one above it is the same communicator's collectives.
 */
export class CommunicatorStates implements MessengerConcerns {
  /** Set once, by the job: the two know each other. */
  messenger!: Messenger
  /** Called when receives that wait may have lost their hope. */
  onTrouble: () => void = () => undefined
  readonly #contexts: ContextTable
  readonly #states = new Map<number, State>()
  /** Nothing has ever been given up, revoked or broken: the usual case, asked per message that nobody waits for. */
  #isUntroubled = true

  constructor(contexts: ContextTable) {
    this.#contexts = contexts
  }

  add(context: number, members: readonly number[], onRevoked: (error: OnecopyError) => void): void {
    const state = this.#state(context)
    state.members = members
    state.onRevoked = onRevoked
    // others were ahead of us
    if (state.revoked !== null) onRevoked(state.revoked)
  }

  drop(context: number): void {
    this.#isUntroubled = false
    this.#states.delete(context & ~1)
  }

  membersOf(context: number): readonly number[] {
    return this.#states.get(context & ~1)?.members ?? []
  }

  acknowledge(context: number, ranks: readonly number[]): void {
    const { acknowledged } = this.#state(context)
    for (const rank of ranks) acknowledged.add(rank)
  }

  isAcknowledged(context: number, rank: number): boolean {
    return this.#states.get(context & ~1)?.acknowledged.has(rank) === true
  }

  /** Why nothing with this tag can be received on this context any more, or null. */
  whyOver(context: number, tag: number): OnecopyError | null {
    if (this.#isUntroubled) return null
    const state = this.#states.get(context & ~1)
    if (state === undefined) return null
    const isCollective = (context & 1) === 1
    const broken = isCollective ? state.broken.get(tag) : undefined
    if (broken !== undefined) return broken
    return isCollective && tag >= SERVICE_TAG_MIN ? null : state.revoked
  }

  isUnwanted(context: number, tag: number): boolean {
    return !this.#isUntroubled && (this.isOver(context) || this.whyOver(context, tag) !== null)
  }

  isOver(context: number): boolean {
    return this.#contexts.isOver(context)
  }

  revoke(context: number): void {
    this.#revoke(context, 'this rank')
  }

  revoked(context: number): void {
    this.#revoke(context, 'another rank')
  }

  /** This rank cannot go on with a collective: the others hear of it, and what they still send for it is let go. */
  breakOff(context: number, tag: number, error: unknown): void {
    const known = error instanceof OnecopyError ? error : null
    const code = known?.code ?? 'ERR_ABORTED'
    const blamed = known?.rank ?? -1
    this.#break(context, tag, known ?? new OnecopyError('ERR_ABORTED', 'this rank has given the collective up'))
    this.messenger.tell(this.membersOf(context), [BROKEN, context, tag, blamed, CODES.indexOf(code)])
  }

  broken(context: number, tag: number, rank: number, codeIndex: number): void {
    const code = CODES[codeIndex]
    if (code === undefined) throw new OnecopyError('ERR_PROTOCOL', `${codeIndex} is no error code`)
    if (this.#contexts.isOver(context)) return
    const about = rank >= 0 ? ` (rank ${rank})` : ''
    const message = `another rank could not go on with this collective: ${code}${about}`
    if (this.#break(context, tag, new OnecopyError(code, message, rank >= 0 ? { rank } : {}))) this.onTrouble()
  }

  #revoke(context: number, who: string): void {
    if (this.#contexts.isOver(context)) return
    const state = this.#state(context)
    if (state.revoked !== null) return
    const error = new OnecopyError('ERR_REVOKED', `${who} has revoked this communicator`)
    this.#isUntroubled = false
    state.revoked = error
    state.onRevoked?.(error)
    // everybody passes it on: whoever said it first may be dead by now
    this.messenger.tell(state.members, [REVOKE, context])
    this.messenger.discardStored(context, ANY_TAG)
    this.onTrouble()
  }

  #break(context: number, tag: number, error: OnecopyError): boolean {
    const { broken } = this.#state(context)
    if (broken.has(tag)) return false
    this.#isUntroubled = false
    broken.set(tag, error)
    if (broken.size > BROKEN_MAX) broken.delete(broken.keys().next().value as number)
    this.messenger.discardStored(context, tag)
    return true
  }

  #state(context: number): State {
    const key = context & ~1
    let state = this.#states.get(key)
    if (state === undefined) {
      state = { members: [], onRevoked: null, revoked: null, broken: new Map(), acknowledged: new Set() }
      this.#states.set(key, state)
    }
    return state
  }
}
