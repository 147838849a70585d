import { UINT8, VALUE } from '../element-type.js'
import { OneStep } from '../one-step.js'
import { BY_MESSAGES, PostedStep } from '../posted-step.js'
import type { Pulls } from '../pulls.js'
import type { Arriving, Awaited, Exchange, Schedule } from '../schedule.js'
import { checkRoot, checkView } from './arguments.js'
import { BCAST_SEGMENT_BYTES, broadcastsInChain, goesDirectly, postsBroadcast, pullsBroadcast } from './choose.js'
import { expectExactly, expectPreamble, othersThan, preamble } from './messages.js'

/**
 * Gives the root's value to every rank. The root gets `data` itself back, everyone else a copy; `data` is ignored there.
 * Ownership: the root may change `data` once the call has completed. A binomial tree, whatever the length: only the root
 * knows it.
 * @throws TypeError or RangeError when `root` is no rank.
 * @see MPI 4.1, 6.4
 */
export function bcast<T>(exchange: Exchange, data: T | undefined, root: number): Schedule<T> {
  checkRoot('bcast', root, exchange.size)
  const { postings, rank } = exchange
  const byMessages = () => valueDownTree(exchange, data, root)
  if (postings === null) return byMessages() as Schedule<T>
  return new PostedStep(exchange, postings, {
    collective: 'bcast',
    own: rank === root ? BY_MESSAGES : null,
    type: VALUE,
    sources: rank === root ? [] : [root],
    byteLengths: [0],
    take: () => data,
    byMessages,
  }) as Schedule<T>
}

/**
 * Fills `view` on every rank with the root's. Every rank gives as many bytes.
 * Ownership: the memory is the collective's until it has completed.
 * @throws TypeError or RangeError when `root` is no rank or `view` no memory.
 * @throws OnecopyError ERR_TRUNCATE or ERR_TYPE when the ranks' lengths differ.
 * @see MPI 4.1, 6.4
 */
export function bcastInto(exchange: Exchange, view: ArrayBufferView, root: number): Schedule<void> {
  checkRoot('bcastInto', root, exchange.size)
  checkView('bcastInto', 'view', view)
  const bytes = exchange.bytesOf(view)
  const { postings, rank } = exchange
  const byMessages = () => bytesByMessages(exchange, bytes, root)
  if (postings === null) return byMessages()
  const isRoot = rank === root
  const isPosted = postings.fits(bytes.length) && postsBroadcast(bytes.length, exchange.size)
  const isPulled = !isPosted && pullsBroadcast(bytes.length, exchange.size)
  const others = isPulled ? othersThan(root, exchange.size) : []
  return new PostedStep(exchange, postings, {
    collective: 'bcastInto',
    own: isRoot ? (isPosted ? bytes : isPulled ? [bytes] : BY_MESSAGES) : null,
    type: UINT8,
    sources: isRoot ? [] : [root],
    byteLengths: [bytes.length],
    take: (number) => {
      if (!isRoot) postings.copy(root, number, bytes.length, 0, bytes)
    },
    isLight: true,
    ...(isPulled ? { pull: (pulls: Pulls) => bytesPulled(exchange, pulls, others, bytes, root) } : {}),
    byMessages,
  })
}

function bytesByMessages(exchange: Exchange, bytes: Uint8Array, root: number): Schedule<void> {
  if (goesDirectly(exchange.size)) return bytesFromRoot(exchange, bytes, root)
  return broadcastsInChain(bytes.length, exchange.size)
    ? bytesDownChain(exchange, bytes, root)
    : bytesDownTree(exchange, bytes, root)
}

/** Every rank reads the root's memory; who may not gets a message. */
function* bytesPulled(
  exchange: Exchange,
  pulls: Pulls,
  others: readonly number[],
  bytes: Uint8Array,
  root: number,
): Schedule<void> {
  if (exchange.rank === root) {
    const ill = yield* pulls.told(others, 0)
    if (ill.length > 0) yield ill.map((other) => exchange.sendBytes(bytes, other))
    return
  }
  pulls.read(root, 0, 0, bytes)
  if (yield* pulls.tell(0)) return
  const receive = exchange.receiveBytes(bytes, root)
  yield receive
  expectExactly('bcastInto', receive, bytes.length)
}

