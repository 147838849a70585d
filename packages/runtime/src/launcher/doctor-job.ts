/**
 * What the two ranks of `onecopy doctor` run: a ping-pong with the public interface. Rank 0 prints one line of JSON. It asks
 * for the library by its name: by its file, bundling would cut the library in two, and every rank would read both halves.
 */
import { init } from 'onecopy'
import type { Measurement } from './doctor-report.js'

const SIZES = [8, 64 * 1024, 1024 * 1024]

/** How long one size is measured; a loaded machine gets as many rounds as fit. */
const MILLISECONDS_PER_SIZE = 300

/** Rounds between two looks at the clock: far above its resolution, and few enough to fit between two other processes. */
const ROUNDS: Readonly<Record<number, number>> = { 8: 100, [64 * 1024]: 20, [1024 * 1024]: 5 }

const TAG = 1
const CONTROL_TAG = 2

const world = await init()
const { sync, rank } = world
const peer = 1 - rank
const control = new Int32Array(1)
const measurements: Measurement[] = []

for (const byteLength of SIZES) {
  // Not zeros: the kernel shares one page of zeros, and copying it is faster than anything real.
  const sent = new Uint8Array(byteLength).fill(rank + 1)
  const received = new Uint8Array(byteLength).fill(0xff)
  const rounds = ROUNDS[byteLength] as number
  const end = performance.now() + MILLISECONDS_PER_SIZE
  let best = Number.POSITIVE_INFINITY
  let batches = 0
  for (;;) {
    if (rank === 0) {
      control[0] = performance.now() < end || batches < 2 ? 1 : 0
      sync.send(control, peer, CONTROL_TAG)
    } else {
      sync.recvInto(control, peer, CONTROL_TAG)
    }
    if (control[0] === 0) break
    const startedAt = performance.now()
    for (let round = 0; round < rounds; round++) {
      if (rank === 0) {
        sync.send(sent, peer, TAG)
        sync.recvInto(received, peer, TAG)
      } else {
        sync.recvInto(received, peer, TAG)
        sync.send(sent, peer, TAG)
      }
    }
    // The first batch is spent on warming up: compiling, touching pages, waking the peer.
    if (batches++ > 0) best = Math.min(best, (performance.now() - startedAt) / rounds / 2)
  }
  if (received[byteLength - 1] !== peer + 1) throw new Error(`${byteLength} bytes arrived wrong`)
  measurements.push({ byteLength, microseconds: best * 1000, megabytesPerSecond: byteLength / best / 1000 })
}

if (rank === 0) console.log(JSON.stringify({ route: world.transport(1), thresholds: world.thresholds, measurements }))
await world.finalize()
