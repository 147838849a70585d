import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** Runs the bench's command line to its end. */
export function bench(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['--import=tsx', join(root, 'bench', 'bench.ts'), ...args], {
    cwd: root,
    encoding: 'utf8',
    timeout: 150_000,
  })
}

export function isInstalled(command: string): boolean {
  return spawnSync(command, ['--version']).error === undefined
}
