// Makes `bundle/` of a package: what `import` and `require` load. A rank is a process, and reading some hundred small modules is
// most of what its start costs; and between CommonJS modules V8 sees no constants.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { build, transform } from 'esbuild'
import { keepConstants } from './constants.mjs'
import { files } from './files.mjs'

/**
 * Entry points of ESM bundles. Those in one list share their common code in chunks, so that a class exists once. Those that are alone are
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
export const CORE = 'core.js'
/** What the core loads on demand: a CommonJS bundle of its own, for what is compiled by hand cannot import(). */
const ON_DEMAND = 'launcher/launch.js'
/** Beside dist and as deep, so that `new URL('./x.js', import.meta.url)` finds the same things from both. */
export const BUNDLE_FOLDER = 'bundle'

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

/**
 * Bundles what is compiled in a package's folder.
 * @param packages the folders of this repository's packages, by name.
 */
export async function writeBundle(folder, packages) {
  const dist = join(folder, 'dist')
  const target = join(folder, BUNDLE_FOLDER)
  const hasCore = existsSync(join(dist, CORE))
  // beside it first: jobs that start during a build must not find half a bundle
  const outdir = `${target}.new-${process.pid}`
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
    await build({ ...options, entryPoints: [join(dist, CORE)], ...withOwnPackages(folder, packages) })
    await build({ ...options, entryPoints: [join(dist, ON_DEMAND)], outbase: dist, packages: 'external' })
  } else {
    const entryPoints = ['index.js', 'compliance/index.js'].map((entry) => join(dist, entry))
    await build({ ...options, entryPoints: entryPoints.filter(existsSync), outbase: dist, packages: 'external' })
  }
  for (const path of files(outdir)) await print(path)
  if (hasCore) await finishCore(dist, outdir)
  const old = `${target}.old-${process.pid}`
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

/** The names that a module exports. */
async function exportsOf(entryPoint) {
  const { metafile } = await build({
    entryPoints: [entryPoint],
    outdir: 'unused',
    bundle: true,
    packages: 'external',
    format: 'esm',
    platform: 'node',
    write: false,
    metafile: true,
    logLevel: 'error',
  })
  return Object.values(metafile.outputs)[0].exports.toSorted()
}

/**
 * How the core takes in this repository's packages and nobody else's. What they look for from where they are, they find from where they
 * would be without: what they depend on is theirs alone.
 */
function withOwnPackages(folder, packages) {
  const placeOf = (name) => `require("node:url").pathToFileURL(require.resolve(${JSON.stringify(name)})).href`
  const setup = ({ onResolve, onLoad }) => {
    onResolve({ filter: /^[^./]/ }, ({ path, kind }) => {
      const own = kind === 'require-resolve' ? undefined : packages.get(path)
      return own === undefined ? { external: true, path } : { path: join(own, 'dist', 'index.js'), sideEffects: false }
    })
    onResolve({ filter: /^\.\/launcher/ }, ({ path, kind }) =>
      kind === 'dynamic-import' ? { external: true, path: path.replace(/\.js$/, '.cjs') } : undefined,
    )
    onLoad({ filter: /\/dist\/.*\.js$/ }, ({ path }) => {
      const [name] = [...packages].find(([, own]) => own !== folder && path.startsWith(`${own}/`)) ?? []
      if (name === undefined) return undefined
      // what loads Node's own modules finds them from anywhere
      const text = readFileSync(path, 'utf8').replaceAll(/import\.meta\.url(?!\)\('node:)/g, placeOf(name))
      return { contents: text }
    })
  }
  return { plugins: [{ name: 'own-packages', setup }], supported: { 'dynamic-import': false } }
}
