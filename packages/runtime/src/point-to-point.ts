import type { OnecopyError } from '@onecopy/transport'
import { checkDest, checkReceiveTag, checkRoot, checkSendTag, checkSource, checkView } from './arguments.js'
import type { Arrival } from './arrival.js'
import { overlaps } from './collectives/arrays.js'
import { ANY_TAG, PROC_NULL } from './constants.js'
import { arrayOver, VALUE } from './element-type.js'
import { KnownArrays } from './known-arrays.js'
import { copyOf } from './memory.js'
import { STANDARD, SYNCHRONOUS } from './messenger.js'
import type { ProgressEngine } from './progress.js'
import { INTO, MESSAGE_OF, PENDING, type RankMap, RequestRecord, VALUE_OF } from './request.js'
import type { Schedule } from './schedule.js'
import { Status } from './status.js'

/** Options of verbs that wait. */
export interface WaitOptions {
  /** Gives the call up with the signal's reason, as long as no message has matched. */
  readonly signal?: AbortSignal | undefined
}

export interface SendrecvOptions extends WaitOptions {
  /** Default 0. */
  readonly sendTag?: number | undefined
  /** Default ANY_TAG. */
  readonly recvTag?: number | undefined
}

export const BUFFERED = 2

/** A message before it is sent: element type code, its bytes (or packed body), and parts out of band. */
export interface Encoded {
  readonly type: number
  readonly bytes: Uint8Array
  readonly parts: Uint8Array[]
}

const NO_PARTS: Uint8Array[] = []
const NO_OPTIONS: WaitOptions = {}

/** Point-to-point of one communicator: checks arguments, translates ranks, starts requests. Both faces sit on it. */
export class PointToPoint {
  readonly engine: ProgressEngine
  readonly rank: number
  readonly size: number
  readonly context: number
  /** World ranks by local rank; null where they are the same. */
  readonly members: readonly number[] | null
  readonly ranks: RankMap | null
  private readonly arrays = new KnownArrays()
  /** A record for blocking receives, used again and again: nobody outside ever sees it. Null while a receive has it. */
  private spare: RequestRecord | null = null
  /** Set by free() and finalize(): what every further call throws. */
  closed: Error | null = null
  /** Set by free(): what waits at that moment fails with it. */
  freed: OnecopyError | null = null
  /** Set when the communicator is revoked; `closed` is the same then. */
  revoked: OnecopyError | null = null
  /** Called when it has been revoked: others may have to go with it. */
  onRevoked: () => void = () => undefined
  /** With ERRORS_ARE_FATAL: what a failed request is told to. */
  fatal: ((error: unknown) => void) | null = null

  constructor(engine: ProgressEngine, rank: number, context: number, members: readonly number[] | null, size: number) {
    this.engine = engine
    this.rank = rank
    this.size = size
    this.context = context
    this.members = members
    this.ranks = members === null ? null : rankMapOf(members)
    engine.addContext(context, members ?? Array.from({ length: size }, (_, world) => world), (error) => {
      this.revoked = error
      this.closed ??= error
      this.onRevoked()
    })
  }

  world(rank: number): number {
    return this.members === null || rank < 0 ? rank : this.members[rank]!
  }

  // --- send

  /** The blocking face's send: no request where the message can leave at once. */
  sendSync(data: unknown, dest: number, tag: number, sendMode: number): void {
    this.checkSend(dest, tag)
    const { type, bytes } = this.arrays.of(data)
    if (type !== VALUE && sendMode === STANDARD) {
      if (this.engine.messenger.trySend(this.context, this.world(dest), tag, type, bytes)) return
    }
    const record = this.start(data, dest, tag, sendMode, true)
    record.waitSync()
  }

  send(data: unknown, dest: number, tag: number, sendMode: number, options: WaitOptions = NO_OPTIONS): RequestRecord {
    this.checkSend(dest, tag)
    options.signal?.throwIfAborted()
    const record = this.start(data, dest, tag, sendMode, false)
    if (record.done && record.error === undefined) return record
    this.engine.began(record)
    if (sendMode === BUFFERED && !record.done) {
      // the copy is ours and on its way: the caller is done
      record.observed = true
      return this.completed(undefined)
    }
    return options.signal === undefined ? record : record.listenTo(options.signal)
  }

  private start(data: unknown, dest: number, tag: number, mode: number, waiting: boolean): RequestRecord {
    const { engine } = this
    const record = this.record()
    if (engine.failure !== null) {
      record.fail(engine.failure)
      return record
    }
    let { type, bytes, parts } = this.encode(data)
    if (mode === BUFFERED) {
      bytes = copyOf(bytes)
      parts = parts.map(copyOf)
    }
    const sendMode = mode === SYNCHRONOUS ? SYNCHRONOUS : STANDARD
    engine.messenger.send(this.context, this.world(dest), tag, type, bytes, parts, sendMode, record, waiting)
    return record
  }

