import { readFileSync } from 'node:fs'
import { EACCES, EINVAL, ENOSYS, EPERM, errnoName } from './errno.js'

/** What Yama says: 0 same user, 1 descendants or by PR_SET_PTRACER, 2 CAP_SYS_PTRACE only, 3 nobody; null without Yama. */
export function yamaScope(): number | null {
  const text = textOf('/proc/sys/kernel/yama/ptrace_scope')
  return text === '' ? null : Number(text)
}

/** Whether a system call filter is installed in this process. */
export function isFiltered(): boolean {
  return /^Seccomp:\s+2/m.test(textOf('/proc/self/status'))
}

/** Why the kernel refused, with errno's name and what helps, in words for the user. */
export function describeRefusal(syscall: string, errno: number): string {
  const name = errnoName(errno)
  const filtered = isFiltered()
  if (errno === ENOSYS) {
    return (
      `${syscall}: ${name}: ${filtered ? 'the container’s system call filter' : 'the kernel'} has no such call; ` +
      'in Docker, --cap-add SYS_PTRACE or a seccomp profile that allows it helps'
    )
  }
  if (errno !== EPERM && errno !== EACCES)
    return `${syscall}: ${name}${errno === EINVAL ? ' (not as Linux answers)' : ''}`
  const scope = yamaScope()
  if (scope === 2)
    return `${syscall}: ${name}: Yama ptrace_scope=2 wants CAP_SYS_PTRACE; sysctl kernel.yama.ptrace_scope=1 helps`
  if (scope === 3) return `${syscall}: ${name}: Yama ptrace_scope=3 forbids it until the next boot`
  const causes = ['another user or group', 'another user namespace or Landlock domain', 'a non-dumpable process']
  if (filtered)
    causes.unshift('a system call filter (in Docker, --cap-add SYS_PTRACE or another seccomp profile helps)')
  if (scope === 1)
    causes.unshift('Yama ptrace_scope=1 with the launcher gone (sysctl kernel.yama.ptrace_scope=0 helps)')
  return `${syscall}: ${name}: refused because of ${causes.join(', or ')}`
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
