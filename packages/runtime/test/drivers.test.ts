import assert from 'node:assert/strict'
import type { Transport } from '@onecopy/transport'
import { describe, it } from 'mocha'
import { BlockingDriver } from '../src/blocking-driver.js'
import { LoopDriver } from '../src/loop-driver.js'

/** An engine over one transport, for which nothing ever comes unless `rounds` says so; it counts what a driver does. */
class IdleEngine {
  yields = 0
  parks = 0
  wanted = true
  readonly hasWork = false
  readonly link = { pump: () => undefined }
  readonly transports: readonly Transport[]
  /** What the next rounds move. */
  rounds: number[] = []
  onYield = () => {}
  onPark = () => {}
  onSleep = () => {}

  constructor() {
    const transport: Pick<Transport, 'yield' | 'park' | 'onWake'> = {
      yield: () => {
        this.yields++
        this.onYield()
      },
      park: () => {
        this.parks++
        this.onPark()
      },
      onWake: (listener) => {
        if (listener !== null) this.onSleep()
        return listener !== null
      },
    }
    this.transports = [transport as Transport]
  }

  progress(): number {
    return this.rounds.shift() ?? 0
  }

  handOver(): void {}
}

describe('a blocked thread', () => {
  for (const crowded of [true, false]) {
    it(`sleeps when nothing comes, ${crowded ? 'and offers its core until then' : 'and keeps its core until then'}`, () => {
      const engine = new IdleEngine()
      const until = { done: false }
      engine.onPark = () => {
        until.done = engine.parks === 3
      }
      new BlockingDriver(engine, crowded).block(until)
      assert.equal(engine.parks, 3)
      assert.equal(engine.yields > 0, crowded)
    })
  }

  it('goes on without having slept when somebody else has had the core', () => {
    const engine = new IdleEngine()
    const until = { done: false }
    engine.onYield = () => {
      until.done = true
    }
    new BlockingDriver(engine, true).block(until)
    assert.deepEqual([engine.yields, engine.parks], [1, 0])
  })
})

describe('an event loop that waits', () => {
  for (const crowded of [true, false]) {
    it(`sleeps when nothing comes, ${crowded ? 'and offers its core until then' : 'and keeps its core until then'}`, async () => {
      const engine = new IdleEngine()
      const driver = new LoopDriver(engine, crowded)
      const asleep = new Promise<void>((resolve) => {
        engine.onSleep = resolve
      })
      driver.activate()
      await asleep
      driver.stop()
      assert.equal(engine.yields > 0, crowded)
      assert.equal(engine.parks, 0)
    })
  }

  it('keeps its core, however crowded, while there is something to do in each turn', async () => {
    const engine = new IdleEngine()
    const driver = new LoopDriver(engine, true)
    engine.rounds = [1, 1, 1, 1]
    const done = new Promise<void>((resolve) => {
      const progress = engine.progress.bind(engine)
      engine.progress = () => {
        engine.wanted = engine.rounds.length > 1
        if (!engine.wanted) resolve()
        return progress()
      }
    })
    driver.activate()
    await done
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(engine.yields, 0)
    driver.stop()
  })

  it('goes on as soon as it finds something, whoever had the core meanwhile', async () => {
    const engine = new IdleEngine()
    const driver = new LoopDriver(engine, true)
    const done = new Promise<void>((resolve) => {
      engine.onYield = () => {
        engine.rounds = [1]
        engine.wanted = false
        resolve()
      }
    })
    engine.onSleep = () => assert.fail('it sleeps')
    driver.activate()
    await done
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual([engine.yields, engine.rounds.length], [1, 0])
    driver.stop()
  })
})
