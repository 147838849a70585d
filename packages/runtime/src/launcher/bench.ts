import { spawn } from 'node:child_process'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** From dist/launcher to the repository. An installed package has no bench beside it. */
const SUITE = new URL('../../../../bench/bench.ts', import.meta.url)

/** Runs the repository's comparison suite with `args` and gives its exit code; outside of the repository, says where it is. */
export function bench(args: readonly string[]): Promise<number> {
  const file = fileURLToPath(SUITE)
  if (!fs.existsSync(file)) {
    process.stderr.write(
      'onecopy: the comparison suite is not part of the installed package: clone the repository of onecopy and run ' +
        'npm run bench there; onecopy doctor measures this machine in a few seconds\n',
    )
    return Promise.resolve(1)
  }
  const tsx = pathToFileURL(createRequire(SUITE).resolve('tsx')).href
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', tsx, file, ...args], { stdio: 'inherit' })
    child.on('error', reject)
    child.on('exit', (exitCode, signal) => resolve(signal === null ? (exitCode ?? 1) : 1))
  })
}
