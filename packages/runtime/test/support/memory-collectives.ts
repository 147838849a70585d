import assert from 'node:assert/strict'
import type { Communicator } from '../../src/communicator.js'
import { IN_PLACE } from '../../src/constants.js'
import { Operation, SUM } from '../../src/operation.js'
import { Guarded } from './guarded.js'

/** Shows the order. */
const LAST = Operation.create((_a: number, b: number) => b)

/** What a rank gives. */
export function rankData(rank: number, length: number): Float64Array {
  const array = new Float64Array(length)
  for (let i = 0; i < length; i++) array[i] = (rank + 1) * ((i % 1009) + 1)
  return array
}

/** What the ranks' data comes to. */
export function combinedData(size: number, length: number, combine: (a: number, b: number) => number): Float64Array {
  const result = rankData(0, length)
  for (let rank = 1; rank < size; rank++) {
    const other = rankData(rank, length)
    for (let i = 0; i < length; i++) result[i] = combine(result[i]!, other[i]!)
  }
  return result
}

/** Fails, saying `what`, unless the two are the same bit for bit. */
export function sameBytes(actual: Float64Array, wanted: Float64Array, what: string): void {
  const [a, b] = [actual, wanted].map((array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength))
  assert.ok(actual.length === wanted.length && a!.equals(b!), what)
}

/** Calls every collective on memory but the v-forms, once for each way to give it memory; says what goes wrong. */
export async function callAll(world: Communicator, byteLength: number): Promise<void> {
  const { rank, size } = world
  const length = byteLength / 8
  const own = rankData(rank, length)
  const root = size - 1
  const what = `${byteLength} bytes, rank ${rank} of ${size}`
  const result = new Guarded(Float64Array, length)
  if (rank === root) result.view.set(own)
  await world.bcastInto(result.view, root)
  sameBytes(result.view, rankData(root, length), `bcast of ${what}`)

  for (const [op, combine] of [
    [SUM, (a: number, b: number) => a + b],
    [LAST, (_a: number, b: number) => b],
  ] as const) {
    const wanted = combinedData(size, length, combine)
    result.view.fill(-1)
    await world.allreduceInto(own, result.view, op)
    sameBytes(result.view, wanted, `allreduce of ${what}`)
    result.view.set(own)
    await world.allreduceInto(IN_PLACE, result.view, op)
    sameBytes(result.view, wanted, `allreduce in place of ${what}`)
    result.view.fill(-1)
    await world.reduceInto(own, rank === root ? result.view : null, op, root)
    if (rank === root) sameBytes(result.view, wanted, `reduce of ${what}`)
    result.view.set(own)
    await world.reduceInto(rank === root ? IN_PLACE : own, rank === root ? result.view : null, op, root)
    if (rank === root) sameBytes(result.view, wanted, `reduce in place of ${what}`)
  }
  sameBytes(own, rankData(rank, length), `what was given of ${what}`)
  result.check()

  const gathered = new Guarded(Float64Array, length * size)
  await world.allgatherInto(own, gathered.view)
  const everything = new Float64Array(length * size)
  for (let source = 0; source < size; source++) everything.set(rankData(source, length), source * length)
  sameBytes(gathered.view, everything, `allgather of ${what}`)
  gathered.view.fill(0)
  gathered.view.set(own, rank * length)
  await world.allgatherInto(IN_PLACE, gathered.view)
  sameBytes(gathered.view, everything, `allgather in place of ${what}`)

  const outgoing = new Float64Array(length * size)
  const incoming = new Float64Array(length * size)
  for (let other = 0; other < size; other++) {
    outgoing.set(rankData(rank + 5 * other, length), other * length)
    incoming.set(rankData(other + 5 * rank, length), other * length)
  }
  await world.alltoallInto(outgoing, gathered.view)
  sameBytes(gathered.view, incoming, `alltoall of ${what}`)
  gathered.view.set(outgoing)
  await world.alltoallInto(IN_PLACE, gathered.view)
  sameBytes(gathered.view, incoming, `alltoall in place of ${what}`)
  gathered.check()
}
