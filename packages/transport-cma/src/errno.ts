import { getSystemErrorName } from 'node:util'
import type { ErrorFields } from '@onecopy/transport'

export const EPERM = 1
export const ESRCH = 3
export const EINTR = 4
export const EAGAIN = 11
export const ENOMEM = 12
export const EACCES = 13
export const EFAULT = 14
export const EEXIST = 17
export const EINVAL = 22
export const EFBIG = 27
export const ENOSPC = 28
export const ENOSYS = 38
export const EOPNOTSUPP = 95

/** The name of a positive errno, as in `EPERM`. */
export function errnoName(errno: number): string {
  try {
    return getSystemErrorName(-errno)
  } catch {
    return `errno ${errno}`
  }
}

/** The fields of an OnecopyError that keep what `error` says of a system call. Node's errno is negative, ours positive. */
export function systemFields(error: unknown): Pick<ErrorFields, 'cause' | 'errno' | 'syscall'> {
  const { errno, syscall } = error as { errno?: unknown; syscall?: unknown }
  return {
    cause: error,
    ...(typeof errno === 'number' ? { errno: Math.abs(errno) } : {}),
    ...(typeof syscall === 'string' ? { syscall } : {}),
  }
}
