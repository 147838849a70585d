import { type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { OnecopyError } from '@onecopy/transport'
import { EEXIST, errnoName, systemFields } from './errno.js'
import type { Libc } from './libc/libc.js'

const BELL_MODE = 0o600

/** Where the FIFO lies that wakes `rank` in its event loop. Nothing secret: the directory is the job's own. */
export function bellPath(directory: string, rank: number): string {
  return join(directory, `${rank}.bell`)
}

/**
 * Makes a rank's own bell, for this user only, and opens it. Open for writing too: then it never reads an end-of-file when the
 * last ringer closes. One that is there already is taken if it is ours.
 * @throws OnecopyError ERR_UNAVAILABLE when it cannot be made or opened; ERR_AUTH when something else is in its place.
 */
export function openOwnBell(libc: Libc, path: string): number {
  const made = libc.makeFifo(path, BELL_MODE)
  if (made < 0 && made !== -EEXIST) {
    throw new OnecopyError('ERR_UNAVAILABLE', `cannot make the FIFO ${path}: ${errnoName(-made)}`, {
      errno: -made,
      syscall: 'mknodat',
    })
  }
  try {
    return openBell(path, constants.O_RDWR)
  } catch (error) {
    if (error instanceof OnecopyError) throw error
    const why = (error as Error).message
    throw new OnecopyError('ERR_UNAVAILABLE', `cannot open the FIFO ${path}: ${why}`, systemFields(error))
  }
}

/**
 * How a FIFO is asked about. Without it, Node remembers that the last thing asked about was a FIFO, and from then on leaves links in the
 * paths of modules unresolved (Node 20, `realpathSync`).
 */
const BIGINT = { bigint: true } as const

/**
 * Opens a bell without blocking and checks what was opened, since a path can mean something else a moment later.
 * @throws the system's error when it is not there or cannot be opened now (ENXIO: to write, and its rank has gone).
 * @throws OnecopyError ERR_AUTH when it is not a FIFO of this user's alone.
 */
export function openBell(path: string, access: number): number {
  let descriptor: number
  try {
    descriptor = openSync(path, access | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  } catch (error) {
    // A link (ELOOP), a folder (EISDIR) or another user's FIFO (EACCES) is not even opened.
    const status = lstatSync(path, { ...BIGINT, throwIfNoEntry: false })
    const complaint = status === undefined ? null : complaintAbout(status)
    if (complaint !== null) throw notOurs(path, complaint, error)
    throw error
  }
  const complaint = complaintAbout(fstatSync(descriptor, BIGINT))
  if (complaint === null) return descriptor
  closeSync(descriptor)
  throw notOurs(path, complaint)
}

/** Why what lies at a bell's path is no bell of this user's, in words, or null. */
function complaintAbout(status: BigIntStats): string | null {
  const [uid, mode] = [Number(status.uid), Number(status.mode)]
  if (!status.isFIFO()) return 'is not a FIFO'
  if (uid !== process.geteuid?.()) return `belongs to user ${uid}`
  if ((mode & 0o077) !== 0) return `is open to others (mode ${(mode & 0o7777).toString(8)})`
  return null
}

function notOurs(path: string, complaint: string, cause?: unknown): OnecopyError {
  const fields = cause === undefined ? {} : systemFields(cause)
  return new OnecopyError('ERR_AUTH', `${path} ${complaint}: it was not this job that put it there`, fields)
}
