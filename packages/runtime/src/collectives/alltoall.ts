import { IN_PLACE } from '../constants.js'
import { allocate, bytesOf, bytesPerElement, elementTypeName, UINT8 } from '../element-type.js'
import { OneStep } from '../one-step.js'
import { PostedStep, saidToGoByMessages } from '../posted-step.js'
import type { Pulls } from '../pulls.js'
import type { Arriving, Awaited, Exchange, Schedule } from '../schedule.js'
import { blocksPulled } from './allgather.js'
import { checkApart, checkValues, checkView } from './arguments.js'
import { type Blocks, blocksOf, type Side, wholeNumbers } from './blocks.js'
import { ALLTOALL_PEERS_MAX, goesDirectly, postsParts, pullsParts } from './choose.js'
import { type ElementKind, elementTypesOf } from './element-kinds.js'
import { expectExactly, othersThan } from './messages.js'

/**
 * How `alltoallInto` divides the memory: one block per rank, in elements. Default: equal blocks in rank order. With `types`
 * each block has elements of its own kind (MPI's w-form): counts are in those elements, displs in bytes, and a block must be
 * received as what it was sent as.
 */
export interface ExchangeLayout {
  /** Elements for each rank; default `counts`. */
  readonly sendCounts?: ArrayLike<number> | undefined
  /** Where each block of `send` starts; default: one after the other. */
  readonly sendDispls?: ArrayLike<number> | undefined
  /** Elements from each rank; default `counts`. */
  readonly recvCounts?: ArrayLike<number> | undefined
  /** Where each block of `recv` starts; default: one after the other. */
  readonly recvDispls?: ArrayLike<number> | undefined
  /** For both sides, where their own are not given. */
  readonly counts?: ArrayLike<number> | undefined
  /** For both sides, where their own displs and counts are not given. */
  readonly displs?: ArrayLike<number> | undefined
  /** Element types of what goes to each rank. */
  readonly sendTypes?: readonly ElementKind[] | undefined
  /** Element types of what comes from each rank. */
  readonly recvTypes?: readonly ElementKind[] | undefined
  /** One constructor per rank, as in `[Float64Array, Int32Array]`; needs counts. */
  readonly types?: readonly ElementKind[] | undefined
}

/**
 * Sends `values[i]` to rank i and gives what the others sent to this rank: an array by rank, this rank's own entry being
 * the value itself. The values may be of any kinds and lengths.
 * @throws TypeError or RangeError unless `values` is an array with one value per rank.
 * @see MPI 4.1, 6.8
 */
export function alltoall<T>(exchange: Exchange, values: readonly T[]): Schedule<T[]> {
  checkValues('alltoall', values, exchange.size)
  return saidToGoByMessages(exchange, 'alltoall', () => valuesExchanged(exchange, values)) as Schedule<T[]>
}

/**
 * Sends block i of `send` to rank i and puts what rank i sends into block i of `recv`. `send` may be IN_PLACE (on all
 * ranks): blocks are then exchanged within `recv`, through memory for one block.
 * Ownership: the memory is the collective's until it has completed.
 * @throws TypeError or RangeError for no memory, a layout that does not lie in its view, or overlapping memory.
 * @throws OnecopyError ERR_TRUNCATE when a rank sends more or less than the block that is there for it, ERR_TYPE when it
 *   sends (with `types`) other elements.
 * @see MPI 4.1, 6.8
 */
