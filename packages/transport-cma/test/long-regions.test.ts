// RELIABILITY.md, row 31: over 2 GiB and thousands of pieces, against a kernel that only keeps account of what it is asked to
// move. The arrays are address space that nobody touches, so none of it needs memory.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { afterEach, describe, it } from 'mocha'
import { CmaRemoteMemory } from '../src/cma-remote-memory.js'
import { HugePages } from '../src/huge-pages.js'
import { Identity, putNumber } from '../src/identity.js'
import { bindKoffi } from '../src/libc/koffi.js'
import { Libc, type LibcBinding } from '../src/libc/libc.js'
import { CALL_BYTES_MAX, IOV_MAX, SYSCALL_NUMBERS } from '../src/libc/numbers.js'
import { NONCE_BYTES } from '../src/ring-layout.js'
import { random } from './random.js'

const GIB = 2 ** 30
const numbers = SYSCALL_NUMBERS[process.arch] as NonNullable<(typeof SYSCALL_NUMBERS)[string]>
/** Where the region lies that is read and written; no memory of this process. */
const REMOTE = 2 ** 50
const IOVEC_BYTES = 16

/** A stretch that was moved: the kernel's iovecs, joined where they follow on one another on both sides. */
interface Stretch {
  local: number
  remote: number
  byteLength: number
}

interface Iovec {
  readonly base: number
  readonly byteLength: number
}

/**
 * One rank over a kernel that checks each call against the real one's limits and moves of it as much as `share` says: the whole
 * of what a kernel moves for 1, else that part of it. What lies below {@link REMOTE}, nonces and trials, is really moved.
 */
function accounting(share: () => number) {
  const real = bindKoffi(createRequire(import.meta.url))
  const moved: Stretch[] = []
  let calls = 0
  const iovecs = (address: number, count: number): Iovec[] => {
    const words = new BigUint64Array(real.viewAt(address, count * IOVEC_BYTES).slice().buffer)
    return Array.from({ length: count }, (_, i) => {
      return { base: Number(words[2 * i]), byteLength: Number(words[2 * i + 1]) }
    })
  }
  const move = (local: Iovec[], remote: Iovec[]): number => {
    calls++
    const asked = local.reduce((sum, { byteLength }) => sum + byteLength, 0)
    assert.ok(local.length <= IOV_MAX && remote.length <= IOV_MAX, `${local.length} and ${remote.length} iovecs`)
    assert.ok(asked <= CALL_BYTES_MAX, `${asked} bytes in one call`)
    assert.deepEqual(
      remote.map(({ byteLength }) => byteLength),
      local.map(({ byteLength }) => byteLength),
    )
    // Never the nonce in part: it lies in one page, and the kernel does not cut pages. Trials are short and come whole.
    const isTrial = remote.every(({ base }) => base < REMOTE)
    const result = isTrial ? asked : Math.max(Math.min(asked, NONCE_BYTES + 1), Math.floor(asked * share()))
    let left = result
    for (const [i, { base, byteLength }] of local.entries()) {
      const from = (remote[i] as Iovec).base
      const length = Math.min(byteLength, left)
      left -= length
      if (length === 0) continue
      if (from < REMOTE) {
        real.viewAt(base, length).set(real.viewAt(from, length))
        continue
      }
      const last = moved.at(-1)
      if (last !== undefined && last.local + last.byteLength === base && last.remote + last.byteLength === from) {
        last.byteLength += length
      } else {
        moved.push({ local: base, remote: from, byteLength: length })
      }
    }
    return result
  }
  const binding: LibcBinding = {
    ...real,
    syscall(number, a, b, c, d, e, f) {
      if (number === numbers.processVmReadv) return move(iovecs(b, c), iovecs(d, e))
      if (number !== numbers.processVmWritev) return real.syscall(number, a, b, c, d, e, f)
      const remote = iovecs(d, e)
      return (remote[0] as Iovec).base < REMOTE ? real.syscall(number, a, b, c, d, e, f) : move(iovecs(b, c), remote)
    },
  }
  const libc = new Libc(binding, numbers)
  const words = new Int32Array(4096)
  const [identity, other] = [new Identity(libc, 2), new Identity(libc, 2)]
  other.publish(words, 1)
  const notices: string[] = []
  const remote = new CmaRemoteMemory({
    libc,
    rank: 0,
    size: 2,
    identity,
    words,
    mode: 'on',
    hugePages: new HugePages(libc, () => false),
    ban: null,
    notice: (_, message) => notices.push(message),
  })
  opened.push({ remote, other })
  assert.equal(remote.canRead(1) && remote.canWrite(1), true)
  return { libc, remote, moved, notices, calls: () => calls }
}

