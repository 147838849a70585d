import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { launch } from 'onecopy'

/** What the engine itself may keep from a million calls: feedback, compiled code's tables, a few buffers. */
const RETAINED_BYTES_MAX = 512 * 1024
/** Less than the smallest object takes (16 bytes); the looks themselves cost a little. */
const POLL_BYTES_MAX = 8
/** The same and what waiting for the receiver now and then allocates; one object per send would be well above. */
const SEND_BYTES_MAX = 16

interface Measured {
  readonly rank: number
  readonly transport: string
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

/** Pipes go through Node's own calls, which allocate; what they leave behind is measured all the same. */
function allocatesNothing(transport: string): boolean {
  return !transport.startsWith('pipe')
}

describe('the heap', function () {
  this.timeout(100_000)

  it('stays flat over a million empty polls, which allocate nothing', async () => {
    for (const { rank, transport, retained, allocatedPerCall } of await measure('polls')) {
      assert.ok(retained < RETAINED_BYTES_MAX, `rank ${rank} kept ${retained} bytes`)
      if (!allocatesNothing(transport)) continue
      assert.ok(allocatedPerCall < POLL_BYTES_MAX, `rank ${rank} allocated ${allocatedPerCall} bytes per poll`)
    }
  })

  it('stays flat over a million 8-byte messages, and sending one allocates nothing', async () => {
    const [sender, receiver] = await measure('sends')
    assert.ok(sender !== undefined && receiver !== undefined)
    assert.ok(sender.retained < RETAINED_BYTES_MAX, `the sender kept ${sender.retained} bytes`)
    assert.ok(receiver.retained < RETAINED_BYTES_MAX, `the receiver kept ${receiver.retained} bytes`)
    const { transport, allocatedPerCall } = sender
    if (allocatesNothing(transport)) {
      assert.ok(allocatedPerCall < SEND_BYTES_MAX, `${allocatedPerCall} bytes allocated per send`)
    }
  })
})
