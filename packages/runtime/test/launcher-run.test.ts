import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { bundledScript } from './support/bundle.js'
import { CleanRoom } from './support/clean.js'
import { BIN, PLAIN_UID, rankSource, runCommand } from './support/command.js'
import { requireUser, skipBecause } from './support/reliability.js'

const behaviour = bundledScript('ranks/launcher-behaviour.ts')

describe('onecopy run', () => {
  let room: CleanRoom

  beforeEach(() => {
    room = new CleanRoom()
  })

  afterEach(async () => {
    try {
      await room.assertClean()
    } finally {
      room.close()
    }
  })

  it('tells each rank who it is, in a private directory, over a line that is not inherited', async () => {
    const run = await runCommand(['run', '-n', '3', behaviour, 'describe', '--own', '-n', '9'], { env: room.env })
    assert.equal(run.stderr, '')
    assert.equal(run.exitCode, 0)
    const lines = run.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    lines.sort((a, b) => a.rank - b.rank)
    assert.deepEqual(
      lines.map((line) => line.rank),
      [0, 1, 2],
    )
    for (const line of lines) {
      assert.equal(line.size, 3)
      assert.deepEqual(line.cards, [{ rank: 0 }, { rank: 1 }, { rank: 2 }])
      assert.equal(line.env, `none ${line.rank} 3`)
      assert.equal(line.mode, '700')
      assert.deepEqual(line.args, ['--own', '-n', '9'])
    }
  })

  it('runs TypeScript, by whatever can run it here', async () => {
    const run = await runCommand(['run', '-n', '2', rankSource('launcher-behaviour.ts'), 'plain'], { env: room.env })
    assert.equal(run.exitCode, 0, run.stderr)
    assert.deepEqual(run.stdout.trim().split('\n').sort(), ['rank 0', 'rank 1'])
  })

  it('says why Node cannot load a TypeScript file by itself, and how tsx can', async function () {
    if (!(process.features as { typescript?: unknown }).typescript) {
      if (this.test !== undefined) Object.assign(this.test, { skipReason: 'this Node strips no types by itself' })
      this.skip()
    }
    fs.writeFileSync(path.join(room.folder, 'package.json'), '{ "type": "module" }')
    fs.writeFileSync(
      path.join(room.folder, 'other.ts'),
      'export type Text = string\nexport const text: Text = "loaded"\n',
    )
    const rows: [string, string, RegExp][] = [
      [
        'js',
        `import { text } from './other.js'\nconsole.log(text)\n`,
        /there is only other\.ts: import other\.ts, or let tsx/,
      ],
      [
        'bare',
        `import { text } from './other'\nconsole.log(text)\n`,
        /there is only other\.ts: import other\.ts, or let tsx/,
      ],
      ['enum', `enum Text { loaded }\nconsole.log(Text[0])\n`, /no enum, .*; or let tsx translate/],
      [
        'type',
        `import { Text, text } from './other.ts'\nconsole.log(text as Text)\n`,
        /'import type' for types; or let tsx/,
      ],
    ]
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
    for (const [name, text, advice] of rows) {
      const script = path.join(room.folder, `${name}.ts`)
      fs.writeFileSync(script, text)
      const failed = await runCommand(['run', '-n', '2', script], { env: room.env })
      assert.equal(failed.exitCode, 1, name)
      assert.match(failed.stderr, advice)
      const cured = await runCommand(['run', '-n', '2', `--node-arg=--import=${tsx}`, script], { env: room.env })
      assert.equal(cured.stdout, 'loaded\nloaded\n', cured.stderr)
    }
    // What is no matter of stripping gets no such advice.
    const script = path.join(room.folder, 'wrong.ts')
    for (const text of ['const = 1', `import './nowhere.js'`, `JSON.parse('{')`, `throw new SyntaxError('mine')`]) {
      fs.writeFileSync(script, text)
      const failed = await runCommand(['run', '-n', '2', script], { env: room.env })
      assert.equal(failed.exitCode, 1, text)
      assert.doesNotMatch(failed.stderr, /tsx/)
    }
  })

  it('keeps the token out of arguments and environment, and gives each job another one', async () => {
    const runs = await Promise.all(
      [1, 2].map(() => runCommand(['run', '-n', '1', behaviour, 'secret'], { env: room.env })),
    )
    const tokens = runs.map((run) => /^token of 32 bytes unseen ([0-9a-f]{64})$/m.exec(run.stdout)?.[1])
    assert.ok(tokens[0] !== undefined && tokens[1] !== undefined, runs[0]?.stdout)
    assert.notEqual(tokens[0], tokens[1])
  })

  it('runs as a plain user', async function () {
    requireUser(this, PLAIN_UID)
    const run = await runCommand(['run', '-n', '2', behaviour, 'describe'], { env: room.env, uid: PLAIN_UID })
    assert.equal(run.exitCode, 0, run.stderr)
    assert.equal(run.stdout.trim().split('\n').length, 2)
  })

  it('prefers XDG_RUNTIME_DIR when it is this user’s, and nobody else may look into it', async () => {
    const runtime = path.join(room.folder, 'runtime')
    fs.mkdirSync(runtime, { mode: 0o700 })
    const env = { ...room.env, XDG_RUNTIME_DIR: runtime }
    const run = await runCommand(['run', '-n', '1', '--node-arg=--expose-gc', behaviour, 'describe'], { env })
    assert.equal(run.exitCode, 0, run.stderr)
    fs.chmodSync(runtime, 0o755)
    const other = await runCommand(['run', '-n', '1', behaviour, 'describe'], { env })
    assert.equal(other.exitCode, 0, other.stderr)
    assert.deepEqual(fs.readdirSync(runtime), [])
  })

  it('numbers the ranks of several programs through', async () => {
    const args = ['run', '-n', '2', behaviour, 'describe', 'a', ':', '-n', '1', behaviour, 'describe', 'b', ':', 'c']
    const run = await runCommand(args, { env: room.env })
    assert.equal(run.exitCode, 0, run.stderr)
    const lines = run.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    lines.sort((a, b) => a.rank - b.rank)
    assert.deepEqual(
      lines.map((line) => [line.size, line.args]),
      [
        [3, ['a']],
        [3, ['a']],
        [3, ['b', ':', 'c']],
      ],
    )
  })

  it('labels lines, finishes unfinished ones and mixes none', async () => {
    const run = await runCommand(['run', '-n', '3', '--label', behaviour, 'unfinished'], { env: room.env })
    const lines = run.stdout.split('\n')
    assert.equal(lines.pop(), '')
    assert.deepEqual(
      lines.sort(),
      [0, 1, 2].flatMap((rank) => [`[${rank}] line of ${rank}`, `[${rank}] rest of ${rank}`]),
    )
    const flood = await runCommand(['run', '-n', '2', behaviour, 'flood'], { env: room.env })
    const flooded = flood.stdout.trimEnd().split('\n')
    assert.equal(flooded.length, 10_000)
    for (const line of flooded) assert.match(line, /^(0{200}|1{200})$/)
  })

  it('gives standard input to rank 0', async () => {
    const run = await runCommand(['run', '-n', '2', behaviour, 'echo'], { env: room.env, input: 'some words\n' })
    assert.equal(run.stdout, 'got some words\n')
    assert.equal(run.exitCode, 0)
  })

  it('prints a notice once per job', async () => {
    const run = await runCommand(['run', '-n', '3', behaviour, 'notices'], { env: room.env })
    assert.equal(run.stderr, 'onecopy: single copy is refused\n')
  })

  it('prints a table of statistics', async () => {
    const run = await runCommand(['run', '-n', '2', '--stats', behaviour, 'statistics'], { env: room.env })
    assert.equal(
      run.stderr,
      [
        'rank  sent.messages  sent.bytes    by',
        '0                10         100  pipe',
        '1                11         100  pipe',
        'all              21         200     -',
        '',
      ].join('\n'),
    )
  })

  it('leaves a rank’s own children alone', async () => {
    const run = await runCommand(['run', '-n', '1', behaviour, 'nested-marker'], { env: room.env })
    assert.equal(run.stdout, 'undefined undefined undefined\n', run.stderr)
    const env = { ...room.env, MALLOC_TOP_PAD_: '65536' }
    const chosen = await runCommand(['run', '-n', '1', behaviour, 'nested-marker'], { env })
    assert.equal(chosen.stdout, 'undefined undefined 65536\n', chosen.stderr)
  })

  it('pins ranks to cores, and they know how many there are', async function () {
    if (process.platform !== 'linux') skipBecause(this, 'cores can be chosen on Linux only')
    const script = path.join(room.folder, 'cores.mjs')
    fs.writeFileSync(
      script,
      `import fs from 'node:fs'
      const [, list] = /Cpus_allowed_list:\\s*(\\S+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))
      console.log(list, 'of', globalThis[Symbol.for('onecopy.link')].settings.cores)`,
    )
    const run = await runCommand(['run', '-n', '2', '--bind', 'core', script], { env: room.env })
    assert.equal(run.exitCode, 0, run.stderr)
    const line = new RegExp(`^\\d+ of ${os.availableParallelism()}$`)
    for (const core of run.stdout.trim().split('\n')) assert.match(core, line)
    const without = await runCommand(['run', '-n', '2', '--bind', 'core', script], {
      env: { ...room.env, PATH: '/nowhere' },
    })
    assert.equal(without.exitCode, 2)
    assert.match(without.stderr, /needs the command taskset: install util-linux/)
  })

  for (const [flag, variable, expected] of [
    ['koffi', undefined, 'koffi cma'],
    ['ffi-napi', undefined, 'ffi-napi cma'],
    ['ffi-napi', 'none', 'ffi-napi cma'],
    ['none', 'koffi', 'none pipe'],
  ] as const) {
    it(`makes system calls through what --ffi says: ${flag} (ONECOPY_FFI ${variable ?? 'not set'})`, async function () {
      if (process.platform !== 'linux') skipBecause(this, 'foreign functions are called on Linux only')
      const script = bundledScript('ranks/launcher-ffi.ts')
      const env = { ...room.env, ONECOPY_TRANSPORT: undefined, ONECOPY_CMA: undefined, ONECOPY_FFI: variable }
      const run = await runCommand(['run', '-n', '2', '--ffi', flag, script], { env })
      assert.equal(run.exitCode, 0, run.stderr)
      assert.deepEqual(run.stdout.trim().split('\n'), [expected, expected], run.stderr)
    })
  }

  for (const transport of ['cma', 'pipe']) {
    it(`lets ranks find packages behind links, after messages over ${transport}`, async () => {
      const linked = bundledScript('ranks/linked-package.ts')
      const folder = path.join(room.folder, 'linked')
      const run = await runCommand(['run', '-n', '2', '--transport', transport, linked, folder], { env: room.env })
      assert.equal(run.stdout, 'right\nright\n', run.stderr)
    })
  }

  it('runs .cjs and .mjs scripts as what they are', async () => {
    fs.writeFileSync(path.join(room.folder, 'a.cjs'), 'console.log(require.main === module, typeof require)')
    fs.writeFileSync(path.join(room.folder, 'b.mjs'), 'console.log(import.meta.url.length > 0, typeof require)')
    const run = await runCommand(['run', '-n', '1', 'a.cjs', ':', '-n', '1', 'b.mjs'], {
      env: room.env,
      cwd: room.folder,
    })
    assert.deepEqual(run.stdout.trim().split('\n').sort(), ['true function', 'true undefined'])
  })
})

