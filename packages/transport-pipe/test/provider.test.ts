import assert from 'node:assert/strict'
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { OnecopyError, type Transport } from '@onecopy/transport'
import { pipeProvider } from '@onecopy/transport-pipe'
import { describe, it } from 'mocha'
import { derivePairSecret } from '../src/authentication.js'
import { bulkFileBytesOf, bulkGeometryOf, ringOffsetOf } from '../src/geometry.js'
import type { PipeTransport } from '../src/pipe-transport.js'
import { RecordWriter } from '../src/record-writer.js'
import { Collector, PipeJob, until } from './pipe-job.js'

async function withJob(size: number, body: (job: PipeJob) => Promise<void>): Promise<void> {
  const job = await PipeJob.prepare(size)
  try {
    await body(job)
  } finally {
    await job.close()
  }
}

/** Writes bytes into a rank's inbox, as a stranger of the same user could. */
function intrude(job: PipeJob, rank: number, bytes: Uint8Array): void {
  const descriptor = openSync(join(job.directory, `${rank}.inbox`), constants.O_WRONLY | constants.O_NONBLOCK)
  writeSync(descriptor, bytes)
  closeSync(descriptor)
}

/** A genuine record from `source` to `dest`, with any sequence number. */
function forge(job: PipeJob, source: number, dest: number, sequence: number, slotsTaken: number | null): Uint8Array {
  const secrets = new Int32Array(2)
  derivePairSecret(job.token, source, dest, secrets, 0)
  const writer = new RecordWriter(source)
  const recordBytes =
    slotsTaken === null
      ? writer.inline(secrets, 0, sequence, Int32Array.of(99), 1, new Uint8Array(0), 0, 0)
      : writer.credit(secrets, 0, sequence, slotsTaken)
  return writer.bytes.slice(0, recordBytes)
}

async function sendOne(from: Transport, to: number, word: number): Promise<void> {
  await until(() => from.trySend(to, Int32Array.of(word), 1, new Uint8Array(0), 0, 0), 'room')
}

/** Polls until something is thrown. */
async function failureOf(transport: Transport, collector: Collector): Promise<OnecopyError> {
  let failure: unknown = null
  await until(() => {
    try {
      transport.poll(collector, 64)
    } catch (error) {
      failure = error
    }
    return failure !== null
  }, 'an error')
  assert.ok(failure instanceof OnecopyError)
  return failure
}

