import assert from 'node:assert/strict'
import { closeSync } from 'node:fs'
import type { OnecopyError, Transport } from '@onecopy/transport'
import { afterEach, beforeEach, describe, it } from 'mocha'
import { loadLibc } from '../src/libc/choose.js'
import {
  defaultGeometry,
  FIRST_SLOT_WORD,
  HEAD_SLOTS_WORD,
  payloadRoom,
  ringGeometry,
  ringOffset,
  SLOT_META_WORD,
  SLOT_WORDS,
  segmentLayout,
  TAIL_PAYLOAD_WORD,
  TAIL_SLOTS_WORD,
} from '../src/ring-layout.js'
import { NOT_BELIEVED, RingReader } from '../src/ring-reader.js'
import { FULL, RingWriter, WRITTEN } from '../src/ring-writer.js'
import { createSegment, Segment } from '../src/segment.js'
import { CmaJob } from './cma-job.js'
import { random } from './random.js'

const SEED = Number(process.env.SEED ?? 20261123)

interface Seen {
  words: number[]
  bytes: Buffer
}

const collect = (into: Seen[]) => ({
  frame(_peer: number, words: Int32Array, count: number, bytes: Uint8Array, offset: number, length: number): void {
    into.push({ words: [...words.subarray(0, count)], bytes: Buffer.from(bytes.subarray(offset, offset + length)) })
  },
})

describe('the room of a payload', () => {
  for (const size of [2, 8, 32, 64, 1000]) {
    const { payloadBytes, frameBytesMax } = defaultGeometry(size)

    it(`holds it, in whole lines, and never takes more than a quarter of the area (${size} ranks)`, () => {
      for (let byteLength = 1; byteLength <= frameBytesMax; byteLength++) {
        const room = payloadRoom(byteLength, payloadBytes)
        assert.ok(room >= byteLength && room % 64 === 0 && room <= payloadBytes / 4, `${byteLength} bytes take ${room}`)
      }
    })

    it(`keeps short ones apart as far as the area allows (${size} ranks)`, () => {
      const byteLength = payloadBytes / 64
      const distance = payloadRoom(byteLength, payloadBytes) - Math.ceil(byteLength / 64) * 64
      assert.equal(distance, size <= 16 ? 1024 : size <= 32 ? 512 : size <= 128 ? 128 : 0)
      assert.equal(payloadRoom(byteLength + 1, payloadBytes), Math.ceil((byteLength + 1) / 64) * 64)
    })
  }
})

describe('the slots of a ring', () => {
  it('have their turns, each once a lap, two in a row never close to each other', () => {
    for (let slotCount = 8; slotCount <= 300; slotCount++) {
      const { slotStep } = ringGeometry(slotCount, 8192)
      const turns = Array.from({ length: slotCount }, (_, turn) => (turn * slotStep) % slotCount)
      assert.equal(new Set(turns).size, slotCount, `${slotCount} slots, step ${slotStep}`)
      assert.ok(slotStep >= 5 && slotStep < 12, `${slotCount} slots, step ${slotStep}`)
    }
  })
})

