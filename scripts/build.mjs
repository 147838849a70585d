// Compiles every package to ESM with tsc, then writes each module's CommonJS twin beside it, so that `import` and
// `require` both work on Node 20. Does nothing, quickly, when nothing changed.
//
// One twin per module: `new URL('./x.js', import.meta.url)` keeps meaning the same place. What is loaded in practice is a
// bundle, for `import` and `require` alike: between CommonJS modules V8 sees no constants.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, transform } from 'esbuild'
import { keepConstants } from './constants.mjs'
import { writeVectorKernels } from './vector-kernels.mjs'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const packagesFolder = join(root, 'packages')
const require = createRequire(import.meta.url)

/** Where a package's twins begin: its entry points, as far as they exist. */
const ENTRY_POINTS = ['index.js', 'core.js', 'compliance/index.js']
/**
 * What `import` loads, bundled: a rank is a process, and reading some hundred small modules is most of what its start costs.
 * Entry points in one list share their common code in chunks, so that a class exists once. Those that are alone are
 * loaded at every start, or are a process of their own: one file each, so that nobody has a chunk more to read.
 */
const BUNDLES = [
  ['compliance/index.js'],
  ['launcher/doctor-job.js', 'launcher/lone-launcher.js'],
  ['launcher/cli.js'],
  ['launcher/boot.js'],
  ['deadly-filter-child.js'],
]
/**
 * All that runs in a rank, with the packages of this repository in it, of the package that has it: one CommonJS file, because only
 * for such V8's code can be kept (`launcher/cached-module.ts`). `import` and `require` of that package give what is in it.
 */
const CORE = 'core.js'
/** What the core loads on demand: a CommonJS bundle of its own, for what is compiled by hand cannot import(). */
const ON_DEMAND = 'launcher/launch.js'
/** Beside dist and as deep, so that `new URL('./x.js', import.meta.url)` finds the same things from both. */
const BUNDLE_FOLDER = 'bundle'
/** Written last, so its time says when the twins were complete. */
const STAMP = 'commonjs.tsbuildinfo'
const OUTPUT = /\.(?:js|cjs|d\.ts|d\.cts)(?:\.map)?$/

/**
 * A bundle without comments: V8 reads them at each start, and a single letter in them that is not ASCII doubles the whole text
 * in its memory. Only so does esbuild leave them out.
 */
const BARE = { minifyWhitespace: true, sourcemap: 'inline' }

/** How esbuild makes CommonJS of a module. */
const COMMONJS = {
  outExtension: { '.js': '.cjs' },
  bundle: true,
  format: 'cjs',
  platform: 'node',
  target: 'node20',
  sourcemap: true,
  logLevel: 'warning',
  define: {
    'import.meta.url': 'onecopyModuleUrl',
    'import.meta.filename': '__filename',
    'import.meta.dirname': '__dirname',
  },
  banner: { js: "'use strict'; const onecopyModuleUrl = require('node:url').pathToFileURL(__filename).href;" },
}

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
  await writeTwins(folder)
  copyFromRoot(folder)
}