export function alltoallInto(
  exchange: Exchange,
  send: ArrayBufferView | typeof IN_PLACE,
  recv: ArrayBufferView,
  layout: ExchangeLayout = {},
): Schedule<void> {
  const { rank, size } = exchange
  checkView('alltoallInto', 'recv', recv)
  const receiving = sideOf('recv', recv, size, layout)
  if (send === IN_PLACE)
    return exchanged(exchange, layout, receiving, receiving, () => blocksSwapped(exchange, receiving))
  checkView('alltoallInto', 'send', send)
  checkApart('alltoallInto', send, recv)
  const sending = sideOf('send', send, size, layout)
  const [out, into] = [sending.blocks.byteLength(rank), receiving.blocks.byteLength(rank)]
  if (out !== into) {
    throw new RangeError(`alltoallInto: this rank's own block has ${out} bytes in send and ${into} in recv`)
  }
  const [sent, received] = [sending.typeOf(rank), receiving.typeOf(rank)]
  if (sent !== received) {
    throw new TypeError(
      `alltoallInto: this rank's own block has elements of a ${elementTypeName(sent)} in send and of a ` +
        `${elementTypeName(received)} in recv`,
    )
  }
  return exchanged(exchange, layout, sending, receiving, () =>
    goesDirectly(size)
      ? blocksExchangedAtOnce(exchange, sending, receiving)
      : blocksExchanged(exchange, sending, receiving),
  )
}

/** Every rank posts all of its blocks, where they are equal, in order and short, and takes its own from the others'. */
function exchanged(
  exchange: Exchange,
  layout: ExchangeLayout,
  sending: ExchangeSide,
  receiving: ExchangeSide,
  byMessages: () => Schedule<void>,
): Schedule<void> {
  const { postings, rank, size } = exchange
  const { bytes } = sending.blocks
  const isEven =
    layout.types === undefined &&
    layout.sendTypes === undefined &&
    layout.recvTypes === undefined &&
    sending.blocks.even &&
    receiving.blocks.even
  const each = bytes.length / size
  const isPosted = postings?.fits(bytes.length) === true && postsParts(each, size)
  // in place, what others read would be overwritten
  const isPulled = !isPosted && sending !== receiving && pullsParts(each)
  if (postings === null || !isEven || !(isPosted || isPulled)) {
    return saidToGoByMessages(exchange, 'alltoallInto', byMessages)
  }
  const places = Array.from({ length: size }, (_, source) => receiving.blocks.of(source))
  const own = sending.blocks.of(rank)
  const sources = othersThan(rank, size)
  return new PostedStep(exchange, postings, {
    collective: 'alltoallInto',
    own: isPosted ? bytes : [bytes],
    unread: [rank * each, (rank + 1) * each],
    type: UINT8,
    sources,
    byteLengths: sources.map(() => bytes.length),
    take: (number) => {
      for (const source of sources) postings.copy(source, number, bytes.length, rank * each, places[source]!)
      if (sending !== receiving) places[rank]!.set(own)
    },
    isLight: true,
    ...(isPosted
      ? {}
      : { pull: (pulls: Pulls) => blocksPulled(exchange, pulls, sources, places, rank * each, own, byMessages) }),
    byMessages,
  })
}

/** One side of an exchange: its blocks, and what the elements of each are. */
export interface ExchangeSide {
  readonly blocks: Blocks
  typeOf(rank: number): number
}

/** Blocks whose elements nobody has named are bytes. */
const bytesOnly = () => UINT8

/** Checks one side of a layout. @throws TypeError or RangeError where it does not lie in `view`. */
export function sideOf(side: Side, view: ArrayBufferView, size: number, layout: ExchangeLayout): ExchangeSide {
  const own = side === 'send' ? layout.sendCounts : layout.recvCounts
  const counts = own ?? layout.counts
  const displs =
    (side === 'send' ? layout.sendDispls : layout.recvDispls) ?? (own === undefined ? layout.displs : undefined)
  const kinds = (side === 'send' ? layout.sendTypes : layout.recvTypes) ?? layout.types
  if (kinds === undefined) {
    return { blocks: blocksOf('alltoallInto', side, view, size, counts, displs), typeOf: bytesOnly }
  }
  if (counts === undefined) throw new TypeError('alltoallInto: types need counts beside them')
  const types = elementTypesOf('alltoallInto', kinds, size)
  const byteCounts = wholeNumbers('alltoallInto', 'counts', counts, size).map(
    (count, rank) => count * bytesPerElement(types[rank]!),
  )
  return {
    blocks: blocksOf('alltoallInto', side, bytesOf(view), size, byteCounts, displs),
    typeOf: (rank) => types[rank]!,
  }
}

