// What a rank of the reliability tests runs: `reliability-traffic.ts sync|async|mixed rounds [bytes…]`. In every round each
// rank exchanges messages with every other one, of lengths around every limit, and checks each byte, and what lies around
// it. Prints one line: a chain of hashes over everything it has received, and which way it came.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type Communicator, init, SUM } from 'onecopy'
import { assertBytes, filledBytes } from '../support/payload.ts'
import { type Answer, type FilterRule, installFilter } from '../support/system-call-filter.ts'

/** A filter that comes down on some ranks in the middle of the run. */
export interface LateFilter {
  /** Before which round. */
  readonly round: number
  readonly ranks: readonly number[]
  /** `peer`: only calls about that rank. */
  readonly rules: readonly { readonly call: FilterRule['call']; readonly answer: Answer; readonly peer?: number }[]
}

/** What a rank prints. */
export interface TrafficReport {
  readonly rank: number
  readonly hash: string
  /** `comm.transport()` by rank. */
  readonly transports: readonly string[]
  readonly bytesSingleCopy: number
  readonly bytesStreamed: number
}

const LENGTHS = [0, 1, 64, 65, 4095, 4096, 4097, 8193, 65_536, 65_537, 131_072, 1_300_003]
const CANARY_BYTES = 64
const CANARY = 0xa5

const [, , face, roundsText, ...lengthTexts] = process.argv
const lengths = lengthTexts.length > 0 ? lengthTexts.map(Number) : LENGTHS
const world = await init()
const { rank, size } = world
const chain = createHash('sha256')
const late = JSON.parse(process.env.OC_TEST_LATE_FILTER ?? 'null') as LateFilter | null
const pids = await world.allgather(process.pid)

for (let round = 0; round < Number(roundsText); round++) {
  if (late?.round === round) {
    if (late.ranks.includes(rank)) await installFilter(late.rules.map(withPid))
    await world.barrier()
  }
  const isSync = face === 'sync' || (face === 'mixed' && (rank + round) % 2 === 0)
  for (let shift = 1; shift < size; shift++) {
    const dest = (rank + shift) % size
    const source = (rank - shift + size) % size
    for (const [index, byteLength] of lengths.entries()) {
      const tag = 1000 * round + index
      const seedFrom = (from: number, to: number) => 1 + tag + 100_003 * (from * size + to)
      const payload = filledBytes(byteLength, seedFrom(rank, dest))
      const expected = filledBytes(byteLength, seedFrom(source, rank))
      const where = `rank ${rank}, round ${round}, ${byteLength} bytes from ${source}`
      if (index % 2 === 0) await exchangeInto(world, isSync, payload, dest, source, tag, expected, where)
      else await exchangeValue(world, isSync, payload, dest, source, tag, expected, where)
      chain.update(expected)
    }
  }
}

const sum = world.sync.allreduce(new Float64Array(20_000).fill(rank + 1), SUM)
assert.ok(
  sum.every((value) => value === (size * (size + 1)) / 2),
  'the sum over all ranks',
)
const { bytesSingleCopy, bytesStreamed } = world.statistics
const transports = Array.from({ length: size }, (_, peer) => world.transport(peer))
const report: TrafficReport = { rank, hash: chain.digest('hex'), transports, bytesSingleCopy, bytesStreamed }
// Of a rank that has ended there is no transport to name: nobody ends before all have looked.
await world.barrier()
console.log(JSON.stringify(report))

function withPid({ call, answer, peer }: LateFilter['rules'][number]): FilterRule {
  if (peer === undefined) return { call, answer }
  // The first argument of both calls is the pid.
  return { call, answer, where: { argument: 0, value: pids[peer] as number } }
}

async function exchangeInto(
  comm: Communicator,
  isSync: boolean,
  payload: Uint8Array,
  dest: number,
  source: number,
  tag: number,
  expected: Uint8Array,
  where: string,
): Promise<void> {
  const memory = new Uint8Array(expected.byteLength + 2 * CANARY_BYTES).fill(CANARY)
  const view = memory.subarray(CANARY_BYTES, CANARY_BYTES + expected.byteLength)
  const receive = comm.recvInto(view, source, tag)
  if (isSync) {
    comm.sync.send(payload, dest, tag)
    receive.waitSync()
  } else {
    await Promise.all([comm.send(payload, dest, tag), receive])
  }
  assertBytes(view, expected, where)
  const around = [memory.subarray(0, CANARY_BYTES), memory.subarray(-CANARY_BYTES)]
  for (const side of around)
    assert.ok(
      side.every((byte) => byte === CANARY),
      `${where}: written beyond the view`,
    )
}

async function exchangeValue(
  comm: Communicator,
  isSync: boolean,
  payload: Uint8Array,
  dest: number,
  source: number,
  tag: number,
  expected: Uint8Array,
  where: string,
): Promise<void> {
  const value = { tag, parts: [payload, payload.subarray(0, payload.byteLength >>> 1)] }
  let got: typeof value
  if (isSync) {
    got = comm.sync.sendrecv<typeof value>(value, dest, source, { sendTag: tag, recvTag: tag })
  } else {
    const [received] = await Promise.all([comm.recv<typeof value>(source, tag), comm.send(value, dest, tag)])
    got = received
  }
  assert.equal(got.tag, tag, where)
  assertBytes(got.parts[0] as Uint8Array, expected, where)
  assertBytes(got.parts[1] as Uint8Array, expected.subarray(0, expected.byteLength >>> 1), `${where}, second part`)
}
