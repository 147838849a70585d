import { OnecopyError } from '@onecopy/transport'
import type { IN_PLACE } from '../constants.js'
import { bytesOf, VALUE } from '../element-type.js'
import { OneStep } from '../one-step.js'
import type { Operation } from '../operation.js'
import { BY_MESSAGES, PostedStep } from '../posted-step.js'
import type { Arriving, Awaited, Exchange, Schedule } from '../schedule.js'
import { checkArray, checkContribution, checkOperation, checkRoot, contributionOf } from './arguments.js'
import { copyInto, itemTypeOf, newLike, type TypedArray } from './arrays.js'
import {
  combinesAtRoot,
  postsToRoot,
  postsToRootInPieces,
  pullsReduction,
  readsAtRootOfTwo,
  reducesToRootInPieces,
} from './choose.js'
import { combined, giving, isArrayFor } from './combining.js'
import { expectExactly, othersThan } from './messages.js'
import { Pieces, reducePieces } from './pieces.js'
import { postedReduction } from './posted-reduction.js'
import { pulledReduction } from './pulled-reduction.js'
import type { Reduction } from './reduction.js'
import { reductionAtRoot } from './root-reduction.js'
import { twoRankReduction } from './two-rank-reduction.js'
import { areVectors, isVectorised } from './vector-kernels.js'
import type { Workspace } from './workspace.js'

type RootedReduction = Reduction & { readonly root: number }

/**
 * Combines one value of every rank, in rank order, and gives the root the result; undefined elsewhere. Typed arrays are
 * combined element by element and give a new one; they must be of one kind and length.
 * @throws TypeError or RangeError when `root` is no rank, `op` is no Operation or does not work on `data`.
 * @throws OnecopyError ERR_TYPE or ERR_TRUNCATE when the ranks' values do not go together.
 * @see MPI 4.1, 6.9.1
 */
export function reduce<T>(exchange: Exchange, data: T, op: Operation, root: number): Schedule<T | undefined> {
  checkRoot('reduce', root, exchange.size)
  checkContribution('reduce', data, op)
  if (!isArrayFor(op, data)) {
    // as memory goes, so that a rank with a value where the others have arrays finds out
    const values = combinesAtRoot(exchange.size) ? valuesAtRoot : valuesUpTree
    const byMessages = () => values(exchange, op, data, root)
    const { postings, rank, size } = exchange
    if (postings === null) return byMessages() as Schedule<T | undefined>
    return new PostedStep(exchange, postings, {
      collective: 'reduce',
      own: rank === root ? null : BY_MESSAGES,
      type: VALUE,
      sources: rank === root ? othersThan(root, size) : [],
      byteLengths: new Array(size - 1).fill(0),
      take: () => undefined,
      byMessages,
    }) as Schedule<T | undefined>
  }
  const result = exchange.rank === root ? newLike(data) : null
  return giving(
    result ?? undefined,
    reduced(exchange, { collective: 'reduce', op, own: data, recv: result, root }),
  ) as Schedule<T | undefined>
}

/**
 * Combines the ranks' `send` element by element, in rank order, into the root's `recv`. `recv` is ignored elsewhere (null
 * is fine); `send` may be IN_PLACE at the root: its contribution lies in `recv`.
 * Ownership: the memory is the collective's until it has completed.
 * @throws TypeError or RangeError when `root` is no rank, the arrays are not of one kind and length, overlap, or `op` does
 *   not work on them.
 * @throws OnecopyError ERR_TRUNCATE or ERR_TYPE when the ranks' lengths or kinds differ.
 * @see MPI 4.1, 6.9.1
 */
export function reduceInto(
  exchange: Exchange,
  send: ArrayBufferView | typeof IN_PLACE,
  recv: ArrayBufferView | null | undefined,
  op: Operation,
  root: number,
): Schedule<void> {
  checkRoot('reduceInto', root, exchange.size)
  if (exchange.rank === root) {
    const own = contributionOf('reduceInto', send, recv, op)
    return reduced(exchange, { collective: 'reduceInto', op, own, recv: recv as TypedArray, root })
  }
  checkOperation('reduceInto', op)
  checkArray('reduceInto', 'send', send)
  op.checkArray(send)
  return reduced(exchange, { collective: 'reduceInto', op, own: send, recv: null, root })
}