function* valueDownTree(exchange: Exchange, data: unknown, root: number): Schedule<unknown> {
  const { rank, size } = exchange
  const place = (rank - root + size) % size
  let value = data
  if (place !== 0) {
    const receive = exchange.receiveValue(parentOf(place, root, size))
    yield receive
    value = receive.result()
  }
  const sends: Awaited<void>[] = []
  for (let distance = childDistance(place, size); distance > 0; distance >>>= 1) {
    if (place + distance < size) sends.push(exchange.sendValue(value, (rank + distance) % size))
  }
  if (sends.length > 0) yield sends
  return value
}

function bytesFromRoot(exchange: Exchange, bytes: Uint8Array, root: number): Schedule<void> {
  const { rank, size } = exchange
  // with one receiver both ends copy; several fetch at the same time, and wait for nobody
  const several = size > 2
  const waits: Awaited<unknown>[] = []
  return rank === root
    ? new OneStep(
        () => {
          for (let step = 1; step < size; step++) {
            waits[step - 1] = exchange.sendBytes(bytes, (rank + step) % size, UINT8, several)
          }
          return waits
        },
        () => undefined,
      )
    : new OneStep(
        () => {
          waits[0] = exchange.receiveBytes(bytes, root)
          return waits
        },
        () => expectExactly('bcastInto', waits[0] as Arriving, bytes.length),
      )
}

function* bytesDownTree(exchange: Exchange, bytes: Uint8Array, root: number): Schedule<void> {
  const { rank, size } = exchange
  const place = (rank - root + size) % size
  if (place !== 0) {
    const receive = exchange.receiveBytes(bytes, parentOf(place, root, size))
    yield receive
    expectExactly('bcastInto', receive, bytes.length)
  }
  const sends: Awaited<void>[] = []
  for (let distance = childDistance(place, size); distance > 0; distance >>>= 1) {
    if (place + distance < size) sends.push(exchange.sendBytes(bytes, (rank + distance) % size, UINT8, true))
  }
  if (sends.length > 0) yield sends
}

/** In a binomial tree over places (ranks counted from the root), the parent is the place without its lowest bit. */
function parentOf(place: number, root: number, size: number): number {
  return ((place & (place - 1)) + root) % size
}

/** The farthest child's distance: children lie at the powers of two below the lowest bit, the largest subtree first. */
function childDistance(place: number, size: number): number {
  if (place !== 0) return (place & -place) >>> 1
  return size < 2 ? 0 : 1 << (31 - Math.clz32(size - 1))
}

function* bytesDownChain(exchange: Exchange, bytes: Uint8Array, root: number): Schedule<void> {
  const { rank, size } = exchange
  const left = rank === root ? -1 : (rank - 1 + size) % size
  const right = (rank + 1) % size === root ? -1 : (rank + 1) % size
  // down the tree, where a rank that chose the tree waits for its bytes
  const said = preamble('bcastInto', bytes.length)
  const heard = yield* valueDownTree(exchange, said, root)
  expectPreamble(heard, said, root)

  let arrived: Uint8Array | null = null
  for (let start = 0; start < bytes.length || arrived !== null; start += BCAST_SEGMENT_BYTES) {
    const segment = start < bytes.length ? bytes.subarray(start, start + BCAST_SEGMENT_BYTES) : null
    if (left < 0) {
      if (segment !== null) yield exchange.sendBytes(segment, right)
      continue
    }
    const receive = segment === null ? null : exchange.receiveBytes(segment, left)
    const send = arrived === null || right < 0 ? null : exchange.sendBytes(arrived, right)
    if (receive === null && send === null) break
    yield receive === null ? send! : send === null ? receive : [receive, send]
    if (receive !== null) expectExactly('bcastInto', receive, segment!.length)
    arrived = segment
  }
}
