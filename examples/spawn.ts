/**
 * A parent that grows its own workers: every rank has a share of the numbers in which to count primes; together they see how
 * much there is, spawn a worker for every million (at least one each, at most 8), and hand out pieces to whichever of their
 * workers is free. The workers are this same script, and find their parents by `parent()`. The argument is the limit
 * (default 2 million).
 *
 *   npx onecopy run -n 2 examples/spawn.ts 2000000        or, without a launcher:   node examples/spawn.ts
 */
import { ANY_SOURCE, type Communicator, type Intercommunicator, init, parent, SUM } from 'onecopy'
import { integerArgument } from './support/arguments.ts'
import { shareOf } from './support/shares.ts'

interface Piece {
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

/** What a worker says: at first that it is there, then what it has found. */
type Report = { readonly found: number }

const NUMBERS_PER_WORKER = 1_000_000
const WORKERS_MAX = 8
const PIECE_NUMBERS = 20_000

const parents = parent()
const world = await init()

if (parents === null) await lead(world)
else await work(await parents, world.rank)

async function lead(world: Communicator): Promise<void> {
  const limit = integerArgument(world, 0, { name: 'limit', fallback: 2_000_000, min: 1, max: 1_000_000_000 })
  const { from, count: numbers } = shareOf(limit, world.rank, world.size)
  const total = await world.allreduce(numbers, SUM)
  const wanted = Math.min(WORKERS_MAX, Math.ceil(total / NUMBERS_PER_WORKER))
  const count = Math.max(world.size, wanted)
  const workers = await world.spawn(new URL(import.meta.url), count, { args: ['worker', String(world.size)] })

  // Worker w works for rank w modulo size.
  let mine = Math.ceil((count - world.rank) / world.size)
  let primes = 0
  const pieces = cut({ from, to: from + numbers })
  while (mine > 0) {
    const { data, source } = await workers.recvMessage<Report>(ANY_SOURCE)
    primes += data.found
    const { value: piece } = pieces.next()
    if (piece === undefined) mine--
    await workers.send(piece ?? null, source)
  }
  await workers.disconnect()

  const sum = await world.reduce(primes, SUM, 0)
  if (world.rank === 0) console.log(`${sum} primes below ${limit}, counted by ${count} workers of ${world.size} ranks`)
}

async function work(parents: Intercommunicator, worker: number): Promise<void> {
  const boss = worker % Number(process.argv[3])
  let found = 0
  for (;;) {
    await parents.send({ found }, boss)
    const piece = await parents.recv<Piece | null>(boss)
    if (piece === null) break
    found = countPrimes(piece)
  }
  await parents.disconnect()
}

function* cut({ from, to }: Piece): Generator<Piece, undefined> {
  for (let start = from; start < to; start += PIECE_NUMBERS)
    yield { from: start, to: Math.min(start + PIECE_NUMBERS, to) }
}

function countPrimes({ from, to }: Piece): number {
  let count = 0
  for (let n = Math.max(2, from); n < to; n++) if (isPrime(n)) count++
  return count
}

function isPrime(n: number): boolean {
  if (n % 2 === 0) return n === 2
  for (let d = 3; d * d <= n; d += 2) if (n % d === 0) return false
  return true
}
