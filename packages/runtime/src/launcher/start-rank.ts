import type { OnecopyError } from '@onecopy/transport'
import { dieWithParent } from '../transports.js'
import { LINK_SLOT } from './control-message.js'
import { RankLink } from './rank-link.js'

/** Errors of this process that another rank, or the launcher, is the cause of. */
const CONSEQUENCES = new Set(['ERR_PROC_FAILED', 'ERR_ABORTED', 'ERR_EARLY_EXIT', 'ERR_LAUNCHER_LOST'])

/** A rank that was reading from another one's memory sees its death before the launcher does. */
const LAUNCHER_WORD_MS = 250

/**
 * Makes a rank of this process before its script is loaded: takes over the line to the launcher, makes sure that no orphan
 * stays, and keeps quiet about failures that are only the echo of another rank's.
 * @param descriptor the line to the launcher.
 */
export function startRank(descriptor: number): RankLink {
  const link = RankLink.open(descriptor)
  for (const name of link.spentVariables) delete process.env[name]
  Object.defineProperty(globalThis, LINK_SLOT, { value: link })
  keepQuietAboutEchoes(link)
  dieWithTheLauncher(link)
  return link
}

/**
 * The first failing rank's stack is what the user wants to read. A rank that dies of an uncaught error that this failure
 * has caused says so to the launcher and ends with code 1, silently. Every other error is left to Node, after the launcher
 * has been told: when several ranks die of the same cause, it lets the first one speak.
 */
function keepQuietAboutEchoes(link: RankLink): void {
  process.on('uncaughtExceptionMonitor', (thrown) => {
    if (process.listenerCount('uncaughtException') > 0 || process.hasUncaughtExceptionCaptureCallback()) return
    // By name and code: it may be of another version's class, or none.
    const error = thrown as Partial<OnecopyError> | null | undefined
    const mayBeEcho = error?.name === 'OnecopyError' && CONSEQUENCES.has(String(error.code))
    if (mayBeEcho && link.awaitFailing(LAUNCHER_WORD_MS)) {
      link.consequence(error.rank ?? -1)
      process.exit(1)
    }
    link.dying(mayBeEcho && Number.isInteger(error.rank) ? (error.rank as number) : -1)
  })
}

/**
 * Asks the kernel to kill this rank when the launcher dies. It needs FFI; without it, or where it is refused, end-of-file on
 * the line and the launcher's guardian do the same a little later. Behind a wrapper the parent is not the launcher, and the
 * wrapper's death ends the job as well.
 */
function dieWithTheLauncher(link: RankLink): void {
  if (!link.deathSignal || process.platform !== 'linux') return
  try {
    dieWithParent(process.ppid, link.settings.ffi)
  } catch {
    // The line and the guardian remain.
  }
}
