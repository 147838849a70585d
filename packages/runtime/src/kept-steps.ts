import type { CollectiveExchange } from './collective-exchange.js'
import type { OneStep } from './one-step.js'
import { Operation } from './operation.js'
import { PostedStep } from './posted-step.js'
import type { Exchange, Schedule } from './schedule.js'

/** A collective on memory, as the blocking face calls it: views, a root, an operation, in the collective's own order. */
export type MemoryCollective = (exchange: Exchange, ...args: never[]) => Schedule<void>

/** What a program calls again and again in one loop. */
const KEPT_MAX = 8
/** Memory of larger arrays is not kept alive by being remembered. */
const SHORT_BYTES_MAX = 256 * 1024
/** Calls that are remembered with one pair of long arrays. */
const KEPT_OF_LONG_MAX = 4

/** A call's step, checked and laid out, with the exchange that it runs on. */
export interface KeptStep {
  readonly collective: MemoryCollective
  readonly args: readonly unknown[]
  /** Elements of each argument that is an array: changes when memory is detached or resized. */
  readonly lengths: readonly (number | undefined)[]
  readonly exchange: CollectiveExchange
  readonly step: OneStep<void> | PostedStep<void>
  /** On long arrays: then nothing but the step itself stays with it. */
  readonly isLong: boolean
  /** It is running: a user's operation may call a collective itself. */
  busy: boolean
}

/**
 * The last calls of collectives on arrays. A loop mostly calls the same collective on the same arrays, as MPI's persistent
 * collectives do by name; what depends on nothing else (checks, views, memory aside) then need not be made again. Of long arrays, calls
 * that need no memory aside are remembered from the second on, for as long as the program holds the arrays itself.
 */
export class KeptSteps {
  private readonly short: KeptStep[] = []
  private next = 0
  /** By the first array and the last (often the same): a step holds both, and neither is kept alive by that. */
  private readonly long = new WeakMap<object, WeakMap<object, KeptStep[]>>()
  private hasLong = false
  /** First arrays of calls that would be remembered when they come again: many are views that are made for one call. */
  private readonly seen = new WeakSet<object>()

  /** The step of an earlier call with the same arguments, not running now; or null. */
  find(collective: MemoryCollective, a: unknown, b: unknown, c: unknown, d: unknown): KeptStep | null {
    const found = findAmong(this.short, collective, a, b, c, d)
    if (found !== null || !this.hasLong) return found
    const first = (ArrayBuffer.isView(a) ? a : b) as object
    const last = (ArrayBuffer.isView(b) ? b : a) as object
    const kept = this.long.get(first)?.get(last)
    return kept === undefined ? null : findAmong(kept, collective, a, b, c, d)
  }

  /** Keeps the step for later, with its exchange; false when it is not to be remembered, or not yet. */
  keep(
    collective: MemoryCollective,
    args: readonly unknown[],
    exchange: CollectiveExchange,
    step: OneStep<void> | PostedStep<void>,
  ): boolean {
    if (!args.every(isKeepable)) return false
    const isLong = !args.every(isShort)
    const arrays = args.filter((argument) => ArrayBuffer.isView(argument))
    if (isLong && !(step instanceof PostedStep && step.isLight && this.comesAgain(arrays[0]!))) return false
    const kept = { collective, args, lengths: args.map(lengthOf), exchange, step, isLong, busy: false }
    if (isLong) this.keepLong(arrays[0]!, arrays.at(-1)!, kept)
    else this.keepShort(kept)
    return true
  }

  private comesAgain(first: object): boolean {
    if (this.seen.has(first)) return true
    this.seen.add(first)
    return false
  }

  private keepShort(kept: KeptStep): void {
    this.short[this.next] = kept
    this.next = (this.next + 1) % KEPT_MAX
  }

  private keepLong(first: object, last: object, kept: KeptStep): void {
    // whatever earlier calls needed
    kept.exchange.dropAsides()
    const byLast = this.long.get(first) ?? new WeakMap<object, KeptStep[]>()
    const others = byLast.get(last) ?? []
    byLast.set(last, [kept, ...others.slice(0, KEPT_OF_LONG_MAX - 1)])
    this.long.set(first, byLast)
    this.hasLong = true
  }
}

function findAmong(
  kept: readonly KeptStep[],
  collective: MemoryCollective,
  a: unknown,
  b: unknown,
  c: unknown,
  d: unknown,
): KeptStep | null {
  for (let i = 0; i < kept.length; i++) {
    const each = kept[i]!
    if (each.collective !== collective || each.busy) continue
    const { args, lengths } = each
    if (args[0] !== a || args[1] !== b || args[2] !== c || args[3] !== d) continue
    if (lengths[0] === lengthOf(a) && lengths[1] === lengthOf(b)) return each
  }
  return null
}

/** Of arrays the length is enough, and much cheaper than byteLength. */
function lengthOf(argument: unknown): number | undefined {
  return ArrayBuffer.isView(argument) ? (argument as Uint8Array).length : undefined
}

/** A view keeps all of its buffer alive. */
function isShort(argument: unknown): boolean {
  return !ArrayBuffer.isView(argument) || argument.buffer.byteLength <= SHORT_BYTES_MAX
}

/** Not a layout, whose numbers the caller may change; not empty memory, which may have been transferred away (a DataView never says). */
function isKeepable(argument: unknown): boolean {
  if (typeof argument !== 'object' || argument === null || argument instanceof Operation) return true
  return ArrayBuffer.isView(argument) && argument.byteLength > 0 && !(argument instanceof DataView)
}
