import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

interface KoffiLibrary {
  func(name: string, result: string, parameters: string[]): (...values: unknown[]) => unknown
}

/** What this package uses of koffi. */
export interface Koffi {
  load(path: string | null): KoffiLibrary
  errno(): number
  struct(fields: Record<string, string>): unknown
  sizeof(type: unknown): number
  offsetof(type: unknown, field: string): number
  view(address: bigint, byteLength: number): ArrayBuffer
}

/** What musl calls the machines that this package knows. */
const MUSL_MACHINES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' }

/**
 * Loads koffi. Its JavaScript finds out where it is and wraps what is deprecated, which costs each rank 4 ms of its start; the
 * compiled part behind it has all that is used here, so that is taken by itself where it lies where this version has it.
 * @param load the host's `require`.
 * @throws whatever a missing or broken package throws.
 */
export function loadKoffi(load: NodeJS.Require): Koffi {
  const binary = findBinary(load.resolve('koffi'))
  if (binary !== null) {
    try {
      return load(binary) as Koffi
    } catch {
      // For another C library, or broken: koffi itself knows more places, and says why.
    }
  }
  return load('koffi') as Koffi
}

/** The compiled part that belongs to the koffi whose entry point is `entry`; null where only koffi itself can tell. */
export function findBinary(entry: string): string | null {
  const { platform, arch } = process
  // Where musl is, the C library of this process may be either one.
  if (platform !== 'linux' || existsSync(`/lib/ld-musl-${MUSL_MACHINES[arch]}.so.1`)) return null
  const path = join(dirname(entry), '..', '@koromix', `koffi-linux-${arch}`, `linux_${arch}`, 'koffi.node')
  return existsSync(path) ? path : null
}
