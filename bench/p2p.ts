import { writeFileSync } from 'node:fs'
import { type Circumstances, describeCircumstances, printCircumstances, printReasons, ratio } from './circumstances.js'
import { type Contender, makeContenders } from './contenders.js'
import { type JobNumbers, measureJobs } from './jobs.js'
import type { PlanEntry } from './measure.js'
import { plotTimes } from './plot.js'
import { Progress } from './progress.js'
import { chosen, type LeftOut, runnable, runRounds } from './rounds.js'
import { formatTable } from './table.js'
import { formatBytes, formatNumber } from './units.js'

export interface PointToPointOptions {
  /** Message sizes in bytes; undefined for the usual ones. */
  readonly sizes: readonly number[] | undefined
  readonly rounds: number
  readonly batchMilliseconds: number
  /** Keys of the contenders to run; undefined for all. */
  readonly contenders: readonly string[] | undefined
  readonly quick: boolean
  /** Leaves out what is not about messages: idle CPU, start-up, the ring. */
  readonly onlyMessages: boolean
  /** Files to write, if any. */
  readonly json: string | undefined
  readonly plot: string | undefined
}

/** All that was measured, as `--json` writes it. Times are one way, in microseconds; `all` holds every batch's mean. */
export interface Report extends Circumstances {
  readonly bench: 'p2p'
  readonly results: readonly Result[]
  readonly jobs: JobNumbers | null
  readonly left: readonly LeftOut[]
}

export interface Result {
  readonly contender: string
  readonly message: number | 'object'
  readonly best: number
  readonly all: readonly number[]
}

const [Ki, Mi] = [2 ** 10, 2 ** 20]
const SIZES = [0, 8, 64, 512, Ki, 4 * Ki, 16 * Ki, 64 * Ki, 256 * Ki, Mi, 4 * Mi, 16 * Mi, 64 * Mi]
const QUICK_SIZES = [0, 8, 64 * Ki, Mi]
const BATCHES = 5
const ITERATIONS_MAX = 50_000

/** Measures, prints the tables, writes the files; answers the exit code: 1 when one of onecopy's own runs failed. */
export async function runPointToPoint(options: PointToPointOptions): Promise<number> {
  const sizes = options.sizes ?? (options.quick ? QUICK_SIZES : SIZES)
  const contenders = chosen(makeContenders(), options.contenders)
  const left: LeftOut[] = []
  const running = runnable(contenders, left)
  const progress = new Progress(running.length * options.rounds + (options.onlyMessages ? 0 : 1))
  const planFor = (contender: Contender) => makePlan(contender, sizes, options.batchMilliseconds)
  const all = await runRounds(running, options.rounds, planFor, progress, left)
  let jobs: JobNumbers | null = null
  if (!options.onlyMessages) {
    progress.next('idle ranks, start-up, a ring of many ranks')
    jobs = await measureJobs(options.quick)
  }
  progress.end()

  const results = [...all].flatMap(([contender, seen]) =>
    [...seen].map(
      ([message, means]): Result => ({
        contender,
        message: message === 'object' ? message : Number(message),
        best: Math.min(...means),
        all: means,
      }),
    ),
  )
  const report: Report = {
    bench: 'p2p',
    ...describeCircumstances(options.rounds),
    results,
    jobs,
    left,
  }
  print(report, contenders, sizes)
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`)
  if (options.plot !== undefined) writeFileSync(options.plot, plotTimes(report, contenders))
  const isOurs = (key: string): boolean => contenders.find((each) => each.key === key)?.isOnecopy === true
  return left.some(({ contender }) => isOurs(contender)) || (jobs?.failures.length ?? 0) > 0 ? 1 : 0
}

/** As many messages per batch as fit into its time, by the contender's guess. */
function makePlan(contender: Contender, sizes: readonly number[], batchMilliseconds: number): PlanEntry[] {
  const messages: (number | 'object')[] = sizes.filter((bytes) => bytes <= contender.bytesMax)
  if (contender.carriesObjects) messages.push('object')
  // A stream of bytes has no empty messages.
  return messages
    .filter((message) => message !== 0 || contender.key !== 'stdio-pipe')
    .map((message) => {
      const bytes = message === 'object' ? 0 : message
      const microseconds = 2 * (contender.guess.microseconds + bytes / contender.guess.bytesPerMicrosecond)
      const iterations = Math.min(ITERATIONS_MAX, Math.max(1, Math.round((batchMilliseconds * 1000) / microseconds)))
      return { message, length: iterations, batches: iterations === 1 ? 3 : BATCHES }
    })
}

function print(report: Report, contenders: readonly Contender[], sizes: readonly number[]): void {
  const best = (contender: string, message: number | 'object'): number | undefined =>
    report.results.find((each) => each.contender === contender && each.message === message)?.best
  const shown = contenders.filter(({ key }) => report.results.some((each) => each.contender === key))
  const cell = (value: number | undefined): string => (value === undefined ? '' : formatNumber(value))

  printCircumstances(report)
  console.log(
    `One way, two ranks, µs, best of ${report.rounds} rounds. 'sync : C' is onecopy sync over the better of Open MPI and MPICH,`,
  )
  console.log(`'no CMA : C' the same with remote memory refused on both sides.\n`)
  const header = ['bytes', ...shown.map(({ title }) => title), 'sync : C', 'no CMA : C']
  const rows = sizes.map((size) => [
    formatBytes(size),
    ...shown.map(({ key }) => cell(best(key, size))),
    ratio(best('sync', size), [best('openmpi', size), best('mpich', size)]),
    ratio(best('rings', size), [best('openmpi-no-cma', size)]),
  ])
  console.log(formatTable(header, rows))

  const withObjects = shown.filter(({ key }) => best(key, 'object') !== undefined)
  if (withObjects.length > 0) {
    console.log('\nA small object { id, name, args, opts }, there and back, µs.\n')
    const ours = best('async', 'object')
    const objectRows = withObjects.map(({ key, title }) => {
      const time = best(key, 'object') as number
      return [title, formatNumber(2 * time), ours === undefined ? '' : `${(time / ours).toFixed(1)} x`]
    })
    console.log(formatTable(['', 'µs', 'onecopy is faster by'], objectRows))
  }
  if (report.jobs !== null && report.jobs.rows.length > 0) {
    console.log('\nJobs.\n')
    console.log(
      formatTable(
        ['', 'measured'],
        report.jobs.rows.map(({ what, value }) => [what, value]),
      ),
    )
  }
  printReasons([
    ...report.left.map(({ contender, reason }) => `${contender}: ${reason}`),
    ...(report.jobs?.failures ?? []),
  ])
}
