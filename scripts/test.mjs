// Runs the test suite, one mocha process per group, one after the other (the tests start processes of their own, and
// two cores are soon full). The last line is `N passed, M failed` or `N passed, M failed, K skipped`.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { fetchNode } from './fetch-node.mjs'

const HELP = `npm test -- [group …] [options]

  group             transport, transport-cma, transport-pipe, runtime, examples, bench; all of them by default
  --matrix          runs the runtime's tests that travel by whatever is there once more under each of the other ways
                    (see VARIANTS in scripts/test.mjs): five minutes
  --full-matrix     all of the runtime's and the examples' tests under each of them: half an hour
  --only-matrix     the matrix only, not the default way
  --newer-node N    the examples, and what shows a difference between versions of Node (see NEWER_NODE in
                    scripts/test.mjs), once more on the newest Node N; the whole suite: npm run test:node -- N
  --grep PATTERN    only the tests whose title matches
  --minutes N       gives up after N minutes (default 18, or 60 with --full-matrix)
`

/**
 * The ways a message can travel other than the default, which is koffi with remote memory allowed: each is the same suite
 * with another environment.
 */
const VARIANTS = [
  { name: 'ffi-napi', env: { ONECOPY_FFI: 'ffi-napi' } },
  { name: 'remote memory off', env: { ONECOPY_CMA: 'off' } },
  // Between processes the collectives choose transports by a flag, which wins over the environment.
  { name: 'pipe', env: { ONECOPY_TRANSPORT: 'pipe' }, leftOut: ['collectives-processes'] },
]
/**
 * How the names of test files begin that the matrix leaves out: they start no ranks, or say themselves which transport
 * and which FFI package they are about.
 */
const SAME_EVERYWHERE = [
  'codec',
  'collectives-errors',
  'collectives-failures',
  'collectives-landing',
  'collectives-layouts',
  'collectives-long-postings',
  'collectives-movement',
  'collectives-operations',
  'collectives-outstanding',
  'collectives-persistent',
  'collectives-postings',
  'collectives-pulls',
  'collectives-reduce-scatter',
  'collectives-reduction',
  'collectives-two-ranks',
  'collectives-workspace',
  'communicators-leaks',
  'communicators.',
  'drivers',
  'huge-pages',
  'intercommunicators',
  'kept-steps',
  'known-arrays',
  'launcher-control',
  'launcher-doctor',
  'matching',
  'mpi-page',
  'operation',
  'package',
  'plain-writer',
  'protocol',
  'readme',
  'recovery',
  'simulated-',
  'v8-options',
  'vector-memory',
]
/** What the short matrix leaves out besides: these start jobs over several transports themselves. */
const OWN_TRANSPORTS = ['errors', 'launcher-', 'point-to-point', 'processes-', 'reliability-', 'request']
const FLOORS = ['transport', 'transport-cma', 'transport-pipe', 'runtime']
const MATRIX_GROUPS = ['runtime']
const FULL_MATRIX_GROUPS = ['runtime', 'examples']
/**
 * How the names of test files begin that run on a newer Node besides the examples: together they are about type stripping,
 * the launcher, both FFI packages, both transports, CommonJS and values from end to end. What is left is plain JavaScript.
 */
