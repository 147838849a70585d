// What a waiting rank costs: `idle.mjs sync|async MILLISECONDS`. Rank 1 waits for a message; rank 0 looks at the CPU time
// of rank 1's threads from outside and prints it in percent of the time that passed.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { init } from 'onecopy'

/** What a rank may spend before it is to be asleep. */
const SETTLE_MILLISECONDS = 100

const [, , face, milliseconds] = process.argv
const world = await init()

if (world.rank === 1) {
  await world.send({ pid: process.pid }, 0, 1)
  if (face === 'sync') world.sync.recv(0, 2)
  else await world.recv(0, 2)
} else {
  const { pid } = await world.recv(1, 1)
  await sleep(SETTLE_MILLISECONDS)
  const [before, start] = [cpuNanoseconds(pid), performance.now()]
  await sleep(Number(milliseconds))
  const [after, end] = [cpuNanoseconds(pid), performance.now()]
  console.log(((after - before) / ((end - start) * 1e4)).toFixed(3))
  await world.send('enough', 1, 2)
}
await world.finalize()

/** The first word of a thread's schedstat is its time on a CPU. */
function cpuNanoseconds(pid) {
  let sum = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
  }
  return sum
}
