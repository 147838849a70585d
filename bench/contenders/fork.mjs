// child_process.fork and its message channel: `fork.mjs PLAN json` or `fork.mjs PLAN advanced`.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { check, filled, messageCount, readPlan, smallObject, timeAsync } from './plan.mjs'

const [, , plan, serialization] = process.argv
const isChild = process.send !== undefined
const other = isChild ? process : fork(fileURLToPath(import.meta.url), [plan, serialization], { serialization })
const rank = isChild ? 1 : 0

let deliver
other.on('message', (message) => deliver(message))

/** As JSON, a Buffer arrives as a list of numbers. */
function bytesOf(message) {
  return message.type === 'Buffer' ? Buffer.from(message.data) : message
}

for (const entry of readPlan(plan)) {
  const out = entry.isObject ? smallObject(rank) : filled(entry.bytes, rank)
  let received
  let left = 0
  let done
  deliver = (message) => {
    received = entry.isObject ? message : bytesOf(message)
    left--
    if (isChild || left > 0) other.send(out)
    if (left === 0) done()
  }
  const answered = (count) =>
    new Promise((resolve) => {
      left = count
      done = resolve
      if (!isChild) other.send(out)
    })
  if (isChild) await answered(messageCount(entry))
  else await timeAsync(entry, answered)
  check(entry, received, 1 - rank)
}
// The child ends with the channel: sooner, and its last answer might still be in its own memory.
if (!isChild) other.disconnect()
