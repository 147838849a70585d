import { REGION_WORDS } from '../remote-memory.js'
import type { Area } from './area.js'
import { describeError, same, sameBytes, sure, thrownBy, throwsCode } from './expect.js'
import { pattern } from './stage.js'

const NOTHING = new Uint8Array(0)

/** A dead peer breaks the calls to that peer only. */
export const peerFailure: Area = {
  title: 'peer failure',
  size: 3,
  declare(test) {
    test('frames that a peer had sent are still handed over after peerGone', async (stage) => {
      const { frameBytesMax, queueBytesMax } = stage.limits
      const accepted = stage.fill(2, 0, frameBytesMax, Math.ceil(queueBytesMax / frameBytesMax) + 1)
      // Whatever is still inside the process dies with it, so the part that counts is pushed out first.
      await stage.until('the doomed rank to push out its frames', () => !stage.end(2).hasUnsent, [2, 0])
      await stage.kill(2)
      stage.end(0).peerGone(2)
      await stage.expectFilled(2, 0, frameBytesMax, accepted)
    })

    test('trySend to it throws ERR_PROC_FAILED with its rank, again and again', async (stage) => {
      await stage.send(0, 2, Int32Array.of(1), pattern(10, 1))
      await stage.settle()
      await stage.kill(2)
      for (const rank of [0, 1]) {
        stage.end(rank).peerGone(2)
        const send = (): void => void stage.end(rank).trySend(2, Int32Array.of(1), 1, NOTHING, 0, 0)
        for (let i = 0; i < 3; i++) throwsCode(send, 'ERR_PROC_FAILED', 2, `trySend of rank ${rank} to a dead peer`)
      }
    })

    test('peerGone may be told twice, of a peer never talked to, with and without its death', async (stage) => {
      stage.end(0).peerGone(2)
      stage.end(0).peerGone(2)
      await stage.kill(2)
      stage.end(0).peerGone(2)
      stage.end(1).peerGone(2)
      await stage.send(0, 1, Int32Array.of(1), pattern(10, 1))
      await stage.expectFrames(0, 1, [{ words: Int32Array.of(1), bytes: pattern(10, 1) }])
    })

    test('the survivors go on talking', async (stage) => {
      await stage.send(2, 0, Int32Array.of(1), pattern(10, 1))
      await stage.settle()
      await stage.kill(2)
      const exchange = async (round: number): Promise<void> => {
        for (let i = 0; i < 30; i++) {
          await stage.send(0, 1, Int32Array.of(round, i), pattern(stage.limits.frameBytesMax, i))
          await stage.send(1, 0, Int32Array.of(round, i), pattern(i, i))
        }
      }
      await exchange(0)
      stage.end(0).peerGone(2)
      await exchange(1)
      stage.end(1).peerGone(2)
      await exchange(2)
      const indices = Array.from({ length: 90 }, (_, i) => [Math.floor(i / 30), i % 30] as const)
      const large = indices.map(([round, i]) => ({
        words: Int32Array.of(round, i),
        bytes: pattern(stage.limits.frameBytesMax, i),
      }))
      const small = indices.map(([round, i]) => ({ words: Int32Array.of(round, i), bytes: pattern(i, i) }))
      await stage.expectFrames(0, 1, large)
      await stage.expectFrames(1, 0, small)
    })

    test('sending to a peer that has died unnoticed does not disturb anybody', async (stage) => {
      await stage.kill(2)
      for (let i = 0; i < 20; i++) {
        // Accepted, refused or known to be dead: all are true answers before peerGone.
        const error = thrownBy(() => void stage.end(0).trySend(2, Int32Array.of(i), 1, pattern(100, i), 0, 100))
        const isExpected = error === undefined || (error as { code?: unknown }).code === 'ERR_PROC_FAILED'
        sure(isExpected, `trySend to a peer that died unnoticed: ${describeError(error)}`)
        await stage.send(0, 1, Int32Array.of(i), pattern(100, i))
      }
      const expected = Array.from({ length: 20 }, (_, i) => ({ words: Int32Array.of(i), bytes: pattern(100, i) }))
      await stage.expectFrames(0, 1, expected)
    })

    test('frames for a dead peer do not stay unsent for ever, and do not hold up close', async (stage) => {
      const { frameBytesMax, queueBytesMax } = stage.limits
      stage.fill(0, 2, frameBytesMax, Math.ceil(queueBytesMax / frameBytesMax) + 1)
      await stage.kill(2)
      stage.end(0).peerGone(2)
      await stage.until('hasUnsent to become false', () => !stage.end(0).hasUnsent)
      await stage.close(0)
    })

    test(
      'remote memory refuses with ERR_PROC_FAILED and its rank',
      async (stage) => {
        const shared = pattern(4096, 1)
        const words = new Int32Array(REGION_WORDS)
        stage.memory(2).expose(shared, words, 0)
        const into = new Uint8Array(4096)
        stage.memory(0).read(2, words, 0, 0, into, 0, 4096)
        await stage.kill(2)
        stage.end(0).peerGone(2)
        const read = (): void => stage.memory(0).read(2, words, 0, 0, into, 0, 4096)
        throwsCode(read, 'ERR_PROC_FAILED', 2, 'read from a dead peer')
        throwsCode(
          () => stage.memory(0).readMany(2, words, 0, 1, [into]),
          'ERR_PROC_FAILED',
          2,
          'readMany from a dead peer',
        )
      },
      ['remoteMemory'],
    )

    test(
      'remote memory refuses writes with ERR_PROC_FAILED and its rank',
      async (stage) => {
        const shared = pattern(4096, 1)
        const words = new Int32Array(REGION_WORDS)
        stage.memory(2).expose(shared, words, 0)
        const from = new Uint8Array(4096)
        await stage.kill(2)
        stage.end(0).peerGone(2)
        const write = (): void => stage.memory(0).write(2, words, 0, 0, from, 0, 4096)
        throwsCode(write, 'ERR_PROC_FAILED', 2, 'write to a dead peer')
        sameBytes(shared, pattern(4096, 1), "a dead peer's memory after a refused write")
      },
      ['remoteWrite'],
    )

    test(
      'remote memory of the others goes on',
      async (stage) => {
        const shared = pattern(4096, 1)
        const words = new Int32Array(REGION_WORDS)
        stage.memory(1).expose(shared, words, 0)
        await stage.kill(2)
        stage.end(0).peerGone(2)
        stage.end(1).peerGone(2)
        const into = new Uint8Array(4096)
        same(stage.memory(0).canRead(1), true, 'canRead of a peer that lives')
        stage.memory(0).read(1, words, 0, 0, into, 0, 4096)
        sure(
          into.every((byte, i) => byte === shared[i]),
          'bytes read from a peer that lives',
        )
        stage.memory(1).withdraw(words, 0)
      },
      ['remoteMemory'],
    )
  },
}
