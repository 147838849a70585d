import { IN_PLACE } from '../constants.js'
import { allocate, bytesOf, pieceTypeOf, UINT8 } from '../element-type.js'
import { OneStep } from '../one-step.js'
import { PostedStep, saidToGoByMessages } from '../posted-step.js'
import type { Pulls } from '../pulls.js'
import type { Arriving, Awaited, Exchange, Schedule } from '../schedule.js'
import { checkApart, checkView } from './arguments.js'
import { type Blocks, blocksOf } from './blocks.js'
import { allgatherAlgorithm, allgathersDirectly, goesDirectly, postsParts, pullsParts } from './choose.js'
import { expectExactly, othersThan } from './messages.js'

/** How `allgatherInto` divides `recv`; the same on every rank. */
export interface Layout {
  /** Elements of each rank's block; default: equal blocks. */
  readonly counts?: ArrayLike<number> | undefined
  /** Where each rank's block starts, in elements; default: one after the other. */
  readonly displs?: ArrayLike<number> | undefined
}

/**
 * Collects one value of every rank on every rank: an array by rank, this rank's own entry being `data` itself. The values
 * may be of any kinds and lengths.
 * @see MPI 4.1, 6.7
 */
export function allgather<T>(exchange: Exchange, data: T): Schedule<T[]> {
  const byMessages = () =>
    allgathersDirectly(exchange.size) ? eachToEach(exchange, data) : valuesByBruck(exchange, data)
  return saidToGoByMessages(exchange, 'allgather', byMessages) as Schedule<T[]>
}

/**
 * Collects every rank's memory in every rank's `recv`, in blocks by rank. `send` may be IN_PLACE (on all ranks): the own
 * block lies in `recv` already.
 * Ownership: the memory is the collective's until it has completed.
 * @throws TypeError or RangeError for no memory, a layout that does not lie in `recv`, or overlapping memory.
 * @throws OnecopyError ERR_TRUNCATE or ERR_TYPE when the ranks' lengths or counts differ.
 * @see MPI 4.1, 6.7
 */
export function allgatherInto(
  exchange: Exchange,
  send: ArrayBufferView | typeof IN_PLACE,
  recv: ArrayBufferView,
  { counts, displs }: Layout = {},
): Schedule<void> {
  const { rank, size } = exchange
  checkView('allgatherInto', 'recv', recv)
  const blocks = blocksOf('allgatherInto', 'recv', recv, size, counts, displs)
  if (send === IN_PLACE) return collected(exchange, null, blocks)
  checkView('allgatherInto', 'send', send)
  checkApart('allgatherInto', send, recv)
  if (send.byteLength !== blocks.byteLength(rank)) {
    throw new RangeError(
      `allgatherInto: send has ${send.byteLength} bytes, this rank's block in recv ${blocks.byteLength(rank)}`,
    )
  }
  return collected(exchange, bytesOf(send), blocks)
}

function collected(exchange: Exchange, own: Uint8Array | null, blocks: Blocks): Schedule<void> {
  const { postings, rank, size } = exchange
  const byMessages = () => blocksByMessages(exchange, own, blocks)
  const { total } = blocks
  const each = blocks.byteLength(rank)
  const isPosted = postings?.fits(each) === true && postsParts(each, size)
  // blocks of several lengths: some may be short enough to be posted, and then all go by messages
  if (postings === null || !(isPosted || (blocks.even && pullsParts(each)))) {
    return saidToGoByMessages(exchange, 'allgatherInto', byMessages)
  }
  const places = Array.from({ length: size }, (_, source) => blocks.of(source))
  const outgoing = own ?? places[rank]!
  const sources = othersThan(rank, size)
  return new PostedStep(exchange, postings, {
    collective: 'allgatherInto',
    own: isPosted ? outgoing : [outgoing],
    type: pieceTypeOf(UINT8, total),
    sources,
    byteLengths: sources.map((source) => places[source]!.length),
    take: (number) => {
      for (const source of sources) postings.copy(source, number, places[source]!.length, 0, places[source]!)
      if (own !== null) places[rank]!.set(own)
    },
    isLight: true,
    ...(isPosted ? {} : { pull: (pulls: Pulls) => blocksPulled(exchange, pulls, sources, places, 0, own, byMessages) }),
    byMessages,
  })
}

