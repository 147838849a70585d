// Runs the test suite on the newest release of another major version of Node: `npm run test:node -- 24`.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { fetchNode } from './fetch-node.mjs'

const [major, ...testArguments] = process.argv.slice(2)
if (!/^\d+$/.test(major ?? '')) {
  console.error('Say which major version: npm run test:node -- 24 [group …] [--grep PATTERN]')
  process.exit(2)
}
const node = fetchOrExit()
console.log(`Node ${node.version}`)
const suite = fileURLToPath(new URL('./test.mjs', import.meta.url))
const { status } = spawnSync(node.path, [suite, ...testArguments], {
  stdio: 'inherit',
  env: { ...process.env, ...node.env },
})
process.exit(status ?? 1)

function fetchOrExit() {
  try {
    return fetchNode(major)
  } catch (error) {
    console.error(error.message)
    process.exit(1)
  }
}
