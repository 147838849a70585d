import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CollectivesReport } from '../collectives.js'
import { bench, isInstalled } from './support.js'

describe('bench collectives', () => {
  let folder = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'onecopy-bench-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  it('prints one table per number of ranks and writes the same numbers to JSON', function () {
    this.timeout(180_000)
    const json = join(folder, 'collectives.json')
    const { status, stdout, stderr } = bench(
      ...['collectives', '--quick', '--milliseconds', '0.2', '--sizes', '8,64Ki', '--ranks', '2,3', '--json', json],
    )
    assert.equal(status, 0, `${stdout}\n${stderr}`)
    const report = JSON.parse(readFileSync(json, 'utf8')) as CollectivesReport
    const expected = ['onecopy']
    for (const library of ['openmpi', 'mpich']) {
      if (isInstalled(`mpicc.${library}`)) expected.push(library)
      else assert.match(stdout, new RegExp(`${library}, 2 ranks: mpicc\\.${library} is not installed`))
    }
    for (const ranks of [2, 3]) {
      for (const contender of expected) {
        for (const collective of ['barrier', 'bcast', 'reduce', 'allreduce', 'allgather', 'alltoall']) {
          for (const bytes of collective === 'barrier' ? [0] : [8, 65536]) {
            const result = report.results.find(
              (each) =>
                each.ranks === ranks &&
                each.contender === contender &&
                each.collective === collective &&
                each.bytes === bytes,
            )
            assert.ok(
              result,
              `${contender}, ${ranks} ranks: no ${collective} of ${bytes}: ${JSON.stringify(report.left)}`,
            )
            assert.equal(result.best, Math.min(...result.all))
          }
        }
      }
      assert.match(stdout, new RegExp(`^${ranks} ranks`, 'm'))
    }
    assert.equal(stdout.match(/^\| alltoall .* 64 KiB /gm)?.length, 2)
    assert.match(stdout, / : C \|/)
    assert.match(stderr, /round 1 of 1: onecopy, 3 ranks/)
  })

  it('refuses what it cannot measure', () => {
    assert.match(bench('collectives', '--sizes', '12').stderr, /no whole number/)
    assert.match(bench('collectives', '--only', 'scan').stderr, /no collective is called 'scan' here/)
    assert.match(bench('collectives', '--ranks', '0').stderr, /--ranks takes a number above 0/)
    assert.match(bench('collectives', '--contenders', 'nobody').stderr, /no contender is called 'nobody'/)
  })
})