describe('a ring', () => {
  // A short ring, so that it wraps often.
  const geometry = ringGeometry(13, 8192)
  const layout = segmentLayout(3, geometry)
  let segment: Segment
  let descriptor: number
  let writer: RingWriter
  let reader: RingReader
  let ringWord: number

  beforeEach(() => {
    const { libc } = loadLibc()
    assert.ok(libc)
    const created = createSegment(libc, layout, '/tmp')
    descriptor = created.descriptor
    segment = new Segment(libc, descriptor, layout, created.id)
    segment.reserveRing(1, 2)
    writer = new RingWriter(segment, 1, 2)
    reader = new RingReader(segment, 2, 1, new Int32Array(12))
    ringWord = ringOffset(layout, 1, 2) / 4
  })
  afterEach(() => {
    segment.release()
    closeSync(descriptor)
  })

  it(`keeps every frame over thousands of laps (seed ${SEED})`, () => {
    const next = random(SEED)
    const sent: Seen[] = []
    const got: Seen[] = []
    const source = new Uint8Array(4096).map((_, i) => i * 31)
    // Neighbours on both sides must stay as they are.
    const canary = [ringWord - 1, ringWord + layout.ringBytes / 4]
    for (const word of canary) segment.words[word] = 0x5ca1ab1e
    while (sent.length < 20_000) {
      if (next() < 0.55) {
        const words = Array.from({ length: 1 + Math.floor(next() * 12) }, () => (next() * 2 ** 32) | 0)
        const length = next() < 0.5 ? Math.floor(next() * 100) : Math.floor(next() * (geometry.frameBytesMax + 1))
        const offset = Math.floor(next() * (source.length - length))
        const result = writer.write(Int32Array.from(words), words.length, source, offset, length)
        if (result === WRITTEN) sent.push({ words, bytes: Buffer.from(source.subarray(offset, offset + length)) })
        else assert.equal(result, FULL)
      } else {
        assert.notEqual(reader.take(collect(got), 1 + Math.floor(next() * 20)), NOT_BELIEVED)
      }
    }
    reader.take(collect(got), 100)
    assert.deepEqual(got, sent)
    for (const word of canary) assert.equal(segment.words[word], 0x5ca1ab1e)
  })

  it('is full at slotCount frames, and takes any frame again once it has been emptied', () => {
    const words = Int32Array.of(1)
    const bytes = new Uint8Array(geometry.frameBytesMax)
    for (let round = 0; round < 500; round++) {
      const length = (round * 37) % (geometry.frameBytesMax + 1)
      let count = 0
      while (writer.write(words, 1, bytes, 0, length) === WRITTEN) count++
      assert.equal(count >= 1 && count <= geometry.slotCount, true)
      assert.equal(reader.take(collect([]), 1000), count)
      assert.equal(writer.write(words, 1, bytes, 0, geometry.frameBytesMax), WRITTEN, `after round ${round}`)
      assert.equal(reader.take(collect([]), 1000), 1)
    }
  })

  it('wakes a sender that fell asleep between a report of room and the taking of its old wish', () => {
    const words = Int32Array.of(7)
    const fill = (): void => {
      while (writer.write(words, 1, new Uint8Array(0), 0, 0) === WRITTEN);
    }
    const some = Math.ceil(geometry.slotCount / 2)
    fill()
    assert.equal(reader.take(collect([]), some), some)
    // The sender is faster: it has seen the room and used it, and finds its wish still there.
    fill()
    assert.equal(reader.takeWakeWish(), true)
    // Only now does it look for the last time and sleep.
    assert.equal(writer.awaitsRoom(), true)
    assert.equal(reader.take(collect([]), some), some)
    assert.equal(reader.takeWakeWish(), true)
    assert.equal(writer.awaitsRoom(), false)
  })

  it('goes on over the wrap of its 32-bit counters', () => {
    // As if 2^32 - 40 frames had gone before; the payload counter wraps on the way too.
    const first = -40
    segment.words[ringWord + TAIL_SLOTS_WORD] = first
    segment.words[ringWord + TAIL_PAYLOAD_WORD] = first * 64
    const from = new RingWriter(segment, 1, 2, first)
    const to = new RingReader(segment, 2, 1, new Int32Array(12), first)
    const got: Seen[] = []
    for (let i = 0; i < 100; i++) {
      const bytes = new Uint8Array(1 + ((i * 97) % 2048)).fill(i)
      while (from.write(Int32Array.of(i), 1, bytes, 0, bytes.length) !== WRITTEN) {
        assert.equal(to.take(collect(got), 100) > 0, true, to.problem)
      }
    }
    to.take(collect(got), 100)
    assert.deepEqual(
      got.map((seen) => seen.words[0]),
      Array.from({ length: 100 }, (_, i) => i),
    )
    for (const [i, { bytes }] of got.entries()) assert.equal(bytes.equals(Buffer.alloc(1 + ((i * 97) % 2048), i)), true)
  })

  const corruptions: readonly (readonly [string, (words: Int32Array, slot: number) => void])[] = [
    ['a sequence from the future', (words, slot) => (words[slot] = 77)],
    ['a negative sequence', (words, slot) => (words[slot] = -1)],
    ['no words', (words, slot) => (words[slot + SLOT_META_WORD] = (words[slot + SLOT_META_WORD] as number) & ~15)],
    [
      '13 words',
      (words, slot) => (words[slot + SLOT_META_WORD] = ((words[slot + SLOT_META_WORD] as number) & ~15) | 13),
    ],
    ['a zeroed meta word', (words, slot) => (words[slot + SLOT_META_WORD] = 0)],
    ['a length over the limit', (words, slot) => (words[slot + SLOT_META_WORD] = (2049 << 8) | 0x52)],
    ['a negative length', (words, slot) => (words[slot + SLOT_META_WORD] = -1)],
    ['a payload position outside', (words, slot) => (words[slot + 4] = 8192 * 5 + 64)],
    ['a negative payload position', (words, slot) => (words[slot + 4] = -64)],
    ['an odd payload position', (words, slot) => (words[slot + 4] = 3)],
  ]
  for (const [what, corrupt] of corruptions) {
    it(`is not believed with ${what}`, () => {
      assert.equal(writer.write(Int32Array.of(5, 6), 2, new Uint8Array(2000), 0, 2000), WRITTEN)
      corrupt(segment.words, ringWord + FIRST_SLOT_WORD)
      const got: Seen[] = []
      assert.equal(reader.take(collect(got), 10), NOT_BELIEVED)
      assert.notEqual(reader.problem, '')
      assert.deepEqual(got, [])
    })
  }

  it('is not believed by the sender when the tail cannot be', () => {
    for (const [word, value] of [
      [TAIL_SLOTS_WORD, 9999],
      [TAIL_SLOTS_WORD, -1],
      [TAIL_PAYLOAD_WORD, 1 << 20],
    ] as const) {
      const fresh = new RingWriter(segment, 1, 2)
      const before = segment.words[ringWord + word] as number
      let result = WRITTEN
      for (let i = 0; i < geometry.slotCount && result === WRITTEN; i++) {
        result = fresh.write(Int32Array.of(1), 1, new Uint8Array(0), 0, 0)
      }
      segment.words[ringWord + word] = value
      assert.notEqual(fresh.write(Int32Array.of(1), 1, new Uint8Array(0), 0, 0), WRITTEN)
      assert.notEqual(fresh.write(Int32Array.of(1), 1, new Uint8Array(0), 0, 0), FULL)
      segment.words[ringWord + word] = before
    }
  })

  it('notices, when it goes to sleep, that a published slot was wiped', () => {
    writer.write(Int32Array.of(1), 1, new Uint8Array(0), 0, 0)
    writer.write(Int32Array.of(2), 1, new Uint8Array(0), 0, 0)
    assert.equal(segment.words[ringWord + HEAD_SLOTS_WORD], 1)
    segment.words.fill(0, ringWord + FIRST_SLOT_WORD, ringWord + FIRST_SLOT_WORD + geometry.slotCount * SLOT_WORDS)
    reader.watch()
    assert.equal(reader.unwatch(), false)
    assert.equal(reader.problem, '')
    assert.equal(reader.unwatch(), false)
    assert.match(reader.problem, /head says 1 more/)
  })

  it(`survives random flips: right data or not believed (seed ${SEED})`, () => {
    const next = random(SEED)
    const source = new Uint8Array(1024).fill(0xab)
    const words = segment.words
    for (let round = 0; round < 2000; round++) {
      words.fill(0, ringWord, ringWord + layout.ringBytes / 4)
      const to = new RingReader(segment, 2, 1, new Int32Array(12))
      const from = new RingWriter(segment, 1, 2)
      for (let i = 0; i < 5; i++) from.write(Int32Array.of(i, 2, 3), 3, source, 0, Math.floor(next() * 1024))
      const slot = (Math.floor(next() * 5) * geometry.slotStep) % geometry.slotCount
      const word = ringWord + FIRST_SLOT_WORD + slot * SLOT_WORDS + Math.floor(next() * 6)
      words[word] = (words[word] as number) ^ (1 << Math.floor(next() * 32))
      const start = ringOffset(layout, 1, 2)
      const receiver = {
        frame(_: number, __: Int32Array, count: number, bytes: Uint8Array, offset: number, length: number) {
          assert.equal(count >= 1 && count <= 12 && length <= geometry.frameBytesMax, true)
          assert.equal(bytes, segment.bytes)
          assert.equal(offset >= start && offset + length <= start + layout.ringBytes, true)
        },
      }
      let taken = 0
      for (let i = 0; i < 20 && taken !== NOT_BELIEVED; i++) taken = to.take(receiver, 3)
    }
  })
})

