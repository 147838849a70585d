import { spawn } from 'node:child_process'

/** A program to run, and what to add to its environment. */
export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface PlanEntry {
  /** What the program calls it: a number of bytes, the small object, a collective with its bytes. */
  readonly message: number | string
  /** How long a batch is: messages of a ping-pong, milliseconds of a collective. */
  readonly length: number
  readonly batches: number
}

/** What one program told: for each message of its plan, each batch's mean time in microseconds. */
export type Times = ReadonlyMap<string, readonly number[]>

export function formatPlan(plan: readonly PlanEntry[]): string {
  return plan.map(({ message, length, batches }) => `${message}:${length}:${batches}`).join(',')
}

/** @throws Error when a line is not a contender's: it would be a number for nothing. */
export function parseTimes(stdout: string): Times {
  const times = new Map<string, readonly number[]>()
  for (const line of stdout.split('\n')) {
    if (line.trim() === '') continue
    const [message = '', ...means] = line.trim().split(/\s+/)
    const values = means.map(Number)
    if (values.length === 0 || !values.every((value) => value >= 0)) throw new Error(`not a line of results: '${line}'`)
    times.set(message, values)
  }
  return times
}

/**
 * Runs a program to its end and answers what it wrote to stdout.
 * @throws Error with its exit code and the end of its stderr when it fails or takes longer than `milliseconds`.
 */
export async function runCommand({ file, args, env }: Command, milliseconds = 180_000): Promise<string> {
  // A process group of its own, so that the ranks of a stuck job end with it.
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    detached: true,
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-2000)
  })
  const endGroup = (signal: NodeJS.Signals): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  let isLate = false
  const terminate = setTimeout(() => {
    isLate = true
    endGroup('SIGTERM')
  }, milliseconds)
  const kill = setTimeout(() => endGroup('SIGKILL'), milliseconds + 2000)
  const onSignal = (): void => {
    endGroup('SIGTERM')
    process.exit(130)
  }
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (exitCode, exitSignal) => resolve([exitCode, exitSignal]))
    })
    if (isLate) throw new Error(`not done after ${milliseconds / 1000} s. ${stderr}`)
    if (code !== 0) throw new Error(`ended with ${signal ?? code}. ${stderr}`)
    return stdout
  } finally {
    clearTimeout(terminate)
    clearTimeout(kill)
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}
