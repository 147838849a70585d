import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, fstatSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'
import { OnecopyError, type Transport } from '@onecopy/transport'
import { describe, it } from 'mocha'
import { cmaProvider } from '../src/cma-provider.js'
import { loadLibc } from '../src/libc/choose.js'
import type { Libc } from '../src/libc/libc.js'
import { defaultGeometry, ringGeometry, ringOffset, segmentLayout } from '../src/ring-layout.js'
import { createSegment, Segment } from '../src/segment.js'
import { CmaJob } from './cma-job.js'

function withCode(code: string, words: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof OnecopyError && error.code === code && words.test(error.message)
}

/** Rank 0 of `job`, handed this descriptor. */
function openWith(job: CmaJob, descriptor: number | null): Transport {
  return cmaProvider.open({
    rank: 0,
    size: job.size,
    token: new Uint8Array(32),
    directory: job.directory,
    launcherPid: null,
    descriptor,
    data: job.prepared.data,
    settings: {},
    notice: () => undefined,
  })
}

/** The control area of a small job's segment. */
function bytesOf(descriptor: number): Buffer {
  const bytes = Buffer.alloc(4096)
  assert.equal(readSync(descriptor, bytes, 0, bytes.length, 0), bytes.length)
  return bytes
}

describe('the segment’s layout', () => {
  it('gives every pair a ring of its own, in bounds and without overlap', () => {
    for (const size of [1, 2, 3, 4, 17, 33, 64, 65, 129]) {
      const layout = segmentLayout(size, defaultGeometry(size))
      const offsets: number[] = []
      for (let from = 0; from < size; from++) {
        for (let to = 0; to < size; to++) if (from !== to) offsets.push(ringOffset(layout, from, to))
      }
      offsets.sort((a, b) => a - b)
      assert.equal(offsets.length, size * (size - 1))
      for (const [i, offset] of offsets.entries()) assert.equal(offset, layout.controlBytes + i * layout.ringBytes)
      assert.equal(layout.totalBytes, layout.controlBytes + offsets.length * layout.ringBytes)
    }
  })

  it('keeps to 64 KiB per direction and 256 MiB in all at 64 ranks', () => {
    const layout = segmentLayout(64, defaultGeometry(64))
    assert.equal(layout.ringBytes, 65536)
    assert.equal(layout.totalBytes <= 256 * 2 ** 20, true)
  })

  it('fits several frames into a ring', () => {
    for (const size of [2, 17, 33, 129]) {
      const { frameBytesMax, payloadBytes } = defaultGeometry(size)
      assert.equal(frameBytesMax * 4 <= payloadBytes && frameBytesMax >= 1024, true)
    }
  })

  it('has by default what the README says', () => {
    const ends = [4, 16, 32, 128]
    const bytesAt = (size: number): number => defaultGeometry(size).payloadBytes
    for (const [i, end] of ends.entries()) {
      assert.equal(bytesAt(i === 0 ? 2 : (ends[i - 1] as number) + 1), bytesAt(end), `up to ${end} ranks`)
    }
    const [four, sixteen, most, many, beyond] = [...ends, 129].map((size) => `${bytesAt(size) / 1024} KiB`)
    const said = `Default ${four} up to 4 ranks, ${sixteen} to 16, ${most} to 32, ${many} to 128, then ${beyond} |`
    const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8')
    assert.ok(readme.includes(said), `the README does not say: ${said}`)
  })

  it('refuses measures that cannot work', () => {
    for (const payloadBytes of [0, 1000, 4096, 65537, 2 ** 31, NaN]) {
      assert.throws(() => ringGeometry(254, payloadBytes), RangeError)
    }
  })
})

