import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { derivePairSecret } from '../src/authentication.js'
import {
  AUTH,
  INLINE_BYTES_MAX,
  KIND,
  LENGTH,
  MAGIC,
  RECORD_BYTES,
  RECORD_BYTES_MAX,
  RECORD_BYTES_MIN,
  SOURCE,
} from '../src/record.js'
import { FOUND_BROKEN, FOUND_NOTHING, READ_BYTES_MAX, RecordReader } from '../src/record-reader.js'
import { RecordWriter } from '../src/record-writer.js'

const SIZE = 4
const DEST = 1
const FRAME_BYTES_MAX = 65536
const TOKEN = new Uint8Array(32).fill(9)

function secretsOf(token: Uint8Array, key: (peer: number) => [source: number, dest: number]): Int32Array {
  const secrets = new Int32Array(2 * SIZE)
  for (let peer = 0; peer < SIZE; peer++) derivePairSecret(token, ...key(peer), secrets, 2 * peer)
  return secrets
}

function makeReader(): RecordReader {
  return new RecordReader(
    DEST,
    SIZE,
    secretsOf(TOKEN, (peer) => [peer, DEST]),
    FRAME_BYTES_MAX,
  )
}

interface Frame {
  source: number
  sequence: number
  words: number[]
  payload: number[]
}

/** The bytes of one inline record. */
function recordOf({ source, sequence, words, payload }: Frame, token = TOKEN, dest = DEST): Uint8Array {
  const writer = new RecordWriter(source)
  const secrets = secretsOf(token, (peer) => [source, peer])
  const bytes = Uint8Array.from(payload)
  const recordBytes = writer.inline(
    secrets,
    2 * dest,
    sequence,
    Int32Array.from(words),
    words.length,
    bytes,
    0,
    bytes.length,
  )
  return writer.bytes.slice(0, recordBytes)
}

/** Changes one word of a copy. */
function withWord(record: Uint8Array, word: number, value: number): Uint8Array {
  const copy = record.slice()
  new DataView(copy.buffer).setInt32(word * 4, value, true)
  return copy
}

function add(reader: RecordReader, bytes: Uint8Array): void {
  reader.bytes.set(bytes, reader.end)
  reader.added(bytes.length)
}

interface Found {
  frames: Frame[]
  broken: { source: number; complaint: string }[]
}

/** Takes everything that the reader finds, bounded. */
function drain(reader: RecordReader, found: Found = { frames: [], broken: [] }): Found {
  for (let i = 0; i < 100_000; i++) {
    const expected = reader.hasRecord()
    const kind = reader.next()
    assert.equal(kind !== FOUND_NOTHING, expected, 'hasRecord and next must agree')
    if (kind === FOUND_NOTHING) return found
    if (kind === FOUND_BROKEN) {
      found.broken.push({ source: reader.source, complaint: reader.complaint })
      continue
    }
    found.frames.push({
      source: reader.source,
      sequence: reader.sequence,
      words: [...reader.words.subarray(0, reader.wordCount)],
      payload: [...reader.bytes.subarray(reader.payloadAt, reader.payloadAt + reader.length)],
    })
  }
  throw new Error('the reader does not come to an end')
}

