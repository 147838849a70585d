import { createRequire } from 'node:module'
import type { TransportProvider } from '@onecopy/transport'

/** A kind of transport that the runtime knows, loaded on demand: a rank pays at its start for what it loads. */
export interface TransportKind {
  readonly name: string
  load(): Promise<TransportProvider>
  /** The same for a thread that blocks. */
  loadNow(): TransportProvider
}

/** Only CommonJS can be loaded without the event loop on every version of Node; for what is loaded already it is not asked. */
const require = createRequire(import.meta.url)

class LazyTransport implements TransportKind {
  readonly name: string
  readonly #import: () => Promise<TransportProvider>
  readonly #require: () => TransportProvider
  #loaded: TransportProvider | null = null

  constructor(name: string, byImport: () => Promise<TransportProvider>, byRequire: () => TransportProvider) {
    this.name = name
    this.#import = byImport
    this.#require = byRequire
  }

  async load(): Promise<TransportProvider> {
    this.#loaded ??= await this.#import()
    return this.#loaded
  }

  loadNow(): TransportProvider {
    this.#loaded ??= this.#require()
    return this.#loaded
  }
}

/** The one table of transports, in order of preference. No other file of the runtime knows these names. */
export const TRANSPORTS: readonly TransportKind[] = [
  new LazyTransport(
    'cma',
    async () => (await import('@onecopy/transport-cma')).cmaProvider,
    () => (require('@onecopy/transport-cma') as typeof import('@onecopy/transport-cma')).cmaProvider,
  ),
  new LazyTransport(
    'pipe',
    async () => (await import('@onecopy/transport-pipe')).pipeProvider,
    () => (require('@onecopy/transport-pipe') as typeof import('@onecopy/transport-pipe')).pipeProvider,
  ),
]

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
export async function dieWithParent(parentPid: number, ffi: string | undefined): Promise<void> {
  const { loadLibc, setParentDeathSignal } = await import('@onecopy/transport-cma')
  const { libc } = loadLibc(ffi)
  if (libc !== null) setParentDeathSignal(libc, parentPid)
}

/** Why an FFI package does not load here, in words; null when it does. */
export async function whyNoFfi(name: (typeof FFI_PACKAGES)[number]): Promise<string | null> {
  const { loadLibc } = await import('@onecopy/transport-cma')
  const { libc, reason } = loadLibc(name)
  return libc === null ? reason : null
}

/** The names a user can choose from, in order of preference. */
export function transportNames(): string[] {
  return TRANSPORTS.map((kind) => kind.name)
}

/**
 * Gives the transport called `name`.
 * @throws RangeError when there is none; the message lists those there are.
 */
export async function transportByName(name: string): Promise<TransportProvider> {
  return kindByName(name).load()
}

function kindByName(name: string): TransportKind {
  const found = TRANSPORTS.find((kind) => kind.name === name)
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
  for (const name of names) kindByName(name)
  if (new Set(names).size < names.length) throw new RangeError(`a transport is named twice in '${list}'`)
  return names
}
