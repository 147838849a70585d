import type { Area } from './area.js'
import { same, sure, throwsCode } from './expect.js'
import { pattern } from './stage.js'

const NOTHING = new Uint8Array(0)

/** What an end says about itself, and how it goes. */
export const lifecycle: Area = {
  title: 'lifecycle',
  size: 3,
  declare(test) {
    test('has a name and limits that keep to the contract', (stage) => {
      for (const end of stage.transports) {
        const { frameBytesMax, inlineBytesMax, frameCostBytes, queueBytesMax } = end.limits
        sure(end.name.length > 0, 'a transport without a name')
        sure(
          Number.isInteger(frameBytesMax) && frameBytesMax >= 1024,
          `frameBytesMax is ${frameBytesMax}, not at least 1024`,
        )
        sure(Number.isInteger(inlineBytesMax) && inlineBytesMax >= 0, `inlineBytesMax is ${inlineBytesMax}`)
        sure(inlineBytesMax <= frameBytesMax, `inlineBytesMax ${inlineBytesMax} exceeds frameBytesMax ${frameBytesMax}`)
        sure(Number.isInteger(frameCostBytes) && frameCostBytes >= 0, `frameCostBytes is ${frameCostBytes}`)
        sure(frameCostBytes <= frameBytesMax, `frameCostBytes ${frameCostBytes} exceeds frameBytesMax ${frameBytesMax}`)
        sure(Number.isInteger(queueBytesMax), `queueBytesMax is ${queueBytesMax}`)
        sure(
          queueBytesMax >= frameBytesMax,
          `queueBytesMax ${queueBytesMax} is less than frameBytesMax ${frameBytesMax}`,
        )
      }
    })

    test('reaches every peer, from both ends', (stage) => {
      for (let rank = 0; rank < stage.size; rank++) {
        for (let peer = 0; peer < stage.size; peer++) {
          if (rank === peer) continue
          same(stage.end(rank).whyNot(peer), null, `why rank ${rank} does not reach rank ${peer}`)
          same(stage.end(rank).reaches(peer), true, `rank ${rank} reaches rank ${peer}`)
        }
      }
    })

    test('close pushes out what was accepted, however much it is', async (stage) => {
      const { frameBytesMax, queueBytesMax } = stage.limits
      const accepted = stage.fill(0, 1, frameBytesMax, Math.ceil(queueBytesMax / frameBytesMax) + 1)
      await stage.close(0)
      await stage.expectFilled(0, 1, frameBytesMax, accepted)
    })

    test('close is idempotent, also twice at once', async (stage) => {
      const first = stage.end(0).close()
      const second = stage.end(0).close()
      await first
      await second
      await stage.close(0)
    })

    test('abort is idempotent, and works before and after close', async (stage) => {
      stage.abort(0)
      stage.abort(0)
      await stage.close(0)
      await stage.close(1)
      stage.abort(1)
    })

    test('abort in the middle of close does no harm', async (stage) => {
      stage.fill(0, 1, stage.limits.frameBytesMax, 2)
      const closing = stage.end(0).close()
      stage.abort(0)
      await closing
    })

    test('trySend throws ERR_CLOSED after close and after abort', async (stage) => {
      await stage.close(0)
      stage.abort(1)
      for (const rank of [0, 1]) {
        const send = (): void => void stage.end(rank).trySend(2, Int32Array.of(1), 1, NOTHING, 0, 0)
        throwsCode(send, 'ERR_CLOSED', undefined, rank === 0 ? 'trySend after close' : 'trySend after abort')
      }
    })

    test('close and abort take the wake-up back', async (stage) => {
      let wakes = 0
      for (const rank of [0, 1])
        same(
          stage.end(rank).onWake(() => wakes++),
          true,
          'onWake with nothing waiting',
        )
      await stage.close(0)
      stage.abort(1)
      await stage.turns(10)
      same(wakes, 0, 'wake-ups of ends that are gone')
    })

    test('the others go on when one end has closed', async (stage) => {
      await stage.close(0)
      for (let i = 0; i < 50; i++) {
        await stage.send(1, 2, Int32Array.of(i), pattern(500, i))
        await stage.send(2, 1, Int32Array.of(i), pattern(500, i))
      }
      const expected = Array.from({ length: 50 }, (_, i) => ({ words: Int32Array.of(i), bytes: pattern(500, i) }))
      await stage.expectFrames(1, 2, expected)
      await stage.expectFrames(2, 1, expected)
    })
  },
}

/** A job of one has no peers; everything else still works. */
export const worldOfOne: Area = {
  title: 'a job of one rank',
  size: 1,
  declare(test) {
    test('polls, parks, arms and closes', async (stage) => {
      same(stage.poll(0), 0, 'frames in a job of one')
      stage.end(0).park(1)
      stage.end(0).yield()
      same(stage.end(0).hasUnsent, false, 'hasUnsent in a job of one')
      same(
        stage.end(0).onWake(() => {}),
        true,
        'onWake in a job of one',
      )
      stage.end(0).onWake(null)
      await stage.close(0)
    })
  },
}
