import type { Area } from './area.js'
import { same, sure } from './expect.js'
import { pattern, type Stage } from './stage.js'

const PARK_MILLISECONDS = 2000
const TURNS = 20

/** Sleeping, in both faces. */
export const wakeUp: Area = {
  title: 'parking and wake-up',
  size: 3,
  declare(test) {
    test('park comes back, with nothing to wait for', async (stage) => {
      stage.end(0).park(0)
      stage.end(0).park(1)
      stage.end(0).park(20)
      await stage.send(1, 0, Int32Array.of(1), pattern(10, 1))
      await stage.expectFrames(1, 0, [{ words: Int32Array.of(1), bytes: pattern(10, 1) }])
    })

    test('park returns at once when frames wait', async (stage) => {
      await leaveOneWaiting(stage)
      const before = Date.now()
      stage.end(0).park(PARK_MILLISECONDS)
      // Not a measurement: between "at once" and "the whole time" lies room for the slowest machine.
      sure(Date.now() - before < PARK_MILLISECONDS - 500, 'park slept while a frame was waiting')
      await stage.until('the frame that was waiting', () => stage.recorder(0).frames.length === 2)
    })

    test('yield comes back', (stage) => {
      for (let i = 0; i < 100; i++) stage.end(0).yield()
    })

    test('onWake calls the listener when a frame comes', async (stage) => {
      let wakes = 0
      same(
        stage.end(0).onWake(() => wakes++),
        true,
        'onWake with nothing waiting',
      )
      same(wakes, 0, 'wake-ups inside onWake')
      await stage.send(1, 0, Int32Array.of(1), pattern(10, 1))
      await waitAwake(stage, 'the wake-up', () => wakes > 0)
      await stage.expectFrames(1, 0, [{ words: Int32Array.of(1), bytes: pattern(10, 1) }])
    })

    test('onWake does not call the listener from inside trySend', async (stage) => {
      let isSending = false
      let wasInside = false
      let wakes = 0
      stage.end(0).onWake(() => {
        wasInside ||= isSending
        wakes++
      })
      const words = Int32Array.of(1)
      const bytes = pattern(10, 1)
      await stage.until('a frame to be sent', () => {
        isSending = true
        const isSent = stage.end(1).trySend(0, words, 1, bytes, 0, bytes.byteLength)
        isSending = false
        return isSent
      }, [1])
      await waitAwake(stage, 'the wake-up', () => wakes > 0)
      same(wasInside, false, 'the listener was called from inside trySend')
    })

    test('onWake answers false and arms nothing when frames wait', async (stage) => {
      await leaveOneWaiting(stage)
      let wakes = 0
      same(
        stage.end(0).onWake(() => wakes++),
        false,
        'onWake while a frame waits',
      )
      await stage.turns(TURNS)
      same(wakes, 0, 'wake-ups of a listener that was not armed')
      await stage.until('the frame that was waiting', () => stage.recorder(0).frames.length === 2)
      await stage.send(1, 0, Int32Array.of(3), pattern(10, 3))
      await stage.until('another frame', () => stage.recorder(0).frames.length === 3)
      await stage.turns(TURNS)
      same(wakes, 0, 'wake-ups of a listener that was not armed')
    })

    test('a wake-up is spent when it fires', async (stage) => {
      let wakes = 0
      await armed(stage, 0, () => wakes++)
      await stage.send(1, 0, Int32Array.of(1), pattern(10, 1))
      await waitAwake(stage, 'the wake-up', () => wakes > 0)
      await stage.until('the first frame', () => stage.recorder(0).frames.length === 1)
      // Time for a transport to arm itself again, if it is one that does.
      await stage.turns(TURNS)
      await stage.send(2, 0, Int32Array.of(2), pattern(10, 2))
      await proveWakesWork(stage)
      same(wakes, 1, 'calls of a listener that was armed once')
      await stage.until('the second frame', () => stage.recorder(0).frames.length === 2)
    })

    test('null takes the wake-up back', async (stage) => {
      let wakes = 0
      await armed(stage, 0, () => wakes++)
      stage.end(0).onWake(null)
      await stage.send(1, 0, Int32Array.of(1), pattern(10, 1))
      await proveWakesWork(stage)
      same(wakes, 0, 'calls of a listener that was taken back')
      await stage.until('the frame', () => stage.recorder(0).frames.length === 1)
    })

    test('can be armed again, also from inside the listener, and never sleeps through a frame', async (stage) => {
      // Both ranks poll only when they are woken: one lost wake-up and the ball lies still.
      const rounds = 60
      let hops = 0
      let isOver = false
      const drive = (rank: number): void => {
        if (isOver) return
        const end = stage.end(rank)
        do {
          while (stage.poll(rank, 1) > 0) hops++
        } while (!end.onWake(() => drive(rank)))
      }
      for (const rank of [0, 1]) {
        const words = Int32Array.of(0)
        const peer = 1 - rank
        stage.recorder(rank).onFrame = (frame) => {
          words[0] = (frame.words[0] as number) + 1
          if ((words[0] as number) > rounds) return
          // The ball is alone on the way, so a refusal can only be a passing one.
          for (let tries = 0; tries < 1000; tries++)
            if (stage.end(rank).trySend(peer, words, 1, frame.bytes, 0, 40)) return
          stage.recorder(rank).blame('an empty queue refuses for ever')
        }
        drive(rank)
      }
      const throwBall = (): boolean => stage.end(0).trySend(1, Int32Array.of(1), 1, pattern(40, 1), 0, 40)
      try {
        await stage.until('the ball to be thrown', throwBall, [])
        await stage.until(`${rounds} wake-ups`, () => {
          stage.pushOut()
          return hops >= rounds
        }, [])
      } finally {
        // A listener that is called after all must not drive an end that is closed.
        isOver = true
      }
      same(hops, rounds, 'throws of the ball')
      for (const rank of [0, 1]) stage.end(rank).onWake(null)
    })
  },
}

/** Makes rank 0 have seen one frame of two: the second has come, as surely as the suite can know. */
async function leaveOneWaiting(stage: Stage): Promise<void> {
  const words = Int32Array.of(1)
  for (let i = 0; i < 2; i++) {
    const isSent = (): boolean => stage.end(1).trySend(0, words, 1, pattern(10, i), 0, 10)
    await stage.until('a frame to be sent', isSent, [1])
  }
  await stage.flush(1)
  await stage.until('the first of two frames', () => stage.recorder(0).frames.length > 0 || stage.poll(0, 1) > 0, [1])
}

/** Arms a rank that may still have to look at frames the suite knows nothing of. */
async function armed(stage: Stage, rank: number, listener: () => void): Promise<void> {
  await stage.until('onWake to answer true', () => stage.end(rank).onWake(listener), [rank])
}

/** Waits for a wake-up. Rank 0, the sleeper, is not polled meanwhile. */
async function waitAwake(stage: Stage, what: string, condition: () => boolean): Promise<void> {
  await stage.until(what, condition, [1, 2])
}

/** Wakes rank 2, so that a wake-up of rank 0 has had all the time it could need. */
async function proveWakesWork(stage: Stage): Promise<void> {
  let wakes = 0
  await armed(stage, 2, () => wakes++)
  const isSent = (): boolean => stage.end(1).trySend(2, Int32Array.of(9), 1, pattern(10, 9), 0, 10)
  await stage.until('a frame to rank 2', isSent, [1])
  await stage.until("rank 2's wake-up", () => wakes > 0, [1])
  await stage.turns(TURNS)
}