  /** What travels for `data`: its own memory, or a packed value. */
  encode(data: unknown): Encoded {
    const { type, bytes } = this.arrays.of(data)
    if (type !== VALUE) return { type, bytes, parts: NO_PARTS }
    const { body, parts } = this.engine.messenger.packer.pack(data)
    return { type, bytes: body, parts }
  }

  // --- receive

  recvSync(mode: number, source: number, tag: number): unknown {
    this.checkReceive(source, tag)
    const record = this.takeRecord()
    this.receiveSync(record, mode, source, tag)
    return this.resultOf(record)
  }

  recvIntoSync(view: ArrayBufferView, source: number, tag: number): Status {
    checkView('view', view)
    this.checkReceive(source, tag)
    const { bytes } = this.arrays.of(view)
    const record = this.takeRecord()
    record.bytes = bytes
    record.capacity = bytes.length
    this.receiveSync(record, INTO, source, tag)
    return this.resultOf(record) as Status
  }

  /** While one receive blocks, code that runs meanwhile (an operation of the user's) may start another. */
  private takeRecord(): RequestRecord {
    const record = this.spare ?? new RequestRecord(this.engine)
    this.spare = null
    record.renew()
    record.fatal = this.fatal
    return record
  }

  /** A record that throws its error instead is not used again. */
  private resultOf(record: RequestRecord): unknown {
    const result = record.result()
    record.bytes = null
    record.value = undefined
    this.spare = record
    return result
  }

  private receiveSync(record: RequestRecord, mode: number, source: number, tag: number): void {
    record.mode = mode
    record.context = this.context
    record.source = this.world(source)
    record.tag = tag
    record.ranks = this.ranks
    record.observed = true
    this.engine.receive(record)
    try {
      if (record.state === PENDING) this.engine.blockUntilDone(record)
    } catch (error) {
      // the engine itself failed under us: the record must not take a later call's message
      record.cancel()
      throw error
    }
  }

  recv(mode: number, source: number, tag: number, options: WaitOptions = NO_OPTIONS): RequestRecord {
    this.checkReceive(source, tag)
    return this.post(mode, null, source, tag, options)
  }

  recvInto(view: ArrayBufferView, source: number, tag: number, options: WaitOptions = NO_OPTIONS): RequestRecord {
    checkView('view', view)
    this.checkReceive(source, tag)
    return this.post(INTO, this.arrays.of(view).bytes, source, tag, options)
  }

  private post(
    mode: number,
    bytes: Uint8Array | null,
    source: number,
    tag: number,
    options: WaitOptions,
  ): RequestRecord {
    options.signal?.throwIfAborted()
    const record = this.record()
    record.mode = mode
    record.bytes = bytes
    record.capacity = bytes === null ? 0 : bytes.byteLength
    record.context = this.context
    record.source = this.world(source)
    record.tag = tag
    record.ranks = this.ranks
    this.engine.receive(record)
    this.engine.began(record)
    return options.signal === undefined ? record : record.listenTo(options.signal)
  }

  // --- send and receive at once

  sendrecv(data: unknown, dest: number, source: number, options: SendrecvOptions): RequestRecord {
    const { sendTag = 0, recvTag = ANY_TAG } = options
    this.checkReceive(source, recvTag)
    // the send first: it may throw over its data, and must not leave a receive behind
    options.signal?.throwIfAborted()
    const send = this.send(data, dest, sendTag, STANDARD)
    return this.both(send, this.recv(VALUE_OF, source, recvTag), options)
  }

  sendrecvInto(
    data: unknown,
    dest: number,
    view: ArrayBufferView,
    source: number,
    options: SendrecvOptions,
  ): RequestRecord {
    const { sendTag = 0, recvTag = ANY_TAG } = options
    checkView('view', view)
    const isBoth = dest !== PROC_NULL && source !== PROC_NULL
    if (isBoth && ArrayBuffer.isView(data) && overlaps(data, view)) {
      throw new RangeError(
        'sendrecvInto: data and view overlap: sendrecvReplace() sends and receives in the same memory',
      )
    }
    this.checkReceive(source, recvTag)
    const into = this.arrays.of(view).bytes
    options.signal?.throwIfAborted()
    const send = this.send(data, dest, sendTag, STANDARD)
    return this.both(send, this.post(INTO, into, source, recvTag, NO_OPTIONS), options)
  }

