import os from 'node:os'
import type { Statistics } from 'onecopy'
import type { Tally } from './counter.ts'
import { FILE_BYTES_MAX, type Listing } from './list-files.ts'
import { WordTable } from './word-table.ts'

const MEGABYTE = 1e6
const TOP_WORDS = 20
/** With less text than this in the sample, starting up weighs more than counting. */
const SAMPLE_BYTES_MIN = 4e6

/** Text counted in a stretch of time. */
export interface Measured {
  readonly files: number
  readonly bytes: number
  readonly seconds: number
}

export interface Outcome {
  readonly folder: string
  readonly listing: Listing
  readonly listingSeconds: number
  readonly tally: Tally
  /** What rank 0 counted alone, before the others began; null on one rank. */
  readonly alone: Measured | null
  /** What all ranks counted together, merging included. */
  readonly together: Measured
  /** Every rank's. */
  readonly statistics: readonly Statistics[]
  /** How messages travel between rank 0 and each other rank: ranks by what `world.transport(rank)` says. */
  readonly routes: ReadonlyMap<string, readonly number[]>
}

/** What a job of `size` ranks prints at its end, line by line. */
export function report(size: number, outcome: Outcome): string[] {
  const table = WordTable.unpack(outcome.tally.table)
  return [
    ...wordLines(outcome, table),
    '',
    ...fileLines(outcome, table),
    '',
    ...speedLines(size, outcome),
    '',
    ...transportLines(outcome),
  ]
}

function wordLines({ folder }: Outcome, table: WordTable): string[] {
  const top = table.top(TOP_WORDS)
  if (top.length === 0) return [`No words below ${folder}.`]
  const width = whole(top[0]!.count).length
  return [
    `The most frequent words below ${folder}:`,
    ...top.map((each) => `  ${whole(each.count).padStart(width)}  ${each.word}`),
  ]
}

function fileLines({ listing, listingSeconds, tally }: Outcome, table: WordTable): string[] {
  const leftOut = [
    [tally.binary, 'binary'],
    [listing.large + tally.tooLarge, `over ${FILE_BYTES_MAX / 2 ** 20} MiB (${megabytes(listing.largeBytes)})`],
    [listing.unreadable + tally.unreadable, 'unreadable'],
    [listing.links, 'symbolic links'],
  ] as const
  const lines = [
    `${whole(tally.files)} text files, ${megabytes(tally.bytes)}, ` +
      `${whole(table.total)} words, ${whole(table.size)} different ones`,
    `left out: ${leftOut.map(([count, what]) => `${whole(count)} ${what}`).join(', ')}; ` +
      `${megabytes(table.dataBytes)} of encoded data within the texts`,
    `looking for files took ${listingSeconds.toFixed(1)} s`,
  ]
  if (table.rest > 0) lines.push(`the table was full: ${whole(table.rest)} words are not in it`)
  if (listing.truncated)
    lines.push(`there are more files: only the first ${whole(listing.files.length)} were looked at`)
  return lines
}

function speedLines(size: number, { alone, together }: Outcome): string[] {
  const cores = os.availableParallelism()
  if (alone === null) return [speedLine('1 rank', together)]
  const lines = [
    speedLine('rank 0 alone, the others asleep (a sample of the files, first)', alone),
    speedLine(`${size} ranks together (all other files, merging included)`, together),
  ]
  if (alone.bytes < SAMPLE_BYTES_MIN || together.bytes < SAMPLE_BYTES_MIN) {
    lines.push('too little text to compare one rank with all of them')
  } else {
    const ratio = speedOf(together) / speedOf(alone)
    lines.push(`${size} ranks on ${cores} cores are ${ratio.toFixed(2)} times as fast as one`)
  }
  return lines
}

function speedLine(who: string, measured: Measured): string {
  const { files, bytes, seconds } = measured
  const speed = seconds > 0 ? (speedOf(measured) / MEGABYTE).toFixed(1) : '-'
  return `${speed.padStart(6)} MB/s  ${who}: ${whole(files)} files, ${megabytes(bytes)} in ${seconds.toFixed(2)} s`
}

function transportLines({ statistics, routes }: Outcome): string[] {
  const sum = (pick: (each: Statistics) => number): number => statistics.reduce((all, each) => all + pick(each), 0)
  const lines: string[] = []
  for (const name of new Set(statistics.flatMap((each) => Object.keys(each.bytesByTransport)))) {
    lines.push(`${name} carried ${megabytes(sum((each) => each.bytesByTransport[name] ?? 0))} in messages`)
  }
  if (lines.length === 0) return ['no messages: there is only one rank']
  lines.push(
    `of these ${megabytes(sum((each) => each.bytesSingleCopy))} by single copy, ` +
      `${megabytes(sum((each) => each.bytesEager))} at once with the envelope, ` +
      `${megabytes(sum((each) => each.bytesStreamed))} streamed; ${whole(sum((each) => each.messages))} messages`,
  )
  for (const [route, ranks] of routes) lines.push(`rank 0 and ${listOf(ranks)}: ${route}`)
  return lines
}

function listOf(ranks: readonly number[]): string {
  return `rank${ranks.length > 1 ? 's' : ''} ${ranks.join(', ')}`
}

function speedOf({ bytes, seconds }: Measured): number {
  return bytes / seconds
}

function whole(value: number): string {
  return value.toLocaleString('en')
}

function megabytes(bytes: number): string {
  return `${(bytes / MEGABYTE).toFixed(bytes < MEGABYTE ? 3 : 1)} MB`
}
