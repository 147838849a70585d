import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { type Card, pidNamespace, startTime } from '../src/identity.js'
import { loadLibc } from '../src/libc/choose.js'
import { PeerProcess } from '../src/peer-process.js'

const { libc } = process.platform === 'linux' ? loadLibc() : { libc: null }

describe('cma: who a peer is', () => {
  const test = libc === null ? it.skip : it

  /** What the doubt about this very process is, if a card says this of it. */
  function doubtAbout(changes: Partial<Card>): string | null {
    const card: Card = {
      pid: process.pid,
      startTime: startTime(process.pid) as number,
      nonceAddress: 4096,
      cellsAddress: 8192,
      nonce: new Int32Array(4),
      namespace: pidNamespace(),
      ...changes,
    }
    const peer = new PeerProcess(libc!, 1, card)
    try {
      return peer.doubt
    } finally {
      peer.close()
    }
  }

  test('a pid with the right start time in this pid namespace is believed', () => {
    assert.notEqual(pidNamespace(), 0)
    assert.equal(doubtAbout({}), null)
  })

  test('a pid that was used again is not', () => {
    assert.match(doubtAbout({ startTime: 1 }) as string, /neither its nonce nor its start time/)
  })

  test('the same pid and start time in another namespace, or in one that cannot be told, are not', () => {
    assert.match(doubtAbout({ namespace: pidNamespace() + 1 }) as string, /neither its nonce nor its start time/)
    assert.match(doubtAbout({ namespace: 0 }) as string, /neither its nonce nor its start time/)
  })

  test('a pid of nobody is not', () => {
    assert.match(doubtAbout({ pid: 2 ** 22 - 1 }) as string, /pidfd_open: /)
  })

  test('a signal between question and answer does not make a peer dead', () => {
    const answers = [-4, -4, 0]
    const interrupted = Object.create(libc) as NonNullable<typeof libc>
    Object.defineProperty(interrupted, 'hasExited', { value: () => answers.shift() ?? 0 })
    Object.defineProperty(interrupted, 'pidfdOpen', { value: (pid: number) => libc!.pidfdOpen(pid) })
    const card: Card = {
      pid: process.pid,
      startTime: startTime(process.pid) as number,
      nonceAddress: 4096,
      cellsAddress: 8192,
      nonce: new Int32Array(4),
      namespace: pidNamespace(),
    }
    const peer = new PeerProcess(interrupted, 1, card)
    try {
      assert.equal(peer.hasExited(), false)
      assert.deepEqual(answers, [])
    } finally {
      peer.close()
    }
  })
})