function* valuesExchanged(exchange: Exchange, values: readonly unknown[]): Schedule<unknown[]> {
  const { rank, size } = exchange
  const result: unknown[] = new Array(size)
  result[rank] = values[rank]
  for (let first = 1; first < size; first += ALLTOALL_PEERS_MAX) {
    const end = Math.min(first + ALLTOALL_PEERS_MAX, size)
    const waits: Awaited<unknown>[] = []
    for (let step = first; step < end; step++) {
      const dest = (rank + step) % size
      waits.push(exchange.sendValue(values[dest], dest), exchange.receiveValue((rank - step + size) % size))
    }
    yield waits
    for (let step = first; step < end; step++) {
      result[(rank - step + size) % size] = waits[2 * (step - first) + 1]!.result()
    }
  }
  return result
}

function blocksExchangedAtOnce(exchange: Exchange, sending: ExchangeSide, receiving: ExchangeSide): Schedule<void> {
  const { rank, size } = exchange
  const from = Array.from({ length: size }, (_, dest) => sending.blocks.of(dest))
  const into = Array.from({ length: size }, (_, source) => receiving.blocks.of(source))
  const waits: Awaited<unknown>[] = []
  return new OneStep(
    () => {
      for (let step = 1; step < size; step++) {
        const dest = (rank + step) % size
        const source = (rank - step + size) % size
        waits[step - 1] = exchange.receiveBytes(into[source]!, source, receiving.typeOf(source))
        waits[size - 2 + step] = exchange.sendBytes(from[dest]!, dest, sending.typeOf(dest), true)
      }
      // while messages are under way
      into[rank]!.set(from[rank]!)
      return waits
    },
    () => {
      for (let step = 1; step < size; step++) {
        expectExactly('alltoallInto', waits[step - 1] as Arriving, into[(rank - step + size) % size]!.length)
      }
    },
  )
}

function* blocksExchanged(exchange: Exchange, sending: ExchangeSide, receiving: ExchangeSide): Schedule<void> {
  const { rank, size } = exchange
  const [from, into] = [sending.blocks, receiving.blocks]
  for (let first = 1; first < size; first += ALLTOALL_PEERS_MAX) {
    const end = Math.min(first + ALLTOALL_PEERS_MAX, size)
    const waits: Awaited<unknown>[] = []
    for (let step = first; step < end; step++) {
      const dest = (rank + step) % size
      const source = (rank - step + size) % size
      waits.push(
        exchange.receiveBytes(into.of(source), source, receiving.typeOf(source)),
        exchange.sendBytes(from.of(dest), dest, sending.typeOf(dest), true),
      )
    }
    // while messages are under way
    if (first === 1) into.of(rank).set(from.of(rank))
    yield waits
    for (let step = first; step < end; step++) {
      const receive = waits[2 * (step - first)] as Arriving
      expectExactly('alltoallInto', receive, into.byteLength((rank - step + size) % size))
    }
  }
}

/** In step s the ranks whose sum is s modulo size swap blocks: every rank has one partner, possibly itself. */
function* blocksSwapped(exchange: Exchange, { blocks, typeOf }: ExchangeSide): Schedule<void> {
  const { rank, size } = exchange
  let longest = 0
  for (let other = 0; other < size; other++) {
    if (other !== rank) longest = Math.max(longest, blocks.byteLength(other))
  }
  const aside = new Uint8Array(allocate(longest))
  for (let step = 0; step < size; step++) {
    const partner = (step - rank + size) % size
    if (partner === rank) continue
    const block = blocks.of(partner)
    const outgoing = aside.subarray(0, block.length)
    outgoing.set(block)
    const type = typeOf(partner)
    const receive = exchange.receiveBytes(block, partner, type)
    yield [exchange.sendBytes(outgoing, partner, type, true), receive]
    expectExactly('alltoallInto', receive, block.length)
  }
}