const NEWER_NODE = ['launcher-run', 'point-to-point-processes']
/** Up to how many skipped tests with the same reason are named; more are only counted (the runs above name them all). */
const TITLES_MAX = 5
/** How long a mocha process may go on after its last test: what keeps it alive longer is a leak, and a failure. */
const LEAK_MILLISECONDS = 15_000
/** How long no test may end: mocha's own timeouts cannot fire in a process whose thread is blocked. */
const SILENCE_MILLISECONDS = 6 * 60_000

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const mocha = join(dirname(createRequire(import.meta.url).resolve('mocha/package.json')), 'bin', 'mocha.js')

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    matrix: { type: 'boolean', default: false },
    'full-matrix': { type: 'boolean', default: false },
    'only-matrix': { type: 'boolean', default: false },
    'newer-node': { type: 'string' },
    grep: { type: 'string' },
    minutes: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) {
  process.stdout.write(HELP)
  process.exit(0)
}
const groups = chosenGroups(positionals)
const withMatrix = values.matrix || values['only-matrix'] || values['full-matrix']
const leftOut = values['full-matrix'] ? SAME_EVERYWHERE : [...SAME_EVERYWHERE, ...OWN_TRANSPORTS]
const matrixGroups = values['full-matrix'] ? FULL_MATRIX_GROUPS : MATRIX_GROUPS
const minutes = Number(values.minutes ?? (values['full-matrix'] ? 60 : 18))
const endsAt = performance.now() + minutes * 60_000
const folder = mkdtempSync(join(tmpdir(), 'onecopy-tests-'))
const results = []
let child = null

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    end(child)
    rmSync(folder, { recursive: true, force: true })
    process.exit(1)
  })
}

try {
  if (!values['only-matrix']) for (const group of groups) await run(group.name, group.files, {})
  if (withMatrix) {
    for (const { name, env, leftOut: ownLeftOut = [] } of VARIANTS) {
      for (const group of groups.filter((each) => matrixGroups.includes(each.name))) {
        const files = group.files.filter((path) => !beginsWith(path, [...leftOut, ...ownLeftOut]))
        await run(`${group.name}, ${name}`, files, env)
      }
    }
  }
  if (values['newer-node'] !== undefined) await runOnNewerNode(values['newer-node'])
} finally {
  rmSync(folder, { recursive: true, force: true })
}
report()

function chosenGroups(names) {
  const packages = readdirSync(join(root, 'packages'))
  // From the bottom floor up: a fault is then reported first where it is.
  const ordered = [...FLOORS, ...packages.filter((name) => !FLOORS.includes(name))]
  const all = [
    ...ordered.map((name) => [name, `packages/${name}/test`]),
    ['examples', 'examples/test'],
    ['bench', 'bench/test'],
  ]
  for (const name of names) {
    if (!all.some(([each]) => each === name)) {
      console.error(`No group is called '${name}'. There are: ${all.map(([each]) => each).join(', ')}.`)
      process.exit(2)
    }
  }
  return all
    .filter(([name]) => names.length === 0 || names.includes(name))
    .map(([name, path]) => ({ name, files: testFiles(join(root, path)) }))
    .filter(({ files }) => files.length > 0)
}

function testFiles(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true })
    .filter((path) => path.endsWith('.test.ts'))
    .map((path) => join(folder, path))
    .sort()
}

function beginsWith(path, beginnings) {
  return beginnings.some((each) => basename(path).startsWith(each))
}

async function runOnNewerNode(major) {
  const files = groups.flatMap((group) => {
    return group.name === 'examples' ? group.files : group.files.filter((path) => beginsWith(path, NEWER_NODE))
  })
  if (files.length === 0) return
  let node
  try {
    node = fetchNode(major)
  } catch (error) {
    // Without a registry that has the binary nothing can run; told like any other missing capability.
    addResult(`Node ${major}`).skipped.push({ title: 'everything', reason: error.message })
    return
  }
  await run(`Node ${node.version.slice(1)}`, files, node.env, node.path)
}

function addResult(name) {
  const result = { name, passed: [], failed: [], skipped: [], seconds: 0 }
  results.push(result)
  return result
}

