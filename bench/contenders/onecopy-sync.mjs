// onecopy, the blocking face, receiving into memory of one's own: what an MPI program would write.
import { init } from 'onecopy'
import { check, filled, messageCount, readPlan, time } from './plan.mjs'

const world = await init()
const { sync, rank } = world
const peer = 1 - rank

for (const entry of readPlan()) {
  const out = filled(entry.bytes, rank)
  const into = filled(entry.bytes, 100)
  if (rank === 0) {
    time(entry, (count) => {
      for (let i = 0; i < count; i++) {
        sync.send(out, peer, 0)
        sync.recvInto(into, peer, 0)
      }
    })
  } else {
    for (let i = messageCount(entry); i > 0; i--) {
      sync.recvInto(into, peer, 0)
      sync.send(out, peer, 0)
    }
  }
  check(entry, into, peer)
}
await world.finalize()
