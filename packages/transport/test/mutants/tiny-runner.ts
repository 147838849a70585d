import type { ComplianceRunner } from '@onecopy/transport/compliance'

type Body = () => void | Promise<void>

interface Entry {
  readonly title: string
  readonly body: Body
  readonly before: readonly Body[]
  readonly after: readonly Body[]
}

export interface Outcome {
  readonly passed: number
  readonly skipped: string[]
  /** `area > test: message` of the first failure, where the run stops; null when everything passed. */
  readonly failure: string | null
}

/** Runs declared tests in memory and stops at the first failure: a runner for tests of the tests. */
export async function runTiny(declare: (runner: ComplianceRunner) => void): Promise<Outcome> {
  const entries: Entry[] = []
  const skipped: string[] = []
  let path: string[] = []
  let before: Body[] = []
  let after: Body[] = []
  const it = Object.assign(
    (title: string, body: Body) => {
      entries.push({ title: [...path.slice(1), title].join(' > '), body, before, after })
    },
    { skip: (title: string) => skipped.push(title) },
  )
  declare({
    describe(title, body) {
      const outer = { path, before, after }
      path = [...path, title]
      before = [...before]
      after = [...after]
      body()
      path = outer.path
      before = outer.before
      after = outer.after
    },
    it,
    beforeEach: (body) => before.push(body),
    afterEach: (body) => after.push(body),
  })

  let passed = 0
  for (const { title, body, before: setUps, after: tearDowns } of entries) {
    let failure: unknown
    try {
      for (const setUp of setUps) await setUp()
      await body()
      passed++
    } catch (error) {
      failure = error
    }
    for (const tearDown of tearDowns) await tearDown()
    if (failure !== undefined) return { passed, skipped, failure: `${title}: ${String(failure)}` }
  }
  return { passed, skipped, failure: null }
}
