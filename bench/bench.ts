import { parseArgs } from 'node:util'
import { runCollectives } from './collectives.js'
import { runPointToPoint } from './p2p.js'
import { parseBytes } from './units.js'

const HELP = `npm run bench -- p2p|collectives [options]

p2p

Two ranks play ping-pong with messages of 0 B to 64 MiB: onecopy beside Open MPI and MPICH (when their compilers are
installed), worker_threads, fork and a plain pipe, all in turn on this machine. Prints three tables; times are one way
and the best of all rounds.

collectives
barrier, bcast, reduce, allreduce, allgather and alltoall of 8 B to 16 MiB: onecopy's blocking face beside Open MPI and
MPICH, on 2 ranks and on 4. Prints one table per number of ranks, with the ratio to the better C library.

Both
  --sizes LIST         message sizes, like 8,64Ki,1Mi
  --rounds N           how often each contender gets its turn (default 4)
  --milliseconds N     length of one timed batch (default 15; collectives 3)
  --contenders LIST    only these, by their keys in bench/contenders.ts
  --quick              one round, short batches, few sizes
  --json FILE          writes the raw numbers, the machine and the versions

p2p only
  --only-messages      leaves out the third table (idle CPU, start-up, a ring of 32 ranks)
  --plot FILE.svg      draws time over size

collectives only
  --ranks LIST         numbers of ranks (default 2,4)
  --only LIST          only these collectives
`

const BATCH_MILLISECONDS = { p2p: { usual: 15, quick: 5 }, collectives: { usual: 3, quick: 1 } }
const COMMANDS = { p2p: runPointToPoint, collectives: runCollectives }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sizes: { type: 'string' },
    rounds: { type: 'string' },
    milliseconds: { type: 'string' },
    contenders: { type: 'string' },
    quick: { type: 'boolean', default: false },
    'only-messages': { type: 'boolean', default: false },
    json: { type: 'string' },
    plot: { type: 'string' },
    ranks: { type: 'string' },
    only: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const name = positionals[0] ?? ''
if (values.help || !Object.hasOwn(COMMANDS, name)) {
  if (!values.help && name !== '') console.error(`There is no bench called '${name}'.\n`)
  process.stdout.write(HELP)
  process.exit(values.help ? 0 : 2)
}
if (values.plot !== undefined && !values.plot.endsWith('.svg')) {
  console.error(`--plot writes SVG: give it a name that ends in .svg, not '${values.plot}'.`)
  process.exit(2)
}

const bench = name as keyof typeof COMMANDS
const batch = BATCH_MILLISECONDS[bench]
process.exitCode = await COMMANDS[bench]({
  sizes: values.sizes?.split(',').map(parseBytes),
  rounds: positive('rounds', values.rounds) ?? (values.quick ? 1 : 4),
  batchMilliseconds: positive('milliseconds', values.milliseconds) ?? (values.quick ? batch.quick : batch.usual),
  contenders: values.contenders?.split(','),
  quick: values.quick,
  onlyMessages: values['only-messages'],
  json: values.json,
  plot: values.plot,
  ranks: values.ranks?.split(',').map((text) => positive('ranks', text) as number),
  collectives: values.only?.split(','),
})

function positive(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!(value > 0)) {
    console.error(`--${option} takes a number above 0, not '${text}'.`)
    process.exit(2)
  }
  return value
}
