import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { createRequire } from 'node:module'
import { OnecopyError, type RemoteMemory, type Transport } from '@onecopy/transport'
import { afterEach, describe, it } from 'mocha'
import { type CmaMode, CmaRemoteMemory } from '../src/cma-remote-memory.js'
import { HugePages } from '../src/huge-pages.js'
import { Identity, putNumber } from '../src/identity.js'
import { loadLibc } from '../src/libc/choose.js'
import { bindKoffi } from '../src/libc/koffi.js'
import { Libc, type LibcBinding } from '../src/libc/libc.js'
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE, SYSCALL_NUMBERS } from '../src/libc/numbers.js'
import { CARD_NONCE_WORD, cardWord } from '../src/ring-layout.js'
import { ChildLines } from './child-lines.js'
import { CmaJob, until } from './cma-job.js'
import { AS_PLAIN_USER, requireRoot } from './skip.js'

const MIB = 2 ** 20
const numbers = SYSCALL_NUMBERS[process.arch] as NonNullable<(typeof SYSCALL_NUMBERS)[string]>

function isError(code: string, fields: Partial<OnecopyError> = {}): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof OnecopyError, String(error))
    assert.equal(error.code, code, error.message)
    for (const [name, value] of Object.entries(fields)) assert.equal(error[name as keyof OnecopyError], value, name)
    return true
  }
}

/**
 * What a test makes of a system call: does it, answers something else, or first has its last piece of both sides shortened to
 * so many bytes.
 */
type Filter = (number: number, call: () => number, shorten: (byteLength: number) => void) => number

/** Two ranks in this process over a libc whose every system call passes through `filter`. */
function filtered(filter: Filter, mode: CmaMode = 'on') {
  const real = bindKoffi(createRequire(import.meta.url))
  const binding: LibcBinding = {
    ...real,
    syscall: (number, a, b, c, d, e, f) => {
      const shorten = (byteLength: number): void => {
        for (const iovec of [b + 16 * (c - 1), d + 16 * (e - 1)]) {
          const words = real.viewAt(iovec, 16)
          const length = new BigUint64Array(words.buffer, words.byteOffset + 8, 1)
          if ((length[0] as bigint) > byteLength) length[0] = BigInt(byteLength)
        }
      }
      return filter(number, () => real.syscall(number, a, b, c, d, e, f), shorten)
    },
  }
  const libc = new Libc(binding, numbers)
  const words = new Int32Array(4096)
  const notices: string[] = []
  const identities = [new Identity(libc, 2), new Identity(libc, 2)]
  const ends = identities.map((identity, rank) => {
    identity.publish(words, rank)
    const notice = (key: string, message: string): void => void notices.push(`${key}: ${message}`)
    const hugePages = new HugePages(libc, () => false)
    return new CmaRemoteMemory({ libc, rank, size: 2, identity, words, mode, hugePages, ban: null, notice })
  })
  return { zero: ends[0] as RemoteMemory, one: ends[1] as RemoteMemory, words, notices, identities }
}

/** A region of `remote`'s memory as the peer gets it. */
function name(remote: RemoteMemory, view: Uint8Array): Int32Array {
  const region = new Int32Array(4)
  remote.expose(view, region, 0)
  return region
}

const readv = numbers.processVmReadv
const writev = numbers.processVmWritev