describe('a ring beyond the first 2 GiB of its segment', () => {
  it('carries short payloads and parts of arrays', () => {
    const layout = segmentLayout(512, ringGeometry(13, 8192))
    const { libc } = loadLibc()
    assert.ok(libc)
    // Only the control area and one ring of it ever get pages.
    const created = createSegment(libc, layout, '/tmp')
    const segment = new Segment(libc, created.descriptor, layout, created.id)
    try {
      const [from, to] = [511, 1]
      assert.ok(ringOffset(layout, from, to) > 2 ** 31, 'the ring lies too low to prove anything')
      segment.reserveRing(from, to)
      const writer = new RingWriter(segment, from, to)
      const reader = new RingReader(segment, to, from, new Int32Array(12))
      const source = new Uint8Array(256).map((_, i) => i + 1)
      const got: Seen[] = []
      for (const [offset, length] of [
        [0, 3],
        [0, 20],
        [7, 60],
        [1, 72],
        [0, 256],
      ] as const) {
        assert.equal(writer.write(Int32Array.of(length), 1, source, offset, length), WRITTEN)
        assert.equal(reader.take(collect(got), 1), 1)
        assert.deepEqual([...(got.at(-1) as Seen).bytes], [...source.subarray(offset, offset + length)])
      }
    } finally {
      segment.release()
      closeSync(created.descriptor)
    }
  })
})

