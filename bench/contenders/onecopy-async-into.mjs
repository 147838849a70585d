// onecopy, the event-loop face, receiving into memory of one's own: what a Node program with long messages would write.
import { init } from 'onecopy'
import { check, filled, messageCount, readPlan, timeAsync } from './plan.mjs'

const world = await init()
const { rank } = world
const peer = 1 - rank

for (const entry of readPlan()) {
  const out = filled(entry.bytes, rank)
  const into = filled(entry.bytes, 100)
  if (rank === 0) {
    await timeAsync(entry, async (count) => {
      for (let i = 0; i < count; i++) {
        await world.send(out, peer, 0)
        await world.recvInto(into, peer, 0)
      }
    })
  } else {
    for (let i = messageCount(entry); i > 0; i--) {
      await world.recvInto(into, peer, 0)
      await world.send(out, peer, 0)
    }
  }
  check(entry, into, peer)
}
await world.finalize()
