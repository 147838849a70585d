// A Landlock domain for this process: what a sandbox does to a rank. A process in a domain may look into those of its own domain
// and below only.
import koffi from 'koffi'

// The same on every architecture.
const CREATE_RULESET = 444
const RESTRICT_SELF = 446
const CREATE_RULESET_VERSION = 1
/** Something has to be forbidden: making block devices, which nobody here does. */
const ACCESS_FS_MAKE_BLOCK = 1n << 11n
const PR_SET_NO_NEW_PRIVS = 38

const library = koffi.load(null)
const syscall = library.func('syscall', 'long', ['long', 'void *', 'long', 'long'])
const prctl = library.func('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong'])

/** Why this kernel has no Landlock, in words, or null when it has. */
export function whyNoLandlock(): string | null {
  if (process.platform !== 'linux') return 'Landlock is Linux’s'
  if (syscall(CREATE_RULESET, null, 0, CREATE_RULESET_VERSION) >= 1) return null
  return `landlock_create_ruleset: errno ${koffi.errno()}`
}

/** Puts the thread that calls it, in a rank the main thread, into a domain of its own, for good. */
export function enterDomain(): void {
  const attributes = Buffer.alloc(8)
  attributes.writeBigUInt64LE(ACCESS_FS_MAKE_BLOCK)
  const ruleset = syscall(CREATE_RULESET, attributes, attributes.length, 0) as number
  if (ruleset < 0) throw new Error(`landlock_create_ruleset: errno ${koffi.errno()}`)
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0) throw new Error(`prctl: errno ${koffi.errno()}`)
  const restrict = library.func('syscall', 'long', ['long', 'long', 'long'])
  if (restrict(RESTRICT_SELF, ruleset, 0) !== 0) throw new Error(`landlock_restrict_self: errno ${koffi.errno()}`)
}
