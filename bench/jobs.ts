import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { onecopyRun, scriptPath } from './contenders.js'
import { runCommand } from './measure.js'
import { formatNumber } from './units.js'

/** What a whole job costs, as opposed to a message. */
export interface JobNumbers {
  readonly rows: readonly JobRow[]
  /** What could not be measured, and why. */
  readonly failures: readonly string[]
}

export interface JobRow {
  readonly what: string
  /** With its unit, for people. */
  readonly value: string
  /** In the unit of `what`. */
  readonly numbers: Readonly<Record<string, number>>
}

const START_RANKS = 8
const RING_RANKS = 32
const DEATH_RANKS = [8, 32]

/** Measures idle CPU, start-up and a ring of more ranks than cores. Never throws: what fails is told in `failures`. */
export async function measureJobs(quick: boolean): Promise<JobNumbers> {
  const rows: JobRow[] = []
  const failures: string[] = []
  const attempt = async (what: string, measure: () => Promise<JobRow>): Promise<void> => {
    try {
      rows.push(await measure())
    } catch (error) {
      failures.push(`${what}: ${(error as Error).message.trim()}`)
    }
  }
  for (const face of ['sync', 'async']) {
    if (existsSync('/proc/self/schedstat')) await attempt(`idle rank, ${face}`, () => idle(face, quick ? 500 : 3000))
  }
  await attempt('start-up', () => start(quick ? 1 : 3))
  for (const size of DEATH_RANKS) await attempt(`death, ${size} ranks`, () => death(size, quick ? 1 : 3))
  for (const face of ['sync', 'async']) await attempt(`ring, ${face}`, () => ring(face, quick ? 2 : 20))
  return { rows, failures }
}

async function idle(face: string, milliseconds: number): Promise<JobRow> {
  const percent = Number(await runCommand(onecopyRun(2, 'idle', [face, `${milliseconds}`])))
  return { what: `CPU of a waiting rank, ${face} face`, value: `${percent.toFixed(2)} %`, numbers: { percent } }
}

async function start(rounds: number): Promise<JobRow> {
  const ours: number[] = []
  const bare: number[] = []
  for (let round = 0; round < rounds; round++) {
    const { file, args } = onecopyRun(START_RANKS, 'start', [])
    ours.push(await untilConnected([[file, ...args]], START_RANKS))
    bare.push(
      await untilConnected(
        Array.from({ length: START_RANKS }, () => [process.execPath, scriptPath('start-bare')]),
        START_RANKS,
      ),
    )
  }
  const [milliseconds, bareMilliseconds] = [Math.min(...ours), Math.min(...bare)]
  const ratio = (milliseconds / bareMilliseconds).toFixed(2)
  return {
    what: `${START_RANKS} ranks started and connected`,
    value: `${formatNumber(milliseconds)} ms; ${START_RANKS} bare nodes ${formatNumber(bareMilliseconds)} ms (${ratio} x)`,
    numbers: { milliseconds, bareMilliseconds },
  }
}

/** From the death of a rank until the job is over: RELIABILITY's T1. Median, because a late launcher is what one fears. */
async function death(size: number, rounds: number): Promise<JobRow> {
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const { file, args } = onecopyRun(size, 'death', [])
    times.push(await untilOver(file, args))
  }
  times.sort((a, b) => a - b)
  const milliseconds = times[rounds >> 1] as number
  return {
    what: `a rank of ${size} is killed: until all are told and the launcher is back`,
    value: `${formatNumber(milliseconds)} ms`,
    numbers: { milliseconds },
  }
}

/** The milliseconds between the last `dies` that a job prints and its end. */
function untilOver(file: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'], timeout: 60_000 })
    let stdout = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
    })
    child.once('error', reject)
    child.once('close', () => {
      const died = Number([...stdout.matchAll(/^dies (\S+)$/gm)].at(-1)?.[1])
      if (Number.isNaN(died)) reject(new Error('no rank said that it dies'))
      else resolve(performance.timeOrigin + performance.now() - died)
    })
  })
}

async function ring(face: string, laps: number): Promise<JobRow> {
  const microseconds = Number(await runCommand(onecopyRun(RING_RANKS, 'ring', [face, `${laps}`])))
  return {
    what: `ring of ${RING_RANKS} ranks, ${face} face, per hop`,
    value: `${formatNumber(microseconds)} µs`,
    numbers: { microseconds },
  }
}

/** Starts all commands at once; the milliseconds until `count` lines 'connected' have come. Waits for all to end. */
async function untilConnected(commands: readonly string[][], count: number): Promise<number> {
  const startedAt = performance.now()
  let seen = 0
  let milliseconds = 0
  await Promise.all(
    commands.map(
      ([file = '', ...args]) =>
        new Promise<void>((resolve, reject) => {
          const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: 60_000 })
          child.stdout.setEncoding('utf8').on('data', (text: string) => {
            seen += text.split('connected').length - 1
            if (seen >= count && milliseconds === 0) milliseconds = performance.now() - startedAt
          })
          child.once('error', reject)
          child.once('close', (code, signal) => {
            if (code === 0) resolve()
            else reject(new Error(`ended with ${signal ?? code}`))
          })
        }),
    ),
  )
  if (milliseconds === 0) throw new Error(`only ${seen} of ${count} processes said that they are connected`)
  return milliseconds
}
