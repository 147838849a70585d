// What a rank of the reliability tests runs: two ranks and one long message, with trouble in the middle of it.
//
//     denied      rank 1, which reads, forbids itself to read and write as soon as the first part is there
//     unmapped    the sender's memory is not there for one message of several; the others arrive
//     pieces      a message of 5000 pieces, and one of 5000 pieces that travel inside the packed value
import assert from 'node:assert/strict'
import { init, OnecopyError } from 'onecopy'
import { FAULT_SWITCH, type FaultSwitch } from '../support/call-faults.js'
import { assertBytes, filledBytes } from '../support/payload.js'
import { type Answer, installFilter } from '../support/system-call-filter.js'

const MIB = 1024 * 1024
const world = await init()
const { rank } = world
const [, , what] = process.argv

const BEHAVIOURS: Record<string, () => Promise<unknown>> = { denied, unmapped, pieces }
const told = await BEHAVIOURS[what as string]?.()
if (told !== undefined) console.log(JSON.stringify({ rank, told }))

async function denied(): Promise<unknown> {
  const byteLength = 48 * MIB + 5
  if (rank === 0) {
    await world.send(filledBytes(byteLength, 5), 1)
    return undefined
  }
  const view = new Uint8Array(byteLength)
  const receive = world.recvInto(view, 0)
  receive.catch(() => {})
  while (world.statistics.bytesSingleCopy === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(receive.done, false, 'the message was over before it could be disturbed')
  const answer = process.env.OC_TEST_ANSWER as Answer
  await installFilter([
    { call: 'process_vm_readv', answer },
    { call: 'process_vm_writev', answer },
  ])
  await receive
  assertBytes(view, filledBytes(byteLength, 5), 'the message')
  const { bytesSingleCopy, bytesStreamed } = world.statistics
  return { byteLength, bytesSingleCopy, bytesStreamed }
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
        const faults = (globalThis as Record<symbol, unknown>)[FAULT_SWITCH] as FaultSwitch
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
