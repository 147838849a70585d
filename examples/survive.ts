/**
 * A job that loses a rank and finishes all the same. The ranks count the primes below the argument, in rounds; in the middle of it
 * one rank is killed, as if the machine had run out of memory. The others notice (a collective fails), make it known (`revoke`),
 * agree that the round is lost (`agree`), go on as a smaller communicator (`shrink`), and do the round again. At the end the
 * count is compared with a sieve's.
 *
 * Arguments: limit (default 2 million), the rank that is lost (default the last).
 *
 *   npx onecopy run -n 4 --on-failure continue examples/survive.ts
 *
 * Without the flag a job ends when one of its ranks fails. With it the job's exit code still tells: it is the lost rank's.
 */
import { type Communicator, init, OnecopyError, SUM } from 'onecopy'
import { integerArgument } from './support/arguments.ts'
import { shareOf } from './support/shares.ts'

const ROUNDS = 20
const LOST_IN_ROUND = 10

const world = await init()
const limit = integerArgument(world, 0, { name: 'limit', fallback: 2_000_000, min: 2, max: 100_000_000 })
const lost = integerArgument(world, 1, { name: 'lost', fallback: world.size - 1, min: 0, max: world.size - 1 })
if (world.size > 1 && process.env.ONECOPY_ON_FAILURE !== 'continue') {
  world.abort(2, 'a rank is going to be lost, and that would end this job: run it with --on-failure continue')
}

let communicator = world
let primes = 0
for (let round = 0; round < ROUNDS; ) {
  const counted = await countRound(communicator, round)
  // One rank may have its sum while another's call has failed: only what all have is kept.
  if ((await communicator.agree(counted === null ? 0 : 1)) === 1) {
    primes += counted!
    round++
  } else {
    communicator = await withoutTheLost(communicator, round)
  }
}

if (communicator.rank === 0) {
  const expected = primesBelow(limit)
  if (primes !== expected) throw new Error(`${primes} primes were counted below ${limit}; there are ${expected}`)
  console.log(`${primes} primes below ${limit}, as a sieve finds`)
  console.log(`finished with ${communicator.size} of ${world.size} ranks`)
}

/** This round's primes, counted by all ranks together; null when a rank was lost meanwhile. */
async function countRound(communicator: Communicator, round: number): Promise<number | null> {
  const stretch = shareOf(limit, round, ROUNDS)
  const mine = shareOf(stretch.count, communicator.rank, communicator.size)
  let count = 0
  for (let i = 0; i < mine.count; i++) if (isPrime(stretch.from + mine.from + i)) count++

  if (round === LOST_IN_ROUND && world.rank === lost && world.size > 1) process.kill(process.pid, 'SIGKILL')

  try {
    return await communicator.allreduce(count, SUM)
  } catch (error) {
    if (!(error instanceof OnecopyError && (error.code === 'ERR_PROC_FAILED' || error.code === 'ERR_REVOKED')))
      throw error
    // Some rank may still wait for somebody who has given the round up: it hears of it this way.
    communicator.revoke()
    return null
  }
}

async function withoutTheLost(communicator: Communicator, round: number): Promise<Communicator> {
  const smaller = await communicator.shrink()
  if (smaller.rank === 0) {
    const gone = communicator.group.difference(smaller.group)
    const ranks = gone.translate(
      Array.from({ length: gone.size }, (_, i) => i),
      world.group,
    )
    console.log(`round ${round}: lost rank ${ranks.join(', ')}; ${smaller.size} of ${communicator.size} ranks go on`)
  }
  if (communicator !== world) communicator.free()
  return smaller
}

function isPrime(number: number): boolean {
  if (number < 4) return number > 1
  if (number % 2 === 0) return false
  for (let divisor = 3; divisor * divisor <= number; divisor += 2) if (number % divisor === 0) return false
  return true
}

/** The sieve of Eratosthenes. */
function primesBelow(limit: number): number {
  const isComposite = new Uint8Array(limit)
  let count = 0
  for (let number = 2; number < limit; number++) {
    if (isComposite[number] === 1) continue
    count++
    for (let multiple = number * number; multiple < limit; multiple += number) isComposite[multiple] = 1
  }
  return count
}
