import { isMainThread } from 'node:worker_threads'
import { pinCommand } from './cores.js'
import type { JobResult } from './job-result.js'
import { completeOptions, type LaunchOptions } from './launch-options.js'
import { scriptNodeArgs } from './node-command.js'
import { RunningJob } from './running-job.js'
import { makeSharedResources } from './shared-resources.js'

/**
 * Runs a job: starts `size` node processes, the ranks, and resolves when all of them have ended and nothing is left of them.
 * The same as `onecopy run`, with the same options.
 *
 * Any number of jobs may run in one process at once. Installs no signal handler and never ends this process; a job
 * outlives neither this process nor `signal`.
 *
 * @throws TypeError when an option is wrong, or outside of the main thread.
 * @throws OnecopyError ERR_UNAVAILABLE, ERR_NO_SHM, ERR_LIMIT when the job cannot be started. A job that was started and
 *   failed is no exception: see {@link JobResult}.
 * @example
 * const { exitCode } = await launch({ size: 4, script: 'job.ts', args: ['input.txt'] })
 */
export async function launch(options: LaunchOptions): Promise<JobResult> {
  const job = await startJob(options)
  return job.result
}

/** Starts a job and gives the handle to it; what the command line needs besides {@link launch}. */
export async function startJob(options: LaunchOptions): Promise<RunningJob> {
  if (!isMainThread) {
    // Ranks ask the kernel to be killed with their parent, and the kernel means the thread that started them.
    throw new TypeError('launch must be called on the main thread: ranks end with the thread that has started them')
  }
  const complete = completeOptions(options)
  // Mistakes that only show when a command is put together are told before anything is made.
  for (const program of complete.programs) scriptNodeArgs(program.script)
  if (complete.bindToCores) pinCommand(0, complete.env)
  return new RunningJob(complete, await makeSharedResources(complete))
}
