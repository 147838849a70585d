// What a careful second reading of the runtime found: memory that goes away under a receive, ends in the middle of things,
// transports that throw.
import assert from 'node:assert/strict'
import { OnecopyError, type Transport } from '@onecopy/transport'
import { Outbox } from '../src/outbox.js'
import { PeerLink } from '../src/peer-link.js'
import { thresholdsFor } from '../src/protocol.js'
import { type RequestOwner, RequestRecord } from '../src/request.js'
import { waitAllSync } from '../src/waiting.js'
import { turns, within } from './support/deadline.js'
import { assertBytes, filledBytes } from './support/payload.js'
import { simulate, simulateJob } from './support/simulated-job.js'

const LONG = 300_000

describe('memory of a receive that goes away', () => {
  for (const remoteMemory of [true, false]) {
    for (const length of [8, 1000, 60_000, LONG]) {
      it(`fails that receive only: ${length} bytes, remote memory ${remoteMemory ? 'on' : 'off'}`, async () => {
        await simulate(2, { remoteMemory }, async (world, rank) => {
          if (rank === 0) {
            await world.recv(1, 1)
            await world.send(filledBytes(length, 1), 1).catch(() => undefined)
            await world.send(filledBytes(length, 2), 1)
            return
          }
          const view = new Uint8Array(length)
          const lost = world.recvInto(view, 0, 0)
          const kept = world.recv<Uint8Array>(0, 0)
          structuredClone(view.buffer, { transfer: [view.buffer] })
          await world.send('go', 0, 1)
          await assert.rejects(within(lost, 'a receive without memory'), { code: 'ERR_BUFFER_GONE' })
          assertBytes(await within(kept, 'the next receive'), filledBytes(length, 2), 'the next message')
        })
      })
    }
  }
})

describe('a probe that waits', () => {
  it('sees a short message to oneself', async () => {
    await simulate(1, {}, async (world) => {
      const probed = world.probe()
      const matched = world.mprobe(0, 2)
      await turns(200)
      await world.send('x', 0, 1)
      await world.send('y', 0, 2)
      assert.equal((await within(probed, 'the probe')).tag, 1)
      assert.equal(await (await within(matched, 'the matched probe')).recv(), 'y')
      assert.equal(await world.recv(), 'x')
    })
  })
})

describe('a message taken by a matched probe', () => {
  it('whose sender dies before all of it is here fails, and does not wait', async () => {
    const narrow = { queueFramesMax: 2, frameBytesMax: 1024, settings: { onFailure: 'continue', eagerPart: '1024' } }
    const job = await simulateJob(2, { remoteMemory: false, ...narrow })
    const [zero, one] = job.worlds
    one!.send(filledBytes(40_000, 1), 0).catch(() => undefined)
    let taken = zero!.improbe(1)
    for (let i = 0; taken === null && i < 100; i++) {
      await turns(1)
      taken = zero!.improbe(1)
    }
    assert.ok(taken !== null)
    job.kill(1)
    await turns()
    await assert.rejects(within(taken.recv(), 'a message without an end'), { code: 'ERR_PROC_FAILED', rank: 1 })
    await within(job.close(), 'finalize')
  })
})

