import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus, platform, release, totalmem } from 'node:os'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly platform: string
  readonly kernel: string
  readonly architecture: string
  /** The kernel's choice for transparent huge pages, or null where there is none. */
  readonly hugePages: string | null
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    platform: platform(),
    kernel: release(),
    architecture: process.arch,
    hugePages: hugePages(),
  }
}

/** Versions of everything that is compared; null for what is not installed. */
export function describeVersions(): Record<string, string | null> {
  const { version } = createRequire(import.meta.url)('onecopy/package.json') as { version: string }
  return {
    onecopy: version,
    node: process.version,
    'Open MPI': firstMatch('mpirun.openmpi', ['--version'], /\d+\.\d+\.\d+/),
    MPICH: firstMatch('mpirun.mpich', ['--version'], /\d+\.\d+(?:\.\d+)?/),
    gcc: firstMatch('gcc', ['--version'], /\d+\.\d+\.\d+/),
  }
}

function firstMatch(command: string, args: string[], pattern: RegExp): string | null {
  const { stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: 10_000 })
  return pattern.exec(stdout ?? '')?.[0] ?? null
}

function hugePages(): string | null {
  try {
    const text = readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8')
    return /\[(\w+)\]/.exec(text)?.[1] ?? null
  } catch {
    return null
  }
}
