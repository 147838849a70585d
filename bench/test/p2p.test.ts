import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatPlan, parseTimes } from '../measure.js'
import type { Report } from '../p2p.js'
import { formatTable } from '../table.js'
import { formatBytes, formatNumber, parseBytes } from '../units.js'
import { bench, isInstalled } from './support.js'

describe('bench p2p', () => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'onecopy-bench-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('prints a table and writes the same numbers to JSON and SVG', function () {
    this.timeout(180_000)
    const [json, plot] = [join(folder, 'p2p.json'), join(folder, 'p2p.svg')]
    const sizes = [8, 65536]
    const { status, stdout, stderr } = bench(
      ...['p2p', '--quick', '--only-messages', '--milliseconds', '0.2', '--sizes', '8,64Ki'],
      ...['--json', json, '--plot', plot],
    )
    assert.equal(status, 0, `${stdout}\n${stderr}`)

    const report = JSON.parse(readFileSync(json, 'utf8')) as Report
    const expected = [
      'sync',
      'async',
      'async-into',
      'rings',
      'pipe',
      'worker-threads',
      'fork-advanced',
      'fork-json',
      'stdio-pipe',
    ]
    if (isInstalled('mpicc.openmpi')) expected.push('openmpi', 'openmpi-no-cma')
    else assert.match(stdout, /openmpi: mpicc\.openmpi is not installed/)
    if (isInstalled('mpicc.mpich')) expected.push('mpich')
    else assert.match(stdout, /mpich: mpicc\.mpich is not installed/)
    for (const contender of expected) {
      for (const message of sizes) {
        const result = report.results.find((each) => each.contender === contender && each.message === message)
        assert.ok(result, `${contender} has no result for ${message} bytes: ${JSON.stringify(report.left)}`)
        assert.ok(result.best > 0)
        assert.equal(result.best, Math.min(...result.all))
      }
    }
    for (const contender of ['async', 'worker-threads', 'fork-advanced', 'fork-json']) {
      assert.ok(
        report.results.some((each) => each.contender === contender && each.message === 'object'),
        contender,
      )
    }
    assert.equal(report.versions.node, process.version)
    assert.ok(report.machine.cores > 0)
    assert.ok(!Number.isNaN(Date.parse(report.date)))

    const rows = stdout.split('\n').filter((line) => /^\| \d+ (?:B|KiB) /.test(line))
    assert.deepEqual(
      rows.map((row) => row.split('|')[1]?.trim()),
      ['8 B', '64 KiB'],
    )
    assert.match(stdout, /sync : C/)
    assert.match(stdout, /A small object/)
    const drawing = readFileSync(plot, 'utf8')
    assert.match(drawing, /^<svg [\s\S]*<\/svg>\n$/)
    assert.match(drawing, /onecopy sync/)
    assert.doesNotMatch(drawing, /NaN/)
  })

  it('prints its help without a bench, and with an unknown one says so', () => {
    const none = bench()
    assert.equal(none.status, 2)
    assert.match(none.stdout, /npm run bench -- p2p\|collectives/)
    const unknown = bench('p3p')
    assert.equal(unknown.status, 2)
    assert.match(unknown.stderr, /no bench called 'p3p'/)
    assert.equal(bench('--help').status, 0)
  })

  it('refuses a contender, size or file it cannot use', () => {
    assert.match(bench('p2p', '--contenders', 'nobody').stderr, /no contender is called 'nobody'/)
    assert.match(bench('p2p', '--sizes', '8,many').stderr, /'many' is not a size/)
    assert.match(bench('p2p', '--plot', 'times.png').stderr, /ends in \.svg/)
    assert.match(bench('p2p', '--rounds', '0').stderr, /--rounds takes a number above 0/)
  })
})

describe('bench, its parts', () => {
  it('reads and writes sizes', () => {
    assert.deepEqual(['0', '8', '1Ki', '64KiB', '2Mi'].map(parseBytes), [0, 8, 1024, 65536, 2 ** 21])
    assert.deepEqual([0, 1000, 1024, 3 * 2 ** 20].map(formatBytes), ['0 B', '1000 B', '1 KiB', '3 MiB'])
    assert.throws(() => parseBytes('-1'), RangeError)
  })

  it('writes three digits', () => {
    const numbers = [0, 0.0213, 0.213, 1.5, 12.44, 345.4, 11700, 1234567]
    assert.deepEqual(numbers.map(formatNumber), ['0', '0.021', '0.213', '1.50', '12.4', '345', '11 700', '1 234 567'])
  })

  it('reads back what a contender prints, and nothing else', () => {
    const plan = [
      { message: 8, length: 2, batches: 3 },
      { message: 'object', length: 1, batches: 1 },
    ] as const
    assert.equal(formatPlan(plan), '8:2:3,object:1:1')
    assert.deepEqual(
      [...parseTimes('8 1.5 1.25\nobject 40\n')],
      [
        ['8', [1.5, 1.25]],
        ['object', [40]],
      ],
    )
    assert.throws(() => parseTimes('8 1.5\nwarning: something\n'), /not a line of results/)
    assert.throws(() => parseTimes('8\n'), /not a line of results/)
  })

  it('lines columns up', () => {
    assert.equal(
      formatTable(
        ['a', 'b'],
        [
          ['x', '1'],
          ['long', '12345'],
        ],
      ),
      '| a    |     b |\n| ---- | ----: |\n| x    |     1 |\n| long | 12345 |',
    )
  })
})