/** A small generator of numbers in [0, below), repeatable by its seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const first: Frame = { source: 0, sequence: 0, words: [1, -2], payload: [1, 2, 3, 4, 5] }
const second: Frame = { source: 2, sequence: 41, words: [7], payload: [] }

function concat(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts))
}

describe('pipe: the record parser', () => {
  it('finds records of every critical payload length', () => {
    for (const length of [0, 1, 3, 4, 5, 63, 64, 65, 100, INLINE_BYTES_MAX - 1, INLINE_BYTES_MAX]) {
      const words = Array.from({ length: 12 }, (_, i) => 5 - i)
      const frame = { source: 3, sequence: length, words, payload: Array.from({ length }, (_, i) => i & 255) }
      const record = recordOf(frame)
      assert.ok(record.length <= RECORD_BYTES_MAX)
      const reader = makeReader()
      add(reader, record)
      assert.deepEqual(drain(reader), { frames: [frame], broken: [] })
    }
  })

  it('finds the same records wherever the bytes are split', () => {
    const bytes = concat(recordOf(first), recordOf(second), recordOf({ ...first, sequence: 1 }))
    for (let at = 0; at <= bytes.length; at++) {
      const reader = makeReader()
      add(reader, bytes.subarray(0, at))
      const found = drain(reader)
      add(reader, bytes.subarray(at))
      drain(reader, found)
      assert.deepEqual(found, { frames: [first, second, { ...first, sequence: 1 }], broken: [] }, `split at ${at}`)
      assert.equal(reader.strangeBytes, 0)
    }
  })

  it('finds them byte by byte', () => {
    const reader = makeReader()
    const found: Found = { frames: [], broken: [] }
    for (const byte of concat(recordOf(first), recordOf(second))) {
      add(reader, Uint8Array.of(byte))
      drain(reader, found)
    }
    assert.deepEqual(found, { frames: [first, second], broken: [] })
  })

  it('skips what no rank of this job wrote, and loses nothing beside it', () => {
    const otherToken = new Uint8Array(32).fill(8)
    const record = recordOf(first)
    const strange: [string, Uint8Array][] = [
      ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
      ['one byte', Uint8Array.of(0)],
      ['three bytes', Uint8Array.of(2, 0x6f, 0x63)],
      ['zeros', new Uint8Array(5000)],
      ['magics alone', concat(...Array.from({ length: 99 }, () => record.subarray(0, 4)))],
      ['half a header', record.subarray(0, 17)],
      ['another magic', withWord(record, MAGIC, 0x7f7f7f7f)],
      ["another job's token", recordOf(first, otherToken)],
      ['a record for another rank', recordOf(first, TOKEN, 3)],
      ['an unknown rank', withWord(record, SOURCE, SIZE)],
      ['a negative rank', withWord(record, SOURCE, -1)],
      ['this very rank', withWord(record, SOURCE, DEST)],
      ["a peer's name on another's record", withWord(record, SOURCE, 2)],
      ['a wrong first secret word', withWord(record, AUTH, 0)],
      ['a wrong second secret word', withWord(record, AUTH + 1, 0)],
    ]
    for (const [what, bytes] of strange) {
      for (const before of [new Uint8Array(0), recordOf(second)]) {
        const reader = makeReader()
        add(reader, concat(before, bytes, record, recordOf({ ...first, sequence: 1 })))
        const expected = [...(before.length > 0 ? [second] : []), first, { ...first, sequence: 1 }]
        assert.deepEqual(drain(reader), { frames: expected, broken: [] }, what)
        assert.equal(reader.strangeBytes, bytes.length, what)
      }
    }
  })

  it('tells whose record is wrong and how, and goes on behind it', () => {
    const record = recordOf(first)
    const wrong: [string, Uint8Array, RegExp][] = [
      ['length 0', withWord(record, RECORD_BYTES, 0), /record of 0 bytes/],
      ['length below the least', withWord(record, RECORD_BYTES, RECORD_BYTES_MIN - 4), /record of 32 bytes/],
      ['length above the most', withWord(record, RECORD_BYTES, RECORD_BYTES_MAX + 4), /record of/],
      ['length not in whole words', withWord(record, RECORD_BYTES, record.length + 1), /record of/],
      ['negative length', withWord(record, RECORD_BYTES, -4), /record of -4 bytes/],
      ['length 2^31-1', withWord(record, RECORD_BYTES, 0x7fffffff), /record of/],
      ['shorter than it is', withWord(record, RECORD_BYTES, record.length - 4), /cut short/],
      ['longer than it is', withWord(record, RECORD_BYTES, record.length + 4), /cut short/],
      ['kind 0', withWord(record, KIND, 2 << 8), /unknown kind 0/],
      ['kind 200', withWord(record, KIND, 200 | (2 << 8)), /unknown kind 200/],
      ['no words', withWord(record, KIND, 1), /0 header words/],
      ['13 words', withWord(record, KIND, 1 | (13 << 8)), /13 header words/],
      ['words do not fit', withWord(record, KIND, 1 | (5 << 8)), /bytes for 5 words/],
      ['payload longer than any frame', withWord(record, LENGTH, FRAME_BYTES_MAX + 1), /frame of 65537 bytes/],
      ['negative payload', withWord(record, LENGTH, -1), /frame of 4294967295 bytes/],
      ['payload longer than the record', withWord(record, LENGTH, 64), /64 payload bytes/],
      ['credit with words', withWord(record, KIND, 3 | (1 << 8)), /credit/],
      ['truncated', record.subarray(0, record.length - 8), /cut short/],
    ]
    for (const [what, bytes, complaint] of wrong) {
      const reader = makeReader()
      add(
        reader,
        concat(bytes, recordOf(second), recordOf({ ...second, sequence: 42 }), new Uint8Array(RECORD_BYTES_MAX)),
      )
      const found = drain(reader)
      assert.deepEqual(found.frames, [second, { ...second, sequence: 42 }], what)
      assert.deepEqual(
        found.broken.map(({ source }) => source),
        [0],
        what,
      )
      assert.match(found.broken[0]?.complaint ?? '', complaint, what)
    }
  })

  it('survives any mutation of valid bytes: no exception, no endless loop, no altered header that passes', () => {
    const seed = Number(process.env.SEED ?? 20261123)
    console.log(`      seed ${seed}`)
    const random = randomOf(seed)
    for (let round = 0; round < 2000; round++) {
      const frames = Array.from({ length: 1 + random(6) }, (_, i) => ({
        source: [0, 2, 3][random(3)] as number,
        sequence: i,
        words: Array.from({ length: 1 + random(12) }, () => random(2 ** 31)),
        payload: Array.from({ length: random(200) }, () => random(256)),
      }))
      const bytes = concat(...frames.map((frame) => recordOf(frame)))
      for (let flips = random(4); flips > 0; flips--) bytes[random(bytes.length)] ^= 1 << random(8)
      const cut = random(2) === 0 ? bytes : bytes.subarray(random(40), bytes.length - random(40))
      const reader = makeReader()
      const found: Found = { frames: [], broken: [] }
      for (let at = 0; at < cut.length; ) {
        const part = 1 + random(cut.length)
        add(reader, cut.subarray(at, at + part))
        at += part
        drain(reader, found)
      }
      for (const { words, payload, source } of found.frames) {
        assert.ok(words.length >= 1 && words.length <= 12 && payload.length <= INLINE_BYTES_MAX && source !== DEST)
      }
      assert.ok(found.frames.length <= frames.length)
    }
  })

  it('has room for a look after any number of bytes', () => {
    const reader = makeReader()
    const record = recordOf({ ...first, payload: new Array(1000).fill(3) })
    const stream = concat(...Array.from({ length: 200 }, () => record))
    let count = 0
    for (let at = 0; at < stream.length; at += READ_BYTES_MAX) {
      assert.ok(reader.room >= READ_BYTES_MAX)
      add(reader, stream.subarray(at, at + READ_BYTES_MAX))
      while (reader.next() !== FOUND_NOTHING) count++
    }
    assert.equal(count, 200)
  })
})
