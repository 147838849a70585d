/**
 * A token goes round: rank 0 to 1 to 2 … and back to 0, and each rank adds 1 to it. Blocking face, memory of our own, so that
 * a hop costs about what the transport costs. The argument is the number of laps (default 10 000).
 *
 *   npx onecopy run -n 4 examples/ring.ts 10000
 */
import { init } from 'onecopy'
import { integerArgument } from './support/arguments.ts'

const world = await init()
const laps = integerArgument(world, 0, { name: 'laps', fallback: 10_000, min: 1, max: 100_000_000 })

const { rank, size, sync } = world
const next = (rank + 1) % size
const previous = (rank + size - 1) % size
const route = world.transport(next)
const token = new Float64Array(1)

sync.barrier()
const startedAt = performance.now()
for (let lap = 0; lap < laps; lap++) {
  if (rank > 0) sync.recvInto(token, previous)
  token[0]! += 1
  sync.send(token, next)
  if (rank === 0) sync.recvInto(token, previous)
}
const microseconds = (performance.now() - startedAt) * 1000

if (rank === 0) {
  const hops = laps * size
  if (token[0] !== hops) throw new Error(`the token should be ${hops} and is ${token[0]}`)
  console.log(`${laps} laps over ${size} ranks: the token is ${token[0]}`)
  console.log(`${(microseconds / hops).toFixed(2)} microseconds a hop, over ${route}`)
}
