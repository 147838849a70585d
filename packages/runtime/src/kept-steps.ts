import type { CollectiveExchange } from './collective-exchange.js'
import type { OneStep } from './one-step.js'
import { Operation } from './operation.js'
import type { PostedStep } from './posted-step.js'
import type { Exchange, Schedule } from './schedule.js'

/** A collective on memory, as the blocking face calls it: views, a root, an operation, in the collective's own order. */
export type MemoryCollective = (exchange: Exchange, ...args: never[]) => Schedule<void>

/** What a program calls again and again in one loop. */
const KEPT_MAX = 8
/** Memory of larger arrays is not kept alive by being remembered. */
const KEPT_BYTES_MAX = 256 * 1024

/** A call's step, checked and laid out, with the exchange that it runs on. */
export interface KeptStep {
  readonly collective: MemoryCollective
  readonly args: readonly unknown[]
  /** Elements of each argument that is an array: changes when memory is detached or resized. */
  readonly lengths: readonly (number | undefined)[]
  readonly exchange: CollectiveExchange
  readonly step: OneStep<void> | PostedStep<void>
  /** It is running: a user's operation may call a collective itself. */
  busy: boolean
}

/**
 * The last calls of collectives on short arrays. A loop mostly calls the same collective on the same arrays, as MPI's persistent
 * collectives do by name; what depends on nothing else (checks, views, memory aside) then need not be made again.
 */
export class KeptSteps {
  readonly #kept: KeptStep[] = []
  #next = 0

  /** The step of an earlier call with the same arguments, not running now; or null. */
  find(collective: MemoryCollective, a: unknown, b: unknown, c: unknown, d: unknown): KeptStep | null {
    const kept = this.#kept
    for (let i = 0; i < kept.length; i++) {
      const each = kept[i]!
      if (each.collective !== collective || each.busy) continue
      const { args, lengths } = each
      if (args[0] !== a || args[1] !== b || args[2] !== c || args[3] !== d) continue
      if (lengths[0] === lengthOf(a) && lengths[1] === lengthOf(b)) return each
    }
    return null
  }

  /** Keeps the step for later, with its exchange; false when its arrays are not to be remembered. */
  keep(
    collective: MemoryCollective,
    args: readonly unknown[],
    exchange: CollectiveExchange,
    step: OneStep<void> | PostedStep<void>,
  ): boolean {
    if (!args.every(isKeepable)) return false
    const lengths = args.map(lengthOf)
    this.#kept[this.#next] = { collective, args, lengths, exchange, step, busy: false }
    this.#next = (this.#next + 1) % KEPT_MAX
    return true
  }
}

/** Of arrays the length is enough, and much cheaper than byteLength. */
function lengthOf(argument: unknown): number | undefined {
  return ArrayBuffer.isView(argument) ? (argument as Uint8Array).length : undefined
}

/** Not a layout, whose numbers the caller may change; not empty memory, which may have been transferred away (a DataView never says). */
function isKeepable(argument: unknown): boolean {
  if (typeof argument !== 'object' || argument === null || argument instanceof Operation) return true
  if (!ArrayBuffer.isView(argument)) return false
  return argument.byteLength > 0 && argument.buffer.byteLength <= KEPT_BYTES_MAX && !(argument instanceof DataView)
}
