import { transportNames } from '../transports.js'
import { SIZE_MAX, START_TIMEOUT_SECONDS } from './launch-options.js'

/** What `onecopy` says without a command, and with --help. */
export const GENERAL_HELP = `
A job is N node processes, the ranks, that run one script and send each other messages:

  // hello.mjs
  import { init } from 'onecopy'
  const world = await init()
  const names = await world.gather(\`rank \${world.rank} of \${world.size}\`, 0)
  if (world.rank === 0) console.log(names)

  $ onecopy run -n 4 hello.mjs

Start here:
  onecopy run -n 4 script.ts     run a script on four ranks
  onecopy doctor                 see what works on this machine, how fast, and why something does not
  onecopy help run               every option of a command

Environment (a flag wins over it):
  ONECOPY_TRANSPORT   transports in order of preference, as --transport
  ONECOPY_FFI         koffi or ffi-napi: the package that system calls go through; none: as if there were none; as --ffi
  ONECOPY_LOG         debug: leave nothing out of the output when a rank fails, as --log
  ONECOPY_CMA         off: no single copy; no-write: receivers read, nobody writes; require: an error where it is refused
  ONECOPY_HUGE_PAGES  off: never gather the pages of memory that travels often into huge ones
  ONECOPY_CHECK       1: compare what the ranks call in each collective, as --check
`

/** What follows the options in `onecopy run --help`. */
export function runHelp(): string {
  return `
Options come before the script; everything after it is the script's own. Scripts may be .js, .mjs, .cjs, or .ts (by Node's
own type stripping where it has it, else by tsx if it is installed; --node-arg=--import=tsx takes tsx in any case).

Several programs in one job (MPMD), numbered through: rank 0 and 1 run a.ts, rank 2 runs b.ts:
  $ onecopy run -n 2 a.ts input.txt : -n 1 b.ts

Output is passed on line by line; standard input goes to rank 0. A rank's environment holds ONECOPY_RANK,
ONECOPY_SIZE and ONECOPY_ON_FAILURE.

How it ends (exit codes):
  0        every rank ended well
  n        a rank ended with code n; the others were told, and ended
  128+n    a rank, or the launcher, was ended by signal n (SIGINT 130, SIGKILL 137, SIGTERM 143)
  124      the job took longer than --timeout
  2        wrong arguments; nothing was started
  1        the job could not be started

Limits: ${SIZE_MAX} ranks; ${START_TIMEOUT_SECONDS} s for all ranks to call init() once the first has (--start-timeout).
Transports: ${transportNames().join(', ')}; per pair of ranks the first that works is taken.

Examples:
  $ onecopy run -n 4 --label job.mjs
  $ onecopy run -n 8 --bind core --stats job.ts --input data.bin
  $ onecopy run -n 2 --wrapper "strace -f -o trace" job.mjs
`
}

/** What follows the options in `onecopy doctor --help`. */
export const DOCTOR_HELP = `
For every transport it says whether it works here and, if not, why and what to do about it; then it runs a job of two ranks
over each, for a few seconds, and prints latency and bandwidth as measured. The exit code is 0 when a job can run.
`
