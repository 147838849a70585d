import { createHash, randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { OnecopyError } from '@onecopy/transport'
import { isPrivate, usableBases } from './job-directory.js'
import { pidNamespace, processStartTime } from './process-identity.js'

/** Somebody removes the folder whenever it is empty, also between our making it and putting something in. */
const ATTEMPTS_MAX = 20

const HASH_LENGTH = 32
const CLAIM_BYTES = 16

/** What stands under a name: where to knock, and what to say there. Readable by this user only. */
export interface NameEntry {
  readonly socket: string
  /** In hexadecimal. */
  readonly token: string
}

interface Owner {
  readonly pid: number
  readonly startTime: string | null
  readonly namespace: number
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
 * @throws OnecopyError ERR_UNAVAILABLE when somebody has it, ERR_AUTH when the folder is not ours alone.
 */
export function claimName(name: string, entry: NameEntry, jobDirectory: string): Claim {
  const folder = namesFolder(path.dirname(jobDirectory))
  const file = path.join(folder, hashOf(name))
  const id = randomBytes(CLAIM_BYTES).toString('hex')
  const owner: Owner = { pid: process.pid, startTime: processStartTime(process.pid), namespace: pidNamespace() }
  const draft = path.join(jobDirectory, `name-${id.slice(0, 8)}`)
  fs.writeFileSync(draft, `${id}\n${JSON.stringify({ ...entry, ...owner })}\n`, { flag: 'wx', mode: 0o600 })
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      try {
        makeFolder(folder)
        fs.linkSync(draft, file)
        return { file, id, release: () => giveBack(file, id) }
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'EEXIST') removeIfStale(file, name)
        else if (code !== 'ENOENT') throw error
      }
    }
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

function readEntry(file: string): (NameEntry & Owner) | null {
  let descriptor = -1
  try {
    descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW)
    const status = fs.fstatSync(descriptor)
    if (!status.isFile() || status.uid !== process.geteuid?.() || (status.mode & 0o077) !== 0) return null
    const [, text = ''] = fs.readFileSync(descriptor, 'utf8').split('\n')
    return JSON.parse(text) as NameEntry & Owner
  } catch {
    return null
  } finally {
    if (descriptor >= 0) fs.closeSync(descriptor)
  }
}

/** @throws OnecopyError ERR_UNAVAILABLE when the one who has the name lives, or might. */
function removeIfStale(file: string, name: string): void {
  const owner = readEntry(file)
  if (owner === null && !fs.existsSync(file)) return
  const isGone = owner?.namespace === pidNamespace() && processStartTime(owner.pid) !== owner.startTime
  if (!isGone) {
    const who = owner === null ? 'something that is not onecopy' : `the launcher with pid ${owner.pid}`
    throw new OnecopyError('ERR_UNAVAILABLE', `the name '${name}' is taken: ${who} listens under it; choose another`)
  }
  fs.rmSync(file, { force: true })
}

function giveBack(file: string, id: string): void {
  try {
    if (fs.readFileSync(file, 'utf8').startsWith(id)) fs.unlinkSync(file)
  } catch {
    // Gone already.
  }
  try {
    fs.rmdirSync(path.dirname(file))
  } catch {
    // Other names are in it.
  }
}
