import { Random } from '../random.js'
import { FRAME_WORDS_MAX, type TransportLimits } from '../transport.js'
import type { Area } from './area.js'
import { same, sure } from './expect.js'
import type { Frame } from './recorder.js'
import type { Stage } from './stage.js'

const STRESS_FRAMES = 200
const SEEDS = [1, 2, 3]
/** Sequence number and hash chain. */
const WORDS_LEAST = 2

/** Everything at once, at random, with a hash chain per pair: no frame lost, doubled, reordered or torn. */
export const stress: Area = {
  title: 'stress',
  size: 4,
  declare(test, subject) {
    const frameCount = subject.stressFrames ?? STRESS_FRAMES
    for (const seed of subject.seeds ?? SEEDS) {
      test(`${frameCount} frames of random sizes between each two of 4 ranks (seed ${seed})`, async (stage) => {
        await run(stage, seed, frameCount)
      })
    }
  },
}

/** One direction of one pair, as its sender sees it. */
interface Stream {
  readonly from: number
  readonly to: number
  readonly random: Random
  sent: number
  chain: number
  words: Int32Array
  wordCount: number
  byteLength: number
  isMade: boolean
}

async function run(stage: Stage, seed: number, frameCount: number): Promise<void> {
  const random = new Random(seed)
  const streams = makeStreams(stage.size, seed)
  const payload = new Uint8Array(stage.limits.frameBytesMax)
  const received = streams.map(() => ({ count: 0, chain: 0 }))

  for (let rank = 0; rank < stage.size; rank++) {
    const recorder = stage.recorder(rank)
    recorder.onFrame = (frame) => {
      const index = streams.findIndex((stream) => stream.from === frame.peer && stream.to === rank)
      const state = received[index] as (typeof received)[0]
      same(frame.words[0], state.count, `seed ${seed}: sequence number from rank ${frame.peer} to rank ${rank}`)
      state.chain = chainOf(state.chain, frame)
      same(
        frame.words[1],
        state.chain,
        `seed ${seed}: hash chain of frame ${state.count} from ${frame.peer} to ${rank}`,
      )
      state.count++
      // Answers from inside frame belong to the traffic too.
      const back = streams[streams.findIndex((stream) => stream.from === rank && stream.to === frame.peer)] as Stream
      if (random.chance(0.2)) trySendNext(stage, back, payload, frameCount)
    }
  }

  const total = streams.length * frameCount
  const countReceived = (): number => received.reduce((sum, state) => sum + state.count, 0)
  await stage.until(`${total} frames in all (seed ${seed})`, () => {
    for (let i = 0; i < 40; i++) {
      const stream = streams[random.between(0, streams.length - 1)] as Stream
      for (let burst = random.between(1, 8); burst > 0; burst--) {
        if (!trySendNext(stage, stream, payload, frameCount)) break
      }
      if (random.chance(0.3)) stage.poll(random.between(0, stage.size - 1), random.between(0, 10))
    }
    stage.check()
    return countReceived() >= total
  })
  await stage.settle()
  received.forEach((state, i) => {
    const { from, to } = streams[i] as Stream
    same(state.count, frameCount, `seed ${seed}: frames from rank ${from} to rank ${to}`)
  })
  sure(countReceived() === total, `seed ${seed}: frames in all`)
}

function makeStreams(size: number, seed: number): Stream[] {
  const streams: Stream[] = []
  for (let from = 0; from < size; from++) {
    for (let to = 0; to < size; to++) {
      if (from === to) continue
      const random = new Random(seed * 1000 + from * 10 + to)
      const words = new Int32Array(FRAME_WORDS_MAX)
      streams.push({ from, to, random, sent: 0, chain: 0, words, wordCount: 0, byteLength: 0, isMade: false })
    }
  }
  return streams
}

/** Tries to send a stream's next frame; answers false where it is refused, or nothing is left to send. */
function trySendNext(stage: Stage, stream: Stream, payload: Uint8Array, frameCount: number): boolean {
  if (stream.sent === frameCount) return false
  const { random, words } = stream
  if (!stream.isMade) {
    stream.wordCount = random.between(WORDS_LEAST, FRAME_WORDS_MAX)
    stream.byteLength = lengthOf(random, stage.limits)
    for (let i = WORDS_LEAST; i < stream.wordCount; i++) words[i] = random.between(-0x80000000, 0x7fffffff)
    words[0] = stream.sent
    stream.isMade = true
  }
  // The payload's memory is shared by all streams, so it is made again for every try.
  const salt = stream.from * 64 + stream.to * 16 + stream.sent
  for (let i = 0; i < stream.byteLength; i++) payload[i] = Math.imul(i + salt, 0x9e3779b1) >>> 24
  const next = hash(stream.chain, words, stream.wordCount, payload, stream.byteLength)
  words[1] = next
  if (!stage.end(stream.from).trySend(stream.to, words, stream.wordCount, payload, 0, stream.byteLength)) return false
  payload.fill(0x77, 0, stream.byteLength)
  stream.chain = next
  stream.sent++
  stream.isMade = false
  return true
}

/** Mostly small, sometimes anything, now and then the very longest. */
function lengthOf(random: Random, limits: TransportLimits): number {
  const { inlineBytesMax, frameBytesMax } = limits
  const draw = random.next()
  if (draw < 0.6) return random.between(0, Math.min(2 * inlineBytesMax + 1, frameBytesMax))
  if (draw < 0.9) return random.between(0, 1024)
  if (draw < 0.97) return random.between(0, frameBytesMax)
  return frameBytesMax
}

function chainOf(chain: number, frame: Frame): number {
  return hash(chain, frame.words, frame.words.length, frame.bytes, frame.bytes.length)
}

/** FNV-1a over the chain so far, the header but for the chain's own word, and the payload. */
function hash(chain: number, words: Int32Array, wordCount: number, bytes: Uint8Array, byteLength: number): number {
  let value = Math.imul(chain ^ 0x811c9dc5, 0x01000193)
  for (let i = 0; i < wordCount; i++) if (i !== 1) value = Math.imul(value ^ (words[i] as number), 0x01000193)
  for (let i = 0; i < byteLength; i++) value = Math.imul(value ^ (bytes[i] as number), 0x01000193)
  return value
}
