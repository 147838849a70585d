import { type Command, formatPlan, type PlanEntry, parseTimes, runCommand } from './measure.js'
import type { Progress } from './progress.js'

/** A program that takes a plan as its argument and prints times. */
export interface Runner {
  readonly key: string
  readonly title: string
  /** Whether it is ours: then its failing fails the bench. */
  readonly isOnecopy: boolean
  /** The program that runs a plan: see `contenders/plan.mjs`. */
  command(plan: string): Command
  /** Why it cannot run here, in words; null when it can. */
  readonly whyNot: string | null
}

/** What was left out, and why. */
export interface LeftOut {
  readonly contender: string
  readonly reason: string
}

/** For each contender, for each message of its plan, all batches' means in microseconds. */
export type TimesByContender = ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>

/**
 * Gives every contender its turn in every round, each time as fresh processes, so that a busy moment of the machine hits all
 * alike. One that fails is left out from then on.
 */
export async function runRounds<R extends Runner>(
  runners: readonly R[],
  rounds: number,
  planFor: (runner: R) => readonly PlanEntry[],
  progress: Progress,
  left: LeftOut[],
): Promise<TimesByContender> {
  const all = new Map<string, Map<string, number[]>>()
  for (let round = 0; round < rounds; round++) {
    for (const runner of runners) {
      progress.next(`round ${round + 1} of ${rounds}: ${runner.title}`)
      if (left.some((each) => each.contender === runner.key)) continue
      try {
        const plan = planFor(runner)
        if (plan.length === 0) continue
        const times = parseTimes(await runCommand(runner.command(formatPlan(plan))))
        const seen = all.get(runner.key) ?? new Map<string, number[]>()
        all.set(runner.key, seen)
        for (const [message, means] of times) seen.set(message, [...(seen.get(message) ?? []), ...means])
      } catch (error) {
        left.push({ contender: runner.key, reason: (error as Error).message.trim() })
      }
    }
  }
  return all
}

/** Those that can run here; why the others cannot goes to `left`. */
export function runnable<R extends Runner>(runners: readonly R[], left: LeftOut[]): R[] {
  return runners.filter(({ key, whyNot }) => {
    if (whyNot !== null) left.push({ contender: key, reason: whyNot })
    return whyNot === null
  })
}

/**
 * The runners with these keys; all without keys.
 * @throws RangeError for a key that nobody has.
 */
export function chosen<R extends Runner>(runners: readonly R[], keys: readonly string[] | undefined): readonly R[] {
  for (const key of keys ?? []) {
    if (!runners.some((each) => each.key === key)) {
      throw new RangeError(`no contender is called '${key}'; there are ${runners.map((each) => each.key).join(', ')}`)
    }
  }
  return runners.filter(({ key }) => keys === undefined || keys.includes(key))
}
