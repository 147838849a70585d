import { execFile } from 'node:child_process'
import { accessSync, type BigIntStats, closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { OnecopyError } from '@onecopy/transport'
import { errorFields, reasonOf } from './system-error.js'

/** Paths given to one mkfifo process: far below any system's limit on arguments. */
const PATHS_PER_CALL = 256
const MKFIFO_MILLISECONDS_MAX = 10_000
const USUAL_PLACES = ['/usr/bin/mkfifo', '/bin/mkfifo']

/** Where the records for `rank` arrive. Nothing secret: the directory is the job's own. */
export function inboxPathOf(directory: string, rank: number): string {
  return join(directory, `${rank}.inbox`)
}

/** The mkfifo command of this machine, or null. Node itself cannot make a FIFO. */
export function findMkfifo(): string | null {
  const onPath = (process.env.PATH ?? '').split(delimiter).filter((directory) => directory.startsWith('/'))
  for (const path of [...USUAL_PLACES, ...onPath.map((directory) => join(directory, 'mkfifo'))]) {
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Not here.
    }
  }
  return null
}

/**
 * Makes one FIFO per path, readable and writable by this user only.
 * @throws OnecopyError ERR_UNAVAILABLE with the command's own words.
 */
export async function makeFifos(mkfifo: string, paths: readonly string[]): Promise<void> {
  for (let i = 0; i < paths.length; i += PATHS_PER_CALL) {
    try {
      await promisify(execFile)(mkfifo, ['-m', '600', '--', ...paths.slice(i, i + PATHS_PER_CALL)], {
        timeout: MKFIFO_MILLISECONDS_MAX,
      })
    } catch (error) {
      throw new OnecopyError(
        'ERR_UNAVAILABLE',
        `The pipe transport could not make its FIFOs: ${reasonOf(error).trim()}. The job's directory must lie on a file ` +
          'system that has FIFOs (not a network share): point TMPDIR to one',
        errorFields(error),
      )
    }
  }
}

/**
 * Why the job's directory cannot be trusted, in words, or null.
 */
export function whyNotPrivate(directory: string): string | null {
  try {
    const status = lstatSync(directory)
    if (!status.isDirectory()) return `${directory} is not a directory`
    if (status.uid !== process.geteuid?.()) return `${directory} belongs to user ${status.uid}`
    if ((status.mode & 0o077) !== 0) {
      return `${directory} is open to others (mode ${(status.mode & 0o7777).toString(8)}, must be 700)`
    }
    return null
  } catch (error) {
    return reasonOf(error)
  }
}

/**
 * How a FIFO is asked about. Without it, Node remembers that the last thing asked about was a FIFO, and from then on leaves links in the
 * paths of modules unresolved (Node 20, `realpathSync`).
 */
const BIGINT = { bigint: true } as const

/** Why the FIFO at `path` cannot be used, in words, or null when it is there, a FIFO, and ours alone. */
export function whyNotOurs(path: string): string | null {
  try {
    return complaintAbout(path, lstatSync(path, BIGINT))
  } catch (error) {
    return reasonOf(error)
  }
}

/**
 * Opens a FIFO without blocking and checks what was opened.
 * @throws the system's error where it cannot be opened (ENXIO: to write, and nobody reads).
 * @throws OnecopyError ERR_AUTH when it is not a FIFO of our own.
 */
export function openFifo(path: string, access: number): number {
  const descriptor = openSync(path, access | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  const complaint = complaintAbout(path, fstatSync(descriptor, BIGINT))
  if (complaint === null) return descriptor
  closeSync(descriptor)
  throw new OnecopyError('ERR_AUTH', `${complaint}: somebody has replaced it`)
}

function complaintAbout(path: string, status: BigIntStats): string | null {
  const [uid, mode] = [Number(status.uid), Number(status.mode)]
  if (!status.isFIFO()) return `${path} is not a FIFO`
  if (uid !== process.geteuid?.()) return `${path} belongs to user ${uid}`
  if ((mode & 0o077) !== 0) return `${path} is open to others (mode ${(mode & 0o7777).toString(8)})`
  return null
}