/** The peer is held as well: its nonce lies in memory that only it keeps alive. */
const opened: { readonly remote: CmaRemoteMemory; readonly other: Identity }[] = []

/** `byteLength` bytes of address space: the allocator gives zero pages, and they stay untouched. */
function untouched(byteLength: number): Uint8Array {
  return new Uint8Array(byteLength)
}

function region(address: number, byteLength: number): Int32Array {
  const words = new Int32Array(4)
  putNumber(words, 0, address)
  putNumber(words, 2, byteLength)
  return words
}

describe('regions of over 2 GiB', () => {
  afterEach(() => {
    for (const { remote } of opened.splice(0)) remote.close()
  })

  const lengths = [CALL_BYTES_MAX - NONCE_BYTES, CALL_BYTES_MAX, CALL_BYTES_MAX + 1, 2 * GIB - 1, 2 * GIB, 3 * GIB + 5]
  for (const byteLength of lengths) {
    it(`are read in as few calls as the kernel allows: ${byteLength} bytes`, () => {
      const { libc, remote, moved, calls } = accounting(() => 1)
      const into = untouched(byteLength)
      const before = calls()
      remote.read(1, region(REMOTE, byteLength), 0, 0, into, 0, byteLength)
      assert.deepEqual(moved, [{ local: libc.addressOf(into), remote: REMOTE, byteLength }])
      assert.equal(calls() - before, Math.ceil(byteLength / (CALL_BYTES_MAX - NONCE_BYTES)))
    })
  }

  it('are read and written to the last byte through short counts, from where each one stopped', () => {
    const seed = Math.floor(Math.random() * 2 ** 31)
    const next = random(seed)
    const byteLength = 3 * GIB + 5
    const into = untouched(byteLength + 3)
    for (const way of ['read', 'write'] as const) {
      const { libc, remote, moved, notices } = accounting(() => next() ** 4)
      remote[way](1, region(REMOTE, byteLength + 7), 0, 7, into, 3, byteLength)
      const expected = [{ local: libc.addressOf(into) + 3, remote: REMOTE + 7, byteLength }]
      assert.deepEqual(moved, expected, `${way}, seed ${seed}`)
      assert.deepEqual(notices, [])
    }
  })

  for (const short of [false, true]) {
    it(`of thousands of pieces are read piece by piece${short ? ', through short counts too' : ''}`, () => {
      const seed = Math.floor(Math.random() * 2 ** 31)
      const next = random(seed)
      const { libc, remote, moved } = accounting(() => (short ? next() ** 2 : 1))
      const count = 5000
      const block = untouched(3 * GIB)
      const regions = new Int32Array(4 * count)
      const into: Uint8Array[] = []
      let at = 0
      for (let i = 0; i < count; i++) {
        // Some of nothing, and one that needs several calls by itself; over 64 bytes, so that none is copied by way of a cell.
        const byteLength = i % 7 === 0 ? 0 : i === 2000 ? CALL_BYTES_MAX + 99 : 65 + Math.floor(next() * 300_000)
        into.push(block.subarray(at, at + byteLength))
        // Far apart, so that no two pieces join.
        putNumber(regions, 4 * i, REMOTE + i * 4 * GIB)
        putNumber(regions, 4 * i + 2, byteLength)
        at += byteLength + 1
      }
      assert.ok(at <= block.byteLength && at > 2 * GIB, `${at} bytes`)
      remote.readMany(1, regions, 0, count, into)
      const expected = into
        .map((view, i) => ({ view, remote: REMOTE + i * 4 * GIB }))
        .filter(({ view }) => view.byteLength > 0)
        .map(({ view, remote }) => ({ local: libc.addressOf(view), remote, byteLength: view.byteLength }))
      assert.deepEqual(moved, expected, `seed ${seed}`)
    })
  }

  it('need no memory here', () => {
    assert.ok(process.memoryUsage().rss < GIB, `${process.memoryUsage().rss} bytes are in use`)
  })
})
