import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildSync } from 'esbuild'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')
const PACKAGES = ['transport', 'transport-cma', 'transport-pipe', 'runtime']
const STEP_MILLISECONDS = 120_000

const RANK_ESM = `import { init } from 'onecopy'
const world = await init()
if (world.rank === 0) await world.send(new Float64Array([1, 2, 3]), 1, 7)
else console.log('got', await world.recv(0, 7))
await world.finalize()
`
const RANK_CJS = `const { init } = require('onecopy')
init().then(async (world) => {
  if (world.rank === 0) await world.send(new Float64Array([1, 2, 3]), 1, 7)
  else console.log('got', await world.recv(0, 7))
  await world.finalize()
})
`
const CONSUMER = `import { ANY_SOURCE, init, type Communicator, type Status } from 'onecopy'
const use = async (world: Communicator): Promise<Status> => world.recvInto(new Uint8Array(8), ANY_SOURCE, 1)
export const started: Promise<Status> = init().then(use)
// @ts-expect-error a rank is a number: were the types not found, everything would be allowed
init().then((world) => world.send(1, 'one'))
`

describe('the packed packages, in an empty folder', function () {
  this.timeout(4 * STEP_MILLISECONDS)
  let folder = ''

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'onecopy-package-'))
    const tarballs = join(folder, 'tarballs')
    mkdirSync(tarballs)
    const workspaces = PACKAGES.map((name) => `--workspace=packages/${name}`)
    run(root, 'npm', 'pack', '--silent', '--ignore-scripts', `--pack-destination=${tarballs}`, ...workspaces)
    const files = readdirSync(tarballs).map((name) => join(tarballs, name))
    assert.equal(files.length, PACKAGES.length, files.join(', '))
    write('package.json', '{ "private": true }')
    run(
      folder,
      ...['npm', 'install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--silent'],
      ...files,
    )
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  function write(name: string, text: string): void {
    writeFileSync(join(folder, name), text)
  }

  function run(cwd: string, command: string, ...args: string[]): string {
    // What npm tells its scripts about this repository must not reach an npm or npx in the other folder.
    const env = Object.fromEntries(
      Object.entries(process.env).filter(
        ([name]) => !/^npm_(?!config_)|^npm_config_local_prefix$|^ONECOPY_/.test(name),
      ),
    )
    const result = spawnSync(command, args, { cwd, env, encoding: 'utf8', timeout: STEP_MILLISECONDS })
    const said = `${command} ${args.join(' ')}\n${result.error ?? ''}\n${result.stdout}\n${result.stderr}`
    assert.equal(result.status, 0, said)
    return result.stdout
  }

  it('carries the licence, the types and no tests', () => {
    for (const name of PACKAGES) {
      const scoped = name === 'runtime' ? 'onecopy' : `@onecopy/${name}`
      const files = readdirSync(join(folder, 'node_modules', scoped), { recursive: true }).map(String)
      assert.ok(files.includes('LICENSE'), `${scoped}: ${files.join(', ')}`)
      for (const place of [
        'bundle/index.js',
        'bundle/index.cjs',
        'dist/index.js',
        'dist/index.d.ts',
        'dist/index.d.cts',
      ])
        assert.ok(files.includes(place), place)
      assert.deepEqual(
        files.filter((file) => /(?:^|\/)(?:test|src)\/|\.tsbuildinfo$|\.test\.|\.cache/.test(file)),
        [],
      )
    }
  })

  for (const [kind, name, text] of [
    ['import', 'rank.mjs', RANK_ESM],
    ['require', 'rank.cjs', RANK_CJS],
  ] as const) {
    it(`runs two ranks of a script that uses ${kind}`, () => {
      write(name, text)
      const stdout = run(folder, 'npx', '--no-install', 'onecopy', 'run', '-n', '2', name)
      assert.match(stdout, /got Float64Array\(3\) \[ 1, 2, 3 \]/)
    })
  }

  for (const [kind, name, first] of [
    ['import', 'launch.mjs', "import { launch } from 'onecopy'"],
    ['require', 'launch.cjs', "const { launch } = require('onecopy')"],
  ] as const) {
    it(`launches a job from a program that uses ${kind}`, () => {
      write('rank.cjs', RANK_CJS)
      const call = `launch({ size: 2, script: 'rank.cjs' }).then(({ exitCode, ranks }) => console.log(exitCode, ranks.length))`
      write(name, `${first}\n${call}\n`)
      assert.equal(run(folder, process.execPath, name), 'got Float64Array(3) [ 1, 2, 3 ]\n0 2\n')
    })

    it(`gets the errors of launch() as errors it can test for, with ${kind}`, () => {
      write('broken.cjs', "throw new Error('broken before init')\n")
      const names = first.replace('launch', 'launch, OnecopyError')
      const call = `launch({ size: 1, script: 'broken.cjs', stderr: 'ignore' }).then(({ error }) =>
        console.log(error instanceof OnecopyError, error.code, error.message.includes('broken before init')))`
      write(name, `${names}\n${call}\n`)
      assert.equal(run(folder, process.execPath, name), 'true ERR_EARLY_EXIT true\n')
    })
  }

  it('finds FFI where only the transport that depends on it does', () => {
    const own = join(folder, 'node_modules', '@onecopy', 'transport-cma', 'node_modules')
    mkdirSync(own)
    for (const name of ['koffi', '@koromix']) renameSync(join(folder, 'node_modules', name), join(own, name))
    try {
      write('rank.mjs', RANK_ESM)
      const command = ['npx', '--no-install', 'onecopy', 'run', '-n', '2', 'rank.mjs']
      const stdout = run(folder, 'env', 'ONECOPY_CMA=require', ...command)
      assert.match(stdout, /got Float64Array/)
    } finally {
      for (const name of ['koffi', '@koromix']) renameSync(join(own, name), join(folder, 'node_modules', name))
    }
  })

  it('keeps what V8 has compiled of it, once a job has run', () => {
    const bundle = join(folder, 'node_modules', 'onecopy', 'bundle')
    const caches = () => readdirSync(bundle).filter((name) => name.endsWith('.cache'))
    for (const name of caches()) rmSync(join(bundle, name))
    write('rank.mjs', RANK_ESM)
    for (let job = 0; job < 2; job++) {
      assert.match(run(folder, 'npx', '--no-install', 'onecopy', 'run', '-n', '2', 'rank.mjs'), /got Float64Array/)
      assert.equal(caches().length, 1)
    }
  })

  it('gives a script without a launcher a world of one, by import and by require', () => {
    write('alone.mjs', `import { init } from 'onecopy'\nconst w = await init()\nconsole.log(w.rank, w.size)\n`)
    write('alone.cjs', `require('onecopy').init().then((w) => console.log(w.rank, w.size))\n`)
    assert.equal(run(folder, process.execPath, 'alone.mjs'), '0 1\n')
    assert.equal(run(folder, process.execPath, 'alone.cjs'), '0 1\n')
  })

  it('can be bundled into a program', () => {
    write('app.mjs', RANK_ESM)
    const [app, bundled] = [join(folder, 'app.mjs'), join(folder, 'bundled.mjs')]
    buildSync({ entryPoints: [app], bundle: true, platform: 'node', format: 'esm', outfile: bundled })
    const command = ['npx', '--no-install', 'onecopy', 'run', '-n', '2', 'bundled.mjs']
    assert.match(run(folder, 'env', 'ONECOPY_CMA=require', ...command), /got Float64Array/)
  })

  it('exports the same names to import and to require', () => {
    write(
      'names.cjs',
      `import('onecopy').then((esm) => console.log(JSON.stringify([Object.keys(esm), Object.keys(require('onecopy'))])))`,
    )
    const [esm, cjs] = JSON.parse(run(folder, process.execPath, 'names.cjs')) as [string[], string[]]
    const own = (names: string[]): string[] =>
      names.filter((name) => !/^(?:default|module\.exports|__esModule)$/.test(name)).sort()
    assert.deepEqual(own(cjs), own(esm))
    assert.ok(esm.includes('init'))
  })

  it('exports the compliance suite of the transports to both', () => {
    write(
      'suite.cjs',
      `const cjs = Object.keys(require('@onecopy/transport/compliance'))
       import('@onecopy/transport/compliance').then((esm) => console.log(cjs.length > 0 && cjs.every((name) => name in esm)))`,
    )
    assert.equal(run(folder, process.execPath, 'suite.cjs'), 'true\n')
  })

  it('resolves its types under nodenext, from a module and from a CommonJS file', () => {
    write('consumer.mts', CONSUMER)
    write('consumer.cts', CONSUMER)
    const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
    const options = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--lib',
      'es2024,esnext.disposable',
    ]
    // Every TypeScript program for Node has @types/node; no other types are lent to it.
    const types = ['--typeRoots', join(root, 'node_modules', '@types'), '--types', 'node']
    run(folder, process.execPath, tsc, ...options, ...types, 'consumer.mts', 'consumer.cts')
  })
})