describe('onecopy with wrong arguments', () => {
  const room = new CleanRoom()
  after(() => room.close())

  const wrong: [string, string[], RegExp][] = [
    ['no number of ranks', ['run', behaviour], /'-n <ranks>' not specified/],
    ['no script', ['run', '-n', '2'], /missing required argument 'script'/],
    ['a missing script', ['run', '-n', '2', 'nowhere.mjs'], /no such script: .*nowhere\.mjs/],
    ['no ranks', ['run', '-n', '0', behaviour], /integer from 1 to 1024, not '0'/],
    ['a fraction of a rank', ['run', '-n', '1.5', behaviour], /integer from 1 to 1024, not '1.5'/],
    ['a negative number', ['run', '-n', '-1', behaviour], /integer from 1 to 1024, not '-1'/],
    ['a word for a number', ['run', '-n', 'four', behaviour], /integer from 1 to 1024, not 'four'/],
    ['too many ranks', ['run', '-n', '1025', behaviour], /1025 ranks are more than 1024: shared memory/],
    ['too many ranks in all', ['run', '-n', '1000', behaviour, ':', '-n', '25', behaviour], /1025 ranks are more/],
    ['an unknown option', ['run', '-n', '2', '--fast', behaviour], /unknown option '--fast'/],
    ['an unknown transport', ['run', '-n', '2', '--transport', 'tcp', behaviour], /no transport 'tcp': choose from/],
    ['no transport', ['run', '-n', '2', '--transport', '', behaviour], /no transport in ''/],
    ['a transport named twice', ['run', '-n', '2', '--transport', 'pipe,pipe', behaviour], /named twice/],
    ['a timeout of nothing', ['run', '-n', '2', '--timeout', '0', behaviour], /number of seconds above 0/],
    [
      'an unknown FFI package',
      ['run', '-n', '2', '--ffi', 'deno', behaviour],
      /Allowed choices are koffi, ffi-napi, none/,
    ],
    ['an unknown level', ['run', '-n', '2', '--log', 'loud', behaviour], /Allowed choices are info, debug/],
    ['an unknown binding', ['run', '-n', '2', '--bind', 'socket', behaviour], /Allowed choices are core, none/],
    ['an unknown command', ['start'], /unknown command|too many arguments/],
    ['a second program without a script', ['run', '-n', '2', behaviour, ':', '-n', '1'], /no script after/],
  ]
  for (const [what, args, message] of wrong) {
    it(`refuses ${what} in one line, with exit code 2`, async () => {
      const run = await runCommand(args, { env: room.env })
      assert.match(run.stderr, message)
      assert.match(run.stderr, /^onecopy: [^\n]+\n$/)
      assert.equal(run.exitCode, 2)
      assert.equal(run.stdout, '')
    })
  }

  for (const [name, value, wanted] of [
    ['ONECOPY_HUGE_PAGES', 'never', /ONECOPY_HUGE_PAGES must be on or off, not 'never'/],
    ['ONECOPY_CMA', 'never', /ONECOPY_CMA must be on or off or no-write or require, not 'never'/],
    ['ONECOPY_FFI', 'deno', /ONECOPY_FFI must be koffi or ffi-napi or none, not 'deno'/],
    ['ONECOPY_LOG', 'loud', /ONECOPY_LOG must be .*debug.*, not 'loud'/],
    ['ONECOPY_CHECK', 'yes', /ONECOPY_CHECK must be 0 or 1, not 'yes'/],
    ['ONECOPY_TRANSPORT', 'tcp', /no transport 'tcp'/],
  ] as const) {
    it(`in the environment says so: ${name}=${value}`, async () => {
      const run = await runCommand(['run', '-n', '2', behaviour], { env: { ...room.env, [name]: value } })
      assert.match(run.stderr, wanted)
      assert.match(run.stderr, /^onecopy: [^\n]+\n$/)
      assert.equal(run.exitCode, 2)
    })
  }

  it('prints help to a reader who leaves', async () => {
    const command = `{ "${process.execPath}" "${BIN}" run --help; echo "code $?" >&2; } | true`
    const { stderr } = spawnSync('sh', ['-c', command], { encoding: 'utf8' })
    assert.equal(stderr, 'code 0\n')
  })

  it('has help for everything', async () => {
    for (const args of [[], ['--help'], ['help', 'run'], ['run', '--help'], ['doctor', '--help']]) {
      const run = await runCommand(args, { env: room.env })
      assert.equal(run.exitCode, 0, run.stderr)
      assert.match(run.stdout, /^Usage: onecopy/)
    }
    const help = (await runCommand(['help', 'run'], { env: room.env })).stdout
    for (const flag of ['--transport', '--ffi', '--log']) assert.match(help, new RegExp(`${flag} <`))
    assert.match((await runCommand(['--version'], { env: room.env })).stdout, /^\d+\.\d+\.\d+\n$/)
  })
})
