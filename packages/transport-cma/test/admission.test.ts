import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'mocha'
import { admitJob } from '../src/admission.js'
import { CmaRemoteMemory } from '../src/cma-remote-memory.js'
import { CmaTransport } from '../src/cma-transport.js'
import { Doorbell } from '../src/doorbell.js'
import { EINVAL } from '../src/errno.js'
import { HugePages } from '../src/huge-pages.js'
import { Identity } from '../src/identity.js'
import { loadLibc } from '../src/libc/choose.js'
import type { Libc } from '../src/libc/libc.js'
import { PR_SET_PTRACER } from '../src/libc/numbers.js'
import { yamaScope } from '../src/refusal.js'
import { defaultGeometry, segmentLayout } from '../src/ring-layout.js'
import { createSegment, Segment } from '../src/segment.js'

/** A libc that has prctl only, and notes every call of it. */
function noting(answer = 0): { libc: Libc; calls: [number, number][] } {
  const calls: [number, number][] = []
  const prctl = (option: number, argument: number): number => {
    calls.push([option, argument])
    return answer
  }
  return { libc: { prctl } as unknown as Libc, calls }
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

describe('admitting the job under Yama', () => {
  for (const scope of [null, 0, 2, 3]) {
    it(`does nothing with ptrace_scope ${scope}`, () => {
      const { libc, calls } = noting()
      admitJob(libc, process.ppid, scope)()
      assert.deepEqual(calls, [])
    })
  }

  it('names the launcher with ptrace_scope 1, takes it back, and touches nothing else', () => {
    const { libc, calls } = noting()
    const undo = admitJob(libc, process.ppid, 1)
    assert.deepEqual(calls, [[PR_SET_PTRACER, process.ppid]])
    undo()
    assert.deepEqual(calls.slice(1), [[PR_SET_PTRACER, 0]])
  })

  it('asks the machine for its scope', () => {
    const { libc, calls } = noting()
    admitJob(libc, process.ppid)
    assert.deepEqual(calls, yamaScope() === 1 ? [[PR_SET_PTRACER, process.ppid]] : [])
  })

  it('finds a launcher behind wrappers, and this process itself', () => {
    const { libc, calls } = noting()
    const grandparent = parentOf(process.ppid)
    const pids = [process.pid, process.ppid, ...(grandparent > 0 ? [grandparent] : [])]
    for (const pid of pids) admitJob(libc, pid, 1)
    assert.deepEqual(
      calls,
      pids.map((pid) => [PR_SET_PTRACER, pid]),
    )
  })

  it('names nobody who has not started this process: not a stranger, not everybody', () => {
    const { libc, calls } = noting()
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore' })
    try {
      // -1 is PR_SET_PTRACER_ANY; 0 and null are nobody.
      for (const pid of [stranger.pid as number, -1, 0, null, NaN, 2 ** 31]) admitJob(libc, pid, 1)()
    } finally {
      stranger.kill('SIGKILL')
    }
    assert.deepEqual(calls, [])
  })

  it('takes nothing back that the kernel had not given', () => {
    const { libc, calls } = noting(-EINVAL)
    admitJob(libc, process.ppid, 1)()
    assert.deepEqual(calls, [[PR_SET_PTRACER, process.ppid]])
  })

  for (const end of ['close', 'abort'] as const) {
    it(`is over, once, when the transport is ended by ${end}`, async () => {
      const { libc } = loadLibc()
      assert.ok(libc)
      const directory = mkdtempSync(join(tmpdir(), 'onecopy-test-'))
      const layout = segmentLayout(1, defaultGeometry(1))
      const { descriptor, id } = createSegment(libc, layout, directory)
      const segment = new Segment(libc, descriptor, layout, id)
      const identity = new Identity(libc, 1)
      const rank = { libc, rank: 0, size: 1, identity, segment }
      const fake = noting()
      const transport = new CmaTransport({
        ...rank,
        doorbell: new Doorbell(libc, segment, 0, directory),
        remoteMemory: new CmaRemoteMemory({
          ...rank,
          words: segment.words,
          mode: 'on',
          hugePages: new HugePages(libc, () => false),
          ban: null,
          notice: () => undefined,
        }),
        undo: admitJob(fake.libc, process.ppid, 1),
      })
      assert.equal(fake.calls.length, 1)
      await transport[end]()
      await transport.close()
      assert.deepEqual(fake.calls.slice(1), [[PR_SET_PTRACER, 0]])
      closeSync(descriptor)
      rmSync(directory, { recursive: true })
    })
  }
})
