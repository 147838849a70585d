// Runs the test suite on the newest release of another major version of Node: `npm run test:node -- 24`.
//
// The npm package `node` only fetches a second package, named after the platform, in an install script; that second
// package holds the binary. It is installed directly here, so no install script needs to run.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const [major, ...testArguments] = process.argv.slice(2)
if (!/^\d+$/.test(major ?? '')) {
  console.error('Say which major version: npm run test:node -- 24 [group …] [--grep PATTERN]')
  process.exit(2)
}

const packageName = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
const folder = join(root, 'node_modules', '.cache', 'onecopy', `node-${major}`)
mkdirSync(folder, { recursive: true })
// Its own package.json keeps npm from climbing up to the repository's.
writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
const install = spawnSync(
  npm,
  [
    'install',
    '--no-save',
    '--no-package-lock',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--silent',
    `${packageName}@${major}`,
  ],
  { cwd: folder, stdio: 'inherit', shell: process.platform === 'win32' },
)
const node = join(folder, 'node_modules', packageName, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
if (install.status !== 0 || !existsSync(node)) {
  console.error(`npm could not install ${packageName}@${major}: see above, or try 'npm view ${packageName} versions'.`)
  process.exit(1)
}

const version = spawnSync(node, ['--version'], { encoding: 'utf8' })
if (version.status !== 0) {
  console.error(`${node} does not run here: ${version.error?.message ?? version.stderr}`)
  process.exit(1)
}
console.log(`Node ${version.stdout.trim()}`)
const { status } = spawnSync(node, [join(root, 'scripts', 'test.mjs'), ...testArguments], {
  cwd: root,
  stdio: 'inherit',
  // Whatever a test starts by the name `node` is to be this one too.
  env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` },
})
process.exit(status ?? 1)
