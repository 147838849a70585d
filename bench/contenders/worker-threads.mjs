// worker_threads and postMessage, copying (nothing is transferred: the sender keeps its data, as with every contender).
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { check, filled, messageCount, readPlan, smallObject, timeAsync } from './plan.mjs'

const other = isMainThread ? new Worker(new URL(import.meta.url), { argv: process.argv.slice(2) }) : parentPort
const rank = isMainThread ? 0 : 1

let deliver
other.on('message', (message) => deliver(message))

for (const entry of readPlan()) {
  const out = entry.isObject ? smallObject(rank) : new Uint8Array(filled(entry.bytes, rank))
  let received
  let left = 0
  let done
  deliver = (message) => {
    received = message
    left--
    if (!isMainThread || left > 0) other.postMessage(out)
    if (left === 0) done()
  }
  const answered = (count) =>
    new Promise((resolve) => {
      left = count
      done = resolve
      if (isMainThread) other.postMessage(out)
    })
  if (isMainThread) await timeAsync(entry, answered)
  else await answered(messageCount(entry))
  check(entry, received, 1 - rank)
}
if (!isMainThread) parentPort.close()
