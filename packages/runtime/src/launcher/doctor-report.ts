import type { Thresholds } from '../protocol.js'
import { formatTable } from './statistics.js'

/** One size of message, measured: best batch, one way. */
export interface Measurement {
  readonly byteLength: number
  readonly microseconds: number
  /** 10^6 bytes per second. */
  readonly megabytesPerSecond: number
}

/** What is known about one transport. */
export interface TransportReport {
  readonly name: string
  readonly available: boolean
  /** What works, or why nothing does, in words. */
  readonly detail: string
  /** How the two ranks of the measuring job reached each other, in words: 'cma (single copy)'; null without measurements. */
  readonly route: string | null
  /** Null when there was nothing to measure, or when measuring failed: then `failure` says how. */
  readonly measurements: readonly Measurement[] | null
  readonly thresholds: Thresholds | null
  /** What a job over this transport had to say on stderr: refused single copy, and the like. */
  readonly notices: string
  readonly failure: string | null
}

/** Everything `onecopy doctor` has found; what `--json` prints. */
export interface DoctorReport {
  /** Facts about machine and process, as lines: what, value, and what follows from it (or ''). */
  readonly facts: readonly (readonly [string, string, string])[]
  readonly transports: readonly TransportReport[]
}

/** Lays a report out for a person. */
export function formatReport(report: DoctorReport): string {
  const parts = ['This machine\n', formatFacts(report.facts), '\nTransports\n']
  for (const transport of report.transports) {
    parts.push(`  ${transport.available ? 'works' : 'NO   '}  ${transport.name}: ${transport.detail}\n`)
    if (transport.route !== null) parts.push(indent(`two ranks talked over ${transport.route}`, '         '))
    if (transport.notices !== '') parts.push(indent(transport.notices, '         '))
    if (transport.failure !== null) parts.push(indent(`a job over it failed: ${transport.failure}`, '         '))
  }
  const measured = report.transports.filter((transport) => transport.measurements !== null)
  if (measured.length > 0)
    parts.push('\nMeasured: two ranks, comm.sync, one way, best batch\n', formatMeasurements(measured))
  const thresholds = measured[0]?.thresholds
  if (thresholds) parts.push(`\nThresholds in use (${measured[0]?.name}), in bytes\n`, formatThresholds(thresholds))
  parts.push(`\n${verdict(report)}\n`)
  return parts.join('')
}

/** In one sentence, what somebody who reads nothing else should know. */
export function verdict(report: DoctorReport): string {
  const first = report.transports.find((transport) => transport.measurements !== null)
  if (first === undefined) return 'No transport works here: jobs cannot run. The reasons are above.'
  const better = report.transports.slice(0, report.transports.indexOf(first))
  const instead = better.length === 0 ? '' : ` instead of ${better.map((transport) => transport.name).join(', ')}`
  // What the two ranks found, not what the probe guessed: permission is a matter between two processes.
  const refused = first.route?.includes('refused') === true
  const copies = refused ? ' Single copy is refused, so large messages cost two copies; the reason is above.' : ''
  return `Jobs run here, over ${first.name}${instead}.${copies}`
}

function formatFacts(facts: DoctorReport['facts']): string {
  const width = Math.max(...facts.map(([name]) => name.length))
  return facts
    .map(
      ([name, value, consequence]) =>
        `  ${name.padEnd(width)}  ${value}${consequence === '' ? '' : ` (${consequence})`}\n`,
    )
    .join('')
}

function formatMeasurements(transports: readonly TransportReport[]): string {
  const lines = [['', 'bytes', 'microseconds', 'MB/s']]
  for (const { name, measurements } of transports) {
    for (const { byteLength, microseconds, megabytesPerSecond } of measurements ?? []) {
      lines.push([`  ${name}`, String(byteLength), microseconds.toFixed(2), megabytesPerSecond.toFixed(0)])
    }
  }
  return formatTable(lines)
}

function formatThresholds(thresholds: Thresholds): string {
  return Object.entries(thresholds)
    .map(([name, bytes]) => `  ${name}: ${bytes}\n`)
    .join('')
}

function indent(text: string, margin: string): string {
  return text
    .trim()
    .split('\n')
    .map((line) => `${margin}${line}\n`)
    .join('')
}