  sendrecvReplace(view: ArrayBufferView, dest: number, source: number, options: SendrecvOptions): RequestRecord {
    checkView('view', view)
    const { type, bytes } = this.arrays.of(view)
    const copy = arrayOver(type, copyOf(bytes).buffer as ArrayBuffer, bytes.length)
    return this.sendrecvInto(copy, dest, view, source, options)
  }

  private both(send: RequestRecord, receive: RequestRecord, { signal }: WaitOptions): RequestRecord {
    send.observed = true
    receive.observed = true
    // as long as the receive can be taken back, so can both
    const both = this.engine.run(
      bothDone(send, receive),
      (reason) => !receive.done && this.engine.messenger.giveUp(receive, reason),
    )
    both.adoptMessageOf(receive)
    this.engine.began(both)
    return signal === undefined ? both : both.listenTo(signal)
  }

  // --- probe

  /** The earliest message that matches, or null; makes progress once. With `take`, it leaves the queue. */
  lookFor(source: number, tag: number, take: boolean): Arrival | null {
    this.checkReceive(source, tag)
    this.engine.turn()
    return this.find(this.world(source), tag, take)
  }

  find(worldSource: number, tag: number, take: boolean): Arrival | null {
    const queues = this.engine.messenger.queues(this.context)
    const arrival = queues.find(worldSource, tag)
    if (arrival !== null && take) queues.remove(arrival)
    return arrival
  }

  /** Waits for a message that matches; `made` turns it into the result. */
  probe(source: number, tag: number, take: boolean, made: (found: Arrival | null) => unknown, options: WaitOptions) {
    this.checkReceive(source, tag)
    options.signal?.throwIfAborted()
    const { engine } = this
    const record = this.record()
    record.mode = VALUE_OF
    if (source === PROC_NULL) {
      record.complete(made(null))
      return record
    }
    const worldSource = this.world(source)
    const watcher = {
      look: () => {
        if (record.done) return true
        const found = this.find(worldSource, tag, take)
        const hopeless = found === null ? (this.freed ?? engine.hopeless(this.context, worldSource, tag)) : null
        if (found !== null) record.complete(made(found))
        else if (hopeless !== null) record.fail(hopeless)
        return record.done
      },
    }
    engine.progress()
    if (watcher.look()) return record
    record.detail = watcher
    engine.watch(watcher)
    engine.began(record)
    return options.signal === undefined ? record : record.listenTo(options.signal)
  }

  statusOf(arrival: Arrival | null): Status {
    if (arrival === null) return new Status(PROC_NULL, ANY_TAG, 0)
    const source = this.ranks === null ? arrival.peer : this.ranks.localOf(arrival.peer)
    return new Status(source, arrival.tag, arrival.byteLength)
  }

  /** Receives a message that a matched probe took. */
  receiveArrival(arrival: Arrival, mode: number, view: ArrayBufferView | null): RequestRecord {
    const record = this.record()
    const bytes = view === null ? null : this.arrays.of(view).bytes
    record.mode = mode
    record.bytes = bytes
    record.capacity = bytes === null ? 0 : bytes.byteLength
    record.ranks = this.ranks
    this.engine.messenger.claim(arrival, record)
    this.engine.began(record)
    return record
  }

  private record(): RequestRecord {
    const record = new RequestRecord(this.engine)
    record.fatal = this.fatal
    return record
  }

  completed(value: unknown): RequestRecord {
    const record = this.record()
    record.mode = MESSAGE_OF
    record.complete(value)
    return record
  }

  // --- checks

  checkRank(rank: number): void {
    if (this.closed !== null) throw this.closed
    checkRoot(rank, this.size)
  }

  open(): void {
    if (this.closed !== null) throw this.closed
  }

  /** The same for what works on a revoked communicator too. */
  usable(): void {
    if (this.closed !== null && this.closed !== this.revoked) throw this.closed
  }

  checkTag(tag: number): void {
    checkSendTag(tag)
  }

  checkSend(dest: number, tag: number): void {
    if (this.closed !== null) throw this.closed
    checkDest(dest, this.size)
    checkSendTag(tag)
  }

  checkReceive(source: number, tag: number): void {
    if (this.closed !== null) throw this.closed
    checkSource(source, this.size)
    checkReceiveTag(tag)
  }
}

function* bothDone(send: RequestRecord, receive: RequestRecord): Schedule<unknown> {
  yield [send, receive]
  return receive.result()
}

/** World ranks to local ones by table: it is asked per message. Negative numbers stand for themselves. */
function rankMapOf(members: readonly number[]): RankMap {
  const locals = new Int32Array(Math.max(...members, -1) + 1).fill(-1)
  for (const [local, world] of members.entries()) locals[world] = local
  return { localOf: (world) => (world < 0 ? world : locals[world]!) }
}