/** Removes compiled files whose source is gone: they would be packed and could still be imported. */
function removeStaleOutputs(folder) {
  const dist = join(folder, 'dist')
  if (!existsSync(dist)) return
  let removed = 0
  for (const path of files(dist)) {
    if (!OUTPUT.test(path)) continue
    const source = join(folder, 'src', relative(dist, path).replace(OUTPUT, '.ts'))
    if (existsSync(source)) continue
    rmSync(path, { force: true })
    removed++
  }
  if (removed > 0) rmSync(join(dist, STAMP), { force: true })
  // tsc believes its build info, not the disk: without outputs, the build info must go too.
  if (!existsSync(join(dist, 'index.js'))) rmSync(join(folder, 'tsconfig.tsbuildinfo'), { force: true })
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

async function writeTwins(folder) {
  const dist = join(folder, 'dist')
  if (!existsSync(dist) || isUpToDate(dist)) return
  const entryPoints = ENTRY_POINTS.map((entry) => join(dist, entry)).filter((path) => existsSync(path))
  if (entryPoints.length === 0) return
  const modules = await reachableModules(entryPoints)
  await build({
    entryPoints: modules,
    outbase: dist,
    outdir: dist,
    ...COMMONJS,
    plugins: [{ name: 'one-twin-per-module', setup: keepModulesApart }],
  })
  for (const path of files(dist)) {
    if (path.endsWith('.d.ts')) writeDeclarationTwin(path)
  }
  await writeBundle(folder)
  writeFileSync(join(dist, STAMP), '')
}

async function writeBundle(folder) {
  const dist = join(folder, 'dist')
  const target = join(folder, BUNDLE_FOLDER)
  const hasCore = existsSync(join(dist, CORE))
  // beside it first: jobs that start during a build must not find half a bundle
  const outdir = `${target}.new`
  rmSync(outdir, { recursive: true, force: true })
  for (const names of hasCore ? BUNDLES : [['index.js'], ...BUNDLES]) {
    const entryPoints = names.map((entry) => join(dist, entry)).filter((path) => existsSync(path))
    if (entryPoints.length === 0) continue
    await build({
      entryPoints,
      outbase: dist,
      outdir,
      // modules of the launcher look for their neighbours; elsewhere it makes no difference
      chunkNames: entryPoints.some((path) => path.includes('launcher')) ? 'launcher/[name]-[hash]' : '[name]-[hash]',
      bundle: true,
      splitting: entryPoints.length > 1,
      packages: 'external',
      format: 'esm',
      platform: 'node',
      target: 'node20',
      ...BARE,
      logLevel: 'warning',
    })
  }
  const options = { outdir, ...COMMONJS, ...BARE }
  if (hasCore) {
    await build({ ...options, entryPoints: [join(dist, CORE)], ...withOwnPackages(folder) })
    await build({ ...options, entryPoints: [join(dist, ON_DEMAND)], outbase: dist, packages: 'external' })
  } else {
    await build({ ...options, entryPoints: [join(dist, 'index.js')], packages: 'external' })
  }
  for (const path of files(outdir)) await print(path)
  if (hasCore) await finishCore(dist, outdir)
  const old = `${target}.old`
  rmSync(old, { recursive: true, force: true })
  if (existsSync(target)) renameSync(target, old)
  renameSync(outdir, target)
  rmSync(old, { recursive: true, force: true })
}

/** Says in the core which one it is, and writes what `import` and `require` find. */
async function finishCore(dist, outdir) {
  const path = join(outdir, 'core.cjs')
  const text = readFileSync(path, 'utf8')
  const build = createHash('sha256').update(text).digest('hex').slice(0, 16)
  writeFileSync(path, `${text}//# build=${build}\n`)
  const names = (await exportsOf(join(dist, 'index.js'))).join(', ')
  writeFileSync(
    join(outdir, 'index.js'),
    "import { createRequire } from 'node:module'\n" +
      "const { library } = createRequire(import.meta.url)('./core.cjs')\n" +
      `export const { ${names} } = library\n`,
  )
  // the last line is for whoever imports this file: Node reads there which names it has
  writeFileSync(
    join(outdir, 'index.cjs'),
    `'use strict'\nmodule.exports = require('./core.cjs').library\n0 && (module.exports = { ${names} })\n`,
  )
}

/** Prints a bundle that has no more comments than {@link BARE} left again, as one would write it. */
async function print(path) {
  const { code, map } = await transform(readFileSync(path, 'utf8'), { sourcemap: 'external', logLevel: 'warning' })
  const mapPath = `${path}.map`
  writeFileSync(path, `${keepConstants(code)}//# sourceMappingURL=${basename(mapPath)}\n`)
  writeFileSync(mapPath, map)
}

/** Every module of the package that its entry points load. Others (a preloaded script, say) stay ESM only. */
async function reachableModules(entryPoints) {
  const { inputs } = await outlineOf(entryPoints)
  return Object.keys(inputs).map((path) => join(root, path))
}

/** The names that a module exports. */
async function exportsOf(entryPoint) {
  const { outputs } = await outlineOf([entryPoint])
  return Object.values(outputs)[0].exports.toSorted()
}

async function outlineOf(entryPoints) {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints,
    outdir: join(root, 'unused'),
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    write: false,
    metafile: true,
    logLevel: 'error',
  })
  return metafile
}

function keepModulesApart({ onResolve }) {
  onResolve({ filter: /.*/ }, ({ kind, path }) => {
    if (kind === 'entry-point') return undefined
    return { external: true, path: path.startsWith('.') ? path.replace(/\.js$/, '.cjs') : path }
  })
}

/**
 * How the core takes in this repository's packages and nobody else's. What they look for from where they are, they find from where they
 * would be without: what they depend on is theirs alone.
 */
function withOwnPackages(folder) {
  const placeOf = (name) => `require("node:url").pathToFileURL(require.resolve(${JSON.stringify(name)})).href`
  const setup = ({ onResolve, onLoad }) => {
    onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
      const own = kind === 'require-resolve' ? undefined : packageFolders.get(path)
      return own === undefined ? { external: true, path } : { path: join(own, 'dist', 'index.js'), sideEffects: false }
    })
    onResolve({ filter: /^\.\/launcher/ }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { external: true, path: path.replace(/\.js$/, '.cjs') } : undefined,
    )
    onLoad({ filter: /\/dist\/.*\.js$/ }, ({ path }) => {
      const [name] = [...packageFolders].find(([, own]) => own !== folder && path.startsWith(`${own}/`)) ?? []
      if (name === undefined) return undefined
      return { contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', placeOf(name)) }
    })
  }
  return { plugins: [{ name: 'own-packages', setup }], supported: { 'dynamic-import': false } }
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
  if (!existsSync(stamp) || !existsSync(join(dist, 'index.cjs'))) return false
  const builtAt = statSync(stamp).mtimeMs
  for (const script of ['./build.mjs', './constants.mjs']) {
    if (statSync(fileURLToPath(new URL(script, import.meta.url))).mtimeMs > builtAt) return false
  }
  const bundle = join(dist, '..', BUNDLE_FOLDER)
  if (!existsSync(join(bundle, 'index.js')) || !existsSync(join(bundle, 'index.cjs'))) return false
  const inputs = existsSync(join(dist, CORE)) ? folders.map((folder) => join(folder, 'dist')) : [dist]
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

function files(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
}
