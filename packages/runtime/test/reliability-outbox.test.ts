// RELIABILITY.md, row 8: what is still to be sent to a rank that has closed its end, before anybody has said so.
import assert from 'node:assert/strict'
import { OnecopyError, type Transport } from '@onecopy/transport'
import { Outbox } from '../src/outbox.js'
import { PeerLink } from '../src/peer-link.js'
import { thresholdsFor } from '../src/protocol.js'
import { type RequestOwner, RequestRecord } from '../src/request.js'

const OWNER: RequestOwner = {
  blockUntilDone: () => {},
  block: () => {},
  turn: () => {},
  awaited: () => {},
  settled: () => {},
  giveUp: () => {},
}

/** A link whose transport throws this on every frame. */
function linkThatThrows(error: Error): PeerLink {
  const transport = {
    name: 'closed',
    remoteMemory: null,
    trySend: () => {
      throw error
    },
  } as unknown as Transport
  return new PeerLink(1, transport, thresholdsFor(null, {}))
}

describe('the outbox', () => {
  it('keeps what a closed peer cannot take until its end is known, then fails it with that', () => {
    const outbox = new Outbox()
    const link = linkThatThrows(new OnecopyError('ERR_PROC_FAILED', 'it has closed its inbox', { rank: 1 }))
    const request = new RequestRecord(OWNER)
    outbox.words[0] = 1
    outbox.post(link, 1)
    outbox.postBytes(link, 1, new Uint8Array(10), 0, 10, request)
    assert.equal(outbox.flush(), 0)
    assert.equal(request.done, false)
    const left = new OnecopyError('ERR_PROC_FAILED', 'rank 1 has left the job', { rank: 1 })
    link.ended = left
    outbox.drop(link, left)
    assert.equal(outbox.hasBacklog, false)
    assert.throws(() => request.result(), left)
  })

  it('lets every other error through', () => {
    const outbox = new Outbox()
    const link = linkThatThrows(new OnecopyError('ERR_NO_SHM', 'no memory for the ring'))
    assert.throws(() => outbox.post(link, 1), { code: 'ERR_NO_SHM' })
  })
})
