import type { Area } from './area.js'
import { pattern, payloadLengths } from './stage.js'

/** Frames of one peer arrive in the order they were sent in. */
export const ordering: Area = {
  title: 'ordering',
  size: 4,
  declare(test) {
    test('keeps the order of small and large frames of one peer', async (stage) => {
      const lengths = payloadLengths(stage.limits)
      const expected = []
      for (let i = 0; i < 200; i++) {
        // 7 is prime to the count of lengths in all likelihood, so large and small follow each other in many ways.
        const bytes = pattern(lengths[(i * 7) % lengths.length] as number, i)
        const words = Int32Array.of(i)
        expected.push({ words, bytes })
        await stage.send(0, 1, words, bytes)
      }
      await stage.expectFrames(0, 1, expected)
    })

    test('keeps the order of each peer when several send to one', async (stage) => {
      const lengths = payloadLengths(stage.limits)
      const expected = []
      for (let i = 0; i < 60; i++) {
        const bytes = pattern(lengths[(i * 5) % lengths.length] as number, i)
        const words = Int32Array.of(i, 2 * i)
        expected.push({ words, bytes })
        for (let from = 1; from < stage.size; from++) await stage.send(from, 0, words, bytes)
      }
      for (let from = 1; from < stage.size; from++) await stage.expectFrames(from, 0, expected)
    })

    test('keeps the order towards each peer when one sends to several', async (stage) => {
      const lengths = payloadLengths(stage.limits)
      const expected = []
      for (let i = 0; i < 60; i++) {
        const bytes = pattern(lengths[(i * 3) % lengths.length] as number, i)
        const words = Int32Array.of(i)
        expected.push({ words, bytes })
        for (let to = 1; to < stage.size; to++) await stage.send(0, to, words, bytes)
      }
      for (let to = 1; to < stage.size; to++) await stage.expectFrames(0, to, expected)
    })

    test('keeps the order when the receiver takes one frame at a time', async (stage) => {
      const expected = []
      for (let i = 0; i < 100; i++) {
        const frame = { words: Int32Array.of(i), bytes: pattern(i % 2 === 0 ? 0 : stage.limits.frameBytesMax, i) }
        expected.push(frame)
        const isSent = (): boolean => {
          return stage.end(0).trySend(1, frame.words, 1, frame.bytes, 0, frame.bytes.byteLength)
        }
        await stage.until(`frame ${i} to be sent`, () => isSent() || (stage.poll(1, 1) > 0 && isSent()), [0])
      }
      await stage.expectFrames(0, 1, expected)
    })
  },
}