describe('giving up', () => {
  it('takes a sendrecv back while nothing has matched, by cancel and by signal', async () => {
    await simulate(2, {}, async (world, rank) => {
      if (rank === 1) {
        await world.recv(0, 9)
        return
      }
      const cancelled = world.sendrecv(filledBytes(LONG, 1), 1, 1, { recvTag: 5 })
      cancelled.cancel()
      await assert.rejects(within(cancelled, 'a cancelled sendrecv'), { code: 'ERR_CANCELLED' })
      assert.equal(cancelled.status?.cancelled, true)
      const reason = new Error('too late')
      const controller = new AbortController()
      const given = world.sendrecvInto(new Uint8Array(1), 1, new Uint8Array(1), 1, {
        recvTag: 5,
        signal: controller.signal,
      })
      controller.abort(reason)
      await assert.rejects(within(given, 'a sendrecv with a signal'), reason)
      await world.send('end', 1, 9)
    })
  })

  it('leaves a collective by signal, in both faces before it starts', async () => {
    await simulate(2, {}, async (world, rank) => {
      const reason = new Error('no time')
      const over = AbortSignal.abort(reason)
      assert.throws(() => world.barrier({ signal: over }), reason)
      assert.throws(() => world.sync.allgather(1, { signal: over }), reason)
      assert.throws(() => world.sync.recv(0, 0, { signal: over }), reason)
      assert.throws(() => world.sync.bsend(0, 0, 0, { signal: over }), reason)
      const copy = await world.dup()
      if (rank === 0) {
        const controller = new AbortController()
        const waiting = copy.bcast(null, 1, { signal: controller.signal })
        await turns()
        controller.abort(reason)
        await assert.rejects(within(waiting, 'a collective given up'), reason)
        assert.equal(waiting.status?.cancelled, true)
      }
      await world.barrier()
    })
  })

  it('gives up one start of a persistent receive', async () => {
    await simulate(2, {}, async (world, rank) => {
      const view = new Uint8Array(4)
      if (rank === 1) {
        await world.recv(0, 1)
        await world.send(filledBytes(4, 3), 0, 2)
        return
      }
      const request = world.recvInit(view, 1, 2)
      const controller = new AbortController()
      request.start({ signal: controller.signal })
      controller.abort(new Error('not now'))
      await assert.rejects(within(request, 'the first start'), /not now/)
      request.start()
      await world.send('go', 1, 1)
      await within(request, 'the second start')
      assertBytes(view, filledBytes(4, 3), 'the second start')
    })
  })
})

describe('leaving a block with await using', () => {
  it('frees a duplicate and keeps the world', async () => {
    await simulate(2, {}, async (world, rank) => {
      const copy = await world.dup()
      await copy[Symbol.asyncDispose]()
      assert.throws(() => copy.barrier(), TypeError)
      await copy[Symbol.asyncDispose]()
      assert.equal(await world.bcast(rank === 0 ? 'here' : null), 'here')
    })
  })
})

describe('a message on a communicator that its receiver has freed', () => {
  it('does not hold up its sender, of any length, and gives its credit back', async () => {
    await simulate(2, { settings: { eagerPart: '1024' } }, async (world, rank) => {
      for (const length of [10, 40_000, LONG]) {
        const copy = await world.dup()
        if (rank === 1) {
          copy.free()
          await world.send('freed', 0)
        } else {
          await world.recv(1)
          for (let i = 0; i < 100; i++) await within(copy.send(filledBytes(length, 1), 1), `${length} bytes`)
          const short = copy.send(filledBytes(10, 1), 1)
          assert.equal(short.done, true, 'the window is open')
          copy.free()
        }
        await world.barrier()
      }
    })
  })
})

describe('waitAllSync', () => {
  it('gives each result in its place, of mixed kinds', async () => {
    await simulate(1, {}, async (world) => {
      const [nothing, text] = waitAllSync([world.send('abc', 0), world.recv<string>(0)])
      assert.equal(nothing, undefined)
      assert.equal(text.length, 3)
    })
  })
})

