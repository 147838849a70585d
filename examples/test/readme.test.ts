import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'
import { ERROR_CODES } from 'onecopy'
import { ROOT, run } from './support/run-example.ts'

const readme = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8')

describe('README.md', function () {
  this.timeout(90_000)
  this.slow(10_000)

  it('has the two lines for a fresh machine, and the scripts behind them exist', () => {
    for (const line of ['npm ci && npm start', 'npm ci && npm test'])
      assert.ok(readme.split('\n').includes(`    ${line}`))
    const { scripts } = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'))
    assert.ok(scripts.start.includes('examples/word-count.ts'))
    assert.ok(scripts.test)
  })

  it('has the table of errors', () => {
    const rows = [...readme.matchAll(/^\| `(ERR_\w+)` \| (.*) \|$/gm)].map(([, code, sentence]) => [code, sentence])
    assert.deepEqual(Object.fromEntries(rows), { ...ERROR_CODES })
  })

  it('names only flags that the command line has', async () => {
    const { stdout } = await run(1, '--help')
    const flags = new Set(readme.match(/(?<=`)--[a-z-]+/g))
    assert.ok(flags.size >= 8, `only ${[...flags]} were found`)
    for (const flag of flags) {
      // Of Docker, and of npm.
      if (['--cap-add', '--ignore-scripts'].includes(flag)) continue
      assert.ok(stdout.includes(flag), `onecopy run has no ${flag}`)
    }
  })

  it('names only verbs that exist', async () => {
    const onecopy: Record<string, unknown> = await import('onecopy')
    const world = await onecopyWorld()
    const table = readme.slice(readme.indexOf('## The verbs'), readme.indexOf('## Command line'))
    const rows = table
      .split('\n')
      .filter(
        (line) => line.startsWith('| ') && !/^\| (chapter|persistent|requests|groups|intercommunicators) /.test(line),
      )
    const names = rows.flatMap((row) => [...row.matchAll(/`([a-z]\w+)`/g)].map(([, name]) => name!))
    assert.ok(names.length > 30, `only ${names} were found`)
    for (const name of names) {
      if (name === 'sync' || name === 'counts' || name === 'displs' || name === 'types') continue
      assert.ok(name in world || name in onecopy, `there is no ${name}`)
    }
    for (const name of table.match(/`([A-Z_]+)`/g) ?? []) assert.ok(name.slice(1, -1) in onecopy, `there is no ${name}`)
  })

  it('has a first program that works', async () => {
    const program = /```js\n(\/\/ first\.mjs\n[^`]*(?:`[^`\n]+`[^`]*)*)```/.exec(readme)?.[1]
    assert.ok(program, 'no program was found')
    // Within the repository, where 'onecopy' is found; the folder is not under version control.
    const folder = path.join(ROOT, 'examples', 'out')
    fs.mkdirSync(folder, { recursive: true })
    const file = path.join(folder, `first-${process.pid}.mjs`)
    fs.writeFileSync(file, program)
    try {
      const { exitCode, stdout, stderr } = await run(3, file)
      assert.equal(exitCode, 0, stderr)
      assert.match(stdout, /each of 1000000 sums is 3$/m)
      assert.match(stdout, /hello: 2, at: \d{4}-/)
    } finally {
      fs.rmSync(file)
    }
  })
})

/** A world of one: this process has no launcher. */
async function onecopyWorld(): Promise<object> {
  const { init } = await import('onecopy')
  return init()
}
