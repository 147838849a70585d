import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { INLINE_BYTES_MAX } from '../src/record.js'
import { Collector, PipeJob, until } from './pipe-job.js'

const RANK_FILE = 'traffic.ts'

/** Runs `body` with a job of two ranks, of which this process is rank 0. */
async function withJob(body: (job: PipeJob) => Promise<void>): Promise<void> {
  const job = await PipeJob.prepare(2)
  try {
    await body(job)
  } finally {
    await job.close()
  }
}

/** Checks that frames 0, 1, 2, … of `ranks/traffic.ts` have come, whole and in order; answers how many. */
function checkPrefix(collector: Collector, frameBytesMax: number): number {
  const lengths = [0, frameBytesMax, 1, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, frameBytesMax - 1]
  for (const [i, { peer, words, bytes }] of collector.frames.entries()) {
    assert.equal(peer, 1)
    assert.deepEqual(words, [i])
    assert.equal(bytes.length, lengths[i % lengths.length], `length of frame ${i}`)
    assert.ok(
      bytes.every((byte) => byte === (i & 255)),
      `bytes of frame ${i}`,
    )
  }
  return collector.frames.length
}

describe('pipe: between processes', () => {
  it('carries frames of every critical length there and back, in order', () =>
    withJob(async (job) => {
      const transport = await job.open(0)
      const child = job.start(1, RANK_FILE, 'echo')
      const { frameBytesMax } = transport.limits
      const lengths = [
        0,
        1,
        64,
        65,
        INLINE_BYTES_MAX - 1,
        INLINE_BYTES_MAX,
        INLINE_BYTES_MAX + 1,
        frameBytesMax - 1,
        frameBytesMax,
      ]
      const collector = new Collector()
      const count = 400
      for (let i = 0; i < count; i++) {
        const bytes = new Uint8Array(lengths[i % lengths.length] as number).fill(i & 255)
        await until(() => {
          transport.poll(collector, 64)
          return transport.trySend(1, Int32Array.of(i, ~i), 2, bytes, 0, bytes.length)
        }, `room for frame ${i}`)
      }
      await until(() => transport.poll(collector, 64) >= 0 && collector.frames.length >= count, 'all echoes')
      for (const [i, { words, bytes }] of collector.frames.entries()) {
        assert.deepEqual(words, [i, ~i])
        assert.equal(bytes.length, lengths[i % lengths.length])
        assert.ok(bytes.every((byte) => byte === (i & 255)))
      }
      await until(() => transport.trySend(1, Int32Array.of(-1), 1, new Uint8Array(0), 0, 0), 'room for the last frame')
      assert.equal(await child.end(), 0)
    }))

  for (const [way, what] of [
    ['exit', 'process.exit right after trySend'],
    ['end', 'the end of the script'],
    ['close', 'close'],
  ] as const) {
    it(`loses nothing by ${what}, though nobody polled before`, () =>
      withJob(async (job) => {
        const transport = await job.open(0)
        const count = 15
        assert.equal(await job.start(1, RANK_FILE, `${way} ${count}`).end(), 0)
        transport.peerGone(1)
        const collector = new Collector()
        await until(() => transport.poll(collector, 4) >= 0 && collector.frames.length >= count, 'all frames')
        assert.equal(transport.poll(collector, 64), 0)
        assert.equal(checkPrefix(collector, transport.limits.frameBytesMax), count)
      }))
  }

  for (const length of [0, 100, INLINE_BYTES_MAX, 65536]) {
    it(`bounds what a sender of ${length}-byte frames can leave with a receiver that does not poll`, () =>
      withJob(async (job) => {
        const transport = await job.open(0)
        const child = job.start(1, RANK_FILE, `fill ${length}`)
        assert.equal(await child.end(), 0)
        const sent = Number(child.output)
        assert.ok(sent >= 1 && sent * length <= transport.limits.queueBytesMax && sent < 10_000, `${sent} frames`)
        const collector = new Collector()
        await until(() => transport.poll(collector, 1000) >= 0 && collector.frames.length >= sent, 'all frames')
        assert.equal(transport.poll(collector, 1), 0)
        assert.deepEqual(
          collector.frames.map(({ words }) => words[0]),
          Array.from({ length: sent }, (_, i) => i),
        )
      }))
  }

  it('a sender killed anywhere leaves whole frames, in order, and nothing else', async () => {
    const seed = Number(process.env.SEED ?? Date.now() % 100_000)
    console.log(`      seed ${seed}`)
    for (let round = 0; round < 4; round++) {
      await withJob(async (job) => {
        const transport = await job.open(0)
        const child = job.start(1, RANK_FILE, 'flood')
        const collector = new Collector()
        const enough = 20 + ((seed * 31 + round * 97) % 200)
        await until(() => transport.poll(collector, 8) >= 0 && collector.frames.length >= enough, 'some frames')
        child.child.kill('SIGKILL')
        assert.equal(await child.end(), 'SIGKILL')
        transport.peerGone(1)
        // Whatever had been accepted lies in the inbox by now; three empty polls in a row are its end.
        let empty = 0
        await until(() => {
          empty = transport.poll(collector, 8) === 0 ? empty + 1 : 0
          return empty > 100
        }, 'silence')
        assert.ok(checkPrefix(collector, transport.limits.frameBytesMax) >= enough)
      })
    }
  })

  it('a sender that sleeps armed wakes when there is room again', () =>
    withJob(async (job) => {
      const transport = await job.open(0)
      const count = 90
      const child = job.start(1, RANK_FILE, `armed-sender ${count}`)
      const collector = new Collector()
      await until(() => {
        // One frame per turn, so that the sender finds its ring full again and again.
        transport.poll(collector, 1)
        return collector.frames.length >= count
      }, 'all frames')
      assert.equal(checkPrefix(collector, transport.limits.frameBytesMax), count)
      assert.equal(await child.end(), 0)
    }))

  it('an armed wake-up keeps the process alive until a frame comes, and no longer', () =>
    withJob(async (job) => {
      const transport = await job.open(0)
      const child = job.start(1, RANK_FILE, 'armed-receiver')
      await until(() => child.output.includes('ready'), 'the receiver')
      await until(() => transport.trySend(1, Int32Array.of(42), 1, new Uint8Array(0), 0, 0), 'room')
      assert.equal(await child.end(), 0)
      assert.match(child.output, /came 42/)
    }))

  for (const how of ['idle-parked', 'idle-armed']) {
    it(`uses less than 1 % of a CPU while ${how}`, () =>
      withJob(async (job) => {
        await job.open(0)
        const child = job.start(1, RANK_FILE, how)
        assert.equal(await child.end(), 0)
        console.log(`      ${child.output.trim()} %`)
        assert.ok(Number(child.output) < 1, child.output)
      }))
  }

  it('the heap stays flat over 200000 empty polls and 200000 small frames', () =>
    withJob(async (job) => {
      const transport = await job.open(0)
      const child = job.start(1, RANK_FILE, 'flat-heap 9')
      const receiver = { frame(): void {} }
      let isOver = false
      void child.end().then(() => {
        isOver = true
      })
      await until(() => transport.poll(receiver, 1000) >= 0 && isOver, 'the end')
      assert.equal(await child.end(), 0)
      assert.ok(Number(child.output) < 200_000, `the heap has grown by ${child.output} bytes`)
    }))
})
