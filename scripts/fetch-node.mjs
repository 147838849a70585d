// Fetches the newest release of a major version of Node from npm's registry.
//
// The npm package `node` only fetches a second package, named after the platform, in an install script; that second
// package holds the binary. It is installed directly here, so no install script needs to run.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const isWindows = process.platform === 'win32'
/** 50 MB come within seconds; a registry that does not answer must not hold up what could run without it. */
const INSTALL_MILLISECONDS = 120_000

/**
 * Gives the path of the binary, what it calls its version, and an environment in which whatever is started by the name
 * `node` is this one too.
 * @throws Error naming what npm or the binary said.
 */
export function fetchNode(major) {
  const packageName = `node-${isWindows ? 'win' : process.platform}-${process.arch}`
  const folder = join(root, 'node_modules', '.cache', 'onecopy', `node-${major}`)
  mkdirSync(folder, { recursive: true })
  // Its own package.json keeps npm from climbing up to the repository's.
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const flags = ['--no-save', '--no-package-lock', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const install = spawnSync(isWindows ? 'npm.cmd' : 'npm', ['install', ...flags, `${packageName}@${major}`], {
    cwd: folder,
    encoding: 'utf8',
    shell: isWindows,
    timeout: INSTALL_MILLISECONDS,
  })
  const path = join(folder, 'node_modules', packageName, 'bin', isWindows ? 'node.exe' : 'node')
  if (install.status !== 0 || !existsSync(path)) {
    const words = install.error?.message ?? install.stderr.trim().split('\n', 1)[0]
    throw new Error(`npm could not install ${packageName}@${major}: ${words}`)
  }
  const { status, stdout, stderr, error } = spawnSync(path, ['--version'], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${path} does not run here: ${error?.message ?? stderr}`)
  return { path, version: stdout.trim(), env: { PATH: `${dirname(path)}${delimiter}${process.env.PATH}` } }
}
