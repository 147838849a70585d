import type { Area } from './area.js'
import { same, sameBytes, sure } from './expect.js'
import { pattern } from './stage.js'

/** Far more empty frames than any bounded queue should hold. */
const EMPTY_FRAMES_MAX = 131_072

/** A full queue answers false, has done nothing, and empties by polling. */
export const backPressure: Area = {
  title: 'back-pressure',
  size: 3,
  declare(test) {
    test('accepts at least one full frame, and no more than limits.queueBytesMax while nobody polls', async (stage) => {
      const { frameBytesMax, queueBytesMax } = stage.limits
      const most = Math.floor(queueBytesMax / frameBytesMax)
      const accepted = stage.fill(0, 1, frameBytesMax, most + 1)
      sure(accepted >= 1, 'an empty queue refused a full frame')
      sure(
        accepted <= most,
        `more than limits.queueBytesMax is under way: ${accepted} frames of ${frameBytesMax} bytes`,
      )
      await stage.expectFilled(0, 1, frameBytesMax, accepted)
    })

    test('bounds empty frames too', async (stage) => {
      const accepted = stage.fill(0, 1, 0, EMPTY_FRAMES_MAX)
      sure(accepted >= 1, 'an empty queue refused an empty frame')
      sure(
        accepted < EMPTY_FRAMES_MAX,
        `${accepted} empty frames were accepted while nobody polled: is the queue bounded?`,
      )
      await stage.expectFilled(0, 1, 0, accepted)
    })

    test('has done nothing when it answers false', async (stage) => {
      const { frameBytesMax, queueBytesMax } = stage.limits
      const most = Math.ceil(queueBytesMax / frameBytesMax) + 1
      const accepted = stage.fill(0, 1, frameBytesMax, most)
      const words = Int32Array.of(-7, -8)
      const bytes = pattern(frameBytesMax, 999)
      const wasAccepted = stage.end(0).trySend(1, words, 2, bytes, 0, frameBytesMax)
      same(wasAccepted, false, 'trySend into a full queue')
      sameBytes(words, [-7, -8], "a refused frame's words")
      sameBytes(bytes, pattern(frameBytesMax, 999), "a refused frame's bytes")
      await stage.expectFilled(0, 1, frameBytesMax, accepted)
      await stage.send(0, 1, words, bytes)
      await stage.until('the frame that was refused at first', () => stage.recorder(1).frames.length > accepted)
      sameBytes(stage.recorder(1).frames[accepted]?.bytes ?? [], bytes, 'the frame that was refused at first')
    })

    test('accepts again after the receiver has polled, for any number of frames', async (stage) => {
      const { frameBytesMax, queueBytesMax } = stage.limits
      const frameCount = 4 * Math.ceil(queueBytesMax / frameBytesMax) + 3
      const expected = []
      for (let i = 0; i < frameCount; i++) {
        const frame = { words: Int32Array.of(i), bytes: pattern(frameBytesMax - (i % 5), i) }
        expected.push(frame)
        await stage.send(0, 1, frame.words, frame.bytes)
      }
      await stage.expectFrames(0, 1, expected)
    })

    test('fills and drains again and again, at odd lengths', async (stage) => {
      const { frameBytesMax, queueBytesMax } = stage.limits
      for (const length of [1, 13, Math.floor(frameBytesMax / 3), frameBytesMax - 1]) {
        for (let round = 0; round < 3; round++) {
          stage.recorder(2).frames.length = 0
          // Frames are counted too: tiny ones need not fill the byte bound.
          const accepted = stage.fill(0, 2, length, Math.min(5000, Math.ceil(queueBytesMax / length) + 1))
          sure(accepted >= 1, `an empty queue refused ${length} bytes`)
          await stage.expectFilled(0, 2, length, accepted)
        }
      }
    })

    test('a full queue to one peer does not hold up another', async (stage) => {
      const { frameBytesMax, queueBytesMax } = stage.limits
      const accepted = stage.fill(0, 1, frameBytesMax, Math.ceil(queueBytesMax / frameBytesMax) + 1)
      const awake = [0, 2]
      for (let i = 0; i < 20; i++) {
        const words = Int32Array.of(i)
        const bytes = pattern(frameBytesMax, i)
        const isSent = (): boolean => stage.end(0).trySend(2, words, 1, bytes, 0, frameBytesMax)
        await stage.until(`frame ${i} past a full queue`, isSent, awake)
      }
      await stage.until('20 frames past a full queue', () => stage.recorder(2).frames.length === 20, awake)
      same(stage.recorder(1).frames.length, 0, 'frames of a rank that was not polled')
      await stage.expectFilled(0, 1, frameBytesMax, accepted)
    })

    test('hasUnsent becomes false once polling has pushed everything out', async (stage) => {
      const { frameBytesMax, queueBytesMax } = stage.limits
      for (const end of stage.transports) same(end.hasUnsent, false, 'hasUnsent before anything was sent')
      const accepted = stage.fill(0, 1, frameBytesMax, Math.ceil(queueBytesMax / frameBytesMax) + 1)
      await stage.until('everything to be pushed out', () => !stage.end(0).hasUnsent)
      // From here on, the frames come without any help of their sender.
      await stage.until('every frame', () => stage.recorder(1).frames.length === accepted, [1])
      same(stage.end(0).hasUnsent, false, 'hasUnsent after everything was received')
    })
  },
}