function reduced(exchange: Exchange, reduction: RootedReduction): Schedule<void> {
  const { collective, op, own, recv, root } = reduction
  const { postings, size } = exchange
  const byMessages = () => reducedByMessages(exchange, reduction)
  if (postings === null) return byMessages()
  const type = itemTypeOf(own)
  const { byteLength } = own
  // a user's operation may throw, change what it is given, or call a collective: nobody must wait for its postings meanwhile
  const inVectors = op.isBuiltIn && isVectorised(op.name, type)
  if (inVectors && size === 2 && readsAtRootOfTwo(byteLength)) {
    return twoRankReduction(exchange, postings, reduction, byMessages)
  }
  const isPosted = op.isBuiltIn && postings.fits(byteLength) && postsToRoot(byteLength, size)
  if (op.isBuiltIn && !isPosted && pullsReduction(byteLength, size, true, inVectors)) {
    return pulledReduction(exchange, postings, reduction, byMessages)
  }
  if (isPosted && postsToRootInPieces(byteLength, areVectors(type))) {
    return postedReduction(exchange, postings, reduction, byMessages)
  }
  if (recv === null) {
    return new PostedStep(exchange, postings, {
      collective,
      own: isPosted ? bytesOf(own) : BY_MESSAGES,
      type,
      sources: [],
      byteLengths: [],
      take: () => undefined,
      byMessages,
    })
  }
  if (isPosted) return reductionAtRoot(exchange, postings, { ...reduction, recv }, byMessages)
  return new PostedStep(exchange, postings, {
    collective,
    own: null,
    type,
    sources: othersThan(root, size),
    byteLengths: new Array(size - 1).fill(byteLength),
    beginsByMessages: true,
    take: () => {
      throw new OnecopyError('ERR_TYPE', `${collective}: the other ranks reduce with another operation`)
    },
    byMessages,
  })
}

function reducedByMessages(exchange: Exchange, reduction: RootedReduction): Schedule<void> {
  const { op, own } = reduction
  if (reducesToRootInPieces(own.byteLength, exchange.size, op.commutative && op.elementwise)) {
    return bytesInPieces(exchange, reduction)
  }
  return combinesAtRoot(exchange.size) ? bytesAtRoot(exchange, reduction) : bytesUpTree(exchange, reduction)
}

function* bytesInPieces(exchange: Exchange, reduction: RootedReduction): Schedule<void> {
  const { collective, op, own, recv, root } = reduction
  const { rank, size } = exchange
  const type = itemTypeOf(own)
  const pieces = new Pieces(own.length, op.itemLength, size)
  const piece = yield* reducePieces(exchange, reduction, pieces)
  if (recv === null) {
    yield exchange.sendBytes(bytesOf(piece), root, type, size > 2)
    return
  }
  const blocks = pieces.blocksOf(recv)
  const receives: Arriving[] = []
  for (let source = 0; source < size; source++) {
    if (source !== rank) receives.push(exchange.receiveBytes(blocks.of(source), source, type))
  }
  yield receives
  for (let i = 0; i < receives.length; i++) {
    expectExactly(collective, receives[i]!, blocks.byteLength(i < rank ? i : i + 1))
  }
}

/**
 * Where a binomial tree of combinations ends: at the root, unless the order matters. Counted from rank 0 every subtree is
 * a stretch of neighbouring ranks, so rank 0 gets the result in rank order and hands it to the root.
 */
function topOf(op: Operation, root: number): number {
  return op.commutative ? root : 0
}

function* valuesAtRoot(exchange: Exchange, op: Operation, data: unknown, root: number): Schedule<unknown> {
  const { rank, size } = exchange
  if (rank !== root) {
    yield exchange.sendValue(data, root)
    return undefined
  }
  const waits = Array.from({ length: size }, (_, source) => (source === rank ? null : exchange.receiveValue(source)))
  yield waits.filter((receive) => receive !== null)
  let part = waits[0] == null ? data : waits[0].result()
  for (let source = 1; source < size; source++) {
    const receive = waits[source]
    part = combined('reduce', op, part, receive == null ? data : receive.result(), true, source)
  }
  return part
}

function* valuesUpTree(exchange: Exchange, op: Operation, data: unknown, root: number): Schedule<unknown> {
  const { rank, size } = exchange
  const top = topOf(op, root)
  const place = (rank - top + size) % size
  let part = data
  for (let distance = 1; distance < size; distance *= 2) {
    if ((place & distance) !== 0) {
      yield exchange.sendValue(part, (rank - distance + size) % size)
      break
    }
    if (place + distance >= size) continue
    const child = (rank + distance) % size
    const receive = exchange.receiveValue(child)
    yield receive
    part = combined('reduce', op, part, receive.result(), true, child)
  }
  if (top !== root && rank === top) yield exchange.sendValue(part, root)
  if (rank !== root) return undefined
  if (top === root) return part
  const receive = exchange.receiveValue(top)
  yield receive
  return receive.result()
}

/** The root gets every array, and combines them in rank order. */
function bytesAtRoot(exchange: Exchange, reduction: RootedReduction): Schedule<void> {
  const { op, own, recv, root } = reduction
  if (recv !== null) {
    const received = { ...reduction, recv }
    const workspace = op.workspaceFor(own, exchange.size)
    const elsewhere = () => bytesIntoMemory(exchange, received)
    return workspace === null ? elsewhere() : bytesIntoWorkspace(exchange, received, workspace, elsewhere)
  }
  const bytes = bytesOf(own)
  const waits: Awaited<unknown>[] = []
  return new OneStep(
    () => {
      waits[0] = exchange.sendBytes(bytes, root, itemTypeOf(own), exchange.size > 2)
      return waits
    },
    () => undefined,
  )
}

