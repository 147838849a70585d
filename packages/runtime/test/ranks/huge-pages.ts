// What a rank of the tests of huge pages runs: two ranks exchange the same two arrays often enough that their pages are gathered while
// they travel, with new contents each time and a canary behind; then it prints how many bytes of its memory are huge pages.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { init } from 'onecopy'

const KIB = 1024
const RANGE_BYTES = 2 * KIB * KIB
const BYTE_LENGTH = 3 * RANGE_BYTES
const ROUNDS = 40
const CANARY = 0xa5

const world = await init()
const { sync, rank } = world
const peer = 1 - rank
const [sent, received] = [new Uint8Array(BYTE_LENGTH + KIB), new Uint8Array(BYTE_LENGTH + KIB)]
const [data, into] = [sent.subarray(0, BYTE_LENGTH), received.subarray(0, BYTE_LENGTH)]
const words = new Float64Array(sent.buffer, 0, BYTE_LENGTH / 8)
const found = new Float64Array(received.buffer, 0, BYTE_LENGTH / 8)
sent.fill(CANARY, BYTE_LENGTH)
received.fill(CANARY, BYTE_LENGTH)

for (let round = 0; round < ROUNDS; round++) {
  for (let i = 0; i < words.length; i++) words[i] = i + round + rank
  if (round % 2 === 0) {
    const [status] = await Promise.all([world.recvInto(into, peer), world.send(data, peer)])
    assert.equal(status.byteLength, BYTE_LENGTH)
  } else {
    sync.sendrecvInto(data, peer, into, peer)
  }
  for (let i = 0; i < found.length; i++) {
    if (found[i] !== i + round + peer) assert.fail(`round ${round}: ${found[i]} at ${i}`)
  }
}
for (const array of [sent, received]) assert.ok(array.subarray(BYTE_LENGTH).every((byte) => byte === CANARY))
const rollup = readFileSync('/proc/self/smaps_rollup', 'utf8')
console.log(Number(/^AnonHugePages:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) * KIB)