describe('pipe: the provider', () => {
  it('says in words whether it can work here', () => {
    const probe = pipeProvider.probe()
    assert.ok(probe.available ? /mkfifo/.test(probe.detail) : probe.reason.length > 20)
  })

  it('makes nothing that others may open, whatever the umask', async () => {
    const umask = process.umask(0)
    try {
      await withJob(3, async (job) => {
        assert.deepEqual(job.names(), ['0.inbox', '1.inbox', '2.inbox'])
        for (const name of job.names()) {
          const status = lstatSync(join(job.directory, name))
          assert.ok(status.isFIFO())
          assert.equal(status.mode & 0o777, 0o600)
        }
        const status = fstatSync(job.descriptor as number)
        assert.equal(status.nlink, 0, 'the bulk file must have no name')
        assert.equal(status.mode & 0o777, 0o600)
        const transports = [await job.open(0), await job.open(1)]
        const bytes = new Uint8Array(60_000).fill(1)
        assert.ok(transports[0]?.trySend(1, Int32Array.of(1), 1, bytes, 0, bytes.length))
        assert.deepEqual(job.names(), ['0.inbox', '1.inbox', '2.inbox'])
      })
    } finally {
      process.umask(umask)
    }
  })

  it('refuses a directory that others may enter, on both sides', () =>
    withJob(2, async (job) => {
      chmodSync(job.directory, 0o750)
      assert.throws(() => pipeProvider.open(job.job(0)), { code: 'ERR_AUTH', message: /mode 750/ })
      await assert.rejects(pipeProvider.prepare({ size: 2, directory: job.directory, settings: {} }), {
        code: 'ERR_AUTH',
      })
      chmodSync(job.directory, 0o700)
    }))

  it('believes the launcher about how many cores there are', () =>
    withJob(3, async (job) => {
      for (const [cores, isCrowded] of [
        ['2', true],
        ['3', false],
      ] as const) {
        const transport = pipeProvider.open({ ...job.job(0), settings: { cores } }) as PipeTransport
        // biome-ignore lint/complexity/useLiteralKeys: the key is private, and how long a yield takes is no test
        assert.equal(transport['isCrowded'], isCrowded)
        transport.abort()
      }
    }))

  it('never makes anything over what is there already', () =>
    withJob(2, async (job) => {
      await assert.rejects(pipeProvider.prepare({ size: 2, directory: job.directory, settings: {} }), {
        code: 'ERR_UNAVAILABLE',
        message: /exists/,
      })
    }))

  it('does not open what is not its own FIFO', () =>
    withJob(4, async (job) => {
      const transport = await job.open(0)
      const inbox = (rank: number) => join(job.directory, `${rank}.inbox`)
      rmSync(inbox(1))
      writeFileSync(inbox(1), '', { mode: 0o600 })
      rmSync(inbox(2))
      symlinkSync(inbox(3), inbox(2))
      chmodSync(inbox(3), 0o622)
      for (const [rank, why] of [
        [1, /not a FIFO/],
        [2, /not a FIFO/],
        [3, /mode 622/],
      ] as const) {
        assert.equal(transport.reaches(rank), false)
        assert.match(transport.whyNot(rank) ?? '', why)
        assert.throws(() => transport.trySend(rank, Int32Array.of(1), 1, new Uint8Array(0), 0, 0), OnecopyError)
        assert.throws(() => pipeProvider.open(job.job(rank)), OnecopyError)
      }
    }))

  it('refuses a descriptor that is missing or something else', () =>
    withJob(2, async (job) => {
      assert.throws(() => pipeProvider.open(job.job(0, { descriptor: null })), { code: 'ERR_UNAVAILABLE' })
      const other = openSync(process.execPath, 'r')
      assert.throws(() => pipeProvider.open(job.job(0, { descriptor: other })), OnecopyError)
      closeSync(other)
    }))

  it('a rank with another token is a stranger: noticed once, without effect', () =>
    withJob(3, async (job) => {
      const [zero, one] = [await job.open(0), await job.open(1)]
      const stranger = pipeProvider.open(job.job(2, { token: new Uint8Array(32) }))
      const collector = new Collector()
      for (let i = 0; i < 5; i++) {
        await sendOne(stranger, 0, 100 + i)
        intrude(job, 0, Buffer.from(`GET /${i} HTTP/1.1\r\n\r\n`))
        await sendOne(one, 0, i)
        await until(() => zero.poll(collector, 64) >= 0 && collector.frames.length === i + 1, 'the frame')
      }
      stranger.abort()
      assert.deepEqual(
        collector.frames.map(({ peer, words }) => [peer, words[0]]),
        [0, 1, 2, 3, 4].map((i) => [1, i]),
      )
      assert.equal(job.notices.length, 1)
      assert.match(job.notices[0] ?? '', /ERR_AUTH.*rank 0's inbox/)
    }))

  for (const [what, sequence, slotsTaken] of [
    ['a replayed record', 0, null],
    ['a record out of its turn', 5, null],
    ['a credit for slots never written', 1, 3],
    ['a credit that goes back', 1, 2 ** 32 - 1],
  ] as const) {
    it(`${what} costs its source all credit, and nobody else`, () =>
      withJob(3, async (job) => {
        const [zero, one, two] = [await job.open(0), await job.open(1), await job.open(2)]
        const collector = new Collector()
        await sendOne(one, 0, 1)
        await until(() => zero.poll(collector, 64) === 1, 'the first frame')
        intrude(job, 0, forge(job, 1, 0, sequence, slotsTaken))
        const failure = await failureOf(zero, collector)
        assert.equal(failure.code, 'ERR_PROTOCOL')
        assert.equal(failure.rank, 1)
        await sendOne(one, 0, 2)
        await sendOne(two, 0, 3)
        await until(() => zero.poll(collector, 64) === 1, "the other rank's frame")
        assert.deepEqual(
          collector.frames.map(({ peer, words }) => [peer, words[0]]),
          [
            [1, 1],
            [2, 3],
          ],
        )
      }))
  }

  it('works on after release, and gives every descriptor back', () =>
    withJob(2, async (job) => {
      const [zero, one] = [await job.open(0), await job.open(1)]
      await job.close()
      await job.close()
      const collector = new Collector()
      assert.equal(zero.hasUnsent, false)
      assert.throws(() => one.poll(collector, 1), { code: 'ERR_CLOSED' })
    }))

  it('keeps all rings of 64 ranks within 256 MiB, and every frame at 1024 bytes or more', () => {
    for (const size of [1, 2, 3, 4, 8, 16, 32, 64, 65, 128, 1000]) {
      const geometry = bulkGeometryOf(size)
      const ringBytes = geometry.frameBytesMax * geometry.slotCount
      assert.ok(geometry.frameBytesMax >= 4096 && geometry.slotCount >= 1)
      assert.equal(Math.log2(geometry.slotCount) % 1, 0)
      if (size <= 64) assert.ok(ringBytes * size * (size - 1) <= 256 * 1024 * 1024)
      assert.ok(ringOffsetOf(geometry, size - 1, size - 1) + ringBytes <= bulkFileBytesOf(geometry))
    }
  })
})