/** Runs one group in a mocha process of its own and notes what it told. */
async function run(name, files, env, node = process.execPath) {
  const startedAt = performance.now()
  const result = addResult(name)
  const millisecondsLeft = endsAt - performance.now()
  if (millisecondsLeft <= 0) {
    result.failed.push({ title: `not run: the ${minutes} minutes for the whole suite were over` })
    return
  }
  console.log(`\n=== ${name} ===`)
  const log = join(folder, `${results.length}.jsonl`)
  const args = [mocha, '--reporter', join(root, 'scripts', 'reporter.mjs'), '--forbid-only']
  if (values.grep !== undefined) args.push('--grep', values.grep)
  // A process group of its own, so that what a stuck test has started ends with it.
  child = spawn(node, [...args, ...files], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env, ONECOPY_TEST_RESULTS: log },
    detached: process.platform !== 'win32',
  })
  const running = child
  const exited = new Promise((resolveExit) => {
    running.once('error', (error) => resolveExit(`could not be started: ${error.message}`))
    running.once('exit', (code, signal) => resolveExit(signal ?? code))
  })
  let stopped = null
  let overSince = null
  let lineCount = 0
  let lastLineAt = performance.now()
  const watch = setInterval(() => {
    const now = performance.now()
    const lines = readLines(log)
    if (lines.length > lineCount) [lineCount, lastLineAt] = [lines.length, now]
    if (now - lastLineAt > SILENCE_MILLISECONDS) {
      stopped ??= `stopped: no test had ended for ${SILENCE_MILLISECONDS / 60_000} minutes after '${lines.at(-1)?.title}'`
    }
    if (now > endsAt) stopped ??= `stopped: the ${minutes} minutes for the whole suite were over`
    if (overSince === null && lines.some((line) => line.outcome === 'end')) overSince = now
    if (overSince !== null && now - overSince > LEAK_MILLISECONDS) {
      stopped ??= `stopped ${LEAK_MILLISECONDS / 1000} s after its last test: a test left a timer, handle or process open`
    }
    if (stopped !== null) end(running)
  }, 500)
  const exit = await exited
  clearInterval(watch)
  // What it may have left behind.
  end(running)
  child = null
  result.seconds = Math.round((performance.now() - startedAt) / 1000)

  const lines = readLines(log)
  for (const line of lines) if (line.outcome !== 'end') result[line.outcome].push(line)
  if (stopped !== null) result.failed.push({ title: stopped })
  else if (exit !== 0 && (result.failed.length === 0 || !lines.some((line) => line.outcome === 'end'))) {
    result.failed.push({ title: `mocha ended before its tests did (${exit}); its own words are above` })
  }
}

function readLines(path) {
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}

function end(running) {
  if (running?.pid === undefined) return
  try {
    process.kill(process.platform === 'win32' ? running.pid : -running.pid, 'SIGKILL')
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

function report() {
  const count = (outcome) => results.reduce((sum, result) => sum + result[outcome].length, 0)
  const [passed, failed, skipped] = [count('passed'), count('failed'), count('skipped')]
  console.log()
  for (const result of results) {
    const parts = ['passed', 'failed', 'skipped'].map((outcome) => `${result[outcome].length} ${outcome}`)
    console.log(`${result.name}: ${parts.join(', ')} in ${result.seconds} s`)
  }
  if (skipped > 0) console.log('\nSkipped:')
  for (const { name, skipped: tests } of results) {
    for (const [reason, titles] of byReason(tests)) {
      console.log(`  ${name}, ${titles.length}: ${reason}`)
      if (titles.length <= TITLES_MAX) for (const title of titles) console.log(`    ${title}`)
    }
  }
  if (failed > 0) console.log('\nFailed:')
  for (const { name, failed: tests } of results) {
    for (const { title } of tests) console.log(`  ${name}: ${title}`)
  }
  if (passed + failed === 0) console.log('\nNo test ran.')
  console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0
}

/** The titles of skipped tests by the reason they gave, by `skipReason` or at the end of their title. */
function byReason(tests) {
  const reasons = new Map()
  for (const { title, reason } of tests) {
    const [ending, inTitle] = /\s*\(skipped: (.*)\)$/.exec(title) ?? ['', 'no reason given']
    const key = reason ?? inTitle
    reasons.set(key, [...(reasons.get(key) ?? []), title.slice(0, title.length - ending.length)])
  }
  return reasons
}
