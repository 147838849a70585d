import { createRequire } from 'node:module'
import { bindFfiNapi } from './ffi-napi.js'
import { bindKoffi } from './koffi.js'
import { Libc, type LibcBinding } from './libc.js'
import { SYSCALL_NUMBERS } from './numbers.js'

/** What {@link loadLibc} found: a way to call C, or in words why there is none. */
export interface LibcChoice {
  readonly libc: Libc | null
  /** With a libc: the package taken and what was passed over. Without: why, and what helps. */
  readonly reason: string
}

/** Fastest first. */
const BINDINGS: readonly (readonly [string, (load: NodeJS.Require) => LibcBinding])[] = [
  ['koffi', bindKoffi],
  ['ffi-napi', bindFfiNapi],
]

/**
 * Loads the fastest FFI package that works here, or the one that is asked for. A missing package is an answer, not an
 * error. Nothing is kept between calls: load once and pass it on.
 * @param choice `koffi`, `ffi-napi` or `none`; by default the environment's `ONECOPY_FFI`, else whatever loads.
 */
export function loadLibc(choice: string | undefined = process.env.ONECOPY_FFI): LibcChoice {
  if (process.platform !== 'linux') return none(`it needs Linux, and this is ${process.platform}`)
  const numbers = SYSCALL_NUMBERS[process.arch]
  if (numbers === undefined) return none(`it knows the system calls of x64 and arm64, and this is ${process.arch}`)
  if (choice === 'none') return none('ONECOPY_FFI=none')
  const asked = choice === undefined || choice === '' ? null : choice
  const candidates = BINDINGS.filter(([name]) => asked === null || asked === name)
  if (candidates.length === 0) return none(`ONECOPY_FFI=${choice} is not one of koffi, ffi-napi, none`)

  const load = createRequire(import.meta.url)
  const failures: string[] = []
  for (const [name, bind] of candidates) {
    try {
      const libc = new Libc(bind(load), numbers)
      const pid = libc.pid()
      if (pid !== process.pid) throw new Error(`getpid gave ${pid} instead of ${process.pid}`)
      return { libc, reason: [name, ...failures].join('; ') }
    } catch (error) {
      failures.push(`${name}: ${firstLine(error)}`)
    }
  }
  // Node's own words
  const areOff = failures.some((failure) => failure.includes('loading addons is disabled'))
  const cure = areOff ? 'run node without --no-addons' : 'install koffi'
  return none(`no FFI package works: ${failures.join('; ')}; ${cure}`)
}

function none(reason: string): LibcChoice {
  return { libc: null, reason }
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return (text.split('\n', 1)[0] ?? '').replace(/\.+$/, '')
}
