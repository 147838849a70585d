import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { decode } from 'fast-png'
import { solvePlate } from './support/plate.ts'
import { found, linesOf, ROOT, run, runThrough } from './support/run-example.ts'

const RANK_COUNTS = [2, 3]
/** Starting ranks takes most of the time, on a busy machine several seconds. */
const TIMEOUT_MS = 90_000

describe('examples', function () {
  this.timeout(TIMEOUT_MS)
  this.slow(10_000)
  let folder: string

  before(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'onecopy-examples-'))
  })

  after(() => {
    fs.rmSync(folder, { recursive: true, force: true })
  })

  for (const ranks of RANK_COUNTS) {
    describe(`on ${ranks} ranks`, () => {
      it('hello', async () => {
        const lines = await linesOf(ranks, 'hello')
        assert.deepEqual(
          lines.map((line) => line.replace(/, process \d+$/, '')),
          Array.from({ length: ranks }, (_, rank) => `hello from rank ${rank} of ${ranks}`),
        )
      })

      it('pi', async () => {
        const pi = Number(found(await linesOf(ranks, 'pi', 100_000), /^pi is about (.+)$/))
        assert.ok(Math.abs(pi - Math.PI) < 1e-9, `pi was ${pi}`)
      })

      it('ring', async () => {
        const lines = await linesOf(ranks, 'ring', 100)
        assert.equal(lines[0], `100 laps over ${ranks} ranks: the token is ${100 * ranks}`)
      })

      it('heat', async () => {
        // 25 rows: no share is like the other.
        const [side, steps] = [25, 60]
        const file = path.join(folder, `pictures-${ranks}`, 'heat.png')
        const lines = await linesOf(ranks, 'heat', side, steps, file)
        const plate = solvePlate(side, steps)
        const mean = plate.reduce((sum, cell) => sum + cell, 0) / side ** 2
        assert.ok(Math.abs(Number(found(lines, /^mean temperature (.+)$/)) - mean) < 1e-9)
        const picture = decode(fs.readFileSync(file))
        assert.deepEqual([picture.width, picture.height, picture.channels], [side, side, 3])
        plate.forEach((cell, i) => {
          // The channels rise one after the other, so their sum grows evenly with the temperature.
          const shown = [0, 1, 2].reduce((sum, channel) => sum + picture.data[3 * i + channel]!, 0) / 765
          assert.ok(
            Math.abs(shown - cell) < 1 / 765,
            `row ${Math.floor(i / side)}, column ${i % side}: ${shown}, not ${cell}`,
          )
        })
      })

      it('task-farm', async () => {
        const lines = await linesOf(ranks, 'task-farm', 100_000)
        assert.equal(lines[0], 'the longest chain below 100000 starts at 77031 and takes 350 steps')
        const tasks = lines.slice(1).map((line) => Number(/^worker \d+ did (\d+) tasks$/.exec(line)?.[1]))
        assert.equal(tasks.length, ranks - 1)
        assert.equal(
          tasks.reduce((sum, count) => sum + count, 0),
          20,
        )
      })

      it('sort', async () => {
        const lines = await linesOf(ranks, 'sort', 50_000)
        const counts = found(lines, /^numbers per rank: (.+)$/).split(', ')
        assert.equal(counts.length, ranks)
        assert.equal(
          counts.reduce((sum, count) => sum + Number(count), 0),
          50_000,
        )
      })

      it('server', async () => {
        const clients = ranks - 1
        assert.deepEqual(await linesOf(ranks, 'server', 30), [
          `answered ${30 * clients} requests`,
          ...['apples', 'pears', 'plums'].map((key) => `${key}: ${10 * clients}`),
        ])
      })

      it('word-count', async () => {
        const texts = path.join(folder, `texts-${ranks}`)
        writeTexts(texts)
        checkWordCount(await linesOf(ranks, 'word-count', texts))
      })
    })
  }

  for (const ranks of [1, 2, 3, 4]) {
    it(`spawn on ${ranks} ranks`, async () => {
      const workers = Math.max(3, ranks)
      assert.deepEqual(await linesOf(ranks, 'spawn', 2_100_000), [
        `155805 primes below 2100000, counted by ${workers} workers of ${ranks} ranks`,
      ])
    })
  }

  it('word-count on one rank finds the same', async () => {
    const texts = path.join(folder, 'texts-1')
    writeTexts(texts)
    const lines = await linesOf(1, 'word-count', texts)
    checkWordCount(lines)
    assert.ok(lines.includes('no messages: there is only one rank'))
  })

  it('word-count draws a bar when the launcher says that a terminal is there', () => {
    const texts = path.join(folder, 'texts-bar')
    writeTexts(texts)
    const { status, stderr } = spawnSync(process.execPath, ['--import=tsx', 'examples/word-count.ts', texts], {
      cwd: ROOT,
      encoding: 'utf8',
      env: { ...process.env, ONECOPY_TERMINAL_COLUMNS: '80' },
    })
    assert.equal(status, 0, stderr)
    const frames = stderr.split('\r')
    assert.match(frames[0]!, /\[-+\] 0 % of 0 MB/)
    assert.match(frames.at(-2)!, /1 rank \[=+\] 100 % of 0 MB/)
  })

  it('word-count of an empty folder', async () => {
    const empty = path.join(folder, 'empty')
    fs.mkdirSync(empty)
    const lines = await linesOf(2, 'word-count', empty)
    assert.equal(lines[0], `No words below ${empty}.`)
    assert.ok(lines.includes('0 text files, 0.000 MB, 0 words, 0 different ones'))
  })

  it('word-count of a folder that is not there ends with code 2', async () => {
    const { exitCode, stderr } = await run(2, 'examples/word-count.ts', path.join(folder, 'nowhere'))
    assert.equal(exitCode, 2)
    assert.match(stderr, /cannot read the folder .*nowhere: ENOENT/)
  })

  it('word-count leaves out what it may not read', async function () {
    const reason = stranger.length > 0 && strangerFails()
    if (reason) {
      if (this.test !== undefined) Object.assign(this.test, { skipReason: reason })
      this.skip()
    }
    const texts = path.join(folder, 'closed')
    fs.mkdirSync(path.join(texts, 'folder'), { recursive: true })
    fs.writeFileSync(path.join(texts, 'open.txt'), 'open')
    fs.writeFileSync(path.join(texts, 'closed.txt'), 'closed')
    fs.chmodSync(folder, 0o755)
    fs.chmodSync(path.join(texts, 'closed.txt'), 0)
    fs.chmodSync(path.join(texts, 'folder'), 0)
    const { exitCode, stdout, stderr } = await runThrough(stranger, 2, 'examples/word-count.ts', texts)
    assert.equal(exitCode, 0, stderr)
    assert.match(stdout, /^1 text files, .*, 1 words, 1 different ones$/m)
    assert.match(stdout, /^left out: 0 binary, .*, 2 unreadable,/m)
  })

  it('sort of fewer numbers than ranks', async () => {
    const lines = await linesOf(3, 'sort', 1)
    assert.deepEqual(
      found(lines, /^numbers per rank: (.+)$/)
        .split(', ')
        .sort(),
      ['0', '0', '1'],
    )
  })

  it('server on one rank asks itself', async () => {
    assert.deepEqual(await linesOf(1, 'server', 3), ['answered 3 requests', 'apples: 1', 'pears: 1', 'plums: 1'])
  })

  it('a wrong argument ends the job with code 2', async () => {
    const { exitCode, stdout, stderr } = await run(2, 'examples/pi.ts', 'many')
    assert.equal(exitCode, 2)
    assert.equal(stdout, '')
    assert.match(stderr, /rectangles must be an integer from 1 to 10000000000, not 'many'/)
  })
})

