import { ERROR_CODES, type ErrorCode, OnecopyError } from '@onecopy/transport'
import { PERSISTENT_TAG_MIN, SERVICE_TAG_MIN } from './collectives/tags.js'
import type { ContextTable } from './context-table.js'
import { BROKEN, REVOKE } from './envelope.js'
import type { Messenger, MessengerConcerns } from './messenger.js'

interface State {
  members: readonly number[]
  onRevoked: ((error: OnecopyError) => void) | null
  revoked: OnecopyError | null
  /** Collectives that some rank could not go on with, by tag: what waits for them fails with this. */
  readonly broken: Map<number, Broken>
  /** Collectives begun here since there has been trouble. */
  begun: number
  /** World ranks whose failure the program has taken note of. */
  readonly acknowledged: Set<number>
}

/** Thousands of these may be remembered, so they are no errors yet. */
interface Broken {
  readonly code: ErrorCode
  /** Who could not go on. */
  readonly rank: number
  /** This rank has said so itself. */
  readonly isOwn: boolean
  /** The state's `begun` at that time: tags come round again. */
  readonly at: number
}

/**
 * So many collectives later a broken one's tag may mean another: more than ranks can be apart, less than tags take to return (see
 * collectives/tags.ts).
 */
const BROKEN_FOR = 2 ** 28
const BROKEN_FOR_PERSISTENT = 4096

/** Broken collectives remembered per communicator: others are late by a few calls, not by thousands. */
const BROKEN_MAX = 16 * 1024
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
    if (state.revoked === null) return
    this.messenger.tell(members, [REVOKE, context])
    onRevoked(state.revoked)
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
    const broken = isCollective ? brokenAs(state, tag) : null
    if (broken !== null) return errorOf(broken)
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
    const { code, rank } = error instanceof OnecopyError ? error : { code: null, rank: undefined }
    // they know that already
    if (code === 'ERR_CLOSED' || code === 'ERR_MISMATCH' || code === 'ERR_REVOKED') return
    if (this.#contexts.isOver(context)) return
    const isDeath = code === 'ERR_PROC_FAILED' && rank !== undefined
    const blamed = (isDeath || code === 'ERR_COLLECTIVE') && rank !== undefined ? rank : this.messenger.rank
    const told = isDeath ? 'ERR_PROC_FAILED' : 'ERR_COLLECTIVE'
    this.#break(context, tag, told, blamed, true)
    this.messenger.tell(this.membersOf(context), [BROKEN, context, tag, blamed, CODES.indexOf(told)])
    // what this rank itself has still posted for it
    this.onTrouble()
  }

  /** A collective begins on `context`. */
  begin(context: number): void {
    if (!this.#isUntroubled) this.#state(context).begun++
  }

  broken(context: number, tag: number, rank: number, codeIndex: number): void {
    const code = CODES[codeIndex]
    if (code === undefined) throw new OnecopyError('ERR_PROTOCOL', `${codeIndex} is no error code`)
    if (this.#contexts.isOver(context)) return
    if (this.#break(context, tag, code, rank, false)) this.onTrouble()
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
    this.messenger.discardStored(context, () => true)
    this.messenger.discardStored(context + 1, (tag) => tag < SERVICE_TAG_MIN)
    this.onTrouble()
  }

  #break(context: number, tag: number, code: ErrorCode, rank: number, isOwn: boolean): boolean {
    const state = this.#state(context)
    if (brokenAs(state, tag) !== null) return false
    this.#isUntroubled = false
    const { broken, begun } = state
    broken.set(tag, { code, rank, isOwn, at: begun })
    if (broken.size > BROKEN_MAX) broken.delete(broken.keys().next().value as number)
    this.messenger.discardStored(context, (other) => other === tag)
    return true
  }

  #state(context: number): State {
    const key = context & ~1
    let state = this.#states.get(key)
    if (state === undefined) {
      state = { members: [], onRevoked: null, revoked: null, broken: new Map(), begun: 0, acknowledged: new Set() }
      this.#states.set(key, state)
    }
    return state
  }
}

function brokenAs({ broken, begun }: State, tag: number): Broken | null {
  const known = broken.get(tag)
  return known !== undefined && isStill(tag, begun - known.at) ? known : null
}

function errorOf({ code, rank, isOwn }: Broken): OnecopyError {
  let message = `rank ${rank} has failed in this collective; its own error says why`
  if (isOwn) message = 'this rank has given the collective up'
  else if (code === 'ERR_PROC_FAILED') message = `rank ${rank} has ended, and another rank needs it in this collective`
  return new OnecopyError(code, message, { rank })
}

/** Whether a tag that was broken so many collectives ago still means the same one. */
function isStill(tag: number, collectivesAgo: number): boolean {
  const isPersistent = tag >= PERSISTENT_TAG_MIN && tag < SERVICE_TAG_MIN
  return collectivesAgo < (isPersistent ? BROKEN_FOR_PERSISTENT : BROKEN_FOR)
}