describe('a transport that throws', () => {
  const owner: RequestOwner = {
    blockUntilDone: () => {},
    block: () => {},
    turn: () => {},
    awaited: () => {},
    settled: () => {},
    giveUp: () => {},
  }

  it('in the middle of a backlog has no frame sent twice', () => {
    const sent: number[] = []
    let mode = 'full'
    const transport = {
      name: 'failing',
      remoteMemory: null,
      trySend: (_peer: number, words: Int32Array) => {
        if (mode === 'full') return false
        if (mode === 'throws' && words[0] === 2) throw new OnecopyError('ERR_NO_SHM', 'no memory')
        sent.push(words[0]!)
        return true
      },
    } as unknown as Transport
    const outbox = new Outbox()
    const link = new PeerLink(1, transport, thresholdsFor(null, {}))
    const requests = [1, 2].map(() => new RequestRecord(owner))
    requests.forEach((request, index) => {
      outbox.words[0] = index + 1
      outbox.postBytes(link, 1, new Uint8Array(4), 0, 4, request)
    })
    mode = 'throws'
    assert.throws(() => outbox.flush(), { code: 'ERR_NO_SHM' })
    mode = 'open'
    outbox.flush()
    assert.deepEqual(sent, [1, 2])
    assert.ok(requests.every((request) => request.done))
  })

  it('at an announcement leaves nothing behind that finalize would wait for', async () => {
    let failing = false
    const wrap = (transport: Transport): Transport =>
      new Proxy(transport, {
        get(target, name) {
          if (name === 'trySend' && failing) {
            return () => {
              throw new OnecopyError('ERR_NO_SHM', 'no memory for the ring')
            }
          }
          const value = Reflect.get(target, name, target) as unknown
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
    const job = await simulateJob(2, { wrap })
    failing = true
    for (const length of [LONG, 60_000, 10]) {
      assert.throws(() => job.worlds[0]!.send(filledBytes(length, 1), 1), { code: 'ERR_NO_SHM' })
      assert.throws(() => job.worlds[0]!.ssend(filledBytes(length, 1), 1), { code: 'ERR_NO_SHM' })
    }
    failing = false
    const [, text] = await within(Promise.all([job.worlds[0]!.send('fine', 1), job.worlds[1]!.recv(0)]), 'a message')
    assert.equal(text, 'fine')
    await within(job.close(), 'finalize')
  })
})

describe('one round of progress', () => {
  it('moves about a segment, however many long messages are under way', async () => {
    const count = 24
    const length = 3 * 2 ** 20
    const job = await simulateJob(2)
    const [zero, one] = job.worlds
    const sends = Array.from({ length: count }, (_, i) => zero!.send(filledBytes(length, i), 1))
    const receives = Array.from({ length: count }, () => one!.recv<Uint8Array>(0))
    const engine = job.jobs[1]!.engine
    const moved = () => job.jobs[1]!.statistics().bytesSingleCopy
    let before = moved()
    for (let round = 0; round < 10_000 && !receives.every((request) => request.done); round++) {
      job.jobs[0]!.engine.progress()
      engine.progress()
      const now = moved()
      assert.ok(now - before <= 3 * 2 ** 20, `${now - before} bytes in one round`)
      before = now
    }
    const all = await within(Promise.all(receives), 'the messages')
    all.forEach((bytes, i) => {
      assertBytes(bytes, filledBytes(length, i), `message ${i}`)
    })
    await within(Promise.all(sends), 'the sends')
    await within(job.close(), 'finalize')
  })
})

describe('a long message', () => {
  /** Whether its sender copied a part of it; `awaited`: rank 0 says right after the announcement that it waits. */
  async function isWrittenBySender(awaited: boolean): Promise<boolean> {
    let written = false
    const job = await simulateJob(2, {
      remoteMemory: (actor, _target, operation) => {
        if (actor === 0 && operation === 'write') written = true
        return true
      },
    })
    const [zero, one] = job.worlds
    const view = new Uint8Array(LONG)
    const received = one!.recvInto(view, 0)
    const sent = zero!.send(filledBytes(LONG, 1), 1)
    const [sender, receiver] = job.jobs.map((each) => each.engine)
    receiver!.progress()
    assertBytes(view, new Uint8Array(LONG), 'nothing is read at the announcement alone')
    if (awaited) sent.then(() => undefined)
    for (let round = 0; round < 1000 && !received.done; round++) {
      receiver!.progress()
      if (awaited) sender!.progress()
    }
    assert.ok(received.done)
    assertBytes(view, filledBytes(LONG, 1), 'the message')
    await within(Promise.resolve(sent), 'the send')
    await within(job.close(), 'finalize')
    return written
  }

  it('is copied by both ends when its sender awaits it', async () => {
    assert.equal(await isWrittenBySender(true), true)
  })

  it('is read by its receiver alone when the sender goes on with something else', async () => {
    assert.equal(await isWrittenBySender(false), false)
  })
})

describe('a rank that waits', () => {
  for (const [cores, gives] of [
    ['1', true],
    ['2', false],
  ] as const) {
    it(`${gives ? 'gives its core away' : 'keeps its core'} where two ranks have ${cores}, whatever it is bound to itself`, async () => {
      let [yields, polls] = [0, 0]
      const wrap = (transport: Transport): Transport =>
        new Proxy(transport, {
          get(target, property) {
            if (property === 'yield') return () => yields++
            if (property === 'poll') polls++
            const value = Reflect.get(target, property)
            return typeof value === 'function' ? value.bind(target) : value
          },
        })
      const job = await simulateJob(2, { settings: { cores }, wrap })
      yields = 0
      polls = 0
      // long enough to get to the slow half of waiting, too short to be put to sleep
      job.jobs[0]!.engine.block({
        get done() {
          return polls > 3000
        },
      })
      assert.equal(yields > 0, gives)
      await within(job.close(), 'finalize')
    })
  }
})
