import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { until } from './clean.js'

export const BIN = fileURLToPath(new URL('../../bin/onecopy.mjs', import.meta.url))

/** A user without any rights (RELIABILITY: as root hardly a permission fault shows). */
export const PLAIN_UID = 61000

/** No command of a test may take longer, unless it says so. */
const COMMAND_DEADLINE_MS = 18_000

export interface CommandOptions {
  readonly env: NodeJS.ProcessEnv
  /** Runs the command as this user. */
  readonly uid?: number
  /** Words before node's. */
  readonly through?: readonly string[]
  readonly input?: string
  readonly cwd?: string
  readonly deadlineMs?: number
  /** A process group of its own, as a shell makes for each command line. */
  readonly group?: boolean
}

/** A running `onecopy …`, with what it has written so far. */
export class RunningCommand {
  readonly child: ChildProcess
  readonly ended: Promise<void>
  stdout = ''
  stderr = ''
  exitCode: number | null = null
  signal: string | null = null

  constructor(args: readonly string[], options: CommandOptions) {
    const drop = options.uid === undefined ? [] : dropTo(options.uid)
    const [file, ...rest] = [...(options.through ?? []), ...drop, process.execPath, BIN, ...args]
    this.child = spawn(file as string, rest, {
      env: options.env,
      cwd: options.cwd,
      detached: options.group === true,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text) => {
      this.stdout += text
    })
    this.child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.stderr += text
    })
    this.child.stdin?.on('error', () => {})
    if (options.input !== undefined) this.child.stdin?.end(options.input)
    this.ended = new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.child.kill('SIGTERM')
        reject(new Error(`onecopy ${args.join(' ')} did not end; stdout: ${this.stdout}; stderr: ${this.stderr}`))
      }, options.deadlineMs ?? COMMAND_DEADLINE_MS)
      this.child.on('error', reject)
      this.child.on('close', (exitCode, signal) => {
        clearTimeout(timer)
        this.exitCode = exitCode
        this.signal = signal
        resolve()
      })
    })
    // A test that fails before it waits must not end in an unhandled rejection.
    this.ended.catch(() => {})
  }

  get pid(): number {
    return this.child.pid as number
  }

  /** Waits until standard output holds `pattern` `count` times. */
  async printed(pattern: RegExp, count = 1): Promise<RegExpMatchArray[]> {
    const all = new RegExp(pattern.source, `${pattern.flags.replace('g', '')}g`)
    await until(
      () => [...this.stdout.matchAll(all)].length >= count || this.child.exitCode !== null,
      15_000,
      String(pattern),
    )
    const found = [...this.stdout.matchAll(all)]
    if (found.length < count) throw new Error(`ended without ${pattern}: ${this.stdout}${this.stderr}`)
    return found
  }
}

/** Runs `onecopy …` to its end. */
export async function runCommand(args: readonly string[], options: CommandOptions): Promise<RunningCommand> {
  const command = new RunningCommand(args, options)
  await command.ended
  return command
}

/** Gives the path of a script for ranks as it is. */
export function rankSource(name: string): string {
  return fileURLToPath(new URL(`../ranks/${name}`, import.meta.url))
}

function dropTo(uid: number): string[] {
  return ['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups']
}
