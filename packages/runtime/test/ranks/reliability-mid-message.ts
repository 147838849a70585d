// What a rank of the reliability tests runs: two ranks and one long message, with trouble in the middle of it.
//
//     denied      rank 1, which reads, may neither read nor write any more as soon as the first part is there; `denied 0`: rank 0,
//                 which writes the other half, instead
//     unmapped    the sender's memory is not there for one message of several; the others arrive
//     pieces      a message of 5000 pieces, and one of 5000 pieces that travel inside the packed value
import assert from 'node:assert/strict'
import { init, OnecopyError } from 'onecopy'
import { FAULT_SWITCH, type FaultSwitch } from '../support/call-faults.ts'
import { assertBytes, filledBytes } from '../support/payload.ts'
import { type Answer, installFilter } from '../support/system-call-filter.ts'

const MIB = 1024 * 1024
const BOTH_CALLS = ['process_vm_readv', 'process_vm_writev'] as const
const world = await init()
const { rank } = world
const [, , what] = process.argv

const BEHAVIOURS: Record<string, () => Promise<unknown>> = { denied, unmapped, pieces }
const told = await BEHAVIOURS[what as string]?.()
if (told !== undefined) console.log(JSON.stringify({ rank, told }))

async function denied(): Promise<unknown> {
  // A multiple of the count that `stuck` makes up: it could be true to the very end.
  const byteLength = 48 * MIB
  const victim = Number(process.argv[3] ?? 1)
  if (rank === 0) {
    const data = filledBytes(byteLength, 5)
    await world.barrier()
    const send = world.send(data, 1)
    send.catch(() => {})
    if (victim === 0) {
      // One read and one write with its reading back were trials; the next call writes a segment of this side's half.
      while (faultSwitch().calls < 4 && !send.done) await new Promise((resolve) => setImmediate(resolve))
      assert.equal(send.done, false, 'the message was over before it could be disturbed')
      await denySingleCopy()
    }
    await send
    return undefined
  }
  const view = new Uint8Array(byteLength)
  await world.barrier()
  const receive = world.recvInto(view, 0)
  receive.catch(() => {})
  if (victim === 1) {
    while (world.statistics.bytesSingleCopy === 0) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(receive.done, false, 'the message was over before it could be disturbed')
    await denySingleCopy()
  }
  await receive
  assertBytes(view, filledBytes(byteLength, 5), 'the message')
  const { bytesSingleCopy, bytesStreamed } = world.statistics
  return { byteLength, bytesSingleCopy, bytesStreamed }
}

/** From now on this rank's calls answer what OC_TEST_ANSWER says. */
async function denySingleCopy(): Promise<void> {
  const answer = process.env.OC_TEST_ANSWER as Answer | 'stuck' | 'page'
  if (answer === 'stuck' || answer === 'page') {
    const calls = faultSwitch()
    calls.calls = 0
    calls.faults = { calls: BOTH_CALLS, fault: answer, after: 0, every: 1 }
    return
  }
  await installFilter(BOTH_CALLS.map((call) => ({ call, answer })))
}

function faultSwitch(): FaultSwitch {
  return (globalThis as Record<symbol, unknown>)[FAULT_SWITCH] as FaultSwitch
}

async function unmapped(): Promise<unknown> {
  const codes: string[] = []
  for (let message = 0; message < 4; message++) {
    const isGone = message === 2
    const expected = filledBytes(300_000, 1 + message)
    await world.barrier()
    try {
      if (rank === 0) {
        await world.send(expected, 1, message)
      } else {
        const faults = faultSwitch()
        faults.calls = 0
        faults.faults = isGone ? { calls: ['process_vm_readv'], fault: 'unmapped', after: 0, every: 1 } : null
        const view = new Uint8Array(expected.byteLength)
        await world.recvInto(view, 0, message)
        assertBytes(view, expected, `message ${message}`)
      }
      codes.push('arrived')
    } catch (error) {
      if (!(error instanceof OnecopyError)) throw error
      codes.push(error.code)
    }
  }
  return codes
}

async function pieces(): Promise<unknown> {
  const lengths = [5000, 700]
  for (const [tag, byteLength] of lengths.entries()) {
    const list = Array.from({ length: 5000 }, (_, index) => filledBytes(byteLength, 1 + index, index % 8))
    if (rank === 0) {
      await world.send({ list }, 1, tag)
      world.sync.send({ list }, 1, tag)
      continue
    }
    for (const got of [
      await world.recv<{ list: Uint8Array[] }>(0, tag),
      world.sync.recv<{ list: Uint8Array[] }>(0, tag),
    ]) {
      assert.equal(got.list.length, list.length)
      got.list.forEach((piece, index) => {
        assertBytes(piece, list[index] as Uint8Array, `piece ${index} of ${byteLength} bytes`)
      })
    }
  }
  return rank === 1 ? world.statistics.bytesSingleCopy : undefined
}
