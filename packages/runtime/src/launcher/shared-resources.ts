import fs from 'node:fs'
import os from 'node:os'
import { type JobPlan, OnecopyError, type PreparedTransport } from '@onecopy/transport'
import { settingsFromEnvironment } from '../settings.js'
import { transportByName } from '../transports.js'
import { Guardian } from './guardian.js'
import { makeJobDirectory, removeJobDirectory } from './job-directory.js'
import type { JobOptions } from './launch-options.js'

/** The launcher's descriptors per rank: standard output, standard error, the control line. */
const DESCRIPTORS_PER_RANK = 3

/** What the launcher has open besides: node's own, the transports', and some for the time of a start. */
const DESCRIPTORS_OWN = 48

const TOKEN_BYTES = 32

export interface NamedTransport {
  readonly name: string
  readonly prepared: PreparedTransport
}

/** What all ranks of a job share, made before they start and given back when they have ended. */
export interface SharedResources {
  readonly directory: string
  readonly token: Buffer
  readonly settings: Readonly<Record<string, string>>
  readonly transports: readonly NamedTransport[]
  readonly guardian: Guardian
  /** What the user should know about transports that were left out, by key. */
  readonly notices: ReadonlyMap<string, string>
  /** Gives everything back. Idempotent; resolves when nothing is left. */
  release(): Promise<void>
}

/**
 * Makes them. When one step fails, what the earlier ones made is given back.
 * @throws OnecopyError ERR_LIMIT, ERR_UNAVAILABLE, ERR_NO_SHM, ERR_CMA_DENIED.
 */
export async function makeSharedResources(options: JobOptions): Promise<SharedResources> {
  checkDescriptors(options.size)
  const settings = definedOnly(settingsFromEnvironment(options.env))
  if (options.stats) settings.stats = '1'
  if (options.check) settings.check = '1'
  if (options.continueOnFailure) settings.onFailure = 'continue'
  // Counted here: a rank that is bound to one core sees no other.
  settings.cores = String(os.availableParallelism())
  const directory = makeJobDirectory(options.env)
  const guardian = new Guardian(directory)
  let transports: readonly NamedTransport[] = []
  let released: Promise<void> | null = null
  const release = (): Promise<void> => {
    released ??= (async () => {
      for (const { prepared } of transports) prepared.release()
      removeJobDirectory(directory)
      await guardian.dismiss()
    })()
    return released
  }
  try {
    const plan = { size: options.size, directory, settings }
    const prepared = await prepareTransports(options.transports, plan)
    transports = prepared.transports
    return { directory, token: await makeToken(), settings, guardian, release, ...prepared }
  } catch (error) {
    await release()
    throw error
  }
}

/**
 * Prepares the transports of these names for `plan`, as many as can be, and tells why the others cannot. When it fails,
 * what was prepared is given back.
 * @throws OnecopyError ERR_LIMIT, ERR_UNAVAILABLE, ERR_NO_SHM, ERR_CMA_DENIED.
 */
export async function prepareTransports(
  names: readonly string[],
  plan: JobPlan,
): Promise<{ transports: readonly NamedTransport[]; notices: ReadonlyMap<string, string> }> {
  const transports: NamedTransport[] = []
  const failures = new Map<string, Error>()
  const attempts = await Promise.allSettled(names.map((name) => prepare(name, plan)))
  attempts.forEach((attempt, index) => {
    if (attempt.status === 'fulfilled') transports.push(attempt.value)
    else failures.set(names[index] as string, attempt.reason)
  })
  try {
    return { transports, notices: noticesOf(failures, plan, transports.length > 0) }
  } catch (error) {
    for (const { prepared } of transports) prepared.release()
    throw error
  }
}

async function prepare(name: string, plan: JobPlan): Promise<NamedTransport> {
  // Its probe is not asked: that would try the same things twice, and behind a system call filter start a process each time.
  return { name, prepared: await transportByName(name).prepare(plan) }
}

/** What the user should know of transports that cannot be prepared, by key; throws when the job cannot do without them. */
function noticesOf(
  failures: ReadonlyMap<string, Error>,
  plan: JobPlan,
  isEnough: boolean,
): ReadonlyMap<string, string> {
  const notices = new Map<string, string>()
  for (const [name, cause] of failures) {
    const text = `${name} cannot be used: ${cause.message}`
    if (plan.settings[name] === 'require') {
      throw new OnecopyError('ERR_CMA_DENIED', `${name} is required and cannot be used: ${cause.message}`, { cause })
    }
    if (!isEnough && failures.size === 1) {
      throw cause instanceof OnecopyError ? cause : new OnecopyError('ERR_UNAVAILABLE', text, { cause })
    }
    notices.set(`transport ${name}`, text)
  }
  if (!isEnough) {
    throw new OnecopyError('ERR_UNAVAILABLE', `no transport works here: ${[...notices.values()].join('; ')}`)
  }
  return notices
}

/**
 * The job's secret, from the kernel where it has a file for that: node:crypto costs a start 4 ms, and the ranks wait for it.
 */
export async function makeToken(): Promise<Buffer> {
  const token = Buffer.alloc(TOKEN_BYTES)
  let descriptor = -1
  try {
    descriptor = fs.openSync('/dev/urandom', 'r')
    if (fs.readSync(descriptor, token) === TOKEN_BYTES) return token
  } catch {
    // Not every system has it.
  } finally {
    if (descriptor >= 0) fs.closeSync(descriptor)
  }
  return (await import('node:crypto')).randomBytes(TOKEN_BYTES)
}

/** A start that runs out of descriptors half way is hard to tell from a hang: say it before. */
function checkDescriptors(size: number): void {
  const needed = size * DESCRIPTORS_PER_RANK + DESCRIPTORS_OWN
  const limit = descriptorLimit()
  if (limit !== null && limit < needed) {
    throw new OnecopyError(
      'ERR_LIMIT',
      `${size} ranks need ${needed} open files in the launcher, and the limit is ${limit}: raise it with ulimit -n ${needed}`,
    )
  }
}

function descriptorLimit(): number | null {
  try {
    const found = /^Max open files\s+(\S+)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return found === undefined || found === 'unlimited' ? null : Number(found)
  } catch {
    return null
  }
}

function definedOnly(settings: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(settings).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}
