// What copying a small payload into shared memory costs, by way and length: why ring-writer.ts copies as it does.
// node packages/transport-cma/bench/copy-cost.mjs
import { loadLibc } from '@onecopy/transport-cma'

const { libc } = loadLibc()
const memfd = libc.memfdCreate('copy-cost')
libc.ftruncate(memfd, 1 << 20)
const ring = libc.viewAt(libc.mapShared(memfd, 1 << 20), 1 << 20)
const words = new Int32Array(ring.buffer)
const ROUNDS = 2000
const STRETCHES = 300

const ways = {
  loop(bytes, offset, length, at) {
    for (let i = 0; i < length; i++) ring[at + i] = bytes[offset + i]
  },
  words(bytes, offset, length, at) {
    const whole = length >> 2
    let word = at >> 2
    let from = offset
    for (let i = 0; i < whole; i++) {
      words[word++] = bytes[from] | (bytes[from + 1] << 8) | (bytes[from + 2] << 16) | (bytes[from + 3] << 24)
      from += 4
    }
    for (let i = whole << 2; i < length; i++) ring[at + i] = bytes[offset + i]
  },
  unrolled(bytes, offset, length, at) {
    let i = 0
    for (; i + 8 <= length; i += 8) {
      const to = at + i
      const from = offset + i
      ring[to] = bytes[from]
      ring[to + 1] = bytes[from + 1]
      ring[to + 2] = bytes[from + 2]
      ring[to + 3] = bytes[from + 3]
      ring[to + 4] = bytes[from + 4]
      ring[to + 5] = bytes[from + 5]
      ring[to + 6] = bytes[from + 6]
      ring[to + 7] = bytes[from + 7]
    }
    for (; i < length; i++) ring[at + i] = bytes[offset + i]
  },
  subarray(bytes, offset, length, at) {
    ring.set(bytes.subarray(offset, offset + length), at)
  },
  view(bytes, offset, length, at) {
    ring.set(new Uint8Array(bytes.buffer, bytes.byteOffset + offset, length), at)
  },
  'set whole'(bytes, _offset, _length, at) {
    ring.set(bytes, at)
  },
}
const buffers = (length) => [Buffer.alloc(length, 5), new Uint8Array(length).fill(6)]
for (const length of [8, 16, 24, 40, 64, 72, 104, 256, 1024, 4096]) {
  const row = [`${length} B`.padStart(8)]
  for (const [name, copy] of Object.entries(ways)) {
    if (length > 1024 && name !== 'subarray' && name !== 'view' && name !== 'set whole') continue
    const sources = buffers(length)
    const times = []
    for (let s = 0; s < STRETCHES; s++) {
      const start = process.hrtime.bigint()
      for (let i = 0; i < ROUNDS; i++) copy(sources[i & 1], 0, length, (i & 63) * 4096 + 64)
      times.push(Number(process.hrtime.bigint() - start) / ROUNDS)
    }
    times.sort((a, b) => a - b)
    row.push(`${name} ${times[STRETCHES / 20].toFixed(0)} ns`)
  }
  console.log(row.join('  '))
}
