// What a rank of communicators-processes.test.ts runs: `communicators.ts <face> <what>`. Every rank does the same.
import assert from 'node:assert/strict'
import {
  ANY_SOURCE,
  AttributeKey,
  CONGRUENT,
  type Communicator,
  type Intercommunicator,
  init,
  MAX,
  Operation,
  PROC_NULL,
  ROOT,
  SUM,
  UNDEFINED,
} from 'onecopy'

const [faceName = 'async', what = 'made'] = process.argv.slice(2)
const world = await init()
const { rank, size } = world
const isSync = faceName === 'sync' || (faceName === 'mixed' && rank % 2 === 0)

/** The verbs of this rank's face. Both give the same; `await` takes either. */
function face<C extends Communicator | Intercommunicator>(communicator: C): C {
  return (isSync ? communicator.sync : communicator) as C
}

const scenarios: Record<string, () => Promise<void>> = {
  /** Communicators of every making, talking all at once. */
  async made() {
    const parity = (await face(world).split(rank % 2, -rank)) as Communicator
    const evens = await face(world).create(world.group.rangeIncl([[0, size - 1, 2]]))
    const copy = await face(world).dup()
    assert.equal(copy.compare(world), CONGRUENT)
    assert.equal(await face(world).split(UNDEFINED), null)
    const all = [world, copy, parity, evens].filter((each): each is Communicator => each !== null)
    for (const [index, each] of all.entries()) {
      const [right, left] = [(each.rank + 1) % each.size, (each.rank + each.size - 1) % each.size]
      const send = each.send(new Float64Array(30_000).fill(index), right, 1)
      const got = await face(each).recv<Float64Array>(left, 1)
      assert.ok(got.length === 30_000 && got.every((item) => item === index))
      await send
      assert.equal(await face(each).allreduce(1, SUM), each.size)
      const gathered = new Int32Array(each.size)
      await face(each).allgatherInto(Int32Array.of(rank), gathered)
      assert.deepEqual([...gathered], each.group.translate([...gathered.keys()], world.group))
    }
    if (rank < 2) {
      const pair = await face(world).createGroup(world.group.incl([...new Set([0, Math.min(1, size - 1)])]), 7)
      assert.equal(await face(pair as Communicator).allreduce(rank, MAX), Math.min(1, size - 1))
    }
    for (const each of all.slice(1)) each.free()
    await face(world).barrier()
  },

  /** Many cycles, in which numbers and memory stay flat. */
  async cycles() {
    const rounds = 300
    let before = 0
    for (let round = 0; round < rounds; round++) {
      if (round === rounds / 2) before = process.memoryUsage().heapUsed
      const part = (await face(world).split(rank % 2)) as Communicator
      assert.equal(await face(part).bcast(part.rank === 0 ? round : -1), round)
      part.free()
    }
    assert.ok(process.memoryUsage().heapUsed - before < 32 * 1024 * 1024)
    await face(world).barrier()
  },

  async between() {
    const first = rank < Math.ceil(size / 2)
    const local = (await face(world).split(first ? 0 : 1)) as Communicator
    const remoteLeader = first ? Math.ceil(size / 2) : 0
    const inter = await face(local).createIntercomm(0, local.rank === 0 ? world : null, remoteLeader)
    const others = await face(inter).allgather(rank)
    assert.deepEqual(others, inter.remoteGroup.translate([...others.keys()], world.group))
    const send = inter.send(new Uint8Array(2_000_000).fill(rank + 1), local.rank % inter.remoteSize, 3)
    const senders = others.filter((_, index) => index % local.size === local.rank)
    for (const sender of senders) {
      const source = others.indexOf(sender)
      const bytes = await face(inter).recv<Uint8Array>(source, 3)
      assert.ok(bytes.length === 2_000_000 && bytes.every((byte) => byte === sender + 1))
    }
    await send
    const root = first ? (local.rank === 0 ? ROOT : PROC_NULL) : 0
    assert.equal(await face(inter).bcast('over there', root), first ? undefined : 'over there')
    const merged = await face(inter).merge(!first)
    assert.deepEqual(
      await face(merged).allgather(rank),
      Array.from({ length: size }, (_, each) => each),
    )
    const key = AttributeKey.create<string>({ copy: AttributeKey.share })
    inter.setAttribute(key, 'kept')
    assert.equal((await face(inter).dup()).getAttribute(key), 'kept')
    await face(world).barrier()
  },

  /** Persistent collectives and reduceScatter between two groups, and what else an intercommunicator is made into. */
  async across() {
    const firstSize = Math.ceil(size / 2)
    const first = rank < firstSize
    const local = (await face(world).split(first ? 0 : 1)) as Communicator
    const inter = await face(local).createIntercomm(0, local.rank === 0 ? world : null, first ? firstSize : 0)
    const theirs = await face(inter).allgather(rank)
    const sum = theirs.reduce((a, b) => a + b, 0)
    const [part, total] = [new Float64Array(20_000), new Float64Array(20_000)]
    const [shared, share] = [new Float64Array(12), new Float64Array(12 / inter.size)]
    const requests = [
      inter.allreduceInit(part, total, SUM),
      inter.reduceScatterBlockInit(shared, share, SUM),
      inter.barrierInit(),
    ]
    for (let round = 0; round < 3; round++) {
      part.fill(rank + round)
      shared.fill(rank - round)
      for (const request of requests) request.start()
      for (const request of requests) {
        if (isSync) request.waitSync()
        else await request
      }
      assert.ok(total.every((item) => item === sum + round * theirs.length))
      assert.ok(share.every((item) => item === sum - round * theirs.length))
    }
    const counts = Array.from({ length: inter.size }, (_, each) => (each === 0 ? 12 : 0))
    const whole = new Float64Array(counts[inter.rank] as number)
    await face(inter).reduceScatterInto(shared.fill(rank), whole, MAX, { counts })
    assert.ok(whole.every((item) => item === Math.max(...theirs)))
    await face(inter).reduceScatterBlockInto(shared, share, SUM)
    assert.ok(share.every((item) => item === sum))
    const values = theirs.map((to) => [rank, to])
    const joined = await face(inter).reduceScatter(
      values,
      Operation.create((a: number[], b: number[]) => [...a, ...b]),
    )
    assert.deepEqual(
      joined,
      theirs.flatMap((from) => [from, rank]),
    )
    const leaders = await face(inter).split(inter.rank === 0 ? 1 : UNDEFINED)
    assert.equal(leaders === null, inter.rank !== 0)
    if (leaders !== null) assert.deepEqual(await face(leaders).allgather(rank), [theirs[0]])
    assert.equal(await face(inter).splitType(UNDEFINED), null)
    const lasts = await face(inter).create(inter.group.incl([inter.size - 1]))
    if (lasts !== null) assert.equal(await face(lasts).allreduce(rank, SUM), theirs.at(-1))
    for (const each of [leaders, lasts, inter]) each?.free()
    await face(world).barrier()
  },

  /** The last rank is killed; the others notice, agree, and go on without it. Needs `--on-failure continue`. */
  async survive() {
    const firstSize = Math.ceil(size / 2)
    const local = (await face(world).split(rank < firstSize ? 0 : 1)) as Communicator
    const remoteLeader = rank < firstSize ? firstSize : 0
    const inter = await face(local).createIntercomm(0, local.rank === 0 ? world : null, remoteLeader)
    await face(world).barrier()
    if (rank === size - 1) process.kill(process.pid, 'SIGKILL')
    let rounds = 0
    try {
      for (; ; rounds++) await face(world).allreduce(rounds, SUM)
    } catch (error) {
      assert.ok(['ERR_PROC_FAILED', 'ERR_REVOKED'].includes((error as { code: string }).code), String(error))
    }
    world.revoke()
    const shrunk = await face(world).shrink()
    assert.equal(shrunk.size, size - 1)
    assert.equal(await face(shrunk).allreduce(1, SUM), size - 1)
    assert.deepEqual([...world.getFailed().translate([0], world.group)], [size - 1])
    assert.equal(
      await face(world).agree(rank + 4),
      Array.from({ length: size - 1 }, (_, i) => i + 4).reduce((a, b) => a & b),
    )
    const shrinking = async () => face(inter).shrink()
    if (size - 1 === firstSize && rank < firstSize) {
      await assert.rejects(shrinking, { code: 'ERR_PROC_FAILED' })
    } else {
      const [ours, theirs] = rank < firstSize ? [firstSize, size - 1 - firstSize] : [size - 1 - firstSize, firstSize]
      const smaller = await shrinking()
      assert.deepEqual([smaller.size, await face(smaller).allreduce(1, SUM)], [ours, theirs])
    }
    const last = await shrunk.dup()
    const [right, left] = [(last.rank + 1) % last.size, (last.rank + last.size - 1) % last.size]
    const send = last.send('still here', right, 2)
    assert.equal(await face(last).recv(last.size > 1 ? left : ANY_SOURCE, 2), 'still here')
    await send
  },
}

await (scenarios[what] as () => Promise<void>)()
console.log(`rank ${rank} of ${size}: right`)
