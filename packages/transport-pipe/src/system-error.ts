import type { ErrorFields } from '@onecopy/transport'

/** What Node throws when a system call fails. */
export interface SystemError extends Error {
  readonly code: string
  readonly errno?: number
  readonly syscall?: string
}

export function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && typeof (error as { code?: unknown }).code === 'string'
}

/** Whether a system call failed for this reason, e.g. 'EAGAIN'. */
export function failedWith(error: unknown, code: string): boolean {
  return isSystemError(error) && error.code === code
}

/** The reason in a word or a sentence, for the user. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The fields of an OnecopyError that keep what the system said. Node's errno is negative, ours positive. */
export function errorFields(error: unknown): Pick<ErrorFields, 'cause' | 'errno' | 'syscall'> {
  if (!isSystemError(error)) return { cause: error }
  return {
    cause: error,
    ...(error.errno === undefined ? {} : { errno: Math.abs(error.errno) }),
    ...(error.syscall === undefined ? {} : { syscall: error.syscall }),
  }
}