describe('remote memory under odd kernels', () => {
  const source = new Uint8Array(5000).map((_, i) => i * 13)

  it('goes on after EINTR, EAGAIN and ENOMEM', () => {
    let calls = 0
    const { zero, one, notices } = filtered((number, call) => {
      if (number !== readv && number !== writev) return call()
      calls++
      return calls % 4 === 0 ? call() : -([4, 11, 12][(calls % 4) - 1] as number)
    })
    const into = new Uint8Array(5000)
    zero.read(1, name(one, source), 0, 0, into, 0, 5000)
    assert.deepEqual(into, source)
    const target = new Uint8Array(5000)
    zero.write(1, name(one, target), 0, 0, source, 0, 5000)
    assert.deepEqual(target, source)
    assert.deepEqual(notices, [])
  })

  it('gives up on an ENOMEM that does not end, for that direction only', () => {
    let failing = false
    const { zero, one, notices } = filtered((number, call) => (failing && number === readv ? -12 : call()))
    const region = name(one, source)
    assert.equal(zero.canRead(1) && zero.canWrite(1), true)
    failing = true
    const fields = { rank: 1, errno: 12, syscall: 'process_vm_readv', bytesDone: 0 }
    assert.throws(() => zero.read(1, region, 0, 0, new Uint8Array(5000), 0, 5000), isError('ERR_UNAVAILABLE', fields))
    assert.equal(zero.canRead(1), false)
    assert.equal(zero.canWrite(1), true)
    assert.match(zero.whyNot(1) ?? '', /ENOMEM/)
    assert.equal(notices.length, 1)
  })

  for (const [errno, word] of [
    [1, /EPERM/],
    [38, /ENOSYS/],
    [13, /EACCES/],
  ] as const) {
    it(`is refused with errno ${errno} from the first call on, in words, with one notice`, () => {
      const { zero, one, notices } = filtered((number, call) =>
        number === readv || number === writev ? -errno : call(),
      )
      assert.equal(zero.canRead(1), false)
      assert.equal(zero.canRead(1), false)
      const [region, into] = [name(one, source), new Uint8Array(5000)]
      const fields = { rank: 1, errno, bytesDone: 0 }
      const read = (): void => zero.read(1, region, 0, 0, into, 0, 5000)
      assert.throws(read, isError('ERR_UNAVAILABLE', { ...fields, syscall: 'process_vm_readv' }))
      assert.match(zero.whyNot(1) ?? '', word)
      assert.equal(notices.length, 1)
      assert.match(notices[0] ?? '', word)
      const write = (): void => zero.write(1, region, 0, 0, into, 0, 5000)
      assert.throws(write, isError('ERR_UNAVAILABLE', { ...fields, syscall: 'process_vm_writev' }))
    })
  }

  it('is refused by a kernel that answers 0', () => {
    const { zero } = filtered((number, call) => (number === readv || number === writev ? 0 : call()))
    assert.equal(zero.canRead(1), false)
    assert.equal(zero.canWrite(1), false)
    assert.match(zero.whyNot(1) ?? '', /nonsense/)
  })

  it('is refused by a kernel that claims to have read', () => {
    const { zero } = filtered((number, call) => (number === readv ? 16 : call()))
    assert.equal(zero.canRead(1), false)
  })

  it('is refused by a kernel that claims to have written', () => {
    const { zero } = filtered((number, call) => (number === writev ? 16 : call()))
    assert.equal(zero.canRead(1), true)
    assert.equal(zero.canWrite(1), false)
    assert.match(zero.whyNot(1) ?? '', /read back/)
  })

  const midway: [string, number, string, string][] = [
    // what, its answer, the error of a read, the error of a write
    ['0', 0, 'ERR_UNAVAILABLE', 'ERR_UNAVAILABLE'],
    ['a count, and moves nothing', 1000, 'ERR_UNAVAILABLE', 'ERR_UNAVAILABLE'],
    ['the count of a nonce, and moves nothing', 16, 'ERR_UNAVAILABLE', 'ERR_UNAVAILABLE'],
    ['more than was asked for', 100_000, 'ERR_UNAVAILABLE', 'ERR_UNAVAILABLE'],
    ['EPERM', -1, 'ERR_UNAVAILABLE', 'ERR_UNAVAILABLE'],
    ['ENOSYS', -38, 'ERR_UNAVAILABLE', 'ERR_UNAVAILABLE'],
    ['EFAULT', -14, 'ERR_UNAVAILABLE', 'ERR_BUFFER_GONE'],
  ]
  for (const [what, answer, readCode, writeCode] of midway) {
    it(`ends when, after some good answers, a kernel answers ${what}`, () => {
      let isOdd = false
      let calls = 0
      const { zero, one, notices } = filtered((number, call) => {
        if (number !== readv && number !== writev) return call()
        calls++
        return isOdd ? answer : call()
      })
      const into = new Uint8Array(5000)
      const target = new Uint8Array(5000).fill(1)
      const [from, to] = [name(one, source), name(one, target)]
      zero.read(1, from, 0, 0, into, 0, 5000)
      zero.write(1, to, 0, 0, target, 0, 5000)
      calls = 0
      isOdd = true
      const errno = answer < 0 ? -answer : undefined
      const fields = { rank: 1, bytesDone: 0, errno }
      // The write first: once a read is refused, a trial write can not be checked.
      const write = (): void => zero.write(1, to, 0, 0, source, 0, 5000)
      assert.throws(write, isError(writeCode, { ...fields, syscall: 'process_vm_writev' }))
      const read = (): void => zero.read(1, from, 0, 0, into, 0, 5000)
      assert.throws(read, isError(readCode, { ...fields, syscall: 'process_vm_readv' }))
      assert.ok(calls <= 64, `${calls} calls`)
      assert.deepEqual([zero.canRead(1), zero.canWrite(1)], [false, writeCode === 'ERR_BUFFER_GONE'])
      assert.ok(notices.length >= 1 && notices.every((line) => line.startsWith('cma-refused: ')), notices.join('\n'))
      assert.deepEqual(target, new Uint8Array(5000).fill(1))
    })
  }

  it('goes on where every call moves a few bytes only', () => {
    let isShort = false
    const { zero, one, notices } = filtered((number, call, shorten) => {
      if (isShort && (number === readv || number === writev)) shorten(100)
      return call()
    })
    const [into, target] = [new Uint8Array(5000), new Uint8Array(5000)]
    assert.equal(zero.canRead(1) && zero.canWrite(1), true)
    isShort = true
    zero.read(1, name(one, source), 0, 0, into, 0, 5000)
    zero.write(1, name(one, target), 0, 0, source, 0, 5000)
    assert.deepEqual([into, target], [source, source])
    assert.deepEqual(notices, [])
  })

  it('never calls process_vm_writev with ONECOPY_CMA=no-write', () => {
    const seen: number[] = []
    const { zero, one } = filtered((number, call) => {
      seen.push(number)
      return call()
    }, 'no-write')
    assert.equal(zero.canRead(1), true)
    assert.equal(zero.canWrite(1), false)
    assert.throws(() => zero.write(1, name(one, source), 0, 0, source, 0, 5000), isError('ERR_UNAVAILABLE'))
    assert.equal(seen.includes(writev), false)
    assert.equal(zero.whyNot(1), 'ONECOPY_CMA=no-write')
  })

  it('throws ERR_CMA_DENIED at the first denial with ONECOPY_CMA=require', () => {
    const { zero } = filtered((number, call) => (number === readv ? -1 : call()), 'require')
    assert.throws(() => zero.canRead(1), isError('ERR_CMA_DENIED', { rank: 1, errno: 1 }))
  })

  it('writes nothing where it cannot tell whom it writes to', () => {
    const seen: number[] = []
    const { zero } = filtered((number, call) => {
      seen.push(number)
      return number === numbers.pidfdOpen ? -38 : call()
    })
    assert.equal(zero.canWrite(1), false)
    assert.equal(seen.includes(writev), false)
    assert.match(zero.whyNot(1) ?? '', /pidfd_open: ENOSYS/)
  })

  it('finds another process under the pid, before the first read and after', () => {
    const other = filtered((_, call) => call())
    other.words[cardWord(1) + CARD_NONCE_WORD] = 12345
    assert.equal(other.zero.canRead(1), false)
    assert.match(other.zero.whyNot(1) ?? '', /another process answers/)

    const { zero, one, words, identities } = filtered((_, call) => call())
    const region = name(one, source)
    assert.equal(zero.canRead(1), true)
    // The nonce is gone from that address: what a rank that has left looks like.
    identities[1]?.withdraw(words, 1)
    const read = (): void => zero.read(1, region, 0, 0, new Uint8Array(5000), 0, 5000)
    assert.throws(read, isError('ERR_PROC_FAILED', { rank: 1, bytesDone: 0 }))
  })

  it('tells a reused pid from a kernel’s nonsense by asking whether the peer still lives', () => {
    for (const hasEnded of [true, false]) {
      let isAsked = false
      const { zero, one, identities } = filtered((number, call) =>
        isAsked && number === numbers.ppoll ? Number(hasEnded) : call(),
      )
      const region = name(one, source)
      assert.equal(zero.canRead(1), true)
      identities[1]?.nonce.fill(7)
      isAsked = true
      const read = (): void => zero.read(1, region, 0, 0, new Uint8Array(5000), 0, 5000)
      assert.throws(read, isError(hasEnded ? 'ERR_PROC_FAILED' : 'ERR_UNAVAILABLE', { rank: 1, bytesDone: 0 }))
    }
  })
})

