import type { Context } from 'mocha'

/** A user without any rights: as root hardly a permission fault shows. */
export const PLAIN_UID = 61000

/** Words before a command that make it run as {@link PLAIN_UID}. */
export const AS_PLAIN_USER: readonly string[] = [
  'setpriv',
  `--reuid=${PLAIN_UID}`,
  `--regid=${PLAIN_UID}`,
  '--clear-groups',
]

/** Skips the running test; the test command's summary names the reason. */
export function skipBecause(test: Context, reason: string): never {
  if (test.test !== undefined) Object.assign(test.test, { skipReason: reason })
  test.skip()
}

/** Skips unless the tests may become another user. */
export function requireRoot(test: Context): void {
  if (process.geteuid?.() !== 0) skipBecause(test, 'only root can become another user')
}