describe('the shared segment', () => {
  it('has no name, and its size cannot be changed', async () => {
    const before = readdirSync('/dev/shm')
    const job = await CmaJob.prepare(2)
    const { libc } = loadLibc()
    const fd = job.prepared.descriptor as number
    assert.equal(libc?.ftruncate(fd, 4096), -1)
    assert.equal(fstatSync(fd).nlink, 0)
    assert.deepEqual(readdirSync('/dev/shm'), before)
    assert.deepEqual(readdirSync(job.directory), [])
    job.close()
  })

  it('takes no memory for rings before they are used', async () => {
    const job = await CmaJob.prepare(8)
    const blocks = (): number => fstatSync(job.prepared.descriptor as number).blocks * 512
    const [first] = await job.openAll()
    const before = blocks()
    const { controlBytes, ringBytes } = segmentLayout(8, defaultGeometry(8))
    assert.equal(before, controlBytes)
    first?.trySend(5, Int32Array.of(1), 1, new Uint8Array(0), 0, 0)
    assert.equal(blocks(), before + ringBytes)
    job.close()
  })

  it('is refused before anything is allocated when it could never be filled', async () => {
    const settings = { ONECOPY_RING_BYTES: String(2 ** 40) }
    await assert.rejects(CmaJob.prepare(2, settings), withCode('ERR_LIMIT', /1\d+ bytes of shared memory/))
    await assert.rejects(CmaJob.prepare(4, { ONECOPY_SHM_MAX: '65536' }), withCode('ERR_LIMIT', /ONECOPY_SHM_MAX/))
    await assert.rejects(CmaJob.prepare(100_000), withCode('ERR_LIMIT', /use fewer ranks/))
  })

  it('is refused with the limit’s name under ulimit -f, where the kernel would kill', () => {
    const program = `import { cmaProvider } from '@onecopy/transport-cma'
      await cmaProvider.prepare({ size: 8, directory: '/tmp', settings: {} }).catch((e) => console.log(e.code, e.message))`
    const shell = `ulimit -f 64; exec "$0" --input-type=module -e "$1"`
    const out = execFileSync('sh', ['-c', shell, process.execPath, program], {
      encoding: 'utf8',
      cwd: import.meta.dirname,
    })
    assert.match(out, /^ERR_LIMIT .*ulimit -f/)
  })

  it('is unavailable without FFI, in words', async () => {
    const settings = { ONECOPY_FFI: 'none' }
    await assert.rejects(CmaJob.prepare(2, settings), withCode('ERR_UNAVAILABLE', /ONECOPY_FFI=none/))
  })

  it('of another job is not this rank’s to enter, and nothing of it changes', async () => {
    const [one, two] = [await CmaJob.prepare(2), await CmaJob.prepare(2)]
    const before = bytesOf(two.prepared.descriptor as number)
    assert.throws(() => openWith(one, two.prepared.descriptor), withCode('ERR_AUTH', /its id is another job’s/))
    assert.deepEqual(bytesOf(two.prepared.descriptor as number), before)
    assert.deepEqual(readdirSync(one.directory), [])
    one.close()
    two.close()
  })

  it('of another size, or what is no segment at all, is corrupt', async () => {
    const [one, other] = [await CmaJob.prepare(2), await CmaJob.prepare(3)]
    assert.throws(() => openWith(one, other.prepared.descriptor), withCode('ERR_CORRUPT', /another number of ranks/))
    const { libc } = loadLibc()
    assert.ok(libc)
    const zeros = libc.memfdCreate('onecopy-test')
    assert.equal(libc.ftruncate(zeros, 65536), 0)
    assert.throws(() => openWith(one, zeros), withCode('ERR_CORRUPT', /magic number/))
    closeSync(zeros)
    one.close()
    other.close()
  })

  it('falls back to an unlinked file where there is no memfd', () => {
    const job = segmentLayout(2, defaultGeometry(2))
    const { libc } = loadLibc()
    assert.ok(libc)
    const without = {
      memfdCreate: () => -38,
      fallocate: (fd: number, offset: number, byteLength: number) => libc.fallocate(fd, offset, byteLength),
    } as unknown as Libc
    const before = readdirSync('/dev/shm')
    const { descriptor, id } = createSegment(without, job, '/tmp')
    assert.deepEqual(readdirSync('/dev/shm'), before)
    assert.equal(fstatSync(descriptor).blocks * 512 >= job.totalBytes, true)
    const segment = new Segment(libc, descriptor, job, id)
    segment.words[500] = 9
    segment.release()
    assert.equal(segment.words[500], 0)
    closeSync(descriptor)
  })

  it('names size and place when there is no room', () => {
    const layout = segmentLayout(2, defaultGeometry(2))
    const { libc } = loadLibc()
    assert.ok(libc)
    const full = {
      memfdCreate: () => -38,
      fallocate: () => -28,
    } as unknown as Libc
    assert.throws(
      () => createSegment(full, layout, '/tmp'),
      (error) => {
        assert.ok(withCode('ERR_NO_SHM', /\d+ bytes.*\/dev\/shm.*ENOSPC.*\/tmp/)(error))
        const { errno, syscall, cause } = error as OnecopyError
        assert.deepEqual([errno, syscall], [28, 'fallocate'])
        return withCode('ERR_NO_SHM', /\/tmp.*ENOSPC/)(cause)
      },
    )
  })

  it('keeps what the system said when no file can be made', () => {
    const layout = segmentLayout(2, defaultGeometry(2))
    const without = {
      memfdCreate: () => -38,
      fallocate: () => -28,
    } as unknown as Libc
    assert.throws(
      () => createSegment(without, layout, '/tmp/no such folder'),
      (error) => {
        const { code, errno, syscall, cause } = error as OnecopyError
        assert.deepEqual([code, errno, syscall], ['ERR_NO_SHM', 2, 'open'])
        return (cause as NodeJS.ErrnoException).code === 'ENOENT'
      },
    )
  })

  it('is reserved by writing where the file system knows no better, and a full one is ERR_NO_SHM', () => {
    const layout = segmentLayout(2, defaultGeometry(2))
    const unknowing = { memfdCreate: () => -38, fallocate: () => -95 } as unknown as Libc
    const { descriptor } = createSegment(unknowing, layout, '/tmp')
    assert.ok(fstatSync(descriptor).blocks * 512 >= layout.totalBytes)
    closeSync(descriptor)

    const { libc } = loadLibc()
    assert.ok(libc)
    const created = createSegment(libc, layout, '/tmp')
    const full = openSync('/dev/full', 'r+')
    const onFullDisk = {
      closeOnExec: () => 0,
      mapShared: () => libc.mapShared(created.descriptor, layout.totalBytes),
      viewAt: (address: number, byteLength: number) => libc.viewAt(address, byteLength),
      replaceByZeros: (address: number, byteLength: number) => libc.replaceByZeros(address, byteLength),
      fallocate: () => -95,
    } as unknown as Libc
    const segment = new Segment(onFullDisk, full, layout, created.id)
    assert.throws(
      () => segment.reserveRing(0, 1),
      (error) => {
        const { code, errno, syscall } = error as OnecopyError
        assert.deepEqual([code, errno, syscall], ['ERR_NO_SHM', 28, 'write'])
        return true
      },
    )
    assert.equal(segment.isReserved(0, 1), false)
    segment.release()
    for (const each of [created.descriptor, full]) closeSync(each)
  })
})
