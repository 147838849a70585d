// Mocha's spec reporter, which also appends one JSON line per finished test to $ONECOPY_TEST_RESULTS. A line is on disk
// as soon as its test is over, so a process that dies half way has still told what it did.
import { appendFileSync } from 'node:fs'
import Mocha from 'mocha'

const { EVENT_RUN_END, EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_PENDING } = Mocha.Runner.constants

export default class Reporter extends Mocha.reporters.Spec {
  constructor(runner, options) {
    super(runner, options)
    const path = process.env.ONECOPY_TEST_RESULTS
    if (path === undefined) return
    const write = (line) => appendFileSync(path, `${JSON.stringify(line)}\n`)
    runner.on(EVENT_TEST_PASS, (test) => write({ outcome: 'passed', title: test.fullTitle() }))
    runner.on(EVENT_TEST_FAIL, (test) => write({ outcome: 'failed', title: test.fullTitle() }))
    // A test tells why it skips by setting `skipReason` on itself: `this.test.skipReason = '…'; this.skip()`.
    runner.on(EVENT_TEST_PENDING, (test) =>
      write({ outcome: 'skipped', title: test.fullTitle(), reason: test.skipReason ?? test.parent?.skipReason }),
    )
    runner.once(EVENT_RUN_END, () => write({ outcome: 'end' }))
  }
}
