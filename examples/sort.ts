/**
 * Sample sort: every rank makes its share of random float64 numbers and sorts it; samples of all shares say where to cut; one
 * `alltoallInto` brings every number to the rank whose range it lies in; each rank merges what it got. At the end the numbers
 * are in order within each rank and from rank to rank, which is checked. The argument is how many there are in all (default
 * 10 million).
 *
 *   npx onecopy run -n 4 examples/sort.ts 10000000
 */
import { init, LAND, SUM } from 'onecopy'
import { integerArgument } from './support/arguments.ts'
import { shareOf } from './support/shares.ts'

const SAMPLES_PER_RANK = 64
const SEED = 20_240_901

const world = await init()
const { rank, size } = world
const total = integerArgument(world, 0, { name: 'numbers', fallback: 10_000_000, min: 0, max: 1_000_000_000 })

const mine = randomNumbers(shareOf(total, rank, size).count, SEED + rank)
const checksumBefore = checksum(mine)

await world.barrier()
const startedAt = performance.now()

mine.sort()
const cuts = cutsFor((await world.allgather(samplesOf(mine))).flatMap((samples) => [...samples]))
const sendCounts = countsBetween(mine, cuts)
const recvCounts = await world.alltoall(sendCounts)
const sorted = new Float64Array(recvCounts.reduce((sum, count) => sum + count, 0))
await world.alltoallInto(mine, sorted, { sendCounts, recvCounts })
sorted.sort()

const seconds = (performance.now() - startedAt) / 1000

await check()
const counts = await world.gather(sorted.length, 0)
if (rank === 0) {
  console.log(`sorted ${total} numbers on ${size} ranks in ${seconds.toFixed(2)} s`)
  console.log(`numbers per rank: ${counts!.join(', ')}`)
}

/** Same numbers as before, in order here, and none smaller than the last one of a lower rank. */
async function check(): Promise<void> {
  let ordered = true
  for (let i = 1; i < sorted.length; i++) ordered &&= sorted[i - 1]! <= sorted[i]!
  let before = Number.NEGATIVE_INFINITY
  // A rank may have got no numbers at all (many equal ones, or very few), so neighbours are not enough.
  for (const [first, last] of await world.allgather([sorted.at(0), sorted.at(-1)])) {
    if (first === undefined || last === undefined) continue
    ordered &&= before <= first
    before = last
  }
  const allOrdered = await world.allreduce(ordered, LAND)
  const [sumBefore, sumAfter] = await world.allreduce(Uint32Array.of(checksumBefore, checksum(sorted)), SUM)
  const count = await world.allreduce(sorted.length, SUM)
  if (!allOrdered || sumBefore !== sumAfter || count !== total) {
    throw new Error(
      `not sorted: in order ${allOrdered}, ${count} of ${total} numbers, sums ${sumBefore} and ${sumAfter}`,
    )
  }
}

/** Evenly spaced numbers of a sorted array; all of them if there are few. */
function samplesOf(numbers: Float64Array): Float64Array {
  const count = Math.min(SAMPLES_PER_RANK, numbers.length)
  return Float64Array.from({ length: count }, (_, i) => numbers[Math.floor(((i + 0.5) * numbers.length) / count)]!)
}

/** The size-1 numbers at which one rank's range ends and the next one's begins. */
function cutsFor(samples: number[]): number[] {
  samples.sort((a, b) => a - b)
  return Array.from({ length: size - 1 }, (_, i) => {
    return samples[Math.floor(((i + 1) * samples.length) / size)] ?? Number.POSITIVE_INFINITY
  })
}

/** How many of the sorted numbers lie in each rank's range. */
function countsBetween(numbers: Float64Array, cuts: number[]): number[] {
  const ends = [...cuts.map((cut) => firstAtLeast(numbers, cut)), numbers.length]
  return ends.map((end, i) => end - (ends[i - 1] ?? 0))
}

function firstAtLeast(numbers: Float64Array, value: number): number {
  let [low, high] = [0, numbers.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (numbers[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}

/** Sum of all words, modulo 2^32: the same for the same numbers in any order and on any ranks. */
function checksum(numbers: Float64Array): number {
  let sum = 0
  for (const word of new Uint32Array(numbers.buffer, numbers.byteOffset, 2 * numbers.length)) sum = (sum + word) >>> 0
  return sum
}

/** Uniform in [0, 1), by the generator mulberry32. */
function randomNumbers(count: number, seed: number): Float64Array {
  const numbers = new Float64Array(count)
  let state = seed
  for (let i = 0; i < count; i++) {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    numbers[i] = ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return numbers
}
