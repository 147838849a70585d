import fs from 'node:fs'
import path from 'node:path'
import type { Writable } from 'node:stream'
import { FFI_PACKAGES, parseTransports, transportNames } from '../transports.js'

/**
 * The most ranks of one job. Shared memory for rings is laid out for every pair, each rank costs the launcher three
 * descriptors, and a machine with more cores than this has not been seen by anybody who could test it.
 */
export const SIZE_MAX = 1024

/** How long ranks that have arrived wait for the others, in seconds. */
export const START_TIMEOUT_SECONDS = 30

/** What system calls can go through: a package, or `none` as if there were none. */
export const FFI_CHOICES = [...FFI_PACKAGES, 'none'] as const

/** How much of what ranks write on stderr is shown once a rank has failed. */
export const LOG_LEVELS = ['info', 'debug'] as const

/** A caller's mistake in the options of a job: told before anything is started. */
export class LaunchArgumentError extends TypeError {
  constructor(message: string) {
    super(message)
    this.name = 'LaunchArgumentError'
  }
}

/** One of the programs of a job; ranks are numbered through in the order of the programs. */
export interface Program {
  /** Ranks that run it, 1 to 1024. */
  readonly size: number
  /** A .js, .mjs, .cjs, .ts, .mts or .cts file, relative to `cwd`. */
  readonly script: string
  /** The script's arguments. */
  readonly args?: readonly string[]
}

/** What {@link launch} takes: the same options as `onecopy run`. */
export interface LaunchOptions extends Partial<Program> {
  /** More than one program in one job (MPMD), in place of `size`, `script` and `args`. */
  readonly programs?: readonly Program[]
  /** Transports in order of preference, as a list or as `'cma,pipe'`. Default: ONECOPY_TRANSPORT, else all there are. */
  readonly transport?: string | readonly string[]
  /** The package that system calls go through. Default: ONECOPY_FFI, else the fastest that loads. */
  readonly ffi?: (typeof FFI_CHOICES)[number]
  /**
   * `'info'` leaves out what ranks write on stderr after another one has failed, because it is most often an echo; `'debug'`
   * leaves nothing out. Default: ONECOPY_LOG, else `'info'`.
   */
  readonly log?: (typeof LOG_LEVELS)[number]
  /** `'core'` pins rank i to the i-th core that this process may use (Linux, needs `taskset`). Default: `'none'`. */
  readonly bind?: 'core' | 'none'
  /** Puts `[rank] ` before each line of output. Default: false. */
  readonly label?: boolean
  /** Seconds after which the job is ended with exit code 124. Default: none. */
  readonly timeout?: number
  /** Seconds that ranks which called init() wait for the others. Default: 30. */
  readonly startTimeout?: number
  /** Prints a table of what each rank has received, on stderr, at the end. Default: false. */
  readonly stats?: boolean
  /**
   * Compares, before each collective, what the ranks call: where it does not match they fail with ERR_MISMATCH, which names
   * both calls. For finding mistakes: costs a message to everyone per call. Default: ONECOPY_CHECK, else false.
   */
  readonly check?: boolean
  /** `'abort'` ends the job when a rank fails; `'continue'` tells the other ranks and lets them go on. Default: `'abort'`. */
  readonly onFailure?: 'abort' | 'continue'
  /** The ranks' environment. Default: this process's. */
  readonly env?: NodeJS.ProcessEnv
  /** The ranks' working directory. Default: this process's. */
  readonly cwd?: string
  /** Rank 0's standard input; the other ranks have none. Default: `'ignore'`; the command line uses `'inherit'`. */
  readonly stdin?: 'inherit' | 'ignore'
  /** Where the ranks' lines go. Default: this process's. A stream is written to and not ended. */
  readonly stdout?: Writable | 'inherit' | 'ignore'
  /** As `stdout`, for standard error. */
  readonly stderr?: Writable | 'inherit' | 'ignore'
  /** Options for node itself, before the script. */
  readonly nodeArgs?: readonly string[]
  /** A command, with its arguments, that each rank's node is started through: `['strace', '-f']`. */
  readonly wrapper?: readonly string[]
  /** The node binary. Default: the one that runs this process. */
  readonly execPath?: string
  /** Ends the job as SIGTERM to the launcher would (exit code 143). */
  readonly signal?: AbortSignal
}

/** Options with every default filled in and every mistake refused. */
export interface JobOptions {
  readonly size: number
  readonly programs: readonly Required<Program>[]
  readonly transports: readonly string[]
  readonly bindToCores: boolean
  readonly label: boolean
  readonly timeoutMs: number | null
  readonly startTimeoutMs: number
  readonly stats: boolean
  readonly check: boolean
  readonly continueOnFailure: boolean
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  readonly stdin: 'inherit' | 'ignore'
  readonly stdout: Writable | number | null
  readonly stderr: Writable | number | null
  readonly nodeArgs: readonly string[]
  readonly wrapper: readonly string[]
  readonly execPath: string
  readonly signal: AbortSignal | null
}

/**
 * Checks the options of a job and fills in defaults.
 * @throws LaunchArgumentError on the first mistake, naming the cure.
 */
