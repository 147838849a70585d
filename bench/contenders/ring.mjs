// A token goes around all ranks: `ring.mjs sync|async LAPS`. With more ranks than cores, whoever spins keeps the one that
// has the token from running. Prints the time per hop in microseconds.
import { init } from 'onecopy'

const [, , face, text] = process.argv
const laps = Number(text)
const world = await init()
const { rank, size, sync } = world
const next = (rank + 1) % size
const previous = (rank + size - 1) % size
const token = new Int32Array(1)

await world.barrier()
const start = performance.now()
for (let lap = 0; lap < laps; lap++) {
  if (rank === 0) {
    await pass()
    await take()
  } else {
    await take()
    token[0]++
    await pass()
  }
}
if (rank === 0) {
  if (token[0] !== laps * (size - 1)) throw new Error(`the token says ${token[0]}`)
  console.log((((performance.now() - start) * 1000) / (laps * size)).toFixed(2))
}
await world.finalize()

function pass() {
  if (face === 'async') return world.send(token, next)
  sync.send(token, next)
}

async function take() {
  if (face === 'async') token[0] = (await world.recv(previous))[0]
  else sync.recvInto(token, previous)
}
