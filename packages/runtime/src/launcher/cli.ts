import fs from 'node:fs'
import { createRequire } from 'node:module'
import { OnecopyError } from '@onecopy/transport'
import type * as Commander from 'commander'
import { DOCTOR_HELP, GENERAL_HELP, runHelp } from './help.js'
import { startJob } from './launch.js'
import { FFI_CHOICES, LaunchArgumentError, type LaunchOptions, LOG_LEVELS, type Program } from './launch-options.js'
import { parseProgram, parseRankCount, splitPrograms } from './programs.js'
import { passSignals } from './signals.js'

// By require, because it is CommonJS: import would parse each of its files for their names first, 2.5 ms of every start.
const { Command, CommanderError, InvalidArgumentError, Option } = createRequire(import.meta.url)(
  'commander',
) as typeof Commander

/** Exit code for wrong arguments, as of most commands. */
const USAGE_EXIT_CODE = 2

interface RunFlags {
  n?: number
  transport?: string
  ffi?: LaunchOptions['ffi']
  log?: LaunchOptions['log']
  bind?: 'core' | 'none'
  label?: boolean
  timeout?: number
  startTimeout?: number
  stats?: boolean
  check?: boolean
  onFailure?: 'abort' | 'continue'
  nodeArg?: string[]
  wrapper?: string[]
}

/** Runs the command line `words` (without node and script) and gives the exit code. Writes to this process's output. */
export async function main(words: readonly string[]): Promise<number> {
  let exitCode = 0
  try {
    const [first, ...others] = words[0] === 'run' ? splitPrograms(words) : [words]
    const program = buildProgram(others.map(parseProgram), (code) => {
      exitCode = code
    })
    await program.parseAsync([...(first as string[])], { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE_EXIT_CODE
    if (error instanceof LaunchArgumentError) {
      process.stderr.write(`onecopy: ${error.message} (onecopy help run)\n`)
      return USAGE_EXIT_CODE
    }
    if (error instanceof OnecopyError) {
      process.stderr.write(`onecopy: ${error.message} (${error.code})\n`)
      return 1
    }
    throw error
  }
}

/** Whoever reads the help, which comes in several pieces, may stop reading it: `onecopy --help | head -3`. */
function writeQuietly(text: string): void {
  process.stdout.off('error', ignoreClosedPipe).on('error', ignoreClosedPipe).write(text)
}

function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
}

function buildProgram(others: readonly Program[], setExitCode: (code: number) => void): Commander.Command {
  const program = new Command('onecopy')
    .description('Message passing between Node.js processes, MPI style: one copy per message.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', GENERAL_HELP)
    .enablePositionalOptions()
    .configureOutput({
      writeOut: writeQuietly,
      outputError: (text, write) => write(`onecopy: ${oneLine(text)} (onecopy --help shows how)\n`),
    })
    .exitOverride()
  // Without a command: the help, as an answer and not as an error, unless something was asked for.
  program.action(() => program.outputHelp())

  program
    .command('run')
    .description('run a script on N ranks')
    .argument('<script>', 'the script; its own arguments follow')
    .argument('[args...]', "the script's arguments")
    .addOption(new Option('-n <ranks>', 'number of ranks').argParser(parseSize).makeOptionMandatory())
    .option('-t, --transport <list>', 'transports in order of preference, as in cma,pipe')
    .addOption(new Option('--ffi <package>', 'what system calls go through').choices(FFI_CHOICES))
    .addOption(new Option('--log <level>', 'debug: leave nothing out of stderr when a rank fails').choices(LOG_LEVELS))
    .addOption(new Option('--bind <what>', 'core: pin each rank to a core of its own').choices(['core', 'none']))
    .option('-l, --label', 'put [rank] before each line of output')
    .option('--timeout <seconds>', 'end the job after this time, with exit code 124', parseSeconds)
    .option('--start-timeout <seconds>', 'how long ranks wait for the others to call init()', parseSeconds)
    .option('--check', 'compare what the ranks call: an error names both calls where collectives do not match')
    .option('--stats', 'print what each rank has received, at the end')
    .addOption(
      new Option('--on-failure <what>', 'when a rank fails: end the job, or tell the others and go on').choices([
        'abort',
        'continue',
      ]),
    )
    .option('--node-arg <option>', 'an option for node itself, as in --node-arg=--expose-gc; may be repeated', collect)
    .option('--wrapper <command>', 'start each rank through this command', (value: string) => value.trim().split(/\s+/))
    .addHelpText('after', runHelp())
    .passThroughOptions()
    .action(async (script: string, args: string[], flags: RunFlags) => {
      setExitCode(await run([{ size: flags.n as number, script, args }, ...others], flags))
    })

  program
    .command('doctor')
    .description('say what works on this machine, what does not and why, and measure it')
    .option('--json', 'print what was found as JSON')
    .addHelpText('after', DOCTOR_HELP)
    .action(async (flags: { json?: boolean }) => {
      const { doctor } = await import('./doctor.js')
      const signals = passSignals()
      try {
        setExitCode(await doctor({ json: flags.json === true }, signals))
      } finally {
        signals.stop()
      }
    })

  program
    .command('bench')
    .description('run the comparison suite: onecopy beside MPI in C, worker_threads, fork and pipes')
    .argument('[args...]', "the suite's arguments")
    .allowUnknownOption()
    .helpOption(false)
    .passThroughOptions()
    .action(async (args: string[]) => {
      const { bench } = await import('./bench.js')
      setExitCode(await bench(args))
    })
  return program
}

/** Runs a job, passes signals to it, and gives its exit code. */
async function run(programs: readonly Program[], flags: RunFlags): Promise<number> {
  const options: LaunchOptions = {
    programs,
    stdin: 'inherit',
    ...(flags.transport === undefined ? {} : { transport: flags.transport }),
    ...(flags.ffi === undefined ? {} : { ffi: flags.ffi }),
    ...(flags.log === undefined ? {} : { log: flags.log }),
    ...(flags.bind === undefined ? {} : { bind: flags.bind }),
    ...(flags.timeout === undefined ? {} : { timeout: flags.timeout }),
    ...(flags.startTimeout === undefined ? {} : { startTimeout: flags.startTimeout }),
    ...(flags.onFailure === undefined ? {} : { onFailure: flags.onFailure }),
    label: flags.label === true,
    stats: flags.stats === true,
    check: flags.check === true,
    nodeArgs: flags.nodeArg ?? [],
    wrapper: flags.wrapper ?? [],
  }
  const signals = passSignals()
  try {
    const job = await startJob(options)
    signals.to(job)
    return (await job.result).exitCode
  } finally {
    signals.stop()
  }
}

function parseSize(text: string): number {
  try {
    return parseRankCount(text)
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

function parseSeconds(text: string): number {
  const seconds = Number(text)
  if (text.trim() === '' || !(seconds > 0) || seconds === Number.POSITIVE_INFINITY) {
    throw new InvalidArgumentError(`it must be a number of seconds above 0, as in 60 or 0.5, not '${text}'`)
  }
  return seconds
}

/** The library's errors have a line end, and some a second line; ours is one line with the cure. */
function oneLine(text: string): string {
  return text
    .replace(/^error: /, '')
    .trim()
    .replaceAll('\n', ' ')
}

function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value]
}

function version(): string {
  const file = new URL('../../package.json', import.meta.url)
  return (JSON.parse(fs.readFileSync(file, 'utf8')) as { version: string }).version
}
