import { FRAME_WORDS_MAX } from '../transport.js'
import type { Area } from './area.js'
import { same, sameBytes, sure } from './expect.js'
import { pattern, payloadLengths } from './stage.js'

const INT32_MAX = 0x7fffffff
const INT32_MIN = -0x80000000
const CANARY = 0xa5

/** Frames arrive whole, once, as they were when `trySend` answered true. */
export const delivery: Area = {
  title: 'delivery',
  size: 3,
  declare(test) {
    test('carries payloads of every critical length', async (stage) => {
      const lengths = payloadLengths(stage.limits)
      for (const [i, length] of lengths.entries()) {
        await stage.send(0, 1, Int32Array.of(i, length), pattern(length, i))
      }
      const expected = lengths.map((length, i) => ({ words: Int32Array.of(i, length), bytes: pattern(length, i) }))
      await stage.expectFrames(0, 1, expected)
    })

    test(`carries headers of 1 to ${FRAME_WORDS_MAX} words, with and without a payload`, async (stage) => {
      const expected = []
      for (let count = 1; count <= FRAME_WORDS_MAX; count++) {
        for (const length of [0, 1, stage.limits.inlineBytesMax, stage.limits.frameBytesMax]) {
          const words = new Int32Array(count).map((_, i) => Math.imul(i + 1, 0x9e3779b1) ^ (count << 8) ^ length)
          expected.push({ words, bytes: pattern(length, count) })
          await stage.send(1, 0, words, pattern(length, count))
        }
      }
      await stage.expectFrames(1, 0, expected)
    })

    test('carries every int32 in a header', async (stage) => {
      const words = Int32Array.of(0, -1, 1, INT32_MAX, INT32_MIN, INT32_MIN + 1, 255, 256, 0x01020304, 0, 0, -1)
      await stage.send(0, 2, words, new Uint8Array(0))
      await stage.expectFrames(0, 2, [{ words, bytes: new Uint8Array(0) }])
    })

    test('takes no more words than wordCount says', async (stage) => {
      const words = Int32Array.of(7, 8, 9, 10, 11)
      await stage.until('a frame to be sent', () => stage.end(0).trySend(1, words, 2, new Uint8Array(0), 0, 0))
      await stage.expectFrames(0, 1, [{ words: Int32Array.of(7, 8), bytes: new Uint8Array(0) }])
    })

    test('takes exactly the bytes named, from inside views and arrays', async (stage) => {
      const lengths = payloadLengths(stage.limits)
      for (const [i, length] of lengths.entries()) {
        // Canaries on both sides, a view that starts at an odd place, and a piece that starts inside the view.
        const memory = new Uint8Array(length + 32).fill(CANARY)
        const view = memory.subarray(3, length + 29)
        view.set(pattern(length, i), 5 + (i % 3))
        await stage.send(0, 1, Int32Array.of(i), view, 5 + (i % 3), length)
      }
      const expected = lengths.map((length, i) => ({ words: Int32Array.of(i), bytes: pattern(length, i) }))
      await stage.expectFrames(0, 1, expected)
    })

    test("leaves the sender's words and bytes as they were", async (stage) => {
      for (const length of payloadLengths(stage.limits)) {
        const bytes = pattern(length, 1)
        const words = Int32Array.of(1, 2, 3)
        await stage.send(0, 1, words, bytes)
        sameBytes(words, [1, 2, 3], `words after trySend of ${length} bytes`)
        sameBytes(bytes, pattern(length, 1), `bytes after trySend of ${length} bytes`)
      }
      await stage.settle()
    })

    test('has copied words and bytes when trySend returns', async (stage) => {
      const lengths = payloadLengths(stage.limits)
      const memory = new Uint8Array(stage.limits.frameBytesMax)
      const words = new Int32Array(3)
      for (const [i, length] of lengths.entries()) {
        words.fill(i)
        memory.set(pattern(length, i))
        await stage.until('a frame to be sent', () => {
          const accepted = stage.end(0).trySend(1, words, 3, memory, 0, length)
          // Spoilt in the same breath, before anybody can poll.
          if (accepted) {
            memory.fill(0)
            words.fill(-99)
          }
          return accepted
        })
      }
      const expected = lengths.map((length, i) => ({ words: Int32Array.of(i, i, i), bytes: pattern(length, i) }))
      await stage.expectFrames(0, 1, expected)
    })

    test('carries both directions at once', async (stage) => {
      const expected = []
      for (let i = 0; i < 50; i++) {
        const bytes = pattern((i * 37) % (stage.limits.frameBytesMax + 1), i)
        const words = Int32Array.of(i)
        expected.push({ words, bytes })
        await stage.send(0, 1, words, bytes)
        await stage.send(1, 0, words, bytes)
      }
      await stage.expectFrames(0, 1, expected)
      await stage.expectFrames(1, 0, expected)
    })

    test('hands a frame to the rank it was sent to, and names the rank that sent it', async (stage) => {
      const bytes = new Uint8Array(0)
      for (let from = 0; from < stage.size; from++) {
        for (let to = 0; to < stage.size; to++) {
          if (from !== to) await stage.send(from, to, Int32Array.of(from, to), bytes)
        }
      }
      for (let from = 0; from < stage.size; from++) {
        for (let to = 0; to < stage.size; to++) {
          if (from !== to) await stage.expectFrames(from, to, [{ words: Int32Array.of(from, to), bytes }])
        }
      }
      sure(
        stage.recorders.every((recorder) => recorder.frames.length === stage.size - 1),
        'every rank gets one frame of each peer',
      )
    })

    test('hands over nothing when nothing was sent', async (stage) => {
      await stage.settle()
      for (const recorder of stage.recorders) same(recorder.frames.length, 0, 'frames out of nowhere')
    })
  },
}
