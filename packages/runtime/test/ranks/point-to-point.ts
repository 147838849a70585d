// What a rank of point-to-point-processes.test.ts runs: `point-to-point.ts <face> <scenario,…>`. Every rank runs the same
// scenarios, one after the other; the first thing that is not as it should be ends the rank with its stack.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { init, type Message, OnecopyError, PROC_NULL, type Status, testAll, waitAllSync } from 'onecopy'
import { assertBytes, assertSame, bytesOf, filledBytes } from '../support/payload.ts'
import { badCalls } from './point-to-point-bad-calls.ts'

const [faceName = 'async', scenarioNames = ''] = process.argv.slice(2)
const world = await init()
const { rank, size } = world
const isSync = faceName === 'sync' || (faceName === 'mixed' && rank % 2 === 0)
const next = (rank + 1) % size
const last = (rank + size - 1) % size
const MIB = 1024 * 1024
/** More than one call of process_vm_readv takes (1024 pieces). */
const PARTS = 5000

/** The verbs of this rank's face, so that each scenario is written once. */
const face = {
  async send(data: unknown, dest: number, tag?: number): Promise<void> {
    if (isSync) world.sync.send(data, dest, tag)
    else await world.send(data, dest, tag)
  },
  async ssend(data: unknown, dest: number, tag?: number): Promise<void> {
    if (isSync) world.sync.ssend(data, dest, tag)
    else await world.ssend(data, dest, tag)
  },
  async recv<T>(source?: number, tag?: number): Promise<T> {
    return isSync ? world.sync.recv<T>(source, tag) : await world.recv<T>(source, tag)
  },
  async recvInto(view: ArrayBufferView, source?: number, tag?: number): Promise<Status> {
    return isSync ? world.sync.recvInto(view, source, tag) : await world.recvInto(view, source, tag)
  },
  async recvMessage<T>(source?: number, tag?: number): Promise<Message<T>> {
    return isSync ? world.sync.recvMessage<T>(source, tag) : await world.recvMessage<T>(source, tag)
  },
  async sendrecv<T>(data: unknown, dest: number, source: number): Promise<T> {
    return isSync ? world.sync.sendrecv<T>(data, dest, source) : await world.sendrecv<T>(data, dest, source)
  },
  async barrier(): Promise<void> {
    if (isSync) world.sync.barrier()
    else await world.barrier()
  },
}

/** Every length at which something changes, and its neighbours. With more ranks than cores both ends never copy. */
function lengths(): number[] {
  const { eagerPartBytes, eagerBytesMax, eagerBytesMaxRemote, bothEndsBytesMin, partBytesMin, streamFrameBytes } =
    world.thresholds
  const edges = [
    64,
    4096,
    eagerPartBytes,
    eagerBytesMax,
    eagerBytesMaxRemote,
    bothEndsBytesMin,
    partBytesMin,
    streamFrameBytes,
  ]
  const around = edges.flatMap((edge) => [edge - 1, edge, edge + 1])
  return [...new Set([0, 1, ...around, MIB + 3, 5 * MIB + 1])].filter((length) => length >= 0 && length < 2 ** 30)
}

/** Sends to the next rank and receives from the last one, without ever needing both at once. */
async function passOn(send: () => Promise<void>, receive: () => Promise<void>): Promise<void> {
  if (rank === 0) {
    await send()
    await receive()
  } else {
    await receive()
    await send()
  }
}

/** Every message has been received; the others do not go on before everybody has looked. */
async function nothingLeft(): Promise<void> {
  await face.barrier()
  assert.equal(world.iprobe(), null)
  await face.barrier()
}