for (const ffi of ['koffi', 'ffi-napi'] as const) {
  describe(`remote memory over ${ffi}`, () => {
    let job: CmaJob | null = null
    afterEach(() => {
      job?.close()
      job = null
    })

    /** Rank 0 here, rank 1 in a child that has named 3 MiB; the region in hand. */
    async function withChild(role: string, wrapper: readonly string[] = []) {
      job = await CmaJob.prepare(2, { ONECOPY_FFI: ffi })
      const zero = await job.open(0)
      const child = job.start(1, role, wrapper)
      const lines = new ChildLines(child)
      let region: Int32Array | null = null
      const receiver = {
        frame(_: number, words: Int32Array) {
          region = words.slice(0, 4)
        },
      }
      await until(
        'the child’s region',
        () => {
          zero.poll(receiver, 1)
          return region !== null
        },
        15_000,
      )
      return { zero, remote: zero.remoteMemory as RemoteMemory, child, lines, region: region as unknown as Int32Array }
    }

    it('reads and writes a child’s memory, whole and in part', async () => {
      const { remote, child, lines, region } = await withChild('memory')
      assert.equal(remote.canRead(1), true, remote.whyNot(1) ?? '')
      assert.equal(remote.canWrite(1), true, remote.whyNot(1) ?? '')
      const into = new Uint8Array(3 * MIB + 2).fill(0xcc)
      remote.read(1, region, 0, 0, into, 1, 3 * MIB)
      assert.deepEqual([into[0], into[3 * MIB + 1]], [0xcc, 0xcc])
      assert.equal(
        into.subarray(1, -1).every((byte, i) => byte === ((i * 7) & 0xff)),
        true,
      )
      const small = new Uint8Array(20)
      remote.read(1, region, 0, 1001, small, 3, 10)
      assert.deepEqual(
        [...small.subarray(2, 14)],
        [0, ...Array.from({ length: 10 }, (_, i) => ((1001 + i) * 7) & 0xff), 0],
      )
      child.stdin?.write('?\n')
      assert.equal(await lines.next(''), 'ready')
      assert.equal(await lines.next(''), 'untouched')
      remote.write(1, region, 0, 0, new Uint8Array(3 * MIB).fill(0x5a), 0, 3 * MIB)
      child.stdin?.write('?\n')
      assert.equal(await lines.next(''), 'written')
    })

    it('reads over 1024 pieces of all lengths in one go', async () => {
      const { remote, region } = await withChild('memory')
      const count = 3000
      const regions = new Int32Array(4 * count)
      const base = (region[1] as number) * 2 ** 32 + ((region[0] as number) >>> 0)
      const into = Array.from({ length: count }, (_, i) => new Uint8Array(i % 200))
      for (let i = 0; i < count; i++) {
        putNumber(regions, 4 * i, base + 500 * i)
        putNumber(regions, 4 * i + 2, i % 200)
      }
      remote.readMany(1, regions, 0, count, into)
      for (const [i, view] of into.entries()) {
        assert.equal(
          view.every((byte, k) => byte === (((500 * i + k) * 7) & 0xff)),
          true,
          `piece ${i}`,
        )
      }
    })

    it('tells EFAULT from everything else, also in the middle', async () => {
      const { remote } = await withChild('memory')
      const { libc } = loadLibc(ffi)
      assert.ok(libc)
      const region = new Int32Array(4)
      putNumber(region, 0, 4096)
      putNumber(region, 2, 2 ** 31)
      const fields = { rank: 1, errno: 14, bytesDone: 0 }
      const into = new Uint8Array(8192)
      assert.throws(() => remote.read(1, region, 0, 0, into, 0, 8192), isError('ERR_BUFFER_GONE', fields))
      assert.throws(() => remote.write(1, region, 0, 0, into, 0, 8192), isError('ERR_BUFFER_GONE', fields))
      assert.equal(remote.canRead(1) && remote.canWrite(1), true)
    })

    it('resumes after a short count and says how far it came', async () => {
      job = await CmaJob.prepare(2, { ONECOPY_FFI: ffi })
      const [zero] = (await job.openAll()) as [Transport, Transport]
      const { libc } = loadLibc(ffi)
      assert.ok(libc)
      // Two pages, of which the second is unmapped.
      const real = bindKoffi(createRequire(import.meta.url))
      const access = PROT_READ | PROT_WRITE
      const address = real.syscall(numbers.mmap, 0, 8192, access, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      assert.equal(libc.unmap(address + 4096, 4096), 0)
      const region = new Int32Array(4)
      putNumber(region, 0, address)
      putNumber(region, 2, 8192)
      const remote = zero.remoteMemory as RemoteMemory
      const fields = { rank: 1, errno: 14, bytesDone: 4096 }
      const into = new Uint8Array(8192)
      assert.throws(() => remote.read(1, region, 0, 0, into, 0, 8192), isError('ERR_BUFFER_GONE', fields))
      assert.throws(() => remote.write(1, region, 0, 0, into, 0, 8192), isError('ERR_BUFFER_GONE', fields))
      assert.equal(libc.unmap(address, 4096), 0)
    })

    it('finds a dead process', async () => {
      const { remote, child, region } = await withChild('memory')
      assert.equal(remote.canRead(1) && remote.canWrite(1), true)
      child.kill('SIGKILL')
      await once(child, 'exit')
      const into = new Uint8Array(1000)
      assert.throws(
        () => remote.read(1, region, 0, 0, into, 0, 1000),
        isError('ERR_PROC_FAILED', { rank: 1, errno: 3 }),
      )
      assert.throws(
        () => remote.write(1, region, 0, 0, into, 0, 1000),
        isError('ERR_PROC_FAILED', { rank: 1, errno: 3 }),
      )
    })

    it('names pieces outside the region and outside the array as the caller’s mistake', async () => {
      job = await CmaJob.prepare(2, { ONECOPY_FFI: ffi })
      const [zero, one] = (await job.openAll()) as [Transport, Transport]
      const remote = zero.remoteMemory as RemoteMemory
      const region = name(one.remoteMemory as RemoteMemory, new Uint8Array(100))
      const into = new Uint8Array(100)
      for (const [offset, at, length] of [
        [0, 0, 101],
        [1, 0, 100],
        [-1, 0, 1],
        [0, 50, 51],
        [0, -1, 1],
        [NaN, 0, 1],
        [0, 0, -1],
      ]) {
        const read = () => remote.read(1, region, 0, offset as number, into, at as number, length as number)
        assert.throws(read, RangeError, `${offset} ${at} ${length}`)
      }
    })

    it('is refused by a process that may not be looked into, as an ordinary user', async function () {
      requireRoot(this)
      job = await CmaJob.prepare(2, { ONECOPY_FFI: ffi })
      await job.open(0)
      chmodSync(job.directory, 0o777)
      const lines = new ChildLines(job.start(1, 'tryRead', AS_PLAIN_USER))
      assert.equal(await lines.next('canRead '), 'false')
      assert.equal(await lines.next('canWrite '), 'false')
      assert.match(await lines.next('whyNot '), /process_vm_readv: EPERM: refused because of .*another user/)
      assert.match(await lines.next('notice '), /^cma-refused: .*rank 1 may not read rank 0/)
    })

    it('is refused by a process that is not dumpable, though it is the same user’s', async function () {
      requireRoot(this)
      job = await CmaJob.prepare(2, { ONECOPY_FFI: ffi })
      chmodSync(job.directory, 0o777)
      const secretive = new ChildLines(job.start(0, 'undumpable', AS_PLAIN_USER))
      await secretive.next('undumpable')
      const lines = new ChildLines(job.start(1, 'tryRead', AS_PLAIN_USER))
      assert.equal(await lines.next('canRead '), 'false')
      assert.match(await lines.next('whyNot '), /EPERM: .*non-dumpable/)
    })
  })
}
