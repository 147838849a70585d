// What ranks, spawned children and joined jobs of the processes-*.test.ts run: `processes.ts <scenario> <words…>`.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import {
  connect,
  type Intercommunicator,
  init,
  listen,
  OnecopyError,
  PROC_NULL,
  parent,
  ROOT,
  UNDEFINED,
} from 'onecopy'
import { assertBytes, filledBytes } from '../support/payload.ts'

const [scenario = '', ...words] = process.argv.slice(2)
const script = fileURLToPath(import.meta.url)
const up = parent()
// heard of before init() is through
if (scenario === 'revoked') up?.catch(() => process.exit(0))
const world = await init()
const isChild = up !== null
const MIB = 1024 * 1024
const LENGTHS = [0, 1, 100, 4096, 64 * 1024 + 1, 4 * MIB]

/** The other side, by this rank's face. */
class Others {
  readonly comm: Intercommunicator
  readonly size: number
  readonly isSync: boolean

  constructor(comm: Intercommunicator, isSync: boolean) {
    this.comm = comm
    this.size = comm.remoteSize
    this.isSync = isSync
  }

  async send(data: unknown, index: number, tag = 0): Promise<void> {
    if (this.isSync) this.comm.sync.send(data, index, tag)
    else await this.comm.send(data, index, tag)
  }

  async recv<T>(index: number, tag?: number): Promise<T> {
    return this.isSync ? this.comm.sync.recv<T>(index, tag) : await this.comm.recv<T>(index, tag)
  }

  /** Everybody sends everybody messages of all lengths, then values, there and back. */
  async exchange(isFirst: boolean): Promise<void> {
    for (let index = 0; index < this.size; index++) {
      for (const byteLength of LENGTHS) {
        const mine = filledBytes(byteLength, byteLength + 1)
        if (isFirst) await this.send(mine, index, 1)
        assertBytes(await this.recv<Uint8Array>(index, 1), mine, `from ${index}`)
        if (!isFirst) await this.send(mine, index, 1)
      }
      const value = { from: world.rank, map: new Map([['big', 2n ** 70n]]), part: new Float64Array(100_000).fill(1.5) }
      if (isFirst) await this.send(value, index, 2)
      assert.deepEqual(await this.recv(index, 2), { ...value, from: index })
      if (!isFirst) await this.send(value, index, 2)
    }
  }
}

function isSyncFace(face: string | undefined): boolean {
  return face === 'sync' || (face === 'mixed' && world.rank % 2 === (isChild ? 1 : 0))
}

async function spawnHere(size: number, args: string[], face?: string): Promise<Others> {
  const isSync = isSyncFace(face)
  return new Others(
    isSync ? world.sync.spawn(script, size, { args }) : await world.spawn(script, size, { args }),
    isSync,
  )
}

async function parents(face?: string): Promise<Others> {
  return new Others((await up) as Intercommunicator, isSyncFace(face))
}

/** Files that this rank and its launcher have open, once nobody is left but the ranks and the launcher's guardian. */
async function openFiles(): Promise<number[]> {
  const children = (): number =>
    fs.readFileSync(`/proc/${process.ppid}/task/${process.ppid}/children`, 'utf8').trim().split(' ').length
  while (children() > world.size + 1) await new Promise((resolve) => setTimeout(resolve, 50))
  await new Promise((resolve) => setTimeout(resolve, 200))
  return [process.pid, process.ppid].map((pid) => {
    const names = fs.readdirSync(`/proc/${pid}/fd`)
    // A peer's bell is opened when it first has to be rung, which may be at any time.
    return names.filter((name) => !linkOf(`/proc/${pid}/fd/${name}`).includes('.bell')).length
  })
}

function linkOf(file: string): string {
  try {
    return fs.readlinkSync(file)
  } catch {
    return 'what lists them'
  }
}

/** What a call fails with, printed for the test. */
async function failure(what: string, call: () => PromiseLike<unknown>): Promise<void> {
  try {
    await call()
    tellFailure(what, null)
  } catch (error) {
    tellFailure(what, error)
  }
}

/** The same of a call that blocks. */
function failureNow(what: string, call: () => unknown): void {
  try {
    call()
    tellFailure(what, null)
  } catch (error) {
    tellFailure(what, error)
  }
}

function tellFailure(what: string, error: unknown): void {
  const { code, name, message } = (error ?? {}) as OnecopyError
  const said = error === null ? 'no failure' : error instanceof OnecopyError ? code : `${name}: ${message}`
  console.log(`${what}: ${said}`)
}