const scenarios: Record<string, () => Promise<void>> = {
  async lengths() {
    if (size === 1) return
    for (const length of lengths()) {
      const where = `${length} bytes from ${last}`
      const mine = filledBytes(length, rank + length, 1)
      const theirs = filledBytes(length, last + length, 1)
      await passOn(
        () => face.send(mine, next, 3),
        async () => assertBytes(await face.recv<Uint8Array>(last, 3), theirs, where),
      )
      await passOn(
        () => face.ssend(mine, next, 3),
        async () => {
          const memory = new Uint8Array(length + 64).fill(0xa5)
          const view = memory.subarray(31, 31 + length + 1)
          const status = await face.recvInto(view, last)
          assert.deepEqual({ ...status }, { source: last, tag: 3, byteLength: length, cancelled: false })
          assertBytes(view.subarray(0, length), theirs, where)
          for (const at of [0, 15, 30, 31 + length, 32 + length, 63 + length]) assert.equal(memory[at], 0xa5, where)
        },
      )
    }
  },

  async types() {
    const makers = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array]
    const all = [...makers, Float32Array, Float64Array, BigInt64Array, BigUint64Array]
    for (const bytes of [96, 24_000, 240_000]) {
      for (const type of all) {
        const width = type.BYTES_PER_ELEMENT
        const { buffer } = filledBytes(bytes + 8 * width, bytes)
        const data = new type(buffer as ArrayBuffer, width, bytes / width)
        const received = await face.sendrecv<ArrayBufferView>(data, next, last)
        assert.equal(received.constructor, type)
        assertBytes(bytesOf(received), bytesOf(data), type.name)
      }
      const odd = filledBytes(bytes, bytes, 3)
      const view = await face.sendrecv<DataView>(new DataView(odd.buffer, odd.byteOffset, bytes), next, last)
      assert.ok(view instanceof DataView)
      assertBytes(bytesOf(view), odd, 'DataView')
      const buffer = await face.sendrecv<Buffer>(Buffer.from(odd.buffer, odd.byteOffset, bytes), next, last)
      assert.ok(Buffer.isBuffer(buffer))
      assertBytes(buffer, odd, 'Buffer')
      const shared = new SharedArrayBuffer(bytes)
      new Uint8Array(shared).set(odd)
      for (const whole of [shared, new Uint8Array(odd).buffer]) {
        const got = await face.sendrecv<ArrayBuffer>(whole, next, last)
        assert.ok(got instanceof ArrayBuffer)
        assertBytes(new Uint8Array(got), odd, 'whole buffer')
      }
    }
    // Node's own types do not know WebAssembly
    const { WebAssembly } = globalThis as never as {
      WebAssembly: { Memory: new (options: { initial: number }) => { buffer: ArrayBuffer } }
    }
    const inside = new Uint8Array(new WebAssembly.Memory({ initial: 4 }).buffer, 11, 200_000)
    inside.set(filledBytes(200_000, 4))
    assertBytes(await face.sendrecv<Uint8Array>(inside, next, last), inside, 'WebAssembly memory')
  },

  async values() {
    const parts = Array.from({ length: PARTS }, (_, i) => filledBytes(4096 + (i % 3), i))
    const shared = filledBytes(100_000, 1)
    const cycle: Record<string, unknown> = { id: rank, big: filledBytes(3 * MIB, 2), shared, again: shared }
    cycle.self = cycle
    const got = await face.sendrecv<typeof cycle>(cycle, next, last)
    assert.equal(got.self, got)
    assert.equal(got.shared, got.again)
    assert.equal(got.id, last)
    assertBytes(got.big as Uint8Array, cycle.big as Uint8Array, 'big part')
    const list = await face.sendrecv<Uint8Array[]>(parts, next, last)
    assert.equal(list.length, parts.length)
    for (const [i, part] of parts.entries()) assertBytes(list[i] as Uint8Array, part, `part ${i}`)
    const small = { name: 'x', args: [1, 2n, null], when: new Date(5), map: new Map([[1, new Set(['a'])]]) }
    assert.deepEqual(await face.sendrecv(small, next, last), small)
    for (const one of [undefined, null, 0, '', 1n, Number.NaN]) {
      assert.deepEqual(await face.sendrecv(one, next, last), one)
    }
  },

  /** Both directions long at once, and many requests outstanding. */
  async crossing() {
    const big = filledBytes(3 * MIB, rank)
    for (let round = 0; round < 5; round++) {
      const send = world.send(big, next, 1)
      assertBytes(await face.recv(last, 1), filledBytes(3 * MIB, last), 'crossing')
      if (isSync) send.waitSync()
      else await send
    }
    const count = 300
    const lengthOf = (i: number) => (i * 7919) % 70_000
    const receives = Array.from({ length: count }, (_, i) => world.recvInto(new Uint8Array(lengthOf(i)), last, 2))
    const sends = Array.from({ length: count }, (_, i) => world.send(filledBytes(lengthOf(i), i), next, 2))
    if (isSync) waitAllSync([...sends, ...receives])
    else await Promise.all([...sends, ...receives])
    assert.equal(testAll([...sends, ...receives]), true)
    for (const [i, request] of receives.entries()) assert.equal(request.status?.byteLength, lengthOf(i))
  },

  /** Messages are there before their receives are posted, and the other way round. */
  async early() {
    const all = lengths()
    const sends = all.map((length) => world.send(filledBytes(length, length), next, 4))
    await face.barrier()
    for (const length of all) assertBytes(await face.recv(last, 4), filledBytes(length, length), 'unexpected')
    for (const send of sends) isSync ? send.waitSync() : await send
    const posted = all.map(() => world.recv<Uint8Array>(last, 5))
    await face.barrier()
    const more = all.map((length) => world.send(filledBytes(length, length), next, 5))
    for (const [i, length] of all.entries()) {
      const request = posted[i] as (typeof posted)[number]
      assertBytes(isSync ? request.waitSync() : await request, filledBytes(length, length), 'posted')
    }
    for (const send of more) isSync ? send.waitSync() : await send
  },

  /** The receiver pulls a long message out of a rank that does nothing but compute. */
  async pull() {
    if (size === 1 || !world.transport(rank === 0 ? 1 : 0).includes('(single copy)')) return
    const file = path.join(os.tmpdir(), `onecopy-test-pulled-${process.ppid}`)
    if (rank === 0) {
      const send = world.send(filledBytes(4 * MIB, 1), 1, 6)
      const deadline = performance.now() + 10_000
      // no turn of the event loop, no call of onecopy
      while (!fs.existsSync(file)) assert.ok(performance.now() < deadline, 'the receiver needs this thread')
      fs.rmSync(file)
      await send
    } else if (rank === 1) {
      assertBytes(await face.recv(0, 6), filledBytes(4 * MIB, 1), 'pulled')
      fs.writeFileSync(file, '')
    }
  },

  /** What blocking sends leave behind goes out while the sender only waits for a timer. */
  async behind() {
    if (size === 1) return
    const count = 40
    if (rank === 0) {
      const requests = Array.from({ length: count }, (_, i) => world.bsend(filledBytes(60_000, i), 1, 7))
      assert.ok(requests.every((request) => request.done))
      await new Promise((resolve) => setTimeout(resolve, 300))
      assert.equal(await face.recv(1, 8), 'all here')
    } else if (rank === 1) {
      for (let i = 0; i < count; i++) assertBytes(await face.recv(0, 7), filledBytes(60_000, i), `message ${i}`)
      await face.send('all here', 0, 8)
    }
  },

  async mistakes() {
    for (const [name, call] of Object.entries(badCalls(world))) {
      let thrown: unknown
      try {
        call()
      } catch (error) {
        thrown = error
      }
      assert.ok(thrown instanceof TypeError || thrown instanceof RangeError, `${name} threw ${String(thrown)}`)
      assert.ok(!(thrown instanceof OnecopyError), name)
    }
    // nobody was disturbed
    assert.equal(await face.sendrecv(`rank ${rank}`, next, last), `rank ${last}`)
    await nothingLeft()
  },

  async refusals() {
    for (const length of [10, 20_000, 300_000]) {
      const sends = [
        world.send(filledBytes(length, 1), next, 1),
        world.send({ text: 'x'.repeat(length) }, next, 2),
        world.send('next', next, 3),
      ]
      const view = new Uint8Array(length - 1)
      await assert.rejects(face.recvInto(view, last, 1), { code: 'ERR_TRUNCATE', source: last, tag: 1 })
      await assert.rejects(face.recvInto(view, last, 2), { code: 'ERR_TYPE', source: last, tag: 2 })
      assert.equal(await face.recv(last, 3), 'next')
      for (const send of sends) isSync ? send.waitSync() : await send
    }
    assert.equal(await face.recv(PROC_NULL), undefined)
    await face.send(new Uint8Array(9), PROC_NULL)
  },

  /** Everybody to everybody, in every size; one receiver for all, order checked per sender. */
  async traffic() {
    const count = 120
    const all = lengths().filter((length) => length < MIB)
    const lengthOf = (from: number, i: number) => all[(from * 31 + i * 17) % all.length] as number
    const sends = Array.from({ length: count * size }, (_, n) => {
      const [i, dest] = [Math.floor(n / size), n % size]
      return world.send(filledBytes(lengthOf(rank, i), i + rank), dest, 9)
    })
    const seen = new Array<number>(size).fill(0)
    for (let n = 0; n < count * size; n++) {
      const { data, source } = await face.recvMessage<Uint8Array>(-1, 9)
      const i = seen[source] as number
      seen[source] = i + 1
      assertBytes(data, filledBytes(lengthOf(source, i), i + source), `message ${i} from ${source}`)
    }
    for (const send of sends) isSync ? send.waitSync() : await send
    await nothingLeft()
  },

  async closed() {
    await face.barrier()
    // What `await using mine = world` does at the end of its block: Node 22 has no such syntax yet.
    const mine: AsyncDisposable = world
    await mine[Symbol.asyncDispose]()
    await world.finalize()
    for (const call of [
      () => world.send(1, 0),
      () => world.recv(),
      () => world.sync.send(1, 0),
      () => world.sync.recv(),
      () => world.iprobe(),
      () => world.barrier(),
      () => world.sync.barrier(),
      () => world.dup(),
    ]) {
      assert.throws(call, { code: 'ERR_CLOSED' })
    }
    assert.equal(await init(), world)
  },

  /** The script ends with sends under way: leaving completes them. */
  async ending() {
    if (rank === 0) {
      for (let dest = 1; dest < size; dest++) {
        void world.send(filledBytes(6 * MIB, dest), dest, 1)
        void world.send({ part: filledBytes(MIB, dest) }, dest, 1)
        void world.send('the end', dest, 1)
      }
      return
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
    assertBytes(await face.recv(0, 1), filledBytes(6 * MIB, rank), 'long')
    assertSame(await face.recv(0, 1), { part: filledBytes(MIB, rank) }, 'value')
    assert.equal(await face.recv(0, 1), 'the end')
  },

  /** process.exit() right behind the last blocking send: what was sent arrives. */
  async exit() {
    await face.barrier()
    if (rank === 0) {
      for (let dest = 1; dest < size; dest++) world.sync.send(filledBytes(5000, dest), dest, 1)
      process.exit(0)
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
    assertBytes(await face.recv(0, 1), filledBytes(5000, rank), 'sent before the exit')
  },

  /** More than one call of the kernel, and than an int32, can count. */
  async huge() {
    const length = 2 ** 31 + 5
    const mark = (bytes: Uint8Array, seed: number) => {
      for (let at = 0; at < length; at += 64 * MIB - 1) bytes[at] = (at / MIB + seed) & 0xff
      bytes[length - 1] = seed
    }
    const bytes = new Uint8Array(length)
    if (rank === 0) {
      mark(bytes, 7)
      await face.send(bytes, 1)
    } else {
      assert.equal((await face.recvInto(bytes, 0)).byteLength, length)
      for (let at = 0; at < length - 1; at += 64 * MIB - 1) assert.equal(bytes[at], (at / MIB + 7) & 0xff, `at ${at}`)
      assert.equal(bytes[length - 1], 7)
    }
    assert.ok(process.resourceUsage().maxRSS * 1024 < length + 400 * MIB, 'the message was copied on the way')
  },
}

for (const name of scenarioNames.split(',')) {
  try {
    await (scenarios[name] as () => Promise<void>)()
  } catch (error) {
    throw new Error(`rank ${rank} (${isSync ? 'sync' : 'async'}) in '${name}'`, { cause: error })
  }
}
console.log(`rank ${rank} is done`)
