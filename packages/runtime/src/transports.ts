import type { TransportProvider } from '@onecopy/transport'
import { cmaProvider, loadLibc, setParentDeathSignal } from '@onecopy/transport-cma'
import { pipeProvider } from '@onecopy/transport-pipe'

/** The one table of transports, in order of preference. No other file of the runtime knows these names. */
export const TRANSPORTS: readonly TransportProvider[] = [cmaProvider, pipeProvider]

/**
 * Transports that load FFI in every rank anyway. Where one of them is used, a rank can ask the kernel for a death signal at
 * no extra cost; loading FFI for that alone would cost more than the rest of its start.
 */
export const FFI_TRANSPORTS: ReadonlySet<string> = new Set(['cma'])

/** Packages that can make foreign function calls, fastest first. */
export const FFI_PACKAGES = ['koffi', 'ffi-napi'] as const

/**
 * Asks the kernel to kill this process when its parent, `parentPid`, ends. Where no FFI loads, or the kernel refuses, nothing
 * happens. What it loads, a rank of one of {@link FFI_TRANSPORTS} needs next anyway.
 * @param ffi the package to take, as in ONECOPY_FFI; by default the first that loads.
 */
export function dieWithParent(parentPid: number, ffi: string | undefined): void {
  const { libc } = loadLibc(ffi)
  if (libc !== null) setParentDeathSignal(libc, parentPid)
}

/** Why an FFI package does not load here, in words; null when it does. */
export function whyNoFfi(name: (typeof FFI_PACKAGES)[number]): string | null {
  const { libc, reason } = loadLibc(name)
  return libc === null ? reason : null
}

/** The names a user can choose from, in order of preference. */
export function transportNames(): string[] {
  return TRANSPORTS.map(({ name }) => name)
}

/**
 * Gives the transport called `name`.
 * @throws RangeError when there is none; the message lists those there are.
 */
export function transportByName(name: string): TransportProvider {
  const found = TRANSPORTS.find((provider) => provider.name === name)
  if (found === undefined) {
    throw new RangeError(`there is no transport '${name}': choose from ${transportNames().join(', ')}`)
  }
  return found
}

/**
 * Reads a list like `cma,pipe`.
 * @throws RangeError on an unknown name, a name said twice, or an empty list.
 */
export function parseTransports(list: string): string[] {
  const names = list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
  if (names.length === 0) throw new RangeError(`no transport in '${list}': choose from ${transportNames().join(', ')}`)
  for (const name of names) transportByName(name)
  if (new Set(names).size < names.length) throw new RangeError(`a transport is named twice in '${list}'`)
  return names
}
