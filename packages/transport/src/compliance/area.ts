import { describeError } from './expect.js'
import { Stage } from './stage.js'
import type { Capability, ComplianceRunner, ComplianceSubject } from './subject.js'

/** Declares one test of an area. With `needs`, it is skipped where the subject lacks one of them. */
export type DeclareTest = (
  title: string,
  body: (stage: Stage) => void | Promise<void>,
  needs?: readonly Capability[],
) => void

/** A chapter of the contract: declares tests, each of which gets a fresh job. */
export interface Area {
  readonly title: string
  /** Ranks of the job that each test gets. */
  readonly size: number
  declare(test: DeclareTest, subject: ComplianceSubject): void
}

export function declareArea(runner: ComplianceRunner, subject: ComplianceSubject, area: Area): void {
  runner.describe(area.title, () => {
    let stage: Stage | null = null
    let closeFixture: (() => void | Promise<void>) | null = null

    runner.beforeEach(async () => {
      const fixture = await subject.open(area.size)
      closeFixture = () => fixture.close()
      stage = new Stage(fixture, subject)
    })

    // Here and not at the end of the test, so that a test that was cut off by the runner's timeout leaves nothing behind.
    runner.afterEach(async () => {
      const close = closeFixture
      stage = null
      closeFixture = null
      await close?.()
    })

    area.declare((title, body, needs = []) => {
      const lacking = needs.map((need) => reasonToSkip(need, subject)).find((reason) => reason !== null) ?? null
      const run = async (): Promise<void> => {
        if (stage === null) throw new Error('the runner did not run beforeEach, or it failed')
        try {
          await body(stage)
          stage.check()
        } catch (error) {
          // A broken rule is the cause, whatever else went wrong because of it.
          const violation = stage?.recorders.find((recorder) => recorder.violation !== null)?.violation
          if (violation === undefined || violation === null) throw error
          throw new Error(`${violation} (then: ${describeError(error)})`, { cause: error })
        }
      }
      if (lacking === null) runner.it(title, run)
      else runner.it.skip(`${title} (skipped: ${lacking})`, run)
    }, subject)
  })
}

function reasonToSkip(need: Capability, subject: ComplianceSubject): string | null {
  const reason = subject.lacks?.[need] ?? null
  const needsMemory = need === 'remoteWrite' || need === 'withdrawal'
  return reason ?? (needsMemory ? (subject.lacks?.remoteMemory ?? null) : null)
}
