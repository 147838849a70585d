import { createHash, randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { OnecopyError } from '@onecopy/transport'
import { isPrivate, usableBases } from './job-directory.js'
import { pidNamespace, processStartTime } from './process-identity.js'

/**
 * Somebody removes the folder whenever it is empty, also between our making it and putting something in; and whoever else is
 * removing what an ended job has left may need a moment: its guardian waits a second at most.
 */
const ATTEMPTS_MAX = 200
const ATTEMPT_MS = 10

const HASH_LENGTH = 32
const CLAIM_BYTES = 16

/** What stands under a name: where to knock, and what to say there. Readable by this user only. */
export interface NameEntry {
  readonly socket: string
  /** In hexadecimal. */
  readonly token: string
}

interface Process {
  readonly pid: number
  readonly startTime: string | null
}

interface Owner extends Process {
  readonly namespace: number
  /** Removes the name when the owner was killed. */
  readonly guardian: Process | null
}

interface Found extends NameEntry, Owner {
  readonly id: string
}

export interface Claim {
  /** The file that stands for the name, and the word it begins with: nobody else's file begins so. */
  readonly file: string
  readonly id: string
  /** Gives the name back. Idempotent. */
  release(): void
}

/**
 * Takes a name among this user's jobs: a file in a folder of this user's alone, made whole and put there in one step.
 * @param jobDirectory the job's private directory; the folder of names lies beside it.
 * @param guardianPid who removes the name should this process be killed.
 * @throws OnecopyError ERR_UNAVAILABLE when somebody has it, ERR_AUTH when the folder is not ours alone.
 */
export async function claimName(
  name: string,
  entry: NameEntry,
  jobDirectory: string,
  guardianPid: number | null = null,
): Promise<Claim> {
  const folder = namesFolder(path.dirname(jobDirectory))
  const file = path.join(folder, hashOf(name))
  const id = randomBytes(CLAIM_BYTES).toString('hex')
  const guardian = guardianPid === null ? null : identityOf(guardianPid)
  const owner: Owner = { ...identityOf(process.pid), namespace: pidNamespace(), guardian }
  const draft = path.join(jobDirectory, `name-${id.slice(0, 8)}`)
  fs.writeFileSync(draft, `${id}\n${JSON.stringify({ ...entry, ...owner })}\n`, { flag: 'wx', mode: 0o600 })
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      makeFolder(folder)
      if (isLinked(draft, file)) return { file, id, release: () => giveBack(file, id) }
      if (!removeIfStale(file, name, draft)) await setTimeout(ATTEMPT_MS)
    }
    removeIfEmpty(folder)
    throw new OnecopyError('ERR_UNAVAILABLE', `the name '${name}' cannot be had: others take and leave it all the time`)
  } finally {
    fs.rmSync(draft, { force: true })
  }
}

/** Finds who listens under a name; null when nobody does. @throws OnecopyError ERR_AUTH where the folder is not ours alone. */
export function findName(name: string, environment: NodeJS.ProcessEnv): NameEntry | null {
  for (const base of usableBases(environment)) {
    const folder = namesFolder(base)
    const found = fs.lstatSync(folder, { throwIfNoEntry: false })
    if (found === undefined) continue
    if (!isPrivate(found)) throw notPrivate(folder)
    const entry = readEntry(path.join(folder, hashOf(name)))
    if (entry !== null) return entry
  }
  return null
}

function namesFolder(base: string): string {
  return path.join(base, `onecopy-names-${process.geteuid?.() ?? 'user'}`)
}

/** A name may be any text, a file's not. */
function hashOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, HASH_LENGTH)
}

/** The folder's name can be foreseen, so another user may have been there first: then it is not used. */
function makeFolder(folder: string): void {
  try {
    fs.mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  if (!isPrivate(fs.lstatSync(folder))) throw notPrivate(folder)
}

function notPrivate(folder: string): OnecopyError {
  return new OnecopyError(
    'ERR_AUTH',
    `${folder} is not this user's alone (mode 700): somebody else has made it; set XDG_RUNTIME_DIR or TMPDIR to a folder of your own`,
  )
}

function readEntry(file: string): Found | null {
  let descriptor = -1
  try {
    descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW)
    const status = fs.fstatSync(descriptor)
    if (!status.isFile() || status.uid !== process.geteuid?.() || (status.mode & 0o077) !== 0) return null
    const [id, text = ''] = fs.readFileSync(descriptor, 'utf8').split('\n')
    return { id, ...JSON.parse(text) } as Found
  } catch {
    return null
  } finally {
    if (descriptor >= 0) fs.closeSync(descriptor)
  }
}

/** Puts the draft there in one step; false when something is there already, or the folder has just been removed. */
function isLinked(draft: string, file: string): boolean {
  try {
    fs.linkSync(draft, file)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' || code === 'ENOENT') return false
    throw error
  }
}

/**
 * Removes a name whose owner is gone; false while somebody else is about to.
 * @throws OnecopyError ERR_UNAVAILABLE when the one who has the name lives, or might.
 */
function removeIfStale(file: string, name: string, draft: string): boolean {
  const found = readEntry(file)
  if (found === null && !fs.existsSync(file)) return true
  if (found === null || !isGone(found)) {
    const who = found === null ? 'something that is not onecopy' : `the launcher with pid ${found.pid}`
    throw new OnecopyError('ERR_UNAVAILABLE', `the name '${name}' is taken: ${who} listens under it; choose another`)
  }
  if (found.guardian !== null && lives(found.guardian)) return false
  return removeStale(file, found.id, draft)
}

/**
 * Removes the file that begins with `id` and whose owner is gone. Between a look at it and its removal somebody else could
 * have removed it and put a file of his own there, which must stay: so only who holds the right to remove this one may. The
 * right is a file as well, named after both, and goes the same way should its holder be killed.
 */
function removeStale(file: string, id: string, draft: string): boolean {
  const right = `${file}-${id}`
  if (!isLinked(draft, right)) {
    const holder = readEntry(right)
    if (holder !== null && isGone(holder)) removeStale(right, holder.id, draft)
    return false
  }
  try {
    if (readEntry(file)?.id === id) fs.unlinkSync(file)
    return true
  } finally {
    fs.unlinkSync(right)
  }
}

/** Of a process in another pid namespace nothing can be known. */
function isGone(owner: Owner): boolean {
  return owner.namespace === pidNamespace() && !lives(owner)
}

function lives({ pid, startTime }: Process): boolean {
  return processStartTime(pid) === startTime
}

function identityOf(pid: number): Process {
  return { pid, startTime: processStartTime(pid) }
}

function giveBack(file: string, id: string): void {
  try {
    if (fs.readFileSync(file, 'utf8').startsWith(id)) fs.unlinkSync(file)
  } catch {
    // Gone already.
  }
  removeIfEmpty(path.dirname(file))
}

function removeIfEmpty(folder: string): void {
  try {
    fs.rmdirSync(folder)
  } catch {
    // Names are in it.
  }
}
