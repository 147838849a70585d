import assert from 'node:assert/strict'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { CollectiveExchange } from '../src/collective-exchange.js'
import { KeptSteps, type MemoryCollective } from '../src/kept-steps.js'
import { OneStep } from '../src/one-step.js'
import { MAX, SUM } from '../src/operation.js'
import { PostedStep } from '../src/posted-step.js'
import type { Postings } from '../src/postings.js'
import type { Exchange } from '../src/schedule.js'

const SHORT_BYTES_MAX = 256 * 1024

const reduce: MemoryCollective = () => oneStep()
const bcast: MemoryCollective = () => oneStep()

function oneStep(): OneStep<void> {
  return new OneStep(
    () => [],
    () => undefined,
  )
}

function postedStep(...held: unknown[]): PostedStep<void> {
  return pulledStep(true, ...held)
}

function pulledStep(isLight: boolean, ...held: unknown[]): PostedStep<void> {
  return new PostedStep<void>({} as Exchange, { remote: null, board: { bytesMax: 0 } } as unknown as Postings, {
    isLight,
    collective: 'test',
    own: null,
    type: 0,
    sources: [],
    byteLengths: [],
    take: () => void held,
    byMessages: oneStep,
  })
}

/** Counts how often it is told to keep nothing aside. */
function exchange(): CollectiveExchange & { dropped: number } {
  const fake = {
    dropped: 0,
    dropAsides() {
      fake.dropped++
    },
  }
  return fake as unknown as CollectiveExchange & { dropped: number }
}

/** Long arrays are remembered when they come for the second time. */
function keepTwice(kept: KeptSteps, ...call: Parameters<KeptSteps['keep']>): boolean {
  return kept.keep(...call) || kept.keep(...call)
}

const long = (): Float64Array => new Float64Array(SHORT_BYTES_MAX / 8 + 1)

describe('steps that are kept', () => {
  for (const [what, make] of [
    ['short', () => new Float64Array(10)],
    ['long', long],
  ] as const) {
    it(`are found by the very same arguments, on ${what} arrays`, () => {
      const kept = new KeptSteps()
      const [send, recv] = [make(), make()]
      const step = postedStep()
      assert.equal(kept.find(reduce, send, recv, SUM, 0), null)
      assert.equal(keepTwice(kept, reduce, [send, recv, SUM, 0], exchange(), step), true)
      assert.equal(kept.find(reduce, send, recv, SUM, 0)?.step, step)
      for (const [collective, ...args] of [
        [bcast, send, recv, SUM, 0],
        [reduce, recv, send, SUM, 0],
        [reduce, send, send, SUM, 0],
        [reduce, make(), recv, SUM, 0],
        [reduce, send, make(), SUM, 0],
        [reduce, send, recv, MAX, 0],
        [reduce, send, recv, SUM, 1],
        [reduce, send, undefined, SUM, 0],
        [reduce, undefined, undefined, undefined, undefined],
      ] as const) {
        assert.equal(kept.find(collective, args[0], args[1], args[2], args[3]), null)
      }
    })

    it(`are found with one array and a word in the other’s place, on ${what} arrays`, () => {
      const kept = new KeptSteps()
      const [view, inPlace] = [make(), Symbol('in place')]
      keepTwice(kept, bcast, [view, 1, undefined, undefined], exchange(), postedStep())
      keepTwice(kept, reduce, [inPlace, view, SUM, 1], exchange(), postedStep())
      assert.notEqual(kept.find(bcast, view, 1, undefined, undefined), null)
      assert.notEqual(kept.find(reduce, inPlace, view, SUM, 1), null)
      assert.equal(kept.find(bcast, view, 2, undefined, undefined), null)
    })

    it(`are not found while they run, nor once the memory is gone, on ${what} arrays`, () => {
      const kept = new KeptSteps()
      const [send, recv] = [make(), make()]
      keepTwice(kept, reduce, [send, recv, SUM, 0], exchange(), postedStep())
      const found = kept.find(reduce, send, recv, SUM, 0)!
      found.busy = true
      assert.equal(kept.find(reduce, send, recv, SUM, 0), null)
      found.busy = false
      structuredClone(recv.buffer, { transfer: [recv.buffer as ArrayBuffer] })
      assert.equal(kept.find(reduce, send, recv, SUM, 0), null)
    })

    it(`are a few only, the last ones, on ${what} arrays`, () => {
      const kept = new KeptSteps()
      const view = make()
      for (let root = 0; root < 100; root++)
        kept.keep(bcast, [view, root, undefined, undefined], exchange(), postedStep())
      const found = Array.from({ length: 100 }, (_, root) => root).filter(
        (root) => kept.find(bcast, view, root, undefined, undefined) !== null,
      )
      assert.ok(found.length >= 2 && found.length <= 8, `${found.length} are kept`)
      assert.equal(found[0], 100 - found.length)
    })
  }

  it('are not kept for layouts, empty memory and DataViews', () => {
    const kept = new KeptSteps()
    for (const args of [
      [new Uint8Array(8), new Uint8Array(8), { counts: [4, 4] }, undefined],
      [new Uint8Array(0), new Uint8Array(8), undefined, undefined],
      [new DataView(new ArrayBuffer(8)), 0, undefined, undefined],
    ]) {
      assert.equal(kept.keep(bcast, args, exchange(), postedStep()), false)
    }
  })

  it('are kept for long arrays only where they need no memory aside, and hold none', () => {
    const kept = new KeptSteps()
    const own = exchange()
    const args = [long(), 0, undefined, undefined]
    assert.equal(kept.keep(bcast, [new Uint8Array(8), 0, undefined, undefined], own, oneStep()), true)
    assert.equal(own.dropped, 0)
    assert.equal(keepTwice(kept, bcast, args, own, oneStep()), false)
    assert.equal(keepTwice(kept, bcast, args, own, pulledStep(false)), false)
    assert.equal(keepTwice(kept, bcast, args, own, pulledStep(true)), true)
    assert.equal(own.dropped, 1)
    assert.equal(kept.find(bcast, args[0], 0, undefined, undefined)!.isLong, true)
  })

  it('are not kept for views of a long buffer that are made for one call', () => {
    const kept = new KeptSteps()
    const all = long()
    for (let i = 0; i < 10; i++) {
      assert.equal(kept.keep(bcast, [all.subarray(0, 8), 0, undefined, undefined], exchange(), postedStep()), false)
    }
  })

  it('keep no long array alive, neither the first nor the last', async () => {
    const kept = new KeptSteps()
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const stays = long()
    const refs = [true, false].map((isFirst) => {
      const goes = long()
      const [send, recv] = isFirst ? [goes, stays] : [stays, goes]
      keepTwice(kept, reduce, [send, recv, SUM, 0], exchange(), postedStep(send, recv))
      assert.notEqual(kept.find(reduce, send, recv, SUM, 0), null)
      return new WeakRef(goes)
    })
    for (let turn = 0; turn < 50 && refs.some((ref) => ref.deref() !== undefined); turn++) {
      await new Promise((resolve) => setImmediate(resolve))
      collect()
    }
    for (const ref of refs) assert.equal(ref.deref(), undefined)
    assert.equal(kept.find(reduce, stays, stays, SUM, 0), null)
  })
})
