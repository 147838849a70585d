// The right-hand sides of docs/from-mpi4py.md, each run on two ranks as a script of its own.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import * as onecopy from 'onecopy'
import { ROOT, run } from './support/run-example.ts'

interface Snippet {
  readonly heading: string
  readonly line: number
  /** What the fence says after `js`: `needs=name`, `flags=continue`. */
  readonly info: string
  readonly code: string
  /** All ranks' lines. */
  readonly prints: readonly string[]
}

const RANKS = 2
const KILLED = 137
const page = fs.readFileSync(path.join(ROOT, 'docs', 'from-mpi4py.md'), 'utf8')

describe('docs/from-mpi4py.md', function () {
  this.timeout(90_000)
  this.slow(10_000)
  const snippets = snippetsOf(page)
  const preamble = snippets.find(({ info }) => info === 'preamble')
  // Within the repository, where 'onecopy' is found; the folder is not under version control.
  const folder = path.join(ROOT, 'examples', 'out', `from-mpi4py-${process.pid}`)

  before(() => {
    fs.mkdirSync(folder, { recursive: true })
  })

  after(() => {
    fs.rmSync(folder, { recursive: true, force: true })
  })

  it('has snippets', () => {
    assert.ok(preamble !== undefined)
    assert.ok(snippets.length > 20, `only ${snippets.length} were found`)
  })

  for (const { heading, line, info, code, prints } of snippets) {
    if (info === 'preamble') continue
    it(`${heading}, line ${line}`, async function () {
      const needed = /needs=(\w+)/.exec(info)?.[1]
      if (needed !== undefined && !(needed in (await onecopy.init()))) {
        Object.assign(this.test!, { skipReason: `communicators have no ${needed} yet` })
        this.skip()
      }
      const file = path.join(folder, `line-${line}.mjs`)
      fs.writeFileSync(file, `${preamble!.code}\n${code}`)
      const goesOn = info.includes('flags=continue')
      const args = goesOn ? ['--on-failure', 'continue', file] : [file]
      const { exitCode, stdout, stderr } = await run(RANKS, args[0]!, ...args.slice(1))
      assert.deepEqual(stdout.split('\n').slice(0, -1).sort(), [...prints].sort(), stderr)
      if (!goesOn) assert.equal(stderr, '')
      assert.equal(exitCode, goesOn ? KILLED : 0, stderr)
    })
  }
})

/** The JavaScript of the page, with the comment behind it that says what it prints. */
function snippetsOf(page: string): Snippet[] {
  const snippets: Snippet[] = []
  for (const match of page.matchAll(
    /^```js *(.*)\n([\s\S]*?)^```\n(?:\n<\/td><\/tr><\/table>\n\n<!-- prints\n([\s\S]*?)\n-->)?/gm,
  )) {
    const before = page.slice(0, match.index)
    snippets.push({
      heading: before.slice(before.lastIndexOf('\n## ') + 4).split('\n')[0]!,
      line: before.split('\n').length,
      info: match[1]!,
      code: match[2]!,
      prints: match[3] === undefined ? [] : match[3].split('\n'),
    })
  }
  return snippets
}
