/**
 * Counts the words of every text file below a folder (default: this repository with its installed node_modules). Rank 0 lists
 * the files and hands them out in batches to whoever asks, counting itself in between; every rank has a table of its own; a
 * `reduce` with an operation of ours adds the tables up.
 *
 * For an honest comparison rank 0 first counts a sample of the files alone, while the others sleep; then all ranks count the
 * rest. No file is read twice, so neither part finds its files warmer in the system's cache than the other.
 *
 *   npx onecopy run -n 4 examples/word-count.ts [folder]
 */
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { ANY_SOURCE, type Communicator, init, type Request } from 'onecopy'
import { ADD_TALLIES, Counter } from './word-count/counter.ts'
import { type ListedFile, type Listing, listFiles } from './word-count/list-files.ts'
import { ProgressBar } from './word-count/progress-bar.ts'
import { type Measured, report } from './word-count/report.ts'

const BATCH_BYTES = 1024 * 1024
const BATCH_FILES = 64
/** What rank 0 counts alone: as many bytes, but not more than a quarter of the files. */
const SAMPLE_BYTES = 40e6
const SAMPLE_SHARE = 1 / 4

const ASK = 1
const BATCH = 2

const world = await init()
const folder = path.resolve(process.argv[2] ?? fileURLToPath(new URL('..', import.meta.url)))

if (world.rank === 0) await lead(world, folder)
else await follow(world, folder)

async function lead(world: Communicator, folder: string): Promise<void> {
  const startedAt = performance.now()
  const listing = list(world, folder)
  const listingSeconds = secondsSince(startedAt)
  const { sample, rest } = world.size > 1 ? divide(listing.files) : { sample: [], rest: listing.files }

  // Asked before the others leave: afterwards no way leads to them.
  const routes = routesOf(world)
  const counter = new Counter(folder)
  const bar = new ProgressBar(bytesOf(listing.files))
  const alone = countAlone(counter, sample, bar)
  const togetherAt = performance.now()
  await handOut(world, rest, counter, bar, bytesOf(sample))
  const tally = (await world.reduce(counter.tally, ADD_TALLIES, 0))!
  const together: Measured = {
    files: tally.files - alone.files,
    bytes: tally.bytes - alone.bytes,
    seconds: secondsSince(togetherAt),
  }
  bar.finish(world.size > 1 ? `${world.size} ranks` : '1 rank')

  const statistics = (await world.gather(world.statistics, 0))!
  const measured = { alone: world.size > 1 ? alone : null, together }
  const outcome = { folder, listing, listingSeconds, tally, ...measured, statistics, routes }
  for (const line of report(world.size, outcome)) console.log(line)
}

/** A worker asks for its next batch before it counts the one it has, so that it never waits for an answer. */
async function follow(world: Communicator, folder: string): Promise<void> {
  const counter = new Counter(folder)
  let next = await ask(world, 0)
  for (let batch = await next.answer; batch !== null; batch = await next.answer) {
    next = await ask(world, bytesOf(batch))
    for (const file of batch) counter.count(file.path)
  }
  await world.reduce(counter.tally, ADD_TALLIES, 0)
  await world.gather(world.statistics, 0)
}

/** Says how many bytes the worker is about to count, for the progress bar, and asks for what to count after them. */
async function ask(world: Communicator, bytes: number): Promise<{ answer: Request<ListedFile[] | null> }> {
  const answer = world.recv<ListedFile[] | null>(0, BATCH)
  await world.send({ bytes }, 0, ASK)
  // In an object, because a request is awaitable and would be awaited on the way out.
  return { answer }
}

async function handOut(
  world: Communicator,
  files: readonly ListedFile[],
  counter: Counter,
  bar: ProgressBar,
  bytesBefore: number,
): Promise<void> {
  const batches = batchesOf(files)
  let bytes = bytesBefore
  let working = world.size - 1
  for (const own of batches) {
    for (const file of own) {
      while (world.iprobe(ANY_SOURCE, ASK) !== null) await answer()
      counter.count(file.path)
      bytes += file.byteLength
      show()
    }
  }
  while (working > 0) {
    await answer()
    show()
  }

  async function answer(): Promise<void> {
    const { data, source } = await world.recvMessage<{ bytes: number }>(ANY_SOURCE, ASK)
    bytes += data.bytes
    const { value: batch = null } = batches.next()
    if (batch === null) working--
    await world.send(batch, source, BATCH)
  }

  function show(): void {
    bar.update(bytes, world.size > 1 ? `${world.size} ranks` : '1 rank')
  }
}

function countAlone(counter: Counter, files: readonly ListedFile[], bar: ProgressBar): Measured {
  const startedAt = performance.now()
  let bytes = 0
  for (const file of files) {
    counter.count(file.path)
    bytes += file.byteLength
    bar.update(bytes, 'rank 0 alone')
  }
  return { files: counter.files, bytes: counter.bytes, seconds: secondsSince(startedAt) }
}

function list(world: Communicator, folder: string): Listing {
  try {
    return listFiles(folder)
  } catch (error) {
    return world.abort(2, `cannot read the folder ${folder}: ${(error as Error).message}`)
  }
}

/** Every n-th file for the sample, so that all kinds and sizes are in both parts. */
function divide(files: readonly ListedFile[]): { sample: ListedFile[]; rest: ListedFile[] } {
  const every = Math.ceil(1 / Math.min(SAMPLE_SHARE, SAMPLE_BYTES / bytesOf(files)))
  const sample = files.filter((_, i) => i % every === every - 1)
  return { sample, rest: files.filter((_, i) => i % every !== every - 1) }
}

/** Cuts the list into batches that take about equally long. A generator: batches are made when somebody wants one. */
function* batchesOf(files: readonly ListedFile[]): Generator<ListedFile[], undefined> {
  let batch: ListedFile[] = []
  let bytes = 0
  for (const file of files) {
    batch.push(file)
    bytes += file.byteLength
    if (bytes < BATCH_BYTES && batch.length < BATCH_FILES) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}

function routesOf(world: Communicator): Map<string, number[]> {
  const ranksByRoute = new Map<string, number[]>()
  for (let rank = 1; rank < world.size; rank++) {
    const route = world.transport(rank)
    ranksByRoute.set(route, [...(ranksByRoute.get(route) ?? []), rank])
  }
  return ranksByRoute
}

function bytesOf(files: readonly ListedFile[]): number {
  return files.reduce((sum, file) => sum + file.byteLength, 0)
}

function secondsSince(startedAt: number): number {
  return (performance.now() - startedAt) / 1000
}
