import assert from 'node:assert/strict'
import { createInProcessNetwork, OnecopyError, REGION_WORDS, type Transport } from '@onecopy/transport'

const NOTHING = new Uint8Array(0)

function errorOf(call: () => void): OnecopyError {
  try {
    call()
  } catch (error) {
    assert.ok(error instanceof OnecopyError, String(error))
    return error
  }
  assert.fail('nothing was thrown')
}

function drain(transport: Transport): number[] {
  const received: number[] = []
  while (transport.poll({ frame: (_peer, words) => void received.push(words[0] as number) }, 1) > 0);
  return received
}

describe('the in-process network', () => {
  it('gives the same end each time, and refuses ranks and limits out of range', () => {
    const network = createInProcessNetwork({ size: 2 })
    assert.equal(network.transport(1), network.transport(1))
    for (const rank of [-1, 2, 0.5, Number.NaN]) assert.throws(() => network.transport(rank), RangeError)
    for (const size of [0, -1, 1.5]) assert.throws(() => createInProcessNetwork({ size }), RangeError)
    assert.throws(() => createInProcessNetwork({ size: 2, frameBytesMax: 1023 }), RangeError)
    assert.throws(() => createInProcessNetwork({ size: 2, frameBytesMax: 1024, inlineBytesMax: 1025 }), RangeError)
    assert.throws(() => createInProcessNetwork({ size: 2, frameBytesMax: 2048, queueBytesMax: 2047 }), RangeError)
  })

  it('refuses frames that break the contract, at the call', () => {
    const end = createInProcessNetwork({ size: 2 }).transport(0)
    const words = new Int32Array(13)
    const tooLong = new Uint8Array(end.limits.frameBytesMax + 1)
    for (const peer of [0, 2, -1, 0.5]) assert.throws(() => end.trySend(peer, words, 1, NOTHING, 0, 0), RangeError)
    for (const count of [0, 13, -1]) assert.throws(() => end.trySend(1, words, count, NOTHING, 0, 0), RangeError)
    assert.throws(() => end.trySend(1, new Int32Array(1), 2, NOTHING, 0, 0), RangeError)
    assert.throws(() => end.trySend(1, words, 1, tooLong, 0, tooLong.length), RangeError)
    assert.throws(() => end.trySend(1, words, 1, NOTHING, 0, 1), RangeError)
    assert.throws(() => end.trySend(1, words, 1, new Uint8Array(8), -1, 4), RangeError)
    assert.throws(() => end.trySend(1, words, 1, new Uint8Array(8), 5, 4), RangeError)
  })

  it('overwrites what it lent as soon as frame returns', () => {
    const network = createInProcessNetwork({ size: 2 })
    network.transport(0).trySend(1, Int32Array.of(1), 1, new Uint8Array(100).fill(7), 0, 100)
    let kept: Uint8Array = NOTHING
    network.transport(1).poll(
      {
        frame(_peer, _words, _count, bytes, offset, length) {
          kept = bytes.subarray(offset, offset + length)
          assert.ok(kept.every((byte) => byte === 7))
        },
      },
      1,
    )
    assert.ok(
      kept.every((byte) => byte !== 7),
      'a lent payload survived the loan',
    )
  })

  it('refuses a poll inside a poll, and survives a receiver that throws', () => {
    const network = createInProcessNetwork({ size: 2 })
    const end = network.transport(1)
    for (let i = 0; i < 3; i++) network.transport(0).trySend(1, Int32Array.of(i), 1, NOTHING, 0, 0)
    const again = { frame: () => void end.poll(again, 1) }
    assert.throws(() => end.poll(again, 1), /from inside receiver.frame/)
    assert.deepEqual(drain(end), [1, 2])
  })

  it('takes one frame of each talking peer in turn', () => {
    const network = createInProcessNetwork({ size: 4 })
    for (const peer of [1, 2, 3]) {
      for (let i = 0; i < 3; i++) network.transport(peer).trySend(0, Int32Array.of(peer), 1, NOTHING, 0, 0)
    }
    assert.deepEqual(drain(network.transport(0)), [1, 2, 3, 1, 2, 3, 1, 2, 3])
  })

  it('may be closed from inside frame', () => {
    const network = createInProcessNetwork({ size: 3 })
    const end = network.transport(0)
    for (const peer of [1, 2, 1]) network.transport(peer).trySend(0, Int32Array.of(1), 1, NOTHING, 0, 0)
    assert.equal(end.poll({ frame: () => end.abort() }, 10), 1)
    assert.equal(errorOf(() => end.poll({ frame: () => {} }, 1)).code, 'ERR_CLOSED')
    assert.equal(errorOf(() => end.onWake(() => {})).code, 'ERR_CLOSED')
    assert.equal(end.onWake(null), true)
  })

  it('keeps frames whole through every wrap and growth of a queue', () => {
    for (const seed of [1, 2, 3, 4]) {
      const network = createInProcessNetwork({ size: 2, frameBytesMax: 1024, queueBytesMax: 3000, queueFramesMax: 40 })
      let state = seed
      const draw = (most: number): number => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0
        return Math.floor((state / 2 ** 32) * (most + 1))
      }
      const queued: number[] = []
      let sent = 0
      let queuedBytes = 0
      const receiver = {
        frame(
          _peer: number,
          words: Int32Array,
          _count: number,
          bytes: Uint8Array,
          offset: number,
          length: number,
        ): void {
          assert.equal(length, queued.shift(), `seed ${seed}`)
          queuedBytes -= length
          for (let i = 0; i < length; i++) {
            if (bytes[offset + i] !== (words[0] as number) % 251) assert.fail(`seed ${seed}: frame ${words[0]} is torn`)
          }
        },
      }
      for (let i = 0; i < 3000; i++) {
        const length = draw(3) === 0 ? draw(1024) : draw(40)
        const hasRoom = queued.length < 40 && queuedBytes + length <= 3000
        const bytes = new Uint8Array(length).fill(sent % 251)
        assert.equal(network.transport(0).trySend(1, Int32Array.of(sent), 1, bytes, 0, length), hasRoom, `seed ${seed}`)
        if (hasRoom) {
          queued.push(length)
          queuedBytes += length
          sent++
        }
        if (draw(1) === 0) network.transport(1).poll(receiver, draw(3))
      }
      network.transport(1).poll(receiver, 100)
      assert.deepEqual(queued, [], `seed ${seed}`)
    }
  })

  it('carries frames between hundreds of ranks', () => {
    const size = 300
    const network = createInProcessNetwork({ size })
    for (let rank = 0; rank < size; rank++) {
      for (const hop of [1, 7, 100]) {
        assert.ok(network.transport(rank).trySend((rank + hop) % size, Int32Array.of(hop), 1, NOTHING, 0, 0))
      }
    }
    for (let rank = 0; rank < size; rank++)
      assert.deepEqual(
        drain(network.transport(rank)).sort((a, b) => a - b),
        [1, 7, 100],
      )
  })

  it('wakes through the scheduler it was given', () => {
    const scheduled: (() => void)[] = []
    const network = createInProcessNetwork({ size: 2, schedule: (callback) => void scheduled.push(callback) })
    let wakes = 0
    assert.equal(
      network.transport(1).onWake(() => void wakes++),
      true,
    )
    for (let i = 0; i < 3; i++) network.transport(0).trySend(1, Int32Array.of(1), 1, NOTHING, 0, 0)
    assert.deepEqual([wakes, scheduled.length], [0, 1])
    scheduled[0]?.()
    assert.equal(wakes, 1)
  })

  it('knows pairs that do not reach each other', () => {
    const unreachable = (rank: number, peer: number): string | null =>
      rank + peer === 1 ? 'no bridge between 0 and 1' : null
    const network = createInProcessNetwork({ size: 3, unreachable })
    assert.equal(network.transport(0).reaches(1), false)
    assert.equal(network.transport(1).whyNot(0), 'no bridge between 0 and 1')
    assert.equal(network.transport(0).reaches(2), true)
    const error = errorOf(() => network.transport(0).trySend(1, Int32Array.of(1), 1, NOTHING, 0, 0))
    assert.deepEqual([error.code, error.message], ['ERR_UNAVAILABLE', 'no bridge between 0 and 1'])
  })

  it('asks the policy for each pair and direction, once', () => {
    const asked: string[] = []
    const network = createInProcessNetwork({
      size: 3,
      remoteMemory(actor, target, operation) {
        asked.push(`${actor} ${operation} ${target}`)
        return !(actor === 0 && target === 1 && operation === 'read')
      },
    })
    const memory = network.transport(0).remoteMemory
    assert.ok(memory !== null)
    const words = new Int32Array(REGION_WORDS)
    network.transport(1).remoteMemory?.expose(new Uint8Array(100), words, 0)
    for (let i = 0; i < 2; i++) {
      assert.deepEqual([memory.canRead(1), memory.canWrite(1), memory.canRead(2)], [false, true, true])
      const error = errorOf(() => memory.read(1, words, 0, 0, new Uint8Array(100), 0, 100))
      assert.deepEqual([error.code, error.rank, error.errno], ['ERR_UNAVAILABLE', 1, 1])
      memory.write(1, words, 0, 0, new Uint8Array(100), 0, 100)
    }
    assert.match(memory.whyNot(1) ?? '', /EPERM/)
    assert.deepEqual(asked, ['0 read 1', '0 write 1', '0 read 2'])
  })

  it('tells that a named buffer was transferred or resized, or that its rank has gone', () => {
    const network = createInProcessNetwork({ size: 2 })
    const reader = network.transport(0).remoteMemory
    const owner = network.transport(1).remoteMemory
    const words = new Int32Array(3 * REGION_WORDS)
    const moved = new Uint8Array(100)
    const resized = new Uint8Array(new ArrayBuffer(200, { maxByteLength: 400 }))
    owner?.expose(moved, words, 0)
    owner?.expose(resized, words, REGION_WORDS)
    owner?.expose(new Uint8Array(100), words, 2 * REGION_WORDS)
    structuredClone(moved.buffer, { transfer: [moved.buffer] })
    resized.buffer.resize(80)
    const read = (index: number): void => reader?.read(1, words, index * REGION_WORDS, 0, new Uint8Array(80), 0, 80)
    for (const index of [0, 1]) assert.equal(errorOf(() => read(index)).code, 'ERR_BUFFER_GONE')
    read(2)
    network.kill(1)
    assert.equal(errorOf(() => read(2)).code, 'ERR_PROC_FAILED')
  })

  it('has no remote memory when told so', () => {
    assert.equal(createInProcessNetwork({ size: 2, remoteMemory: false }).transport(0).remoteMemory, null)
  })

  it('lets frames of a killed rank arrive', () => {
    const network = createInProcessNetwork({ size: 2 })
    network.transport(0).trySend(1, Int32Array.of(5), 1, NOTHING, 0, 0)
    network.kill(0)
    network.kill(0)
    assert.equal(errorOf(() => network.transport(0).trySend(1, Int32Array.of(6), 1, NOTHING, 0, 0)).code, 'ERR_CLOSED')
    assert.deepEqual(drain(network.transport(1)), [5])
  })
})