describe('a transport with a corrupt peer', () => {
  let job: CmaJob
  let all: Transport[]
  beforeEach(async () => {
    job = await CmaJob.prepare(3)
    all = await job.openAll()
  })
  afterEach(() => job.close())

  it('tells once, drops that peer, and goes on with the others', () => {
    const [zero, one, two] = all as [Transport, Transport, Transport]
    const { libc } = loadLibc()
    assert.ok(libc)
    const layout = segmentLayout(3, defaultGeometry(3))
    const fd = job.prepared.descriptor as number
    const words = new Int32Array(libc.viewAt(libc.mapShared(fd, layout.totalBytes), layout.totalBytes).buffer)
    const none = new Uint8Array(0)
    one.trySend(0, Int32Array.of(1), 1, none, 0, 0)
    two.trySend(0, Int32Array.of(2), 1, none, 0, 0)
    words[ringOffset(layout, 1, 0) / 4 + FIRST_SLOT_WORD + SLOT_META_WORD] = 0
    const got: Seen[] = []
    const errors: OnecopyError[] = []
    for (let i = 0; i < 10; i++) {
      try {
        zero.poll(collect(got), 10)
      } catch (error) {
        errors.push(error as OnecopyError)
      }
    }
    assert.deepEqual(
      got.map((seen) => seen.words),
      [[2]],
    )
    assert.deepEqual(
      errors.map((error) => [error.code, error.rank]),
      [['ERR_CORRUPT', 1]],
    )
    assert.throws(() => zero.trySend(1, Int32Array.of(1), 1, none, 0, 0), { code: 'ERR_CORRUPT', rank: 1 })
    assert.equal(zero.trySend(2, Int32Array.of(1), 1, none, 0, 0), true)
  })

  it('does not touch a ring without memory, whatever the inbox says', () => {
    const [zero] = all as [Transport]
    const { libc } = loadLibc()
    assert.ok(libc)
    const layout = segmentLayout(3, defaultGeometry(3))
    const fd = job.prepared.descriptor as number
    const words = new Int32Array(libc.viewAt(libc.mapShared(fd, layout.totalBytes), layout.totalBytes).buffer)
    // Every inbox bit and summary of rank 0 set: ranks that do not exist, itself, and rings that nobody reserved.
    const inbox = (256 + 3 * 256) / 4
    words[inbox + 16] = 1
    words[inbox + 32] = -1
    assert.equal(zero.poll(collect([]), 10), 0)
  })
})

describe('a million empty polls and a million small frames', () => {
  it('leave the heap flat', async function () {
    if (globalThis.gc === undefined) {
      const { setFlagsFromString } = await import('node:v8')
      const { runInNewContext } = await import('node:vm')
      setFlagsFromString('--expose-gc')
      globalThis.gc = runInNewContext('gc') as NodeJS.GCFunction
    }
    this.timeout(60_000)
    const job = await CmaJob.prepare(2)
    const [zero, one] = (await job.openAll()) as [Transport, Transport]
    const words = Int32Array.of(1, 2, 3, 4)
    const bytes = new Uint8Array(4096).fill(3)
    let got = 0
    const receiver = { frame: () => void got++ }
    const work = (count: number): void => {
      for (let i = 0; i < count; i++) one.poll(receiver, 1)
      for (let i = 0; i < count; i++) {
        zero.trySend(1, words, 4, bytes, i & 1023, i & 63)
        one.poll(receiver, 1)
      }
    }
    work(100_000)
    globalThis.gc?.()
    const before = process.memoryUsage().heapUsed
    work(1_000_000)
    // Without a collection in between: 1 byte per message would be a megabyte.
    const grown = process.memoryUsage().heapUsed - before
    assert.equal(got, 1_100_000)
    assert.equal(grown < 512 * 1024, true, `heap grew by ${grown} bytes`)
    job.close()
  })
})
