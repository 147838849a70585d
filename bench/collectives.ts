import { writeFileSync } from 'node:fs'
import { type Circumstances, describeCircumstances, printCircumstances, printReasons, ratio } from './circumstances.js'
import { makeCollectiveRunners } from './contenders.js'
import type { PlanEntry } from './measure.js'
import { Progress } from './progress.js'
import { chosen, type LeftOut, runnable, runRounds, type TimesByContender } from './rounds.js'
import { formatTable } from './table.js'
import { formatBytes, formatNumber } from './units.js'

export interface CollectivesOptions {
  /** Bytes of one rank's contribution; undefined for the usual ones. */
  readonly sizes: readonly number[] | undefined
  readonly rounds: number
  readonly batchMilliseconds: number
  /** Keys of the contenders to run; undefined for all. */
  readonly contenders: readonly string[] | undefined
  /** Names of the collectives to measure; undefined for all. */
  readonly collectives: readonly string[] | undefined
  /** How many ranks, for each table; undefined for 2 and 4. */
  readonly ranks: readonly number[] | undefined
  readonly quick: boolean
  readonly json: string | undefined
}

/** All that was measured, as `--json` writes it. Times are of one call, in microseconds; `all` holds every batch's mean. */
export interface CollectivesReport extends Circumstances {
  readonly bench: 'collectives'
  readonly results: readonly CollectiveResult[]
  readonly left: readonly (LeftOut & { readonly ranks: number })[]
}

export interface CollectiveResult {
  readonly ranks: number
  readonly contender: string
  readonly collective: string
  readonly bytes: number
  readonly best: number
  readonly all: readonly number[]
}

const [Ki, Mi] = [2 ** 10, 2 ** 20]
const SIZES = [8, 64, 512, 4 * Ki, 16 * Ki, 64 * Ki, 256 * Ki, Mi, 4 * Mi, 16 * Mi]
const QUICK_SIZES = [8, 64 * Ki, Mi]
const RANKS = [2, 4]
const ELEMENT_BYTES = 8
/** barrier has no bytes. */
const COLLECTIVES = ['barrier', 'bcast', 'reduce', 'allreduce', 'allgather', 'alltoall']
/** Short batches, and many: on a machine that does other things as well the best one has met none of them. */
const BATCHES = 10

/** Measures, prints one table per number of ranks; answers the exit code: 1 when one of onecopy's own runs failed. */
export async function runCollectives(options: CollectivesOptions): Promise<number> {
  const plan = makePlan(options)
  const left: (LeftOut & { ranks: number })[] = []
  const results: CollectiveResult[] = []
  const rankCounts = options.ranks ?? RANKS
  const jobs = rankCounts.map((ranks) => {
    const leftHere: LeftOut[] = []
    return { ranks, leftHere, running: runnable(chosen(makeCollectiveRunners(ranks), options.contenders), leftHere) }
  })
  const progress = new Progress(options.rounds * jobs.reduce((sum, { running }) => sum + running.length, 0))
  for (const { ranks, leftHere, running } of jobs) {
    const ranked = running.map((runner) => ({ ...runner, title: `${runner.title}, ${ranks} ranks` }))
    const times = await runRounds(ranked, options.rounds, () => plan, progress, leftHere)
    results.push(...resultsOf(ranks, times))
    left.push(...leftHere.map((each) => ({ ...each, ranks })))
  }
  progress.end()
  const report: CollectivesReport = { bench: 'collectives', ...describeCircumstances(options.rounds), results, left }
  print(report, plan, rankCounts)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
  return left.some(({ contender }) => contender === 'onecopy') ? 1 : 0
}

function makePlan(options: CollectivesOptions): PlanEntry[] {
  const sizes = options.sizes ?? (options.quick ? QUICK_SIZES : SIZES)
  for (const bytes of sizes) {
    if (bytes === 0 || bytes % ELEMENT_BYTES !== 0) {
      throw new RangeError(`collectives are measured on float64: ${bytes} bytes are no whole number of them above 0`)
    }
  }
  for (const name of options.collectives ?? []) {
    if (!COLLECTIVES.includes(name)) {
      throw new RangeError(`no collective is called '${name}' here; there are ${COLLECTIVES.join(', ')}`)
    }
  }
  return COLLECTIVES.filter((name) => options.collectives?.includes(name) ?? true).flatMap((name) =>
    (name === 'barrier' ? [0] : sizes).map((bytes) => ({
      message: `${name}/${bytes}`,
      length: options.batchMilliseconds,
      batches: BATCHES,
    })),
  )
}

function resultsOf(ranks: number, times: TimesByContender): CollectiveResult[] {
  return [...times].flatMap(([contender, seen]) =>
    [...seen].map(([message, means]) => {
      const [collective = '', bytes] = message.split('/')
      return { ranks, contender, collective, bytes: Number(bytes), best: Math.min(...means), all: means }
    }),
  )
}

function print(report: CollectivesReport, plan: readonly PlanEntry[], rankCounts: readonly number[]): void {
  printCircumstances(report)
  console.log(
    `Time of one call in µs, float64, best batch of ${report.rounds} rounds. ': C' is onecopy over the better of`,
  )
  console.log('Open MPI and MPICH. What the bytes mean for each collective: bench/README.md.')
  for (const ranks of rankCounts) {
    const oversubscribed = ranks > report.machine.cores ? ` on ${report.machine.cores} cores` : ''
    console.log(`\n${ranks} ranks${oversubscribed}\n`)
    const best = (contender: string, { message }: PlanEntry): number | undefined =>
      report.results.find(
        (each) =>
          each.ranks === ranks && each.contender === contender && `${each.collective}/${each.bytes}` === message,
      )?.best
    const cell = (value: number | undefined): string => (value === undefined ? '' : formatNumber(value))
    const rows = plan.map((entry) => {
      const [name = '', bytes] = `${entry.message}`.split('/')
      const [ours, openMpi, mpich] = ['onecopy', 'openmpi', 'mpich'].map((contender) => best(contender, entry))
      const size = name === 'barrier' ? '' : formatBytes(Number(bytes))
      return [name, size, cell(ours), cell(openMpi), cell(mpich), ratio(ours, [openMpi, mpich])]
    })
    console.log(formatTable(['collective', 'bytes', 'onecopy', 'Open MPI', 'MPICH', ': C'], rows))
  }
  printReasons(report.left.map(({ contender, ranks, reason }) => `${contender}, ${ranks} ranks: ${reason}`))
}
