// What a rank of collectives-processes.test.ts runs: `collectives.ts sync|async|mixed`. Calls every collective on the world
// and on a duplicate, from every root, with short and long data, and ends with an error at the first wrong result.
import assert from 'node:assert/strict'
import { type Communicator, IN_PLACE, init, MAX, MAXLOC, Operation, SUM, waitAllSync } from 'onecopy'

const face = process.argv[2]
/** Elements of 8 bytes: below and above every threshold of collectives/choose.ts and of the board, not divisible by 3. */
const LENGTHS = [0, 1, 1000, 2048, 2049, 8191, 70_000, 140_000]
/** On the duplicate it is enough to see that nothing mixes. */
const FEWER_LENGTHS = [1, 8191]

type Verb = Exclude<keyof Communicator & keyof Communicator['sync'], number | symbol>

/** Calls a verb on the face under test; with `mixed`, ranks alternate, and each from call to call. */
class Caller {
  #calls = 0
  readonly comm: Communicator

  constructor(comm: Communicator) {
    this.comm = comm
  }

  async call(verb: Verb, ...args: unknown[]): Promise<unknown> {
    this.#calls++
    const sync = face === 'sync' || (face === 'mixed' && (this.comm.rank + this.#calls) % 2 === 0)
    const target = (sync ? this.comm.sync : this.comm) as unknown as Record<string, (...all: unknown[]) => unknown>
    return await target[verb]!(...args)
  }
}

const CONCAT = Operation.create((a: string, b: string) => a + b)
const LAST = Operation.create((_: number, b: number) => b)
const UNION = Operation.create((a: Map<string, number>, b: Map<string, number>) => new Map([...a, ...b]), {
  commutative: true,
})

function upTo<T>(count: number, of: (rank: number) => T): T[] {
  return Array.from({ length: count }, (_, rank) => of(rank))
}

function filled(rank: number, length: number): Float64Array {
  const array = new Float64Array(length)
  for (let i = 0; i < length; i++) array[i] = (rank + 1) * ((i % 1013) + 1)
  return array
}

function sumOf(ranks: number, length: number): Float64Array {
  const sum = new Float64Array(length)
  for (let rank = 0; rank < ranks; rank++) {
    const part = filled(rank, length)
    for (let i = 0; i < length; i++) sum[i]! += part[i]!
  }
  return sum
}

function same(actual: unknown, wanted: Float64Array, what: string): void {
  assert.ok(actual instanceof Float64Array && actual.length === wanted.length, what)
  assert.ok(
    Buffer.compare(Buffer.from(actual.buffer, actual.byteOffset, actual.byteLength), Buffer.from(wanted.buffer)) === 0,
    what,
  )
}

async function values(caller: Caller): Promise<void> {
  const { rank, size } = caller.comm
  const all = upTo(size, (source) => ({ source, text: 'ü'.repeat(source * 1000) }))
  for (let root = 0; root < size; root++) {
    await caller.call('barrier')
    assert.deepEqual(await caller.call('bcast', rank === root ? all : null, root), all)
    assert.deepEqual(await caller.call('gather', all[rank], root), rank === root ? all : undefined)
    assert.deepEqual(await caller.call('scatter', rank === root ? all : undefined, root), all[rank])
    const text = upTo(size, String).join('')
    assert.equal(await caller.call('reduce', String(rank), CONCAT, root), rank === root ? text : undefined)
  }
  assert.deepEqual(await caller.call('allgather', all[rank]), all)
  assert.deepEqual(
    await caller.call(
      'alltoall',
      upTo(size, (dest) => [rank, dest]),
    ),
    upTo(size, (source) => [source, rank]),
  )
  assert.equal(await caller.call('allreduce', rank + 1, SUM), (size * (size + 1)) / 2)
  assert.equal(await caller.call('allreduce', BigInt(rank), SUM), BigInt((size * (size - 1)) / 2))
  assert.deepEqual(await caller.call('allreduce', [7, rank], MAXLOC), [7, 0])
  assert.deepEqual(
    await caller.call('allreduce', new Map([[`rank ${rank}`, rank]]), UNION),
    new Map(upTo(size, (source) => [`rank ${source}`, source])),
  )
  for (const verb of ['reduceScatter', 'reduceScatterBlock'] as const) {
    const given = upTo(size, (dest) => `${rank}>${dest} `)
    const wanted = upTo(size, (source) => `${source}>${rank} `).join('')
    assert.equal(await caller.call(verb, given, CONCAT), wanted)
  }
  assert.equal(await caller.call('scan', String(rank), CONCAT), upTo(rank + 1, String).join(''))
  assert.equal(await caller.call('exscan', String(rank), CONCAT), rank === 0 ? undefined : upTo(rank, String).join(''))
}

async function reduceScatters(caller: Caller, length: number): Promise<void> {
  const { rank, size } = caller.comm
  const what = `${length} elements per rank on ${size} ranks`
  const own = filled(rank, size * length)
  const sum = sumOf(size, size * length)
  const recv = new Float64Array(length)
  await caller.call('reduceScatterBlockInto', own, recv, SUM)
  same(recv, sum.slice(rank * length, (rank + 1) * length), `reduceScatterBlockInto of ${what}`)
  await caller.call('reduceScatterBlockInto', own, recv, LAST)
  same(recv, filled(size - 1, size * length).slice(rank * length, (rank + 1) * length), `in rank order of ${what}`)
  // everything to the last rank
  const counts = upTo(size, (other) => (other === size - 1 ? size * length : 0))
  const all = new Float64Array(counts[rank]!)
  await caller.call('reduceScatterInto', own, all, SUM, { counts })
  same(all, sum.slice(0, counts[rank]), `reduceScatterInto of ${what}`)
  await caller.call('reduceScatterInto', IN_PLACE, own, SUM, { counts })
  same(own, rank === size - 1 ? sum : filled(rank, size * length), `reduceScatterInto in place of ${what}`)
}

async function arrays(caller: Caller, length: number): Promise<void> {
  const { rank, size } = caller.comm
  const own = filled(rank, length)
  const root = length % size
  const what = `${length} elements on ${size} ranks`

  const view = rank === root ? own.slice() : new Float64Array(length)
  await caller.call('bcastInto', view, root)
  same(view, filled(root, length), `bcastInto of ${what}`)
  same(await caller.call('bcast', rank === root ? own : undefined, root), filled(root, length), `bcast of ${what}`)

  const all = new Float64Array(size * length)
  for (let source = 0; source < size; source++) all.set(filled(source, length), source * length)
  const recv = new Float64Array(size * length)
  await caller.call('gatherInto', own, rank === root ? recv : null, { root })
  if (rank === root) same(recv, all, `gatherInto of ${what}`)
  const block = new Float64Array(length)
  await caller.call('scatterInto', rank === root ? all : null, block, { root })
  same(block, own, `scatterInto of ${what}`)
  recv.fill(0)
  await caller.call('allgatherInto', own, recv)
  same(recv, all, `allgatherInto of ${what}`)
  const sent = new Float64Array(size * length)
  const wanted = new Float64Array(size * length)
  for (let other = 0; other < size; other++) {
    sent.set(filled(rank * size + other, length), other * length)
    wanted.set(filled(other * size + rank, length), other * length)
  }
  await caller.call('alltoallInto', sent, recv)
  same(recv, wanted, `alltoallInto of ${what}`)
  await caller.call('alltoallInto', IN_PLACE, recv)
  same(recv, sent, `alltoallInto in place of ${what}`)

  // one byte, one double, one byte, …: the w-form
  const kinds = upTo(size, (other) => ((rank + other) % 2 === 0 ? Uint8Array : Float64Array))
  const mixed = new Uint8Array(8 * size)
  const layout = { types: kinds, counts: upTo(size, () => 1), displs: upTo(size, (other) => 8 * other) }
  await caller.call('alltoallInto', new Uint8Array(8 * size).fill(rank + 1), mixed, layout)
  const byKind = upTo(size, (other) => upTo(8, (i) => (i < kinds[other]!.BYTES_PER_ELEMENT ? other + 1 : 0)))
  assert.deepEqual([...mixed], byKind.flat())

  const sum = sumOf(size, length)
  const result = new Float64Array(length)
  await caller.call('allreduceInto', own, result, SUM)
  same(result, sum, `allreduceInto of ${what}`)
  result.set(own)
  await caller.call('allreduceInto', IN_PLACE, result, SUM)
  same(result, sum, `allreduceInto in place of ${what}`)
  same(await caller.call('allreduce', own, SUM), sum, `allreduce of ${what}`)
  await caller.call('allreduceInto', own, result, LAST)
  same(result, filled(size - 1, length), `allreduceInto in rank order of ${what}`)
  await caller.call('reduceInto', own, rank === root ? result : null, SUM, root)
  if (rank === root) same(result, sum, `reduceInto of ${what}`)
  await caller.call('scanInto', own, result, SUM)
  same(result, sumOf(rank + 1, length), `scanInto of ${what}`)
  await caller.call('exscanInto', own, result, SUM)
  if (rank > 0) same(result, sumOf(rank, length), `exscanInto of ${what}`)
}

/** Several at once, finished in another order than started, with point-to-point messages between them. */
async function outstanding(comm: Communicator): Promise<void> {
  const { rank, size } = comm
  const sum = comm.allreduce(filled(rank, 10_000), SUM)
  const names = comm.allgather(`rank ${rank}`)
  const sent = comm.send(rank, (rank + 1) % size, 0)
  const done = comm.barrier()
  assert.equal(await comm.recv((rank - 1 + size) % size, 0), (rank - 1 + size) % size)
  await done
  assert.deepEqual(
    await names,
    upTo(size, (source) => `rank ${source}`),
  )
  same(await sum, sumOf(size, 10_000), 'an outstanding allreduce')
  await sent
}

/** The same with both faces mixed: blocking calls while others are under way, waited for backwards and by blocking. */
async function outstandingOnBothFaces(comm: Communicator): Promise<void> {
  const { rank, size, sync } = comm
  const [next, last] = [(rank + 1) % size, (rank - 1 + size) % size]
  const total = new Float64Array(1)
  const part = new Float64Array(1)
  const persistent = comm.allreduceInit(part, total, SUM)
  for (let round = 0; round < 3; round++) {
    part.fill(rank + round)
    const sum = comm.allreduce(filled(rank, 20_000), SUM)
    persistent.start()
    const sent = comm.send(filled(rank, 9000), next, round)
    assert.equal(sync.bcast(rank === size - 1 ? 'from the last' : null, size - 1), 'from the last')
    const scattered = comm.reduceScatterBlock(upTo(size, String), CONCAT)
    same(sync.recv(last, round), filled(last, 9000), 'a message among collectives')
    sync.barrier()
    const texts = comm.scan(`${rank} `, CONCAT)
    assert.equal(sync.sendrecv(rank, next, last, { sendTag: 7, recvTag: 7 }), last)
    assert.equal(texts.waitSync(), upTo(rank + 1, (source) => `${source} `).join(''))
    assert.deepEqual(waitAllSync([scattered, sent]), [String(rank).repeat(size), undefined])
    if (round === 1) await persistent
    else persistent.waitSync()
    assert.equal(total[0], (size * (size - 1)) / 2 + round * size)
    same(round === 2 ? sum.waitSync() : await sum, sumOf(size, 20_000), 'an allreduce among others')
  }
}

/**
 * The same calls on the same short arrays again and again, whose contents change: the blocking face remembers them. Then what it
 * must not go by: an array whose memory has gone, a layout that has changed, a call within the call.
 */
async function again(caller: Caller): Promise<void> {
  const { rank, size } = caller.comm
  const own = new Int32Array(2)
  const all = new Int32Array(2 * size)
  const total = new Int32Array(2)
  const each = Int32Array.from({ length: 2 * size }, (_, i) => i)
  const layout = { counts: upTo(size, () => 2), displs: upTo(size, (source) => 2 * source) }
  for (let round = 0; round < 5; round++) {
    own.fill(rank + round)
    await caller.call('barrier')
    await caller.call('allgatherInto', own, all)
    assert.deepEqual(
      [...all],
      upTo(2 * size, (i) => (i >> 1) + round),
    )
    // the same object with other numbers in it: blocks in reverse
    layout.displs = upTo(size, (source) => 2 * (round % 2 === 0 ? source : size - 1 - source))
    await caller.call('allgatherInto', own, all, layout)
    assert.equal(all[layout.displs[rank]!], rank + round)
    await caller.call('alltoallInto', each, all)
    assert.deepEqual(
      [...all],
      upTo(2 * size, (i) => 2 * rank + (i % 2)),
    )
    await caller.call('allreduceInto', own, total, SUM)
    assert.deepEqual([...total], [0, 0].fill((size * (size - 1)) / 2 + size * round))
    await caller.call('allreduceInto', IN_PLACE, total, MAX)
    for (let root = 0; root < size; root++) {
      await caller.call('reduceInto', own, rank === root ? total : null, SUM, root)
      if (rank === root) assert.equal(total[1], (size * (size - 1)) / 2 + size * round)
      own.fill(rank === root ? 100 * root + round : -1)
      await caller.call('bcastInto', own, root)
      assert.deepEqual([...own], [0, 0].fill(100 * root + round))
      own.fill(rank + round)
    }
  }

  const within = Operation.create((a: number, b: number) => a + b + depth(0), { commutative: true })
  let deep = false
  function depth(plus: number): number {
    if (deep || size !== 2) return plus
    deep = true
    const inner = new Int32Array(2)
    caller.comm.sync.allreduceInto(own, inner, SUM)
    caller.comm.sync.allreduceInto(own, inner, within)
    deep = false
    return inner[0]! - inner[1]!
  }
  for (let round = 0; round < 3; round++) {
    caller.comm.sync.allreduceInto(own, total, within)
    assert.equal(total[1], (size * (size - 1)) / 2 + size * 4)
  }

  // more calls inside of one than there are slots on a board
  const meeting = Operation.create((a: number, b: number) => {
    caller.comm.sync.barrier()
    return a + b
  })
  for (const length of [32, 4000]) {
    const many = new Int32Array(length)
    if (size === 2) caller.comm.sync.allreduceInto(new Int32Array(length).fill(rank), many, meeting)
    if (size === 2) assert.deepEqual([...new Set(many)], [1])
  }

  structuredClone(own.buffer, { transfer: [own.buffer] })
  assert.throws(() => caller.comm.sync.allreduceInto(own, total, SUM), TypeError)
  assert.throws(() => caller.comm.sync.bcastInto(own, 0), TypeError)
  await caller.call('barrier')
}

/** A rank that always comes last, so that it never has to wait, hears of its messages all the same. */
async function late(caller: Caller): Promise<void> {
  const { comm } = caller
  const { rank, size } = comm
  if (size === 1) return
  const got = rank === 1 ? comm.recv(0, 77) : null
  const flag = new Int32Array(1)
  const sum = new Int32Array(1)
  for (let call = 0; sum[0] === 0; call++) {
    assert.ok(call < 60, 'a message that nobody looks for')
    const busyUntil = performance.now() + (rank === 1 ? 3 : 0)
    while (performance.now() < busyUntil);
    if (rank === 0 && call === 3) comm.sync.send('here', 1, 77)
    flag[0] = got?.done === true ? 1 : 0
    comm.sync.allreduceInto(flag, sum, SUM)
  }
  if (got !== null) assert.equal(await got, 'here')
}

/** An operation that throws on one rank: an error on those that wait for it, on either face, and the next call is right. */
async function failing(caller: Caller): Promise<void> {
  const { rank, size } = caller.comm
  if (size === 1) return
  const op = Operation.create((a: number, b: number) => {
    if (rank === 1) throw new RangeError('no')
    return a + b
  })
  for (const data of [1, filled(rank, 70_000)]) {
    let error: unknown = null
    try {
      await caller.call('allreduce', data, op)
    } catch (thrown) {
      error = thrown
    }
    if (rank === 1) assert.ok(error instanceof RangeError, String(error))
    else if (error !== null) assert.equal((error as { code?: string }).code, 'ERR_COLLECTIVE', String(error))
    assert.equal(await caller.call('allreduce', 1, SUM), size)
  }
}

const world = await init()
const copy = await world.dup()
for (const comm of [world, copy]) {
  const caller = new Caller(comm)
  assert.throws(() => comm.bcast(1, comm.size), RangeError)
  await values(caller)
  for (const length of comm === world ? LENGTHS : FEWER_LENGTHS) {
    await arrays(caller, length)
    await reduceScatters(caller, length)
  }
  await again(caller)
  await outstanding(comm)
  await outstandingOnBothFaces(comm)
  await late(caller)
  await failing(caller)
}
console.log(`rank ${world.rank} of ${world.size}: right`)
await world.finalize()
