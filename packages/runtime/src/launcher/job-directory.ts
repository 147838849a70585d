import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { OnecopyError } from '@onecopy/transport'
import { pidNamespace, processStartTime } from './process-identity.js'

/** sun_path holds 108 bytes with its final zero; transports put names of up to 24 bytes into the directory. */
const DIRECTORY_PATH_BYTES_MAX = 107 - 25

const NAME = /^onecopy-([0-9a-z]+)-([0-9a-z]+)-([0-9a-z]+)-[A-Za-z0-9]{6}$/
const BASE_36 = 36

/**
 * Makes a job's private directory: new, mode 0700, ours, in $XDG_RUNTIME_DIR where that can be used, else in the system's
 * temporary directory. Its name tells which process made it, so that the next job can remove what a killed one left.
 * @throws OnecopyError ERR_UNAVAILABLE naming the folder and the cure.
 */
export function makeJobDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const base = chooseBase(environment)
  removeLeftovers(base)
  const owner = [process.pid, Number(processStartTime(process.pid) ?? 0), pidNamespace()]
  const prefix = path.join(base, `onecopy-${owner.map((number) => number.toString(BASE_36)).join('-')}-`)
  let directory: string
  try {
    directory = fs.mkdtempSync(prefix)
  } catch (error) {
    const reason = (error as Error).message
    throw new OnecopyError(
      'ERR_UNAVAILABLE',
      `cannot make the job's directory in ${base}: ${reason}; set TMPDIR to a folder that you can write to`,
      { cause: error },
    )
  }
  const found = fs.lstatSync(directory)
  if (!isPrivate(found)) {
    throw new OnecopyError('ERR_UNAVAILABLE', `${directory} is not private to this user; set TMPDIR to a sane folder`)
  }
  return directory
}

/** Removes the directory and what is in it. Idempotent; never throws. */
export function removeJobDirectory(directory: string): void {
  try {
    fs.rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  } catch {
    // Somebody removes it at the same moment, or took the rights away: nothing that can be done here.
  }
}

/** Removes what killed launchers of this user have left in `base`, and nothing else. Never throws. */
export function removeLeftovers(base: string): void {
  let names: string[]
  try {
    names = fs.readdirSync(base)
  } catch {
    return
  }
  const namespace = pidNamespace()
  for (const name of names) {
    const parts = NAME.exec(name)
    if (parts === null) continue
    const [pid, startTime, itsNamespace] = parts.slice(1).map((part) => Number.parseInt(part, BASE_36))
    // A pid of another container's says nothing here, even though the folder is shared.
    if (itsNamespace !== namespace) continue
    const directory = path.join(base, name)
    try {
      if (!isPrivate(fs.lstatSync(directory))) continue
    } catch {
      continue
    }
    if (processStartTime(pid as number) === String(startTime)) continue
    removeJobDirectory(directory)
  }
}

/** The folders that jobs of this user may keep their directories in, the best first. */
export function usableBases(environment: NodeJS.ProcessEnv): string[] {
  const runtime = environment.XDG_RUNTIME_DIR
  const candidates = baseCandidates(environment)
  return [...new Set(candidates.filter((base) => base !== runtime || isUsableRuntimeDirectory(base)))]
}

function baseCandidates(environment: NodeJS.ProcessEnv): string[] {
  const { XDG_RUNTIME_DIR, TMPDIR } = environment
  return [XDG_RUNTIME_DIR, TMPDIR, os.tmpdir(), '/tmp'].filter(
    (base): base is string => base !== undefined && path.isAbsolute(base),
  )
}

function chooseBase(environment: NodeJS.ProcessEnv): string {
  const runtime = environment.XDG_RUNTIME_DIR
  const candidates = baseCandidates(environment)
  const longest = `onecopy-${'z'.repeat(5)}-${'z'.repeat(8)}-${'z'.repeat(7)}-XXXXXX`.length
  for (const base of candidates) {
    if (Buffer.byteLength(base) + 1 + longest > DIRECTORY_PATH_BYTES_MAX && process.platform !== 'win32') continue
    if (base === runtime && !isUsableRuntimeDirectory(base)) continue
    return base
  }
  throw new OnecopyError(
    'ERR_UNAVAILABLE',
    `no folder for the job's directory: ${candidates.join(', ')} are too long for socket names; set TMPDIR to a shorter one`,
  )
}

/** $XDG_RUNTIME_DIR may be somebody else's (after su), or gone. */
function isUsableRuntimeDirectory(base: string): boolean {
  try {
    fs.accessSync(base, fs.constants.W_OK | fs.constants.X_OK)
    return isPrivate(fs.lstatSync(base))
  } catch {
    return false
  }
}

/** Whether it is a folder of this user's, and nobody else may even look. */
export function isPrivate(found: fs.Stats): boolean {
  if (!found.isDirectory()) return false
  if (process.platform === 'win32') return true
  return found.uid === process.geteuid?.() && (found.mode & 0o077) === 0
}
