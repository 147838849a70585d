// onecopy, the event-loop face, with `recv` making the array: what a Node program would write.
import { init } from 'onecopy'
import { check, filled, messageCount, readPlan, smallObject, timeAsync } from './plan.mjs'

const world = await init()
const { rank } = world
const peer = 1 - rank

for (const entry of readPlan()) {
  const out = entry.isObject ? smallObject(rank) : filled(entry.bytes, rank)
  let received
  if (rank === 0) {
    await timeAsync(entry, async (count) => {
      for (let i = 0; i < count; i++) {
        await world.send(out, peer, 0)
        received = await world.recv(peer, 0)
      }
    })
  } else {
    for (let i = messageCount(entry); i > 0; i--) {
      received = await world.recv(peer, 0)
      await world.send(out, peer, 0)
    }
  }
  check(entry, received, peer)
}
await world.finalize()
