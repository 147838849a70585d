// A child's standard input and output: the least one can do by hand, with no framing at all.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { check, filled, messageCount, readPlan, timeAsync } from './plan.mjs'

const [, , plan, role] = process.argv
const isChild = role === 'child'
const child = isChild
  ? null
  : spawn(process.execPath, [fileURLToPath(import.meta.url), plan, 'child'], { stdio: ['pipe', 'pipe', 'inherit'] })
const source = isChild ? process.stdin : child.stdout
const target = isChild ? process.stdout : child.stdin
const rank = isChild ? 1 : 0

let take
source.on('data', (chunk) => take(chunk))

for (const entry of readPlan(plan)) {
  const out = filled(entry.bytes, rank)
  const into = filled(entry.bytes, 100)
  let filledBytes = 0
  let left = 0
  let done
  take = (chunk) => {
    filledBytes += chunk.copy(into, filledBytes)
    if (filledBytes < entry.bytes) return
    filledBytes = 0
    left--
    if (isChild || left > 0) target.write(out)
    if (left === 0) done()
  }
  const answered = (count) =>
    new Promise((resolve) => {
      left = count
      done = resolve
      if (!isChild) target.write(out)
    })
  if (isChild) await answered(messageCount(entry))
  else await timeAsync(entry, answered)
  check(entry, into, 1 - rank)
}
// The child ends when its input does: sooner, and its last answer might still be in its own memory.
if (!isChild) child.stdin.end()
