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

/**
 * Until `attempt` answers true, a hundred times at most: whoever loses the core for longer than it would stay awake sleeps
 * at once.
 */
async function oneOf(attempt: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 100; i++) if (await attempt()) return
  assert.fail('not once in a hundred times')
}

describe('a blocked thread', () => {
  it('sleeps when nothing comes, and keeps its core until then', () => {
    const engine = new IdleEngine()
    const until = { done: false }
    engine.onPark = () => {
      until.done = engine.parks === 3
    }
    new BlockingDriver(engine, false).block(until)
    assert.deepEqual([engine.yields, engine.parks], [0, 3])
  })

  it('offers its core until it sleeps, with more ranks than cores', () =>
    oneOf(() => {
      const engine = new IdleEngine()
      const until = { done: false }
      engine.onPark = () => {
        until.done = engine.parks === 3
      }
      new BlockingDriver(engine, true).block(until)
      assert.equal(engine.parks, 3)
      return engine.yields > 0
    }))

  for (const [what, isAway, expected] of [
    ['at once where whom it waits for has none', true, [1, 1]],
    ['after a while where whom it waits for has one', false, [32, 32]],
    ['soon where it waits for nobody in particular', undefined, [8, 8]],
  ] as const) {
    it(`offers its core ${what}, with more ranks than cores`, () => {
      const engine = new IdleEngine()
      const until = { done: false, isAway }
      const looks: number[] = []
      let rounds = 0
      const progress = engine.progress.bind(engine)
      engine.progress = () => {
        rounds++
        return progress()
      }
      engine.onYield = () => {
        looks.push(rounds)
        rounds = 0
        until.done = looks.length === 2
      }
      new BlockingDriver(engine, true).block(until)
      assert.deepEqual(looks, expected)
    })
  }

  it('sleeps soon where somebody else computes on its core, and offers it freely again when nobody does', () => {
    const engine = new IdleEngine()
    const driver = new BlockingDriver(engine, true)
    const blockUntilParked = (): number => {
      const until = { done: false }
      engine.yields = 0
      engine.onPark = () => {
        until.done = true
      }
      driver.block(until)
      return engine.yields
    }
    const compute = (): void => {
      for (const end = performance.now() + 1; performance.now() < end; );
    }
    engine.onYield = compute
    assert.equal(blockUntilParked(), 2, 'one before the first look at the clock, and one after it')
    for (let i = 0; i < 3; i++) assert.equal(blockUntilParked(), 1)
    const until = { done: false }
    // gone: the next offer is short, and ends the wait
    engine.onYield = () => {
      until.done = true
    }
    for (let i = 0; i < 100; i++) {
      until.done = false
      driver.block(until)
    }
    engine.onYield = compute
    assert.equal(blockUntilParked(), 2)
  })

  it('hears of other ranks however much comes, with more ranks than cores', () => {
    for (const isAway of [undefined, true, false]) {
      for (const gap of [1, 4, 12, 31]) {
        const engine = new IdleEngine()
        const until = { done: false, isAway }
        let round = 0
        engine.progress = () => (++round % gap === 0 ? 1 : 0)
        engine.link.pump = () => {
          until.done = true
          return undefined
        }
        new BlockingDriver(engine, true).block(until)
        assert.ok(round < 1_000_000)
      }
    }
  })

  it('keeps its core while something comes, with more ranks than cores', () => {
    const engine = new IdleEngine()
    engine.rounds = [1, 0, 1, 1, 0, 1]
    const until = { done: false, isAway: undefined }
    engine.onYield = () => {
      assert.deepEqual(engine.rounds, [])
      until.done = true
    }
    new BlockingDriver(engine, true).block(until)
    assert.equal(engine.yields, 1)
  })

  it('goes on without having slept when somebody else has had the core', () =>
    oneOf(() => {
      const engine = new IdleEngine()
      const until = { done: false }
      engine.onYield = () => {
        until.done = true
      }
      engine.onPark = engine.onYield
      new BlockingDriver(engine, true).block(until)
      assert.equal(engine.yields + engine.parks, 1)
      return engine.yields === 1
    }))
})

describe('an event loop that waits', () => {
  async function fallAsleep(crowded: boolean): Promise<IdleEngine> {
    const engine = new IdleEngine()
    const driver = new LoopDriver(engine, crowded)
    const asleep = new Promise<void>((resolve) => {
      engine.onSleep = resolve
    })
    driver.activate()
    await asleep
    driver.stop()
    assert.equal(engine.parks, 0)
    return engine
  }

  it('sleeps when nothing comes, and keeps its core until then', async () => {
    assert.equal((await fallAsleep(false)).yields, 0)
  })

  it('offers its core until it sleeps, with more ranks than cores', () =>
    oneOf(async () => (await fallAsleep(true)).yields > 0))

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

  it('goes on as soon as it finds something, whoever had the core meanwhile', () =>
    oneOf(async () => {
      const engine = new IdleEngine()
      const driver = new LoopDriver(engine, true)
      await new Promise<void>((resolve) => {
        engine.onSleep = resolve
        engine.onYield = () => {
          engine.rounds = [1]
          engine.wanted = false
          resolve()
        }
        driver.activate()
      })
      await new Promise((resolve) => setImmediate(resolve))
      driver.stop()
      if (engine.yields === 0) return false
      assert.deepEqual([engine.yields, engine.rounds.length], [1, 0])
      return true
    }))
})
