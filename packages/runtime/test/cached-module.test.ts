import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { bundledScript } from './support/bundle.js'
import type { Answered } from './support/cached-module-driver.js'
import { PLAIN_UID } from './support/command.js'

const BUILD = '0123456789abcdef'
/** A module whose text has the same length whatever digit it answers with: that is all that V8 compares. */
function moduleText(answer: number, build: string | null = BUILD): string {
  const text = `'use strict'
const { basename } = require('node:path')
exports.answer = () => [${answer}, ...[__filename, __dirname, module.filename].map((place) => basename(place))]
`
  return build === null ? text : `${text}//# build=${build}\n`
}

function flip(bytes: Buffer, position: number): Buffer {
  const flipped = Buffer.from(bytes)
  flipped[position]! ^= 0x80
  return flipped
}

describe('a module with a code cache', () => {
  let folder = ''
  let file = ''
  beforeEach(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'oc-cached-'))
    fs.chmodSync(folder, 0o755)
    file = path.join(folder, 'core.cjs')
    lay(moduleText(1))
  })
  afterEach(() => fs.rmSync(folder, { recursive: true, force: true }))

  /** Writes the module as npm would: with a time long ago. */
  function lay(text: string): void {
    fs.writeFileSync(file, text)
    fs.utimesSync(file, 500_000_000, 500_000_000)
  }

  /** The digit that the module answers with, after everything else about it was looked at. */
  function load(
    words: readonly string[] = [],
    options: { env?: NodeJS.ProcessEnv; nodeArgs?: string[]; uid?: number } = {},
  ): unknown {
    const { nodeArgs = [], uid } = options
    const drop = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups']
    const [command, ...args] = [
      ...drop,
      process.execPath,
      ...nodeArgs,
      bundledScript('support/cached-module-driver.ts'),
      file,
      ...words,
    ]
    const { NODE_V8_COVERAGE, NODE_DISABLE_COMPILE_CACHE, NODE_OPTIONS, ...env } = process.env
    const child = spawnSync(command as string, args, { env: { ...env, ...options.env }, encoding: 'utf8' })
    assert.equal(child.status, 0, child.stderr)
    assert.equal(child.stderr, '')
    const { answer, isShared } = JSON.parse(child.stdout) as Answered
    assert.equal(isShared, true)
    const [digit, ...places] = answer as unknown[]
    assert.deepEqual(places, ['core.cjs', path.basename(folder), 'core.cjs'])
    return digit
  }

  function caches(): string[] {
    return fs.readdirSync(folder).filter((name) => name !== 'core.cjs')
  }

  /** The one cache there is. */
  function cache(): string {
    assert.equal(caches().length, 1, String(caches()))
    return path.join(folder, caches()[0] as string)
  }

  it('is what require gives, and nothing is kept until it is said', () => {
    assert.equal(load(), 1)
    assert.deepEqual(caches(), [])
  })

  it('is taken from the cache in the next process, which writes no other', () => {
    load(['keep'])
    const made = fs.statSync(cache())
    assert.equal(made.mode & 0o022, 0)
    // The text is another one, of the same length, and says that it is the same: whoever believes it takes the code that was kept.
    lay(moduleText(2))
    assert.equal(load(['keep']), 1)
    assert.deepEqual([fs.statSync(cache()).ino, fs.statSync(cache()).mtimeMs], [made.ino, made.mtimeMs])
  })

  it('is compiled anew when the text has changed, and what was kept of the old one goes', () => {
    load(['keep'])
    const old = cache()
    fs.writeFileSync(`${old}.17`, 'what a process left that was killed')
    lay(moduleText(2, 'fedcba9876543210'))
    assert.equal(load(['keep']), 2)
    assert.notEqual(cache(), old)
    assert.equal(load(), 2)
  })

  for (const [what, damage] of [
    ['empty', () => Buffer.alloc(0)],
    ['cut off', (bytes: Buffer) => bytes.subarray(0, 100)],
    ['zeros', (bytes: Buffer) => Buffer.alloc(bytes.length)],
    ['wrong in one bit', (bytes: Buffer) => flip(bytes, bytes.length >> 1)],
    ['wrong in the last bit', (bytes: Buffer) => flip(bytes, bytes.length - 1)],
    ['partly zeros', (bytes: Buffer) => Buffer.from(bytes).fill(0, bytes.length >> 1, (bytes.length >> 1) + 64)],
    [
      'of another version of V8',
      (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 4), Buffer.alloc(4, 7), bytes.subarray(8)]),
    ],
  ] as const) {
    it(`is compiled anew when what was kept is ${what}, and kept again`, () => {
      load(['keep'])
      const place = cache()
      const good = fs.readFileSync(place)
      fs.writeFileSync(place, damage(good))
      lay(moduleText(2))
      assert.equal(load(['keep']), 2)
      assert.equal(cache(), place)
      assert.equal(load(), 2)
      lay(moduleText(3))
      assert.equal(load(), 2, 'what was kept the second time is taken')
    })
  }

  for (const [whose, give] of [
    ["another user's", (place: string) => fs.chownSync(place, PLAIN_UID, PLAIN_UID)],
    ['writable by its group', (place: string) => fs.chmodSync(place, 0o664)],
    ['writable by everybody', (place: string) => fs.chmodSync(place, 0o646)],
    [
      'a link',
      (place: string) => {
        fs.renameSync(place, path.join(folder, 'elsewhere'))
        fs.symlinkSync('elsewhere', place)
      },
    ],
    [
      'a FIFO that nobody writes to',
      (place: string) => {
        fs.rmSync(place)
        assert.equal(spawnSync('mkfifo', ['-m', '644', place]).status, 0)
      },
    ],
    [
      'a folder',
      (place: string) => {
        fs.rmSync(place)
        fs.mkdirSync(place)
      },
    ],
    ['too long', (place: string) => fs.truncateSync(place, 16 * 1024 * 1024 + 1)],
  ] as const) {
    it(`does not believe a cache that is ${whose}`, function () {
      if (whose === "another user's" && process.geteuid?.() !== 0) this.skip()
      load(['keep'])
      give(cache())
      lay(moduleText(2))
      assert.equal(load(), 2)
    })
  }

  it('is loaded by a user who may not write there, from the cache of the one who may', function () {
    if (process.geteuid?.() !== 0) this.skip()
    assert.equal(load(['keep'], { uid: PLAIN_UID }), 1)
    assert.deepEqual(caches(), [])
    load(['keep'])
    lay(moduleText(2))
    assert.equal(load(['keep'], { uid: PLAIN_UID }), 1)
  })

  it('is not kept for a user to whom the module does not belong, though the folder is theirs', function () {
    if (process.geteuid?.() !== 0) this.skip()
    fs.chownSync(folder, PLAIN_UID, PLAIN_UID)
    assert.equal(load(['keep'], { uid: PLAIN_UID }), 1)
    assert.deepEqual(caches(), [])
  })

  it('is kept for each set of options that V8 runs with, the last eight', () => {
    load(['keep'])
    const first = cache()
    lay(moduleText(2))
    const optionsOf = (size: number) => ({ nodeArgs: [`--max-inlined-bytecode-size=${size}`] })
    assert.equal(load(['keep'], optionsOf(461)), 2)
    assert.equal(caches().length, 2)
    lay(moduleText(3))
    assert.deepEqual([load(), load([], optionsOf(461))], [1, 2])
    fs.utimesSync(first, 600_000_000, 600_000_000)
    for (let size = 462; size < 469; size++) {
      assert.ok(fs.existsSync(first))
      assert.equal(load(['keep'], optionsOf(size)), 3)
    }
    assert.equal(caches().length, 8)
    assert.ok(!fs.existsSync(first), 'the oldest had to go')
    lay(moduleText(4))
    assert.deepEqual([load(), load([], optionsOf(461)), load([], optionsOf(468))], [4, 2, 3])
  })

  it('is kept whatever lies in the way', () => {
    load(['keep'])
    const name = path.basename(cache())
    fs.rmSync(cache())
    for (let i = 0; i < 9; i++) fs.writeFileSync(path.join(folder, `${name}.${i}`), 'unfinished')
    fs.mkdirSync(path.join(folder, 'core-0000000000000000-1.cache'))
    fs.writeFileSync(path.join(folder, 'core-other.txt'), 'not ours')
    load(['keep'])
    assert.deepEqual(caches().sort(), [name, 'core-other.txt'].sort())
  })

  it('is compiled anew when somebody has edited it and left the line that says which text it is', () => {
    load(['keep'])
    fs.writeFileSync(file, moduleText(2))
    assert.equal(load(['keep']), 2)
    assert.equal(load(), 2)
  })

  it('is not kept when the file is another one by then', () => {
    load(['replace', 'keep'])
    assert.deepEqual(caches(), [])
  })

  it('is the one that is loaded already', () => {
    assert.equal(load(['keep'], { nodeArgs: ['--require', file] }), 1)
    assert.deepEqual(caches(), [])
  })

  it('is forgotten when it throws, as by require', () => {
    lay(`throw new Error('on purpose')\n//# build=${BUILD}\n`)
    const child = spawnSync(process.execPath, [bundledScript('support/cached-module-driver.ts'), file, 'twice'])
    assert.match(child.stdout.toString(), /^on purpose, on purpose\n$/)
    assert.equal(child.status, 0)
  })

  it('is not kept when the options have changed meanwhile: nobody could take it', () => {
    load(['change', 'keep'])
    assert.deepEqual(caches(), [])
  })

  it('is not kept without a line that says which text it is', () => {
    lay(moduleText(1, null))
    assert.equal(load(['keep']), 1)
    assert.deepEqual(caches(), [])
  })

  for (const [why, options] of [
    ['coverage is measured', { env: { NODE_V8_COVERAGE: path.join(os.tmpdir(), 'oc-coverage') } }],
    ["Node's own caches are off", { env: { NODE_DISABLE_COMPILE_CACHE: '' } }],
    ['source maps are read', { nodeArgs: ['--enable-source-maps'] }],
  ] as const) {
    it(`is left to require where ${why}`, () => {
      assert.equal(load(['keep'], { ...options, nodeArgs: 'nodeArgs' in options ? [...options.nodeArgs] : [] }), 1)
      fs.rmSync(path.join(os.tmpdir(), 'oc-coverage'), { recursive: true, force: true })
      assert.deepEqual(caches(), [])
    })
  }
})
