import { PassThrough } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { TRANSPORTS } from '../transports.js'
import { type DoctorReport, formatReport, type TransportReport } from './doctor-report.js'
import { startJob } from './launch.js'
import { machineFacts } from './machine-facts.js'
import type { SignalPassing } from './signals.js'

/** A job of two ranks takes about two seconds; a machine that needs longer than this is itself the diagnosis. */
const JOB_TIMEOUT_SECONDS = 30

/**
 * Looks at this machine, measures every transport, prints what was found, and gives the exit code: 0 when jobs can run.
 * `signals` go to the job that is measuring.
 */
export async function doctor(options: { json: boolean }, signals: SignalPassing): Promise<number> {
  const facts = machineFacts()
  const transports: TransportReport[] = []
  for (const provider of TRANSPORTS) {
    const probe = provider.probe()
    if (!options.json && process.stderr.isTTY) process.stderr.write(`onecopy: looking at ${provider.name} …\r`)
    transports.push(
      probe.available
        ? await measure(provider.name, probe.detail, signals)
        : {
            name: provider.name,
            available: false,
            detail: probe.reason,
            route: null,
            measurements: null,
            thresholds: null,
            notices: '',
            failure: null,
          },
    )
  }
  const report: DoctorReport = { facts, transports }
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report))
  return transports.some((transport) => transport.measurements !== null) ? 0 : 1
}

/** Runs the ping-pong over one transport alone. */
async function measure(name: string, detail: string, signals: SignalPassing): Promise<TransportReport> {
  const stdout = collect()
  const stderr = collect()
  const unmeasured = { name, available: true, detail, route: null, measurements: null, thresholds: null }
  try {
    const job = await startJob({
      size: 2,
      script: fileURLToPath(new URL('./doctor-job.js', import.meta.url)),
      transport: name,
      timeout: JOB_TIMEOUT_SECONDS,
      stdout: stdout.stream,
      stderr: stderr.stream,
    })
    signals.to(job)
    const result = await job.result
    if (result.error !== null) {
      // The lines after the first are the rank's own, and stand among the notices.
      const [failure] = result.error.message.split('\n')
      return { ...unmeasured, notices: stderr.text(), failure: `${failure} (${result.error.code})` }
    }
    const { route, thresholds, measurements } = JSON.parse(stdout.text())
    return { ...unmeasured, route, thresholds, measurements, notices: stderr.text(), failure: null }
  } catch (error) {
    return { ...unmeasured, notices: stderr.text(), failure: (error as Error).message }
  }
}

/** A stream that keeps what is written to it. */
function collect(): { stream: PassThrough; text: () => string } {
  const stream = new PassThrough()
  const pieces: string[] = []
  stream.setEncoding('utf8').on('data', (piece: string) => pieces.push(piece))
  return { stream, text: () => pieces.join('') }
}