/**
 * Every rank reads the part of every other's memory (`others`) that lies `offset` bytes into it, its right neighbour's first. If one may
 * not, all go by messages. `own` is this rank's block where that is not in its place yet.
 */
export function* blocksPulled(
  exchange: Exchange,
  pulls: Pulls,
  others: readonly number[],
  places: readonly Uint8Array[],
  offset: number,
  own: Uint8Array | null,
  byMessages: () => Schedule<void>,
): Schedule<void> {
  const { rank, size } = exchange
  for (let step = 1; step < size; step++) {
    const source = (rank + step) % size
    pulls.read(source, 0, offset, places[source]!)
  }
  const isWell = yield* pulls.tell(0)
  if (own !== null) places[rank]!.set(own)
  const ill = yield* pulls.told(others, 0)
  if (!isWell || ill.length > 0) yield* byMessages()
}

function blocksByMessages(exchange: Exchange, own: Uint8Array | null, blocks: Blocks): Schedule<void> {
  const algorithm = allgatherAlgorithm(blocks.even ? blocks.bytes.length : Number.POSITIVE_INFINITY, exchange.size)
  return algorithm === 'direct' || algorithm === 'ring'
    ? blocksToAll(exchange, 'allgatherInto', blocks, own)
    : inSteps(exchange, algorithm, own, blocks)
}

function* inSteps(
  exchange: Exchange,
  algorithm: 'doubling' | 'bruck',
  own: Uint8Array | null,
  blocks: Blocks,
): Schedule<void> {
  const { rank } = exchange
  if (own !== null) blocks.of(rank).set(own)
  if (algorithm === 'doubling') yield* blocksByDoubling(exchange, blocks)
  else yield* blocksByBruck(exchange, blocks)
}

function* eachToEach(exchange: Exchange, data: unknown): Schedule<unknown[]> {
  const { rank, size } = exchange
  const values: unknown[] = new Array(size)
  values[rank] = data
  if (size === 1) return values
  const waits: Awaited<unknown>[] = []
  for (let distance = 1; distance < size; distance++) waits.push(exchange.sendValue(data, (rank + distance) % size))
  for (let distance = 1; distance < size; distance++) {
    waits.push(exchange.receiveValue((rank - distance + size) % size))
  }
  yield waits
  for (let distance = 1; distance < size; distance++) {
    values[(rank - distance + size) % size] = waits[size - 2 + distance]!.result()
  }
  return values
}

/** Before the step of `distance`, a rank knows the values of that many ranks, from its own to the left. */
function* valuesByBruck(exchange: Exchange, data: unknown): Schedule<unknown[]> {
  const { rank, size } = exchange
  const known: unknown[] = [data]
  for (let distance = 1; distance < size; distance *= 2) {
    const send = exchange.sendValue(known.slice(0, size - distance), (rank + distance) % size)
    const receive = exchange.receiveValue((rank - distance + size) % size)
    yield [send, receive]
    known.push(...(receive.result() as unknown[]))
  }
  return known.map((_, source) => known[(rank - source + size) % size])
}

/** For powers of two: before the step of `distance`, a rank has the blocks of its aligned group of that many ranks. */
function* blocksByDoubling(exchange: Exchange, blocks: Blocks): Schedule<void> {
  const { rank, size } = exchange
  for (let distance = 1; distance < size; distance *= 2) {
    const partner = rank ^ distance
    const first = rank & -distance
    const incoming = blocks.run(first ^ distance, distance)
    const send = exchange.sendBytes(blocks.run(first, distance), partner, UINT8, true)
    const receive = exchange.receiveBytes(incoming, partner)
    yield [send, receive]
    expectExactly('allgatherInto', receive, incoming.length)
  }
}

