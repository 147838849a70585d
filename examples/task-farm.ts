/**
 * A farm: rank 0 hands out tasks, one at a time, to whichever worker is free (ANY_SOURCE); tasks and results are plain
 * objects. The tasks together look for the longest Collatz chain (n → n/2 or 3n + 1, down to 1) that starts below the
 * argument (default 1 million). On one rank, rank 0 does the work itself.
 *
 *   npx onecopy run -n 4 examples/task-farm.ts 1000000
 */
import { ANY_SOURCE, type Communicator, init } from 'onecopy'
import { integerArgument } from './support/arguments.ts'

interface Task {
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

interface Chain {
  readonly start: number
  readonly steps: number
}

const TASK = 1
const RESULT = 2
/** Small enough that the last tasks end at about the same time, large enough that a message costs nothing beside it. */
const TASK_NUMBERS = 5000

const world = await init()
const limit = integerArgument(world, 0, { name: 'limit', fallback: 1_000_000, min: 2, max: 300_000_000 })

if (world.rank === 0) await farm(world, limit)
else await work(world)

async function farm(world: Communicator, limit: number): Promise<void> {
  const tasks = split(limit)
  const done = new Array<number>(world.size).fill(0)
  let best: Chain = { start: 1, steps: 0 }

  if (world.size === 1) {
    for (const task of tasks) best = longer(best, longestChain(task))
  } else {
    let busy = 0
    for (let worker = 1; worker < world.size; worker++) busy += await handOut(worker)
    while (busy > 0) {
      const { data, source } = await world.recvMessage<Chain>(ANY_SOURCE, RESULT)
      best = longer(best, data)
      done[source]! += 1
      busy += (await handOut(source)) - 1
    }
  }
  console.log(`the longest chain below ${limit} starts at ${best.start} and takes ${best.steps} steps`)
  for (let worker = 1; worker < world.size; worker++) console.log(`worker ${worker} did ${done[worker]} tasks`)

  /** Gives the worker its next task, or null to end it; the number of tasks given. */
  async function handOut(worker: number): Promise<number> {
    const { value: task } = tasks.next()
    await world.send(task ?? null, worker, TASK)
    return task === undefined ? 0 : 1
  }
}

async function work(world: Communicator): Promise<void> {
  for (;;) {
    const task = await world.recv<Task | null>(0, TASK)
    if (task === null) return
    await world.send(longestChain(task), 0, RESULT)
  }
}

function* split(limit: number): Generator<Task, undefined> {
  for (let from = 1; from < limit; from += TASK_NUMBERS) yield { from, to: Math.min(from + TASK_NUMBERS, limit) }
}

function longestChain({ from, to }: Task): Chain {
  let best: Chain = { start: from, steps: stepsFrom(from) }
  for (let start = from + 1; start < to; start++) {
    const steps = stepsFrom(start)
    if (steps > best.steps) best = { start, steps }
  }
  return best
}

/** Doubles are exact here: the highest climb from below 3·10^8, from 210 964 383, ends at 6.4·10^15, under 2^53. */
function stepsFrom(start: number): number {
  let steps = 0
  for (let n = start; n !== 1; steps++) {
    const half = n / 2
    n = Number.isInteger(half) ? half : 3 * n + 1
  }
  return steps
}

/** The longer one; of equals the one that starts lower, so that the answer does not depend on who was faster. */
function longer(a: Chain, b: Chain): Chain {
  if (a.steps !== b.steps) return a.steps > b.steps ? a : b
  return a.start < b.start ? a : b
}
