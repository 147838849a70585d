// What a rank of heap.test.ts runs: `heap.ts polls|sends`. Prints one line of JSON per rank: what a million calls left on
// the heap (over pipes fewer), and about how many bytes each of them has allocated.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { init } from 'onecopy'

const WARM_UP = 200_000
/** Calls between two looks at the heap: far fewer bytes than make the collector run, so that hardly one is missed. */
const CALLS_PER_LOOK = 10_000
/** Messages until the receiver is waited for: a sender that runs ahead for long has to wait, and waiting may allocate. */
const BURST = 100

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const world = await init()
const { sync, rank } = world
const peer = 1 - rank
const eightBytes = new Uint8Array(8).fill(rank + 1)
const nothing = new Uint8Array(0)
/** Over pipes a message takes 20 times as long, and a tenth of them shows a leak of 6 bytes per message as well. */
const calls = world.transport(peer).startsWith('pipe') ? 100_000 : 1_000_000

if (process.argv[2] === 'polls') {
  measure(1, () => {
    sync.iprobe(peer, 5)
  })
} else if (rank === 0) {
  measure(BURST, () => {
    for (let i = 0; i < BURST; i++) sync.send(eightBytes, peer, 5)
    sync.recvInto(nothing, peer, 6)
  })
} else {
  measure(BURST, () => {
    for (let i = 0; i < BURST; i++) sync.recvInto(eightBytes, peer, 5)
    sync.send(nothing, peer, 6)
  })
}
await world.barrier()
await world.finalize()

/** Measures that many calls; `round` makes `callsPerRound` of them. */
function measure(callsPerRound: number, round: () => void): void {
  for (let i = 0; i < WARM_UP; i += callsPerRound) round()
  collect()
  const before = process.memoryUsage().heapUsed
  let allocated = 0
  for (let done = 0; done < calls; done += CALLS_PER_LOOK) {
    const start = process.memoryUsage().heapUsed
    for (let i = 0; i < CALLS_PER_LOOK; i += callsPerRound) round()
    // Less than before means that the collector has run in between: that look tells nothing.
    allocated += Math.max(0, process.memoryUsage().heapUsed - start)
  }
  collect()
  const retained = process.memoryUsage().heapUsed - before
  console.log(JSON.stringify({ rank, transport: world.transport(peer), retained, allocatedPerCall: allocated / calls }))
}
