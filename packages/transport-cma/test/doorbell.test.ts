import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { OnecopyError, type Transport } from '@onecopy/transport'
import { afterEach, describe, it } from 'mocha'
import { loadLibc } from '../src/libc/choose.js'
import { ChildLines } from './child-lines.js'
import { CmaJob, until } from './cma-job.js'
import { AS_PLAIN_USER, PLAIN_UID, requireRoot } from './skip.js'

const none = new Uint8Array(0)

/** CPU time of a process so far, in milliseconds (clock ticks are 10 ms on Linux). */
function cpuMilliseconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return 10 * (Number(fields[11]) + Number(fields[12]))
}

/** Makes a FIFO of this user's alone; gives its path. */
function fifoAt(path: string): string {
  assert.equal(loadLibc().libc?.makeFifo(path, 0o600), 0)
  return path
}

function isAuth(words: RegExp, rank?: number): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof OnecopyError, String(error))
    assert.deepEqual([error.code, error.rank], ['ERR_AUTH', rank])
    assert.match(error.message, words)
    return true
  }
}

describe('the doorbell', () => {
  let job: CmaJob | null = null
  afterEach(() => {
    job?.close()
    job = null
  })

  for (const ffi of ['koffi', 'ffi-napi'] as const) {
    for (const role of ['echo', 'echoFromLoop'] as const) {
      it(`wakes a child that sleeps ${role === 'echo' ? 'in park' : 'in its event loop'}, over ${ffi}`, async () => {
        job = await CmaJob.prepare(2, { ONECOPY_FFI: ffi })
        const zero = await job.open(0)
        const child = job.start(1, role)
        const lines = new ChildLines(child)
        await lines.next('ready')
        const got: number[] = []
        const receiver = { frame: (_: number, words: Int32Array) => void got.push(words[0] as number) }
        for (let i = 0; i < 30; i++) {
          assert.equal(zero.trySend(1, Int32Array.of(i), 1, none, 0, 0), true)
          await until(`echo ${i}`, () => {
            zero.poll(receiver, 10)
            return got.length === i + 1
          })
        }
        assert.deepEqual(
          got,
          Array.from({ length: 30 }, (_, i) => i),
        )
        // Asleep it costs nothing.
        const before = cpuMilliseconds(child.pid as number)
        await new Promise((resolve) => setTimeout(resolve, 400))
        assert.equal(cpuMilliseconds(child.pid as number) - before <= 20, true)
        zero.trySend(1, Int32Array.of(-1), 1, none, 0, 0)
        const [code] = (await once(child, 'exit')) as [number]
        assert.equal(code, 0)
      })
    }
  }

  it('wakes this process too, in both ways, from a child’s frames', async () => {
    job = await CmaJob.prepare(2)
    const zero = await job.open(0)
    const child = job.start(1, 'echo')
    await new ChildLines(child).next('ready')
    let got = 0
    const receiver = { frame: () => void got++ }
    for (let i = 0; i < 20; i++) {
      zero.trySend(1, Int32Array.of(i), 1, none, 0, 0)
      const end = performance.now() + 10_000
      while (got === i && performance.now() < end) if (zero.poll(receiver, 1) === 0) zero.park(1000)
      assert.equal(got, i + 1)
    }
    for (let i = 20; i < 40; i++) {
      zero.trySend(1, Int32Array.of(i), 1, none, 0, 0)
      while (got === i) {
        if (zero.poll(receiver, 1) > 0) break
        await new Promise<void>((resolve) => {
          if (!zero.onWake(resolve)) resolve()
        })
      }
      assert.equal(got, i + 1)
    }
  })

  it('wakes a sender that sleeps because the ring is full, once there is room', async () => {
    job = await CmaJob.prepare(2)
    const [zero, one] = (await job.openAll()) as [Transport, Transport]
    let sent = 0
    while (zero.trySend(1, Int32Array.of(sent), 1, none, 0, 0)) sent++
    const woken = new Promise<void>((resolve) => assert.equal(zero.onWake(resolve), true))
    one.poll({ frame: () => undefined }, sent)
    await woken
    assert.equal(zero.trySend(1, Int32Array.of(sent), 1, none, 0, 0), true)
  })

  it('does not sleep when room came before the sleep', async () => {
    job = await CmaJob.prepare(2)
    const [zero, one] = (await job.openAll()) as [Transport, Transport]
    let sent = 0
    while (zero.trySend(1, Int32Array.of(sent), 1, none, 0, 0)) sent++
    one.poll({ frame: () => undefined }, sent)
    assert.equal(
      zero.onWake(() => undefined),
      false,
    )
    const start = performance.now()
    zero.trySend(1, Int32Array.of(0), 1, none, 0, 0)
    one.poll({ frame: () => undefined }, 10)
    zero.park(50)
    assert.equal(performance.now() - start < 5000, true)
  })

  it('still rings when frames were polled while it was armed', async () => {
    job = await CmaJob.prepare(2)
    const [zero, one] = (await job.openAll()) as [Transport, Transport]
    let wakes = 0
    assert.equal(
      one.onWake(() => wakes++),
      true,
    )
    // Sent, rung, polled: the wake-up comes all the same. Armed anew, polled empty: the next frame still rings.
    zero.trySend(1, Int32Array.of(1), 1, none, 0, 0)
    assert.equal(one.poll({ frame: () => undefined }, 10), 1)
    await until('the first wake-up', () => wakes === 1)
    assert.equal(
      one.onWake(() => wakes++),
      true,
    )
    assert.equal(one.poll({ frame: () => undefined }, 10), 0)
    zero.trySend(1, Int32Array.of(2), 1, none, 0, 0)
    await until('the second wake-up', () => wakes === 2)
  })

  it('hangs in the job’s directory, for this user only, and goes with its rank', async () => {
    job = await CmaJob.prepare(2)
    const [zero, one] = (await job.openAll()) as [Transport, Transport]
    assert.deepEqual(readdirSync(job.directory).sort(), ['0.bell', '1.bell'])
    assert.equal(statSync(join(job.directory, '0.bell')).mode & 0o777, 0o600)
    zero.abort()
    await one.close()
    assert.deepEqual(readdirSync(job.directory), [])
  })

  const impostors: [string, (path: string, elsewhere: string) => void, RegExp][] = [
    ['a file', (path) => writeFileSync(path, 'untouched'), /is not a FIFO/],
    ['a folder', (path) => mkdirSync(path), /is not a FIFO/],
    ['a link to a FIFO', (path, elsewhere) => symlinkSync(fifoAt(elsewhere), path), /is not a FIFO/],
    ['a link to nothing', (path, elsewhere) => symlinkSync(elsewhere, path), /is not a FIFO/],
    ['a FIFO that others may use', (path) => chmodSync(fifoAt(path), 0o622), /is open to others \(mode 622\)/],
  ]
  for (const [what, put, words] of impostors) {
    it(`is not hung where ${what} is already, which stays as it is`, async () => {
      job = await CmaJob.prepare(2)
      const path = join(job.directory, '0.bell')
      put(path, join(job.directory, 'elsewhere'))
      const before = lstatSync(path)
      await assert.rejects(job.open(0), isAuth(words))
      const after = lstatSync(path)
      assert.deepEqual([after.ino, after.mode, after.size], [before.ino, before.mode, before.size])
    })

    it(`is not rung where ${what} is in its place, and whoever would ring is told each time`, async () => {
      job = await CmaJob.prepare(2)
      const [zero, one] = (await job.openAll()) as [Transport, Transport]
      const path = join(job.directory, '1.bell')
      const woken = new Promise<void>((resolve) => assert.equal(one.onWake(resolve), true))
      renameSync(path, join(job.directory, 'kept'))
      put(path, join(job.directory, 'elsewhere'))
      const before = lstatSync(path)
      for (let i = 0; i < 2; i++) {
        assert.throws(() => zero.trySend(1, Int32Array.of(i), 1, none, 0, 0), isAuth(words, 1))
      }
      const after = lstatSync(path)
      assert.deepEqual([after.ino, after.mode, after.size], [before.ino, before.mode, before.size])
      // As soon as the bell hangs again it is rung, and no frame was lost.
      rmSync(path, { recursive: true })
      renameSync(join(job.directory, 'kept'), path)
      assert.equal(zero.trySend(1, Int32Array.of(2), 1, none, 0, 0), true)
      await woken
      const got: number[] = []
      while (one.poll({ frame: (_, frame) => void got.push(frame[0] as number) }, 10) > 0);
      assert.deepEqual(got, [0, 1, 2])
    })
  }

  it('is hung where a FIFO of our own is left', async () => {
    job = await CmaJob.prepare(2)
    fifoAt(join(job.directory, '1.bell'))
    const [zero, one] = (await job.openAll()) as [Transport, Transport]
    const woken = new Promise<void>((resolve) => assert.equal(one.onWake(resolve), true))
    zero.trySend(1, Int32Array.of(1), 1, none, 0, 0)
    await woken
  })

  it('is not hung where another user’s FIFO is, whoever may open that', async function () {
    requireRoot(this)
    job = await CmaJob.prepare(2)
    chmodSync(job.directory, 0o777)
    chownSync(fifoAt(join(job.directory, '0.bell')), PLAIN_UID, PLAIN_UID)
    await assert.rejects(job.open(0), isAuth(new RegExp(`belongs to user ${PLAIN_UID}`)))
    fifoAt(join(job.directory, '1.bell'))
    const lines = new ChildLines(job.start(1, 'echo', AS_PLAIN_USER))
    assert.match(await lines.next('refused '), /^ERR_AUTH 13: .*1\.bell belongs to user 0/)
  })

  it('gives all descriptors back', async () => {
    const { libc } = loadLibc()
    assert.ok(libc)
    const count = (): number => readdirSync('/proc/self/fd').length
    const before = count()
    for (let round = 0; round < 5; round++) {
      const one = await CmaJob.prepare(3)
      const all = await one.openAll()
      for (const [rank, transport] of all.entries()) {
        transport.onWake(() => undefined)
        const peer = (rank + 1) % 3
        transport.trySend(peer, Int32Array.of(1), 1, none, 0, 0)
        transport.remoteMemory?.canWrite(peer)
      }
      one.close()
    }
    await until('all descriptors to be closed', () => count() <= before)
  })

  it('delivers everything that a killed rank had accepted', async () => {
    job = await CmaJob.prepare(2)
    const zero = await job.open(0)
    const child = job.start(1, 'floodAndDie')
    const lines = new ChildLines(child)
    const sent = Number(await lines.next('sent '))
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    zero.peerGone(1)
    const got: number[] = []
    while (zero.poll({ frame: (_, words) => void got.push(words[0] as number) }, 7) > 0);
    assert.deepEqual(
      got,
      Array.from({ length: sent }, (_, i) => i),
    )
  })
})
