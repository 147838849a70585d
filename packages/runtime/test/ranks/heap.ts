// What a rank of heap.test.ts runs: `heap.ts polls|sends`. Prints one line of JSON per rank: what a million calls left on
// the heap, and about how many bytes each of them has allocated.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { init } from 'onecopy'

const WARM_UP = 200_000
const CALLS = 1_000_000
/** Calls between two looks at the heap: far fewer bytes than make the collector run, so that hardly one is missed. */
const CALLS_PER_LOOK = 10_000

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const world = await init()
const { sync, rank } = world
const peer = 1 - rank
const eightBytes = new Uint8Array(8).fill(rank + 1)

if (process.argv[2] === 'polls') {
  measure(() => {
    sync.iprobe(peer, 5)
  })
} else if (rank === 0) {
  measure(() => sync.send(eightBytes, peer, 5))
} else {
  measure(() => {
    sync.recvInto(eightBytes, peer, 5)
  })
}
await world.barrier()
await world.finalize()

function measure(call: () => void): void {
  for (let i = 0; i < WARM_UP; i++) call()
  collect()
  const before = process.memoryUsage().heapUsed
  let allocated = 0
  for (let done = 0; done < CALLS; done += CALLS_PER_LOOK) {
    const start = process.memoryUsage().heapUsed
    for (let i = 0; i < CALLS_PER_LOOK; i++) call()
    // Less than before means that the collector has run in between: that look tells nothing.
    allocated += Math.max(0, process.memoryUsage().heapUsed - start)
  }
  collect()
  const retained = process.memoryUsage().heapUsed - before
  console.log(JSON.stringify({ rank, retained, allocatedPerCall: allocated / CALLS }))
}
