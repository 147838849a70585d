import type { JobResult } from './launcher/job-result.js'
import type { LaunchOptions } from './launcher/launch-options.js'

/**
 * Runs a job: starts its ranks and waits until all have ended, as `onecopy run` does, with the same options. Many may run at
 * once in one process.
 * @throws TypeError, RangeError for options that make no sense, or in a worker thread.
 * @throws OnecopyError ERR_UNAVAILABLE, ERR_NO_SHM, ERR_LIMIT when the job cannot be set up.
 * @example const { exitCode } = await launch({ size: 4, script: 'job.js', args: ['--fast'] })
 */
export async function launch(options: LaunchOptions): Promise<JobResult> {
  // on demand: a rank never needs it, and pays for every module at its start
  const launcher = await import('./launcher/launch.js')
  return launcher.launch(options)
}
