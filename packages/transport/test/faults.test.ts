import assert from 'node:assert/strict'
import {
  createInProcessNetwork,
  type FaultOptions,
  type FaultyTransport,
  OnecopyError,
  REGION_WORDS,
  type Transport,
  withFaults,
} from '@onecopy/transport'

const BYTES = Uint8Array.from({ length: 200 }, (_, i) => i)

function pair(options: FaultOptions): {
  faulty: FaultyTransport
  plain: Transport
  words: Int32Array
  shared: Uint8Array
} {
  const network = createInProcessNetwork({ size: 3, queueFramesMax: 2000 })
  const faulty = withFaults(network.transport(0), options)
  const plain = network.transport(1)
  const shared = Uint8Array.from({ length: 1000 }, (_, i) => i * 3)
  const words = new Int32Array(3 * REGION_WORDS)
  for (let i = 0; i < 3; i++) plain.remoteMemory?.expose(shared, words, i * REGION_WORDS)
  return { faulty, plain, words, shared }
}

function errorOf(call: () => void): OnecopyError {
  try {
    call()
  } catch (error) {
    assert.ok(error instanceof OnecopyError, String(error))
    return error
  }
  assert.fail('nothing was thrown')
}

function receivedBy(transport: Transport, polls: number): number[] {
  const received: number[] = []
  for (let i = 0; i < polls; i++)
    transport.poll({ frame: (_peer, words) => void received.push(words[0] as number) }, 10)
  return received
}