/**
 * As {@link valuesByBruck}, for any number of ranks. Mirrored, so that its first step has the ring's neighbours: ranks that
 * disagree on the length, and so on the algorithm, then notice.
 * @see Bruck et al.: Efficient algorithms for all-to-all communications in multiport message-passing systems (1997)
 */
function* blocksByBruck(exchange: Exchange, blocks: Blocks): Schedule<void> {
  const { rank, size } = exchange
  const each = blocks.byteLength(rank)
  // the last block is this rank's, the one before it its left neighbour's
  const known = new Uint8Array(allocate(each * size))
  known.set(blocks.of(rank), (size - 1) * each)
  for (let distance = 1; distance < size; distance *= 2) {
    const count = Math.min(distance, size - distance)
    const incoming = known.subarray((size - distance - count) * each, (size - distance) * each)
    const send = exchange.sendBytes(known.subarray((size - count) * each), (rank + distance) % size, UINT8, true)
    const receive = exchange.receiveBytes(incoming, (rank - distance + size) % size)
    yield [send, receive]
    expectExactly('allgatherInto', receive, incoming.length)
  }
  const above = size - 1 - rank
  blocks.run(rank + 1, above).set(known.subarray(0, above * each))
  blocks.run(0, rank + 1).set(known.subarray(above * each))
}

/**
 * Collects blocks of any lengths everywhere. `own` is this rank's block where that is not in its place yet; it is sent from
 * there (memory that has just been written lies in this CPU's cache, and is slow to read for the others), and copied while
 * messages are under way.
 */
export function blocksToAll(
  exchange: Exchange,
  collective: string,
  blocks: Blocks,
  own: Uint8Array | null,
): Schedule<void> {
  const { size } = exchange
  const type = pieceTypeOf(UINT8, blocks.total)
  return goesDirectly(size)
    ? blocksDirectly(exchange, collective, blocks, own, type)
    : blocksAroundRing(exchange, collective, blocks, own, type)
}

/** Every rank sends its block to every other; each begins with its right neighbour, so that no rank is everyone's next. */
export function blocksDirectly(
  exchange: Exchange,
  collective: string,
  blocks: Blocks,
  own: Uint8Array | null,
  type: number,
): OneStep<void> {
  const { rank, size } = exchange
  const places = Array.from({ length: size }, (_, source) => blocks.of(source))
  const outgoing = own ?? places[rank]!
  const waits: Awaited<unknown>[] = []
  return new OneStep(
    () => {
      for (let step = 1; step < size; step++) {
        waits[step - 1] = exchange.sendBytes(outgoing, (rank + step) % size, type, true)
      }
      for (let step = 1; step < size; step++) {
        const source = (rank - step + size) % size
        waits[size - 2 + step] = exchange.receiveBytes(places[source]!, source, type)
      }
      if (own !== null) places[rank]!.set(own)
      return waits
    },
    () => {
      for (let step = 1; step < size; step++) {
        const source = (rank - step + size) % size
        expectExactly(collective, waits[size - 2 + step] as Arriving, places[source]!.length)
      }
    },
  )
}

/** In every step a rank sends on to the right what it received from the left in the step before. */
function* blocksAroundRing(
  exchange: Exchange,
  collective: string,
  blocks: Blocks,
  own: Uint8Array | null,
  type: number,
): Schedule<void> {
  const { rank, size } = exchange
  const left = (rank - 1 + size) % size
  const right = (rank + 1) % size
  let outgoing = own ?? blocks.of(rank)
  for (let step = 1; step < size; step++) {
    const incoming = blocks.of((rank - step + size) % size)
    const send = exchange.sendBytes(outgoing, right, type, true)
    const receive = exchange.receiveBytes(incoming, left, type)
    if (step === 1 && own !== null) blocks.of(rank).set(own)
    yield [send, receive]
    expectExactly(collective, receive, incoming.length)
    outgoing = incoming
  }
}
