import type { Area } from './area.js'
import { same, sameBytes, sure } from './expect.js'
import { pattern, payloadLengths } from './stage.js'

/** `poll` hands over as many frames as it was asked for, and the receiver may send from inside. */
export const polling: Area = {
  title: 'polling and re-entrancy',
  size: 3,
  declare(test) {
    test('hands over no more than framesMax frames', async (stage) => {
      for (let i = 0; i < 12; i++) await stage.send(i % 2 === 0 ? 1 : 2, 0, Int32Array.of(i), pattern(i, i))
      const before = stage.recorder(0).frames.length
      // The stage compares what poll answers, what it handed over and what it was allowed.
      for (const framesMax of [0, 1, 2, 3, 1]) {
        stage.poll(0, framesMax)
        stage.check()
      }
      sure(stage.recorder(0).frames.length - before <= 7, 'poll handed over more than it was asked for')
      await stage.until('all 12 frames', () => stage.recorder(0).frames.length === 12)
    })

    test('hands over nothing with framesMax 0, and loses nothing by it', async (stage) => {
      await stage.send(1, 0, Int32Array.of(1), pattern(10, 1))
      const before = stage.recorder(0).frames.length
      same(stage.poll(0, 0), 0, 'poll with framesMax 0')
      same(stage.recorder(0).frames.length, before, 'frames handed over with framesMax 0')
      await stage.expectFrames(1, 0, [{ words: Int32Array.of(1), bytes: pattern(10, 1) }])
    })

    test('takes a framesMax far above what waits', async (stage) => {
      await stage.send(1, 0, Int32Array.of(1), pattern(10, 1))
      await stage.until('the frame', () => stage.poll(0, 1_000_000) + stage.recorder(0).frames.length > 0)
      await stage.expectFrames(1, 0, [{ words: Int32Array.of(1), bytes: pattern(10, 1) }])
    })

    test('lets the receiver answer from inside frame, also into a full queue', async (stage) => {
      const lengths = payloadLengths(stage.limits)
      const backlog: { words: Int32Array; bytes: Uint8Array }[] = []
      const isAnswered = (frame: { words: Int32Array; bytes: Uint8Array }): boolean => {
        return stage.end(1).trySend(0, frame.words, frame.words.length, frame.bytes, 0, frame.bytes.byteLength)
      }
      stage.recorder(1).onFrame = (frame) => {
        if (backlog.length > 0 || !isAnswered(frame)) backlog.push(frame)
      }
      const expected = []
      for (let i = 0; i < 150; i++) {
        const frame = { words: Int32Array.of(i, -i), bytes: pattern(lengths[(i * 5) % lengths.length] as number, i) }
        expected.push(frame)
        await stage.send(0, 1, frame.words, frame.bytes)
      }
      await stage.until('all answers', () => {
        while (backlog.length > 0 && isAnswered(backlog[0] as (typeof backlog)[0])) backlog.shift()
        return stage.recorder(0).frames.length >= expected.length
      })
      await stage.expectFrames(1, 0, expected)
    })

    test('passes frames on around a ring from inside frame', async (stage) => {
      const laps = 40
      const waiting: (() => boolean)[] = []
      for (let rank = 0; rank < stage.size; rank++) {
        stage.recorder(rank).onFrame = (frame) => {
          const hops = frame.words[0] as number
          if (hops === laps * stage.size) return
          const next = (rank + 1) % stage.size
          const words = Int32Array.of(hops + 1)
          const isSent = (): boolean => stage.end(rank).trySend(next, words, 1, frame.bytes, 0, frame.bytes.byteLength)
          if (!isSent()) waiting.push(isSent)
        }
      }
      const bytes = pattern(100, 5)
      await stage.send(0, 1, Int32Array.of(1), bytes)
      const last = stage.recorder(0)
      await stage.until(`${laps} laps`, () => {
        while (waiting[0]?.() === true) waiting.shift()
        return last.frames.length === laps
      })
      for (const frame of last.frames) sameBytes(frame.bytes, bytes, 'bytes after a lap')
    })

    test('lends a payload that sending from inside frame does not change', async (stage) => {
      const { frameBytesMax } = stage.limits
      const sent = pattern(frameBytesMax, 3)
      const answer = new Uint8Array(frameBytesMax).fill(0x11)
      let isLentIntact = true
      let isReceived = false
      const receiver = {
        frame(
          peer: number,
          _words: Int32Array,
          _count: number,
          bytes: Uint8Array,
          offset: number,
          length: number,
        ): void {
          for (let i = 0; i < 4; i++) stage.end(1).trySend(peer, Int32Array.of(i), 1, answer, 0, frameBytesMax)
          for (let i = 0; i < length; i++) if (bytes[offset + i] !== sent[i]) isLentIntact = false
          isReceived = length === frameBytesMax
        },
      }
      await stage.send(0, 1, Int32Array.of(1), sent)
      // Rank 1 is left out of the suite's own polling, so that the frame waits for this receiver.
      await stage.until('the frame', () => isReceived || (stage.end(1).poll(receiver, 1) === 1 && isReceived), [0])
      sure(isLentIntact, 'the lent payload changed while the receiver was sending')
    })
  },
}
