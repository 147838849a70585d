import assert from 'node:assert/strict'
import { ERROR_CODES, OnecopyError } from '@onecopy/transport'
import { badCalls } from './ranks/point-to-point-bad-calls.js'
import { turns } from './support/deadline.js'
import { simulate } from './support/simulated-job.js'

describe('errors', () => {
  it('of the caller are thrown at the call as plain TypeErrors and RangeErrors, and disturb nobody', async () => {
    await simulate(3, {}, async (world, rank) => {
      // the sources and the built package declare the same class
      for (const [name, call] of Object.entries(badCalls(world as never))) {
        assert.throws(call, (error) => {
          const isPlain = error instanceof TypeError || error instanceof RangeError
          assert.ok(isPlain && !(error instanceof OnecopyError), `${name} threw ${String(error)}`)
          return true
        })
      }
      // neither a message nor a receive was left behind
      const [next, last] = [(rank + 1) % 3, (rank + 2) % 3]
      const receives = Array.from({ length: 3 }, () => world.recvMessage())
      for (const tag of [7, 0, 1]) await world.send(`${rank} ${tag}`, next, tag)
      for (const [i, tag] of [7, 0, 1].entries()) {
        const { data, source } = await receives[i]!
        assert.deepEqual([data, source], [`${last} ${tag}`, last])
      }
      await world.barrier()
      await turns()
      assert.equal(world.iprobe(), null)
    })
  })

  it('are known by instanceof, whichever copy of the class has made them', async () => {
    const copies = await Promise.all(
      ['bundle/index.js', 'bundle/index.cjs'].map(
        (name) => import(new URL(`../../transport/${name}`, import.meta.url).href),
      ),
    )
    const Other = copies.map((copy) => copy.OnecopyError).find((Class) => Class !== OnecopyError) as typeof OnecopyError
    assert.equal(typeof Other, 'function')
    class Special extends OnecopyError {}
    const errors = [OnecopyError, Other, Special].map((Class) => new Class('ERR_LIMIT', 'on purpose'))
    for (const error of errors) assert.ok(error instanceof OnecopyError && error instanceof Other)
    assert.deepEqual(
      errors.map((error) => error instanceof Special),
      [false, false, true],
    )
    for (const other of [
      new Error('plain'),
      Object.assign(new Error('no such file'), { code: 'ENOENT' }),
      null,
      'ERR_LIMIT',
    ])
      assert.ok(!(other instanceof OnecopyError))
  })

  it('of a value come through as they are, and nothing is sent', async () => {
    await simulate(2, {}, async (world, rank) => {
      const broken = new RangeError('a getter that throws')
      const value = {
        get field() {
          throw broken
        },
      }
      assert.throws(() => world.send(value, 1 - rank), broken)
      assert.throws(() => world.bsend(value, 1 - rank), broken)
      assert.throws(() => world.sendrecv(value, 1 - rank, 1 - rank), broken)
      assert.equal(await world.sendrecv('fine', 1 - rank, 1 - rank), 'fine')
    })
  })

  it('of a message name both sides: kind, lengths, source and tag', async () => {
    await simulate(2, {}, async (world, rank) => {
      if (rank === 0) {
        await world.send({ a: 1 }, 1, 4)
        await world.send(new Uint8Array(9), 1, 5)
        return
      }
      const told = async (request: PromiseLike<unknown>) => {
        const error = await request.then(
          () => assert.fail(),
          (reason: OnecopyError) => reason,
        )
        assert.ok(error.code in ERROR_CODES)
        return error
      }
      const type = await told(world.recvInto(new Uint8Array(100), 0, 4))
      assert.deepEqual([type.code, type.source, type.tag], ['ERR_TYPE', 0, 4])
      assert.match(type.message, /packed value.*raw bytes/)
      const long = await told(world.recvInto(new Uint8Array(8), 0, 5))
      assert.deepEqual([long.code, long.source, long.tag], ['ERR_TRUNCATE', 0, 5])
      assert.match(long.message, /9 bytes.* 8 bytes/)
    })
  })
})
