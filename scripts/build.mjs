// Compiles every package to ESM with tsc, then bundles it, so that `import` and `require` both work on Node 20. Does nothing,
// quickly, when nothing changed.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BUNDLE_FOLDER, CORE, writeBundle } from './bundle.mjs'
import { files, root } from './files.mjs'
import { writeVectorKernels } from './vector-kernels.mjs'

const packagesFolder = join(root, 'packages')
const require = createRequire(import.meta.url)

/** Written last, so its time says when everything was complete. */
const STAMP = 'complete.tsbuildinfo'
const OUTPUT = /\.(?:js|cjs|d\.ts|d\.cts)(?:\.map)?$/

const folders = readdirSync(packagesFolder)
  .map((name) => join(packagesFolder, name))
  .filter((folder) => existsSync(join(folder, 'package.json')))

/** The packages' folders by name. */
const packageFolders = new Map(
  folders.map((folder) => [JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).name, folder]),
)

for (const folder of folders) removeStaleOutputs(folder)
await writeVectorKernels(packagesFolder)
compile()
for (const folder of folders) {
  await complete(folder)
  copyFromRoot(folder)
}

/** Removes compiled files whose source is gone: they would be packed and could still be imported; and what ended builds have left. */
function removeStaleOutputs(folder) {
  for (const name of readdirSync(folder)) {
    const builder = /^bundle\.(?:new|old)-(\d+)$/.exec(name)?.[1]
    if (builder !== undefined && !isRunning(Number(builder))) rmSync(join(folder, name), { recursive: true })
  }
  const dist = join(folder, 'dist')
  if (!existsSync(dist)) return
  let removed = 0
  for (const path of files(dist)) {
    if (!OUTPUT.test(path)) continue
    const source = join(folder, 'src', relative(dist, path).replace(OUTPUT, '.ts'))
    // CommonJS is made of bundles only
    if (existsSync(source) && !/\.cjs(?:\.map)?$/.test(path)) continue
    rmSync(path, { force: true })
    removed++
  }
  if (removed > 0) rmSync(join(dist, STAMP), { force: true })
  // tsc believes its build info, not the disk: without outputs, the build info must go too.
  if (!existsSync(join(dist, 'index.js'))) rmSync(join(folder, 'tsconfig.tsbuildinfo'), { force: true })
}

function isRunning(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function compile() {
  for (const folder of folders) {
    if (!existsSync(join(folder, 'dist'))) rmSync(join(folder, 'tsconfig.tsbuildinfo'), { force: true })
  }
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
  const { status, error } = spawnSync(process.execPath, [tsc, '-b'], { cwd: root, stdio: 'inherit' })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}

/** Makes what is loaded, and the types of what is required, of what is compiled. */
async function complete(folder) {
  const dist = join(folder, 'dist')
  if (!existsSync(join(dist, 'index.js')) || isUpToDate(dist)) return
  for (const path of files(dist)) {
    if (path.endsWith('.d.ts')) writeDeclarationTwin(path)
  }
  await writeBundle(folder, packageFolders)
  writeFileSync(join(dist, STAMP), '')
}

/** The declarations say the same; only the modules they name are the CommonJS ones. */
function writeDeclarationTwin(path) {
  const text = readFileSync(path, 'utf8')
    .replace(/(\bfrom\s*|\bimport\s*\(\s*|\bimport\s+)(['"])(\.{1,2}\/[^'"]*)\.js\2/g, '$1$2$3.cjs$2')
    .replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n')
  writeFileSync(path.replace(/\.d\.ts$/, '.d.cts'), text)
}

function isUpToDate(dist) {
  const stamp = join(dist, STAMP)
  if (!existsSync(stamp)) return false
  const builtAt = statSync(stamp).mtimeMs
  for (const script of ['./build.mjs', './bundle.mjs', './constants.mjs']) {
    if (statSync(fileURLToPath(new URL(script, import.meta.url))).mtimeMs > builtAt) return false
  }
  const bundle = join(dist, '..', BUNDLE_FOLDER)
  const hasCore = existsSync(join(dist, CORE))
  const made = ['index.js', 'index.cjs', ...(hasCore ? ['core.cjs', 'launcher/boot.js', 'launcher/cli.js'] : [])]
  if (!made.every((name) => existsSync(join(bundle, name)))) return false
  const inputs = hasCore ? folders.map((folder) => join(folder, 'dist')) : [dist]
  return inputs.flatMap(files).every((path) => !/\.(?:js|d\.ts)$/.test(path) || statSync(path).mtimeMs <= builtAt)
}

/** npm packs these only from the package's own folder; the ones in the root are the ones to edit. */
function copyFromRoot(folder) {
  const names = folder.endsWith('runtime') ? ['LICENSE', 'README.md'] : ['LICENSE']
  for (const name of names) {
    const [from, to] = [join(root, name), join(folder, name)]
    if (!existsSync(to) || readFileSync(from, 'utf8') !== readFileSync(to, 'utf8')) copyFileSync(from, to)
  }
}
