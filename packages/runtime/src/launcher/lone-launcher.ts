/**
 * The launcher of a process that nobody has launched, started by that process when it first spawns or joins others (see
 * `adopt.ts`). It is a process of its own: the one that has started it may block for as long as it likes, and somebody must
 * hear meanwhile who has ended.
 */
import net from 'node:net'
import { fileURLToPath } from 'node:url'
import { completeOptions } from './launch-options.js'
import { LINK_DESCRIPTOR } from './rank-process.js'
import { RunningJob } from './running-job.js'
import { makeSharedResources } from './shared-resources.js'
import { passSignals } from './signals.js'

const line = new net.Socket({ fd: LINK_DESCRIPTOR })
const signals = passSignals()
// A job of one rank, who runs already: the script is never started.
const options = completeOptions({ size: 1, script: fileURLToPath(import.meta.url) })
const job = new RunningJob(options, await makeSharedResources(options), { adopted: line })
signals.to(job)
const { exitCode } = await job.result
process.exit(exitCode)
