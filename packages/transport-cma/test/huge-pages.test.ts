import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { HugePages, hasHugePages } from '../src/huge-pages.js'
import { loadLibc } from '../src/libc/choose.js'
import { skipBecause } from './skip.js'

const KIB = 1024
const MIB = 1024 * KIB
const RANGE = 2 * MIB
/** Named so often, memory is worth a huge page; and then so often until it is asked for again. */
const WORTH = 32 * MIB
const AGAIN = 512 * MIB

/** Huge pages over a kernel that answers `result` and is asked for nothing but that. */
function noting(result = 0, mayBeAsked = (): boolean => true) {
  const asked: number[] = []
  const collapse = (address: number, byteLength: number): number => {
    assert.equal(byteLength, RANGE)
    asked.push(address / RANGE)
    return result
  }
  return { asked, pages: new HugePages({ collapse }, mayBeAsked) }
}

function note(pages: HugePages, times: number, address: number, byteLength: number): void {
  for (let i = 0; i < times; i++) pages.note(address, byteLength)
}

describe('huge pages', () => {
  for (const byteLength of [16 * KIB, 64 * KIB, MIB, RANGE]) {
    it(`are asked for when memory has been named for ${WORTH / byteLength} times ${byteLength} bytes, once`, () => {
      const { asked, pages } = noting()
      const times = WORTH / byteLength
      note(pages, times - 1, 1000 * RANGE, byteLength)
      assert.deepEqual(asked, [])
      note(pages, times, 1000 * RANGE, byteLength)
      assert.deepEqual(asked, [1000])
    })
  }

  it('are not asked for where pieces are short', () => {
    const { asked, pages } = noting()
    note(pages, (2 * WORTH) / (16 * KIB), 1000 * RANGE, 16 * KIB - 1)
    assert.deepEqual(asked, [])
  })

  it('cover all that a piece lies in, one range at a time', () => {
    const { asked, pages } = noting()
    const address = 1000 * RANGE + MIB
    note(pages, WORTH / RANGE, address, 3 * RANGE)
    assert.equal(asked.length, 1)
    pages.note(address, 3 * RANGE)
    assert.equal(asked.length, 2)
    note(pages, WORTH / RANGE + 2, address, 3 * RANGE)
    assert.deepEqual(
      asked.sort((a, b) => a - b),
      [1000, 1001, 1002, 1003],
    )
  })

  it('are counted for the range to its last byte', () => {
    const { asked, pages } = noting()
    note(pages, WORTH / MIB, 1000 * RANGE + MIB, MIB)
    assert.deepEqual(asked, [1000])
    // all but a page of it lies in the first, so that the second is worth it 255 times later
    const other = noting()
    const last = 4096
    note(other.pages, 2 * (WORTH / MIB), 1000 * RANGE + MIB + last, MIB)
    assert.deepEqual(other.asked, [1000])
    note(other.pages, WORTH / last - 2 * (WORTH / MIB) - 1, 1000 * RANGE + MIB + last, MIB)
    assert.deepEqual(new Set(other.asked), new Set([1000]))
    other.pages.note(1000 * RANGE + MIB + last, MIB)
    assert.equal(other.asked.at(-1), 1001)
  })

  for (const result of [0, -11, -12, -22]) {
    it(`are asked for again after long, when the kernel has answered ${result}`, () => {
      const { asked, pages } = noting(result)
      note(pages, WORTH / MIB, 1000 * RANGE, MIB)
      note(pages, AGAIN / MIB - 1, 1000 * RANGE, MIB)
      assert.deepEqual(asked, [1000])
      pages.note(1000 * RANGE, MIB)
      assert.deepEqual(asked, [1000, 1000])
    })
  }

  it('are never asked for where they are not to be had, which is found out once', () => {
    let questions = 0
    const { asked, pages } = noting(0, () => {
      questions++
      return false
    })
    note(pages, 10 * (WORTH / MIB), 1000 * RANGE, MIB)
    note(pages, 10 * (WORTH / MIB), 2001 * RANGE, MIB)
    assert.deepEqual(asked, [])
    assert.equal(questions, 1)
  })

  it('are asked for memory at the end of all addresses', () => {
    const { asked, pages } = noting()
    const range = 2 ** 47 / RANGE - 1
    note(pages, WORTH / MIB, range * RANGE, MIB)
    assert.deepEqual(asked, [range])
  })

  it('hold what the memory held, and nothing around it changes', function () {
    const { libc } = loadLibc()
    assert.ok(libc)
    if (!hasHugePages()) skipBecause(this, 'this machine gives no huge pages, or not of 2 MiB')
    const bytes = new Uint8Array(4 * RANGE)
    for (let i = 0; i < bytes.length; i++) bytes[i] = (i * 31) % 251
    const address = libc.addressOf(bytes)
    const first = Math.ceil(address / RANGE) * RANGE
    const results: number[] = []
    const collapse = (at: number, byteLength: number): number => {
      results.push(libc.collapse(at, byteLength))
      return results.at(-1) as number
    }
    const pages = new HugePages({ collapse }, hasHugePages)
    note(pages, WORTH / MIB, first + 64, MIB)
    assert.equal(results.length, 1)
    if (results[0] === -22) skipBecause(this, 'this kernel gathers no pages when asked (Linux 6.1 does)')
    // EAGAIN, EBUSY, ENOMEM: it may, and has no page now
    if (results[0] === 0) assert.ok(hugeBytesAt(first) >= RANGE)
    for (let i = 0; i < bytes.length; i++) if (bytes[i] !== (i * 31) % 251) assert.fail(`byte ${i} is ${bytes[i]}`)
  })
})

/** Bytes in huge pages of the mapping that holds `address`. */
function hugeBytesAt(address: number): number {
  let isInside = false
  for (const line of readFileSync('/proc/self/smaps', 'utf8').split('\n')) {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line) ?? []
    if (from !== undefined && to !== undefined)
      isInside = Number.parseInt(from, 16) <= address && address < Number.parseInt(to, 16)
    const [, kib] = /^AnonHugePages:\s+(\d+) kB/.exec(line) ?? []
    if (isInside && kib !== undefined) return Number(kib) * KIB
  }
  return 0
}
