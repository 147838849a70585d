// What a rank of the reliability tests runs: one message of over 2 GiB from rank 0 to rank 1. All of it is zeros, in pages that the
// sender never touches, but for markers, each of which says where it belongs: on both sides of every limit, and in between.
import assert from 'node:assert/strict'
import { init } from 'onecopy'

/** What a rank prints. */
export interface HugeReport {
  readonly rank: number
  readonly byteLength: number
  readonly bytesSingleCopy: number
  readonly bytesStreamed: number
  /** The most memory that was in use at any time. */
  readonly residentBytesMax: number
}

const GIB = 2 ** 30
/** Of one process_vm_readv. */
const CALL_BYTES_MAX = 0x7ffff000
const BYTE_LENGTH = 2 * GIB + 65_541
const MARKER_BYTES = 8
const MARKER_STRIDE = 2 ** 24 + 4099
const CANARY = 0xa5

const world = await init()
const memory = new Uint8Array(BYTE_LENGTH + MARKER_BYTES)
const view = memory.subarray(0, BYTE_LENGTH)
const data = new DataView(memory.buffer)

if (world.rank === 0) {
  for (const at of markers()) data.setFloat64(at, at + 1)
  await world.send(view, 1)
} else {
  memory.fill(CANARY, BYTE_LENGTH)
  const status = await world.recvInto(view, 0)
  assert.equal(status.byteLength, BYTE_LENGTH)
  let end = 0
  for (const at of markers()) {
    assert.equal(data.getFloat64(at), at + 1, `the marker at ${at}`)
    // Nothing else came to lie between this marker and the last one, as far as a few looks can tell.
    for (const between of [end, Math.floor((end + at) / 2), at - 1]) {
      if (between >= end && between < at) assert.equal(memory[between], 0, `byte ${between}`)
    }
    end = at + MARKER_BYTES
  }
  assert.ok(
    memory.subarray(BYTE_LENGTH).every((byte) => byte === CANARY),
    'written beyond the view',
  )
}
const { bytesSingleCopy, bytesStreamed } = world.statistics
const report: HugeReport = {
  rank: world.rank,
  byteLength: BYTE_LENGTH,
  bytesSingleCopy,
  bytesStreamed,
  residentBytesMax: process.resourceUsage().maxRSS * 1024,
}
console.log(JSON.stringify(report))

/** Where markers lie, in order and apart from one another. */
function markers(): number[] {
  const all = [0, BYTE_LENGTH - MARKER_BYTES]
  for (const limit of [GIB, CALL_BYTES_MAX, 2 * GIB]) {
    all.push(limit - 2 * MARKER_BYTES - 1, limit - MARKER_BYTES, limit, limit + MARKER_BYTES + 1)
  }
  for (let at = MARKER_STRIDE; at < BYTE_LENGTH - MARKER_STRIDE; at += MARKER_STRIDE) all.push(at)
  all.sort((a, b) => a - b)
  for (const [i, at] of all.entries()) assert.ok(i === 0 || at - (all[i - 1] as number) >= MARKER_BYTES)
  return all
}
