import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { launch } from 'onecopy'

/** What the engine itself may keep from a million calls: feedback, compiled code's tables, a few buffers. */
const RETAINED_BYTES_MAX = 512 * 1024
/** Less than the smallest object takes (16 bytes), so not even every second call may make one. */
const ALLOCATED_BYTES_PER_CALL_MAX = 8

interface Measured {
  readonly rank: number
  readonly retained: number
  readonly allocatedPerCall: number
}

async function measure(what: 'polls' | 'sends'): Promise<Measured[]> {
  let text = ''
  const stdout = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk)
      done()
    },
  })
  const script = fileURLToPath(new URL('./ranks/heap.ts', import.meta.url))
  const result = await launch({ size: 2, script, args: [what], stdout, timeout: 90 })
  assert.equal(result.exitCode, 0, `${result.error?.message}`)
  const lines = text.split('\n').filter((line) => line !== '')
  assert.equal(lines.length, 2, text)
  return lines.map((line) => JSON.parse(line) as Measured).sort((a, b) => a.rank - b.rank)
}

describe('the heap', function () {
  this.timeout(100_000)

  it('stays flat over a million empty polls, which allocate nothing', async () => {
    for (const { rank, retained, allocatedPerCall } of await measure('polls')) {
      assert.ok(retained < RETAINED_BYTES_MAX, `rank ${rank} kept ${retained} bytes`)
      assert.ok(
        allocatedPerCall < ALLOCATED_BYTES_PER_CALL_MAX,
        `rank ${rank} allocated ${allocatedPerCall} bytes per poll`,
      )
    }
  })

  it('stays flat over a million 8-byte messages, and sending one allocates nothing', async () => {
    const [sender, receiver] = await measure('sends')
    assert.ok(sender !== undefined && receiver !== undefined)
    assert.ok(sender.retained < RETAINED_BYTES_MAX, `the sender kept ${sender.retained} bytes`)
    assert.ok(receiver.retained < RETAINED_BYTES_MAX, `the receiver kept ${receiver.retained} bytes`)
    const { allocatedPerCall } = sender
    assert.ok(allocatedPerCall < ALLOCATED_BYTES_PER_CALL_MAX, `${allocatedPerCall} bytes allocated per send`)
  })
})