describe('withFaults', () => {
  it('makes the same faults from the same seed, and others from another', () => {
    const outcomes = [5, 5, 6].map((seed) => {
      const { faulty } = pair({ seed, refuse: 0.5 })
      return Array.from({ length: 100 }, () => Number(faulty.trySend(1, Int32Array.of(1), 1, BYTES, 0, 10))).join('')
    })
    assert.equal(outcomes[0], outcomes[1])
    assert.notEqual(outcomes[0], outcomes[2])
    assert.match(outcomes[0] as string, /01.*10/)
  })

  it('holds frames back, in order per peer, for a bounded number of polls', () => {
    const network = createInProcessNetwork({ size: 3 })
    const faulty = withFaults(network.transport(0), { seed: 9, delay: 0.5, delayPollsMax: 4 })
    for (let i = 0; i < 40; i++) {
      for (const peer of [1, 2]) network.transport(peer).trySend(0, Int32Array.of(i), 1, BYTES, 0, 10)
    }
    const received = new Map<number, number[]>([
      [1, []],
      [2, []],
    ])
    const perPoll: number[] = []
    for (let i = 0; i < 100; i++) {
      perPoll.push(faulty.poll({ frame: (peer, words) => void received.get(peer)?.push(words[0] as number) }, 100))
    }
    assert.ok((perPoll[0] as number) < 80, 'nothing was held back')
    const inOrder = Array.from({ length: 40 }, (_, i) => i)
    assert.deepEqual(received.get(1), inOrder)
    assert.deepEqual(received.get(2), inOrder)
  })

  it('does not sleep while it holds frames back', () => {
    const { faulty, plain } = pair({ seed: 1, delay: 1, delayPollsMax: 3 })
    plain.trySend(0, Int32Array.of(1), 1, BYTES, 0, 10)
    assert.equal(faulty.poll({ frame: () => assert.fail('not yet') }, 10), 0)
    assert.equal(
      faulty.onWake(() => {}),
      false,
    )
    assert.equal(receivedBy(faulty, 5).length, 1)
    assert.equal(
      faulty.onWake(() => {}),
      true,
    )
  })

  it('refuses remote memory from the n-th call on, in that direction only', () => {
    const { faulty, words } = pair({ seed: 77, remoteMemory: [{ error: 'EPERM', operation: 'read', call: 3 }] })
    const memory = faulty.remoteMemory
    assert.ok(memory !== null)
    const into = new Uint8Array(1000)
    const read = (): void => memory.read(1, words, 0, 0, into, 0, 1000)
    read()
    read()
    assert.equal(memory.canRead(1), true)
    const error = errorOf(read)
    assert.equal(error.code, 'ERR_UNAVAILABLE')
    assert.deepEqual([error.rank, error.errno, error.syscall, error.bytesDone], [1, 1, 'process_vm_readv', 0])
    assert.match(error.message, /EPERM.*seed 77/)
    assert.equal(memory.canRead(1), false)
    assert.match(memory.whyNot(1) ?? '', /EPERM.*seed 77/)
    assert.equal(errorOf(read).code, 'ERR_UNAVAILABLE')
    assert.equal(memory.canWrite(1), true)
    memory.write(1, words, 0, 0, into, 0, 1000)
    assert.equal(memory.canRead(2), true)
  })

  it('refuses from the start, so that the proof already fails', () => {
    const { faulty } = pair({ seed: 1, remoteMemory: [{ error: 'ENOSYS', peer: 1, call: 0 }] })
    assert.equal(faulty.remoteMemory?.canRead(1), false)
    assert.equal(faulty.remoteMemory?.canWrite(1), false)
    assert.equal(faulty.remoteMemory?.canRead(2), true)
    assert.match(faulty.remoteMemory?.whyNot(1) ?? '', /ENOSYS/)
  })

  it('fails half-way with the bytes done, and only once', () => {
    const { faulty, words, shared } = pair({ seed: 4, remoteMemory: [{ error: 'EFAULT', call: 1, isPartial: true }] })
    const memory = faulty.remoteMemory
    const into = new Uint8Array(1000)
    const error = errorOf(() => memory?.read(1, words, 0, 0, into, 0, 1000))
    assert.equal(error.code, 'ERR_BUFFER_GONE')
    const done = error.bytesDone as number
    assert.ok(done > 0 && done < 1000, `${done} bytes done`)
    assert.deepEqual(into.subarray(0, done), shared.subarray(0, done))
    assert.ok(into.subarray(done).every((byte) => byte === 0))
    memory?.read(1, words, 0, 0, into, 0, 1000)
    assert.deepEqual(into, shared)
  })

  it('fails in the middle of readMany, and counts over all pieces', () => {
    const { faulty, words, shared } = pair({ seed: 3, remoteMemory: [{ error: 'EFAULT', call: 1, isPartial: true }] })
    const into = [0, 1, 2].map(() => new Uint8Array(1000))
    const error = errorOf(() => faulty.remoteMemory?.readMany(1, words, 0, 3, into))
    const done = error.bytesDone as number
    into.forEach((piece, i) => {
      const pieceDone = Math.min(1000, Math.max(0, done - i * 1000))
      assert.deepEqual(piece.subarray(0, pieceDone), shared.subarray(0, pieceDone))
      assert.ok(piece.subarray(pieceDone).every((byte) => byte === 0))
    })
  })

  it('fails writes with a probability, always with the seed', () => {
    const { faulty, words } = pair({
      seed: 12,
      remoteMemory: [{ error: 'EFAULT', operation: 'write', probability: 0.3 }],
    })
    let failures = 0
    for (let i = 0; i < 200; i++) {
      try {
        faulty.remoteMemory?.write(1, words, 0, 0, BYTES, 0, 200)
      } catch (error) {
        failures++
        assert.match((error as Error).message, /seed 12/)
      }
    }
    assert.ok(failures > 20 && failures < 120, `${failures} failures of 200`)
  })

  it('lets a peer die after so many calls: frames go nowhere, copies answer ESRCH', () => {
    const { faulty, plain, words } = pair({ seed: 8, deaths: [{ peer: 1, afterCalls: 3 }] })
    for (let i = 0; i < 3; i++) assert.equal(faulty.trySend(1, Int32Array.of(i), 1, BYTES, 0, 10), true)
    let accepted = 0
    while (faulty.trySend(1, Int32Array.of(9), 1, BYTES, 0, 200)) accepted++
    assert.equal(accepted, Math.floor(faulty.limits.queueBytesMax / 200))
    assert.deepEqual(receivedBy(plain, 5), [0, 1, 2])

    plain.trySend(0, Int32Array.of(1), 1, BYTES, 0, 10)
    assert.deepEqual(receivedBy(faulty, 5), [])
    const error = errorOf(() => faulty.remoteMemory?.read(1, words, 0, 0, new Uint8Array(10), 0, 10))
    assert.deepEqual([error.code, error.errno, error.rank], ['ERR_PROC_FAILED', 3, 1])
    assert.match(error.message, /seed 8/)
    assert.equal(faulty.remoteMemory?.canRead(1), false)

    faulty.peerGone(1)
    assert.equal(errorOf(() => faulty.trySend(1, Int32Array.of(1), 1, BYTES, 0, 1)).code, 'ERR_PROC_FAILED')
    assert.equal(faulty.trySend(2, Int32Array.of(1), 1, BYTES, 0, 1), true)
  })

  it('still hands over what a peer had sent before it died', () => {
    const { faulty, plain } = pair({ seed: 2, delay: 1, delayPollsMax: 3 })
    for (let i = 0; i < 5; i++) plain.trySend(0, Int32Array.of(i), 1, BYTES, 0, 10)
    const early = receivedBy(faulty, 1)
    faulty.killPeer(1)
    faulty.peerGone(1)
    assert.deepEqual([...early, ...receivedBy(faulty, 10)], [0, 1, 2, 3, 4])
  })

  it('makes a peer unbelievable: one error, then its frames are dropped and the others go on', () => {
    const network = createInProcessNetwork({ size: 3 })
    const faulty = withFaults(network.transport(0), {
      seed: 31,
      corruptions: [{ peer: 1, afterFrames: 3, code: 'ERR_PROTOCOL' }],
    })
    for (let i = 0; i < 6; i++) {
      for (const peer of [1, 2]) network.transport(peer).trySend(0, Int32Array.of(peer), 1, BYTES, 0, 10)
    }
    const counts = [0, 0, 0]
    const errors: OnecopyError[] = []
    const counter = {
      frame(peer: number): void {
        counts[peer] = (counts[peer] as number) + 1
      },
    }
    for (let i = 0; i < 20; i++) {
      try {
        faulty.poll(counter, 10)
      } catch (error) {
        errors.push(error as OnecopyError)
      }
    }
    assert.deepEqual(counts, [0, 3, 6])
    assert.deepEqual(
      errors.map(({ code, rank }) => [code, rank]),
      [['ERR_PROTOCOL', 1]],
    )
    assert.match((errors[0] as Error).message, /seed 31/)
  })

  it('refuses a probability that is none', () => {
    const transport = createInProcessNetwork({ size: 2 }).transport(0)
    assert.throws(() => withFaults(transport, { seed: 1, refuse: 1.5 }), RangeError)
    assert.throws(() => withFaults(transport, { seed: 1, delay: -0.1 }), RangeError)
  })
})