const forever = (): Promise<never> => new Promise(() => setInterval(() => {}, 1000))

const SCENARIOS: Record<string, () => Promise<void>> = {
  async exchange() {
    const [count = '1', face] = words
    if (isChild) {
      assert.deepEqual([world.size, world.rank < world.size], [Number(count), true])
      await (await parents(face)).exchange(false)
      return
    }
    const children = await spawnHere(Number(count), ['exchange', count, face as string], face)
    assert.equal(children.size, Number(count))
    const way = children.comm.transport(0)
    await children.exchange(true)
    if (world.rank === 0) console.log(`exchanged over ${way}`)
  },

  /** Rank 0 blocks in the world until rank 1 has heard that the child has what rank 0 is sending it meanwhile. */
  async across() {
    const [face] = words
    if (isChild) {
      const others = await parents(face)
      assertBytes(await others.recv<Uint8Array>(0), filledBytes(4 * MIB, 7), 'across')
      await others.send('got it', 1)
      return
    }
    const children = await spawnHere(1, ['across', face as string])
    if (world.rank === 0) {
      const sending = children.comm.send(filledBytes(4 * MIB, 7), 0)
      const heard = face === 'sync' ? world.sync.recv(1) : await world.recv(1)
      assert.equal(heard, 'the child has it')
      await sending
      console.log('moved across')
    } else {
      assert.equal(await children.recv(0), 'got it')
      await world.send('the child has it', 0)
    }
  },

  async nothing() {
    await (await parents()).comm.disconnect()
  },

  /** The processes of a job are known in the one that joins it and its children. */
  async known() {
    if (isChild) {
      const { comm } = await parents()
      assert.equal(comm.group.compare(world.group), 'ident')
      const merged = await comm.merge(true)
      assert.deepEqual(merged.group.translate([0, 1, 2, 3], world.group), [UNDEFINED, UNDEFINED, 0, 1])
      const others = await merged.spawn(script, 1, { args: ['nothing'] })
      assert.equal(others.group.compare(merged.group), 'ident')
      await others.disconnect()
      await comm.barrier()
      if (world.rank === 0) await comm.disconnect()
      else comm.free()
      assert.equal(parent(), null)
      return
    }
    const { comm } = await spawnHere(2, ['known'])
    assert.equal(comm.group.compare(world.group), 'ident')
    assert.equal(comm.remoteGroup.compare(world.group), 'unequal')
    const merged = await comm.merge(false)
    assert.deepEqual(merged.group.translate([0, 1, 2, 3], world.group), [0, 1, UNDEFINED, UNDEFINED])
    assert.deepEqual(world.group.translate([1, 0], merged.group), [1, 0])
    assert.equal(merged.group.difference(world.group).compare(comm.remoteGroup), 'ident')
    assert.equal(merged.group.union(world.group).size, 4)
    assert.throws(() => world.group.union(merged.group), TypeError)
    const parentsOnly = await merged.createGroup(world.group)
    assert.equal(parentsOnly?.size, 2)
    // a third job, which both have spawned
    const others = await merged.spawn(script, 1, { args: ['nothing'] })
    assert.equal(others.group.compare(merged.group), 'ident')
    await comm.barrier()
    await others.disconnect()
    await comm.disconnect()
    await assert.rejects(Promise.resolve(comm.barrier()), {
      code: 'ERR_CLOSED',
      message: /disconnect\(\) has been called/,
    })
    if (world.rank === 0) console.log('all known')
  },

  async several() {
    if (isChild) {
      console.log(`program ${words[0]}`)
      await (await parents()).send([words[0], world.rank, world.size], 0)
      return
    }
    const programs = [
      { script, size: 1, args: ['several', 'a'] },
      { script: new URL(import.meta.url), size: 2, args: ['several', 'b'] },
    ]
    const children = new Others(await world.spawn(programs), false)
    if (world.rank === 0) {
      const heard: unknown[] = []
      for (let i = 0; i < 3; i++) heard.push(await children.recv(i))
      console.log(JSON.stringify(heard))
    }
  },

  /** Who cancels gets the children all the same, and everybody else, too. */
  async cancelled() {
    if (isChild) {
      await (await parents()).send('here', 0)
      return
    }
    const spawning = world.spawn(script, 2, { args: ['cancelled'] })
    const cancelling = setInterval(() => spawning.cancel(), 10)
    const children = new Others(await spawning, false)
    clearInterval(cancelling)
    if (world.rank === 0) console.log(`${await children.recv(0)} and ${await children.recv(1)}`)
    await children.comm.disconnect()
  },

  /** The world is revoked while children start: the call fails, and nothing keeps this process. */
  async revoked() {
    if (isChild) return
    setTimeout(() => world.revoke(), Number(words[0]))
    await failure('spawn', () => world.spawn(script, 2, { args: ['revoked'] }))
  },

  /** A wait for another job that nobody joins, ended by the root; and not by another rank's cancel. */
  async interrupted() {
    const comm = await world.dup()
    const waiting = comm.listen(`nobody comes ${process.ppid}`)
    if (world.rank !== 0) waiting.cancel()
    const end = { revoke: () => comm.revoke(), free: () => comm.free(), cancel: () => waiting.cancel() }[
      words[0] as string
    ]!
    // freed on every rank: it is a local matter
    if (world.rank === 0 || words[0] === 'free') setTimeout(end, 100)
    await failure('interrupted', () => waiting)
    await world.barrier()
  },

  async environment() {
    if (isChild) {
      const { OC_GIVEN, OC_TAKEN } = process.env
      await (await parents()).send([OC_GIVEN, OC_TAKEN ?? 'none', process.cwd(), process.execArgv.join()], 0)
      return
    }
    const comm = await world.spawn(script, 1, {
      args: ['environment'],
      env: { OC_GIVEN: 'given', OC_TAKEN: undefined },
      cwd: '/',
      nodeArgs: ['--stack-size=900'],
    })
    if (world.rank === 0) console.log(JSON.stringify(await new Others(comm, false).recv(0)))
  },

  /** Children spawn children, who send word up to the top. */
  async nested() {
    const depth = Number(words[0])
    const below = depth > 0 ? await spawnHere(1, ['nested', String(depth - 1)]) : null
    if (world.rank === 0) {
      const word = below === null ? 'bottom' : `${depth} ${await below.recv<string>(0)}`
      if (isChild) await (await parents()).send(word, 0)
      else console.log(word)
    }
  },

  /** Ranks of two jobs spawn together, over the bridge that they have. */
  async together() {
    if (words[0] === 'third') {
      const others = await parents()
      for (let index = 0; index < others.size; index++) await others.send(`for ${index}`, index)
      return
    }
    const comm = isChild ? (await parents()).comm : (await spawnHere(1, ['together'])).comm
    const all = await comm.merge(isChild)
    const third = await all.spawn(script, 1, { args: ['together', 'third'], root: all.size - 1 })
    const word = await third.recv<string>(0)
    const heard = await all.gather(word)
    if (all.rank === 0) console.log(JSON.stringify(heard))
  },

  /** Bridges that come and go leave nothing behind, neither here nor in the launcher. */
  async again() {
    if (isChild) {
      const others = await parents()
      await others.send(world.rank, 0)
      await others.comm.disconnect()
      return
    }
    let before: number[] = []
    for (let round = 0; round < 8; round++) {
      const children = await spawnHere(1, ['again'])
      if (world.rank === 0) await children.recv(0)
      await children.comm.disconnect()
      if (round === 2) before = await openFiles()
      await world.barrier()
    }
    const after = await openFiles()
    // There may have been more before: what an ended child had is closed when its output is over.
    const isFlat = after.every((count, i) => count <= (before[i] as number))
    console.log(isFlat ? 'nothing is left' : `open files before: ${before}, after: ${after}`)
  },

  /** Two spawns at once, on two communicators. */
  async twice() {
    if (isChild) {
      await (await parents()).send(words[0], 0)
      return
    }
    const [one, two] = [await world.dup(), await world.dup()]
    const both = await Promise.all([one, two].map((comm, i) => comm.spawn(script, 1, { args: ['twice', String(i)] })))
    const heard: unknown[] = []
    for (const comm of both) if (world.rank === 0) heard.push(await new Others(comm, false).recv(0))
    if (world.rank === 0) console.log(JSON.stringify(heard))
  },

  async bad() {
    await failure('no script', () => world.spawn('/no/such/script.js', 1))
    await failure('no size', () => world.spawn(script, 0))
    await failure('root', () => world.spawn(script, 1, { root: 7 }))
    await failure('world', () => world.disconnect())
    await failure('name', () => world.listen(''))
    await failure('timeout', () => world.connect('x', { timeout: -1 }))
  },

  /** With --check: a spawn that the others do not take part in, and one with several roots. */
  async mismatch() {
    await failure('verb', () => (world.rank === 0 ? world.spawn(script, 1) : world.barrier()))
    await failure('root', () => world.spawn([{ script, size: 1 }], { root: world.rank }))
    await failure('joining', async () => world.sync[world.rank === 0 ? 'listen' : 'connect']('x', { timeout: 1 }))
  },

  /** Spawns that fail leave nothing open here. */
  async fruitless() {
    const open = (): number => fs.readdirSync('/proc/self/fd').length
    const counts: number[] = []
    for (let round = 0; round < 4; round++) {
      await failure(`spawn ${round}`, () => world.spawn(words[0] as string, 1))
      counts.push(open())
    }
    console.log(counts.at(-1) === counts[0] ? 'nothing is left' : `open files: ${counts}`)
  },

  /** Children that come and go, and what goes wrong, while the event loop stands still. */
  async blocking() {
    if (isChild) {
      const { sync } = (await parents()).comm
      sync.send(`${sync.recv<string>(0)} and back`, 0)
      sync.disconnect()
      return
    }
    let turns = 0
    setImmediate(() => turns++)
    const { sync, rank } = world
    for (const word of ['there', 'again']) {
      const children = sync.spawn([{ script, size: 2, args: ['blocking'] }], { root: world.size - 1 })
      if (rank === 0) {
        for (const child of [0, 1]) children.sync.send(word, child)
        for (const child of [0, 1]) assert.equal(children.sync.recv(child), `${word} and back`)
      }
      children.sync.disconnect()
      failureNow('after', () => children.sync.send(1, 0))
    }
    failureNow('no script', () => sync.spawn('/no/such/script.js', 1))
    failureNow('root', () => sync.spawn(script, 1, { root: 7 }))
    failureNow('world', () => sync.disconnect())
    failureNow('connect', () => sync.connect('nobody', { timeout: 0.3 }))
    failureNow('listen', () => sync.listen('nobody', { timeout: 0.3 }))
    failureNow('aborted', () => sync.listen('nobody', { signal: AbortSignal.abort(new Error('never')) }))
    sync.finalize()
    failureNow('over', () => sync.barrier())
    console.log(`${turns} turns of the event loop`)
  },

  /** `child <how> [wait]`: a child ends; what do its parents see? */
  async child() {
    const [how = ''] = words
    if (isChild) {
      const others = await parents()
      await world.barrier()
      if (world.rank === 0) {
        // not before everybody is out of spawn
        for (let index = 0; index < others.size; index++) await others.recv(index, 1)
        // matched, so that the end cannot overtake it
        await others.comm.ssend('ready', 0)
        await endBy(how)
      }
      await failure('the other child', () => others.comm.recv(0, 9))
      if (how === 'leave' || words[1] === 'go on') return
      await forever()
    }
    const children = await spawnHere(2, ['child', ...words])
    await children.send('there', 0, 1)
    // An abort may overtake it.
    if (world.rank === 0) await children.recv(0).catch(() => {})
    await failure(`parent ${world.rank}`, () => children.comm.recv(0, 9))
    if (how === 'leave' || words[1] === 'go on') {
      if (words[1] === 'go on') await children.send('still here?', 1)
      process.exit(0)
    }
    await failure(`world of ${world.rank}`, () => world.recv(0, 99))
    await forever()
  },

  /** `early <script> <face>`: a child that never calls init(). */
  async early() {
    const [child = '', face] = words
    const options = { startTimeout: 2 }
    if (isSyncFace(face)) failureNow(`parent ${world.rank}`, () => world.sync.spawn(child, 1, options))
    else await failure(`parent ${world.rank}`, () => world.spawn(child, 1, options))
  },

  /** `parent <how>`: rank 0 of the parents ends; what do the children see? */
  async parent() {
    const [how = ''] = words
    if (isChild) {
      const others = await parents()
      console.log(`ready ${process.pid}`)
      const waiting = others.comm.recv(0)
      await others.send('ready', 0)
      await failure('child', () => waiting)
      await failure('world', () => world.recv(0, 99))
      await forever()
    }
    const children = await spawnHere(2, ['parent', how])
    if (world.rank === 0) {
      for (let i = 0; i < 2; i++) await children.recv(i)
      await endBy(how)
    }
    await forever()
  },

  /** The youngest of some generations ends with code 5. */
  async generations() {
    const depth = Number(words[0])
    if (depth === 0) process.exit(5)
    const below = await spawnHere(1, ['generations', String(depth - 1)])
    await below.recv(0)
  },

  /** Everybody waits, in a way, until the test ends somebody. */
  async wait() {
    const [how = 'async'] = words
    const others = isChild ? await parents() : await spawnHere(2, ['wait', how])
    console.log(`ready ${process.pid}`)
    if (how === 'sync') others.comm.sync.recv(0, 5)
    else await others.comm.recv(0, 5)
  },

  async disconnect() {
    if (isChild) {
      const others = await parents()
      await others.send('hello', 0)
      await others.comm.disconnect()
      process.exit(3)
    }
    const children = await spawnHere(1, ['disconnect'])
    if (world.rank === 0) assert.equal(await children.recv(0), 'hello')
    await children.comm.disconnect()
    await failure('after', () => children.comm.recv(0))
    await new Promise((resolve) => setTimeout(resolve, 500))
    await world.barrier()
    console.log('went on')
  },

  /** `join listen|connect <name> <face>` */
  async join() {
    const [verb, name = '', face] = words
    const isListener = verb === 'listen'
    const isSync = isSyncFace(face)
    const options = { timeout: 15 }
    const comm = isSync
      ? world.sync[isListener ? 'listen' : 'connect'](name, options)
      : await (isListener ? listen : connect)(name, options)
    const others = new Others(comm, isSync)
    await others.exchange(isListener)
    if (isSync) comm.sync.disconnect()
    else await comm.disconnect()
    console.log(`${verb} ${world.rank} exchanged`)
  },

  /** `serve <name> <clients>`: one job after the other. */
  async serve() {
    const [name = '', clients] = words
    for (let client = 0; client < Number(clients); client++) {
      const comm = await world.listen(name, { timeout: 15 })
      await comm.bcast(`client ${client}`, world.rank === 0 ? ROOT : PROC_NULL)
      await comm.disconnect()
    }
    console.log('served all')
  },

  async client() {
    const comm = await world.connect(words[0] as string, { timeout: 15 })
    console.log(`served as ${await comm.bcast(null, 0)}`)
    await comm.disconnect()
  },

  /** `refuse <name>`: nobody is there. */
  async refuse() {
    const [name = ''] = words
    await failure('timeout', () => world.connect(name, { timeout: 0.3 }))
    await failure('listen timeout', () => world.listen(name, { timeout: 0.3 }))
    const controller = new AbortController()
    setTimeout(() => controller.abort(new Error('changed my mind')), 100)
    await failure('signal', () => world.connect(name, { signal: controller.signal }))
    await failure('aborted', () => world.listen(name, { signal: AbortSignal.abort(new Error('never')) }))
  },

  async taken() {
    const [name = ''] = words
    const first = world.listen(name, { timeout: 5 })
    first.catch(() => {})
    console.log('listening')
    await forever()
  },

  async take() {
    await failure('take', () => world.listen(words[0] as string, { timeout: 1 }))
  },

  /** `survive listen|connect <name> stay|fall`: the one side is killed, the other goes on. */
  async survive() {
    const [verb, name = '', role] = words
    const comm = await (verb === 'listen' ? world.listen(name) : world.connect(name))
    const merged = await comm.merge(verb === 'connect')
    const others = new Others(comm, false)
    console.log(`${verb} ready ${process.pid}`)
    if (role === 'fall') await forever()
    for (let index = 0; index < others.size; index++) {
      await failure(`from ${index}`, () => others.comm.recv(index))
    }
    await failure('to', () => others.comm.ssend('x', 0))
    console.log(`agreed on ${await comm.agree(world.rank + 2)}`)
    const shrunk = await merged.shrink()
    assert.deepEqual(await shrunk.allgather(world.rank), await world.allgather(world.rank))
    await comm.disconnect()
    assert.equal((await world.allgather(world.rank)).length, world.size)
    console.log(`who ${verb}s goes on`)
  },
}

async function endBy(how: string): Promise<void> {
  if (how === 'throw') throw new Error('thrown on purpose')
  if (how === 'kill') process.kill(process.pid, 'SIGKILL')
  if (how === 'exit') process.exit(3)
  if (how === 'leave') process.exit(0)
  if (how === 'abort') world.abort(9, 'on purpose')
}

await SCENARIOS[scenario]?.()