export function completeOptions(options: LaunchOptions): JobOptions {
  if (typeof options !== 'object' || options === null) throw new LaunchArgumentError('no options: give size and script')
  const cwd = path.resolve(options.cwd ?? process.cwd())
  const env = { ...(options.env ?? process.env), ...chosenVariables(options) }
  checkVariables(env)
  const programs = completePrograms(options, cwd)
  const size = programs.reduce((sum, program) => sum + program.size, 0)
  checkSize(size)
  const chosen = options.transport ?? (env.ONECOPY_TRANSPORT || undefined)
  return {
    size,
    programs,
    transports: chosen === undefined ? transportNames() : chosenTransports(chosen),
    bindToCores: oneOf('bind', options.bind ?? 'none', ['none', 'core']) === 'core',
    label: options.label === true,
    timeoutMs: options.timeout === undefined ? null : seconds('timeout', options.timeout),
    startTimeoutMs: seconds('startTimeout', options.startTimeout ?? START_TIMEOUT_SECONDS),
    stats: options.stats === true,
    check: options.check === true,
    continueOnFailure: oneOf('onFailure', options.onFailure ?? 'abort', ['abort', 'continue']) === 'continue',
    env,
    cwd,
    stdin: options.stdin ?? 'ignore',
    stdout: destination(options.stdout, 1),
    stderr: destination(options.stderr, 2),
    nodeArgs: options.nodeArgs ?? [],
    wrapper: options.wrapper ?? [],
    execPath: options.execPath ?? process.execPath,
    signal: options.signal ?? null,
  }
}

/**
 * Checks the programs of a job.
 * @throws LaunchArgumentError on the first mistake.
 */
export function completePrograms(options: LaunchOptions, cwd: string): Required<Program>[] {
  if (options.programs !== undefined && options.script !== undefined) {
    throw new LaunchArgumentError('give either script or programs, not both')
  }
  const given: readonly Partial<Program>[] = options.programs ?? [options]
  if (given.length === 0) throw new LaunchArgumentError('no program: programs is empty')
  return given.map(({ size, script, args }) => {
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 1 || size > SIZE_MAX) {
      throw new LaunchArgumentError(sizeText(size))
    }
    if (typeof script !== 'string' || script === '') throw new LaunchArgumentError('no script: name the file to run')
    if (args !== undefined && !Array.isArray(args)) throw new LaunchArgumentError('args must be an array of words')
    const file = path.resolve(cwd, script)
    if (!fs.statSync(file, { throwIfNoEntry: false })?.isFile()) {
      throw new LaunchArgumentError(`no such script: ${file}`)
    }
    return { size, script: file, args: (args ?? []).map(String) }
  })
}

/** @throws LaunchArgumentError when these are more ranks than can be in one job. */
export function checkSize(size: number): void {
  if (size > SIZE_MAX) throw new LaunchArgumentError(sizeText(size))
}

/** What is wrong with a number of ranks. */
export function sizeText(size: unknown): string {
  if (typeof size === 'number' && size > SIZE_MAX) {
    return `${size} ranks are more than ${SIZE_MAX}: shared memory is laid out for every pair of ranks; use fewer`
  }
  return `the number of ranks must be an integer from 1 to ${SIZE_MAX}, not ${String(size)}`
}

/** Options that are short for a variable: everybody reads them there, the ranks and what they start among them. */
function chosenVariables({ ffi, log }: LaunchOptions): NodeJS.ProcessEnv {
  return {
    ...(ffi === undefined ? {} : { ONECOPY_FFI: oneOf('ffi', ffi, FFI_CHOICES) }),
    ...(log === undefined ? {} : { ONECOPY_LOG: oneOf('log', log, LOG_LEVELS) }),
  }
}

/** Variables that are one of a few words, or not set: a mistake would be one in every rank. */
function checkVariables(env: NodeJS.ProcessEnv): void {
  for (const [name, values] of Object.entries(VARIABLES)) {
    const value = env[name]
    if (value) oneOf(name, value, values)
  }
}

const VARIABLES: Readonly<Record<string, readonly string[]>> = {
  ONECOPY_FFI: FFI_CHOICES,
  ONECOPY_LOG: LOG_LEVELS,
  ONECOPY_CMA: ['on', 'off', 'no-write', 'require'],
  ONECOPY_HUGE_PAGES: ['on', 'off'],
  ONECOPY_CHECK: ['0', '1'],
}

function chosenTransports(chosen: string | readonly string[]): string[] {
  try {
    return parseTransports(typeof chosen === 'string' ? chosen : chosen.join(','))
  } catch (error) {
    throw new LaunchArgumentError((error as Error).message)
  }
}

function oneOf<T extends string>(name: string, value: T, values: readonly T[]): T {
  if (!values.includes(value)) {
    throw new LaunchArgumentError(`${name} must be ${values.join(' or ')}, not '${String(value)}'`)
  }
  return value
}

/** setTimeout's longest time is 2^31-1 ms. */
const SECONDS_MAX = 2_147_483

function seconds(name: string, value: number): number {
  if (typeof value !== 'number' || !(value > 0) || value > SECONDS_MAX) {
    throw new LaunchArgumentError(`${name} must be a number of seconds from above 0 to ${SECONDS_MAX}, not ${value}`)
  }
  return value * 1000
}

function destination(wish: Writable | 'inherit' | 'ignore' | undefined, descriptor: number): Writable | number | null {
  if (wish === 'ignore') return null
  return wish === undefined || wish === 'inherit' ? descriptor : wish
}