type ReductionAtRoot = Reduction<TypedArray>

/** They land where they are combined, and the root's own goes there while it waits; if another reduction has that, `elsewhere`. */
function bytesIntoWorkspace(
  exchange: Exchange,
  { collective, own, recv }: ReductionAtRoot,
  workspace: Workspace,
  elsewhere: () => OneStep<void>,
): OneStep<void> {
  const { rank, size } = exchange
  const { accumulator } = workspace
  const type = itemTypeOf(own)
  const ownBytes = bytesOf(own)
  const result = bytesOf(recv)
  const sources = othersThan(rank, size)
  const places = Array.from({ length: size }, (_, source) => accumulator.landing(source, ownBytes.length))
  const waits: Awaited<unknown>[] = []
  let other: OneStep<void> | null = null
  let isElsewhere = false
  return new OneStep(
    () => {
      waits.length = 0
      isElsewhere = !workspace.take(waits)
      if (isElsewhere) {
        other ??= elsewhere()
        return other.start()
      }
      for (const source of sources) waits.push(exchange.receiveBytes(places[source]!, source, type))
      places[rank]!.set(ownBytes)
      return waits
    },
    () => {
      if (isElsewhere) {
        other!.finish()
        return
      }
      try {
        expectAll(collective, waits, ownBytes.length)
        accumulator.combineInto(result, size)
      } finally {
        workspace.giveBack()
      }
    },
  )
}

function bytesIntoMemory(exchange: Exchange, { collective, op, own, recv }: ReductionAtRoot): OneStep<void> {
  const { rank, size } = exchange
  const type = itemTypeOf(own)
  const sources = othersThan(rank, size)
  const arrays: TypedArray[] = new Array(size)
  arrays[rank] = own
  // the first to be read may lie where the result goes
  const [first, ...others] = sources
  const isFree = recv !== own
  const asides = size - (isFree ? 2 : 1)
  const aside = asides > 0 ? exchange.aside(own, asides * own.length) : own
  if (first !== undefined) arrays[first] = isFree ? recv : aside.subarray(0, own.length)
  others.forEach((source, index) => {
    const at = (index + (isFree ? 0 : 1)) * own.length
    arrays[source] = aside.subarray(at, at + own.length)
  })
  const places = arrays.map(bytesOf)
  // recv may be own: then it is read in its turn only if nothing has been written to it before
  const out = !isFree && rank > 1 ? arrays[0]! : recv
  const waits: Awaited<unknown>[] = []
  return new OneStep(
    () => {
      for (let i = 0; i < sources.length; i++) waits[i] = exchange.receiveBytes(places[sources[i]!]!, sources[i]!, type)
      return waits
    },
    () => {
      expectAll(collective, waits, own.byteLength)
      if (size === 1) {
        copyInto(recv, own)
        return
      }
      op.combineAllInto(out, arrays)
      copyInto(recv, out)
    },
  )
}

function expectAll(collective: string, receives: readonly Awaited<unknown>[], byteLength: number): void {
  for (let i = 0; i < receives.length; i++) expectExactly(collective, receives[i] as Arriving, byteLength)
}

/** A leaf sends from the caller's memory; the first part that comes lands where the combination will lie, if that is free. */
function* bytesUpTree(exchange: Exchange, reduction: RootedReduction): Schedule<void> {
  const { collective, op, own, recv, root } = reduction
  const { rank, size } = exchange
  const type = itemTypeOf(own)
  const top = topOf(op, root)
  const place = (rank - top + size) % size
  let part = own
  let out = recv
  let incoming = recv
  for (let distance = 1; distance < size; distance *= 2) {
    if ((place & distance) !== 0) {
      yield exchange.sendBytes(exchange.bytesOf(part), (rank - distance + size) % size, type)
      break
    }
    if (place + distance >= size) continue
    out ??= exchange.aside(own, own.length)
    if (incoming === null) incoming = out
    if (part === incoming) incoming = exchange.aside(own, own.length)
    const child = (rank + distance) % size
    const receive = exchange.receiveBytes(exchange.bytesOf(incoming), child, type)
    yield receive
    expectExactly(collective, receive, own.byteLength)
    op.combineInto(out, part, incoming)
    part = out
  }
  if (top === root) {
    if (recv !== null) copyInto(recv, part)
  } else if (rank === top) {
    yield exchange.sendBytes(exchange.bytesOf(part), root, type)
  } else if (recv !== null) {
    const receive = exchange.receiveBytes(exchange.bytesOf(recv), top, type)
    yield receive
    expectExactly(collective, receive, recv.byteLength)
  }
}
