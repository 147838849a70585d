import assert from 'node:assert/strict'
import { closeSync, fstatSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'mocha'
import { EAGAIN, EINTR, EINVAL, EPERM } from '../src/errno.js'
import { loadLibc } from '../src/libc/choose.js'
import { findBinary, loadKoffi } from '../src/libc/koffi-package.js'
import type { Libc } from '../src/libc/libc.js'
import { F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_SHRINK } from '../src/libc/numbers.js'
import { skipBecause } from './skip.js'

const ETIMEDOUT = 110

describe('choosing the FFI package', () => {
  it('takes koffi first', () => {
    assert.equal(loadLibc('').libc?.name, 'koffi')
  })
  it('takes what is asked for', () => {
    assert.equal(loadLibc('ffi-napi').libc?.name, 'ffi-napi')
    assert.equal(loadLibc('koffi').libc?.name, 'koffi')
  })
  it('answers none in words', () => {
    assert.deepEqual(loadLibc('none'), { libc: null, reason: 'ONECOPY_FFI=none' })
  })
  it('names what is not known', () => {
    const { libc, reason } = loadLibc('libffi')
    assert.equal(libc, null)
    assert.match(reason, /libffi is not one of/)
  })
})

describe('loading koffi', () => {
  const require = createRequire(import.meta.url)
  const entry = require.resolve('koffi')

  it('takes its compiled part, the same one that koffi itself takes', function () {
    const binary = findBinary(entry)
    if (binary === null) skipBecause(this, 'only koffi can tell which C library this is')
    const loaded = loadKoffi(require)
    assert.equal(loaded, require(binary))
    assert.equal((require('koffi') as { default: unknown }).default, loaded)
  })
  it('takes koffi itself where nothing lies at that place', () => {
    assert.equal(findBinary(join(tmpdir(), 'koffi', 'index.cjs')), null)
  })
  it('takes koffi itself where what lies there cannot be loaded', () => {
    const loaded: string[] = []
    const load = Object.assign(
      (name: string) => {
        loaded.push(name)
        if (name !== 'koffi') throw new Error('wrong ELF class')
        return 'koffi itself'
      },
      { resolve: () => entry },
    )
    assert.equal(loadKoffi(load as unknown as NodeJS.Require), 'koffi itself')
    assert.equal(loaded.at(-1), 'koffi')
  })
})

for (const name of ['koffi', 'ffi-napi'] as const) {
  describe(`libc over ${name}`, () => {
    const { libc: loaded, reason } = loadLibc(name)
    if (loaded === null) {
      it.skip(`all (skipped: ${reason})`)
      return
    }
    const libc: Libc = loaded

    it('knows the process and its parent', () => {
      assert.equal(libc.pid(), process.pid)
      assert.equal(libc.parentPid(), process.ppid)
    })

    it('answers the negative errno', () => {
      assert.equal(libc.pidfdOpen(-5), -EINVAL)
      assert.equal(libc.pidfdOpen(-5), -EINVAL)
      assert.equal(libc.mapShared(0, -1) < 0, true)
    })

    it('describes an iovec as the kernel has it', () => {
      assert.deepEqual({ ...libc.iovec }, { bytes: 16, baseOffset: 0, lengthOffset: 8 })
    })

    it('tells addresses, of arrays and of pieces of them', () => {
      const view = new Uint8Array(4096)
      const address = libc.addressOf(view)
      assert.equal(Number.isSafeInteger(address) && address > 0, true)
      assert.equal(libc.addressOf(view.subarray(100)), address + 100)
      assert.equal(libc.addressOf(new Int32Array(view.buffer, 8)), address + 8)
      assert.equal(libc.addressOf(Buffer.from(view.buffer, 16, 200)), address + 16)
    })

    it('maps a sealed memfd twice, and both mappings are one memory', () => {
      const fd = libc.memfdCreate('onecopy-test')
      assert.equal(fd >= 0, true)
      assert.equal(libc.ftruncate(fd, 65536), 0)
      assert.equal(libc.fallocate(fd, 0, 65536), 0)
      const seals = F_SEAL_SEAL | F_SEAL_GROW | F_SEAL_SHRINK
      assert.equal(libc.addSeals(fd, seals), 0)
      assert.equal(libc.seals(fd), seals)
      assert.equal(libc.ftruncate(fd, 4096), -EPERM)
      assert.equal(fstatSync(fd).size, 65536)
      const [one, two] = [libc.mapShared(fd, 65536), libc.mapShared(fd, 65536)]
      const first = new Int32Array(libc.viewAt(one, 65536).buffer)
      const second = libc.viewAt(two, 65536)
      Atomics.store(first, 100, 0x01020304)
      assert.equal(second[400], 4)
      assert.equal(libc.addressOf(second), two)
      assert.equal(libc.replaceByZeros(one, 65536), one)
      assert.equal(first[100], 0)
      assert.equal(second[400], 4)
      assert.equal(libc.replaceByZeros(two, 65536), two)
      closeSync(fd)
    })

    it('sleeps on a word for a while, and not when it has another value', () => {
      const word = new Int32Array(64)
      const address = libc.addressOf(word)
      let slept = -EINTR
      // A signal ends a sleep early: some child of another test, say, that has just ended.
      while (slept === -EINTR) slept = libc.futexWait(address, 0, 20)
      assert.equal(slept, -ETIMEDOUT)
      assert.equal(libc.futexWait(address, 1, 5000), -EAGAIN)
      assert.equal(libc.futexWake(address, 1), 0)
    })

    it('yields', () => {
      assert.equal(libc.schedYield(), 0)
    })

    it('sees that a process lives', () => {
      const pidfd = libc.pidfdOpen(process.pid)
      assert.equal(pidfd >= 0, true)
      assert.equal(libc.hasExited(pidfd), 0)
      closeSync(pidfd)
    })

    it('makes a FIFO that is the user’s alone', () => {
      const directory = mkdtempSync(join(tmpdir(), 'onecopy-test-'))
      const path = join(directory, 'x.bell')
      assert.equal(libc.makeFifo(path, 0o600), 0)
      assert.equal(statSync(path).isFIFO(), true)
      assert.equal(statSync(path).mode & 0o777, 0o600)
      assert.equal(libc.makeFifo(path, 0o600) < 0, true)
      rmSync(directory, { recursive: true })
    })
  })
}