/** Root may read everything, so a root's tests become somebody else for this; others need nothing. */
const stranger =
  process.getuid?.() === 0 ? ['setpriv', '--reuid', '61000', '--regid', '61000', '--clear-groups', '--reset-env'] : []

/** Why the stranger cannot run anything here; false when he can. */
function strangerFails(): string | false {
  const { status, error, stderr } = spawnSync(stranger[0]!, [...stranger.slice(1), process.execPath, '-p', '1'], {
    cwd: ROOT,
    encoding: 'utf8',
  })
  return status !== 0 && `tests run as root, and setpriv cannot change that here: ${error?.message ?? stderr}`
}

const TEXT_COUNT = 150

/** A tree with known words, and with everything that must not be counted. */
function writeTexts(texts: string): void {
  fs.mkdirSync(path.join(texts, 'deep', 'er'), { recursive: true })
  for (let i = 0; i < TEXT_COUNT; i++) {
    fs.writeFileSync(
      path.join(texts, i % 2 === 0 ? 'deep/er' : 'deep', `${i}.txt`),
      'The cat; the CAT\r\n(mat) a b\tdon’t_stop',
    )
  }
  // Composed and decomposed letters are one word; so are both cases of every script.
  fs.writeFileSync(path.join(texts, 'unicode.md'), 'Élan e\u0301lan ÉLAN — «Ёлка» ёлка 東京 東京 naïve\n')
  fs.writeFileSync(path.join(texts, 'data.txt'), `before ${'Zm9v'.repeat(400)} after ${'x'.repeat(70)} after`)
  fs.writeFileSync(path.join(texts, 'nothing.txt'), '')
  fs.writeFileSync(path.join(texts, 'program'), Buffer.from('the cat\0the cat'))
  fs.writeFileSync(path.join(texts, 'latin1.txt'), Buffer.from('caf\xe9 the cat', 'latin1'))
  fs.writeFileSync(path.join(texts, 'huge.txt'), '')
  fs.truncateSync(path.join(texts, 'huge.txt'), 17 * 2 ** 20)
  fs.symlinkSync(texts, path.join(texts, 'deep', 'loop'))
  fs.symlinkSync('nowhere', path.join(texts, 'dangling'))
}

function checkWordCount(lines: readonly string[]): void {
  const counts = new Map(
    lines.flatMap((line) => {
      const match = /^ {2} *([\d,]+) {2}(\S+)$/.exec(line)
      return match === null ? [] : [[match[2], Number(match[1]!.replace(',', ''))] as const]
    }),
  )
  assert.deepEqual(
    [...counts],
    [
      ['cat', 2 * TEXT_COUNT],
      ['the', 2 * TEXT_COUNT],
      ['don', TEXT_COUNT],
      ['mat', TEXT_COUNT],
      ['stop', TEXT_COUNT],
      ['élan', 3],
      ['after', 2],
      ['ёлка', 2],
      ['東京', 2],
      ['before', 1],
      ['naïve', 1],
    ],
  )
  const words = [...counts.values()].reduce((sum, count) => sum + count, 0)
  const text = lines.find((line) => line.includes(' text files, '))
  assert.match(
    text ?? '',
    new RegExp(`^${TEXT_COUNT + 3} text files, .* MB, ${words.toLocaleString('en')} words, 11 different ones$`),
  )
  const leftOut = lines.find((line) => line.startsWith('left out: '))
  assert.equal(
    leftOut,
    'left out: 2 binary, 1 over 16 MiB (17.8 MB), 0 unreadable, 2 symbolic links; 0.002 MB of encoded data within the texts',
  )
}
