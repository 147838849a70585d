// Exchanges frames of random measures with every other rank, checks every byte, sleeps in both ways whenever nothing moves,
// and says what it saw. Arguments: the job, frames per peer, seed.
import type { Transport, TransportJob } from '@onecopy/transport'
import { cmaProvider } from '../../src/cma-provider.js'
import { random } from '../random.js'

/** A sleep this long means that a wake-up was lost. */
const SLEEP_MS = 5000
const IDLE_TURNS = 20

interface Frame {
  readonly wordCount: number
  readonly byteOffset: number
  readonly byteLength: number
}

const job = JSON.parse(process.argv[2] as string) as Omit<TransportJob, 'token' | 'descriptor' | 'notice'>
const framesMax = Number(process.argv[3])
const seed = Number(process.argv[4])
const transport: Transport = cmaProvider.open({
  ...job,
  token: new Uint8Array(32),
  descriptor: 3,
  notice: () => undefined,
})
const peers = Array.from({ length: job.size }, (_, rank) => rank).filter((rank) => rank !== job.rank)
while (!peers.every((peer) => transport.reaches(peer))) await new Promise((resolve) => setTimeout(resolve, 2))

const source = new Uint8Array(2 * 65536).map((_, i) => (i * 31) ^ (i >> 8))
const words = new Int32Array(12)
const pick = random(seed + job.rank)

/** The frames from one rank to another: both ends make the same ones. */
function frames(from: number, to: number): () => Frame {
  const next = random(seed + 100 * from + to)
  return () => {
    const lengthMax = next() < 0.02 ? transport.limits.frameBytesMax : 150
    return {
      byteLength: Math.floor(next() * lengthMax),
      wordCount: 1 + Math.floor(next() * 12),
      byteOffset: Math.floor(next() * 65536),
    }
  }
}

const sent = peers.map((peer) => ({ peer, count: 0, make: frames(job.rank, peer), next: null as Frame | null }))
const received = new Map(peers.map((peer) => [peer, { count: 0, make: frames(peer, job.rank) }]))
let wrong = 0
let lost = 0
let sleeps = 0

const receiver = {
  frame(peer: number, header: Int32Array, wordCount: number, bytes: Uint8Array, at: number, byteLength: number) {
    const stream = received.get(peer) as { count: number; make: () => Frame }
    const frame = stream.make()
    let right = wordCount === frame.wordCount && byteLength === frame.byteLength && header[0] === stream.count++
    for (let i = 0; right && i < byteLength; i++) right = bytes[at + i] === source[frame.byteOffset + i]
    if (!right) wrong++
  },
}

function sendSome(): number {
  let moved = 0
  for (const stream of sent) {
    for (let i = 0; i < 20 && stream.count < framesMax; i++) {
      const frame = stream.next ?? stream.make()
      stream.next = frame
      words[0] = stream.count
      if (!transport.trySend(stream.peer, words, frame.wordCount, source, frame.byteOffset, frame.byteLength)) break
      stream.next = null
      stream.count++
      moved++
    }
  }
  return moved
}

async function sleep(): Promise<void> {
  sleeps++
  const start = performance.now()
  if (pick() < 0.5) {
    transport.park(SLEEP_MS)
  } else {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, SLEEP_MS)
      const wake = (): void => {
        clearTimeout(timer)
        resolve()
      }
      if (!transport.onWake(wake)) wake()
    })
  }
  if (performance.now() - start >= SLEEP_MS - 100) lost++
}

const isDone = (): boolean =>
  sent.every(({ count }) => count === framesMax) && [...received.values()].every(({ count }) => count === framesMax)
let idle = 0
while (!isDone() && lost === 0) {
  const moved = sendSome() + transport.poll(receiver, 1 + Math.floor(pick() * 30))
  if (moved === 0 && !isDone() && ++idle % IDLE_TURNS === 0) await sleep()
}
process.stdout.write(`wrong ${wrong} lost ${lost} sleeps ${sleeps}\n`)
await transport.close()
