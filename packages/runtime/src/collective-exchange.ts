import type { OnecopyError } from '@onecopy/transport'
import { Asides } from './asides.js'
import { newLike, type TypedArray } from './collectives/arrays.js'
import { announcesExchange } from './collectives/choose.js'
import { bytesOf, UINT8 } from './element-type.js'
import { KnownArrays } from './known-arrays.js'
import { STANDARD } from './messenger.js'
import type { PointToPoint } from './point-to-point.js'
import type { Postings } from './postings.js'
import { INTO, RequestRecord, VALUE_OF } from './request.js'
import type { Arriving, Awaited, Exchange, Watched } from './schedule.js'

/** What a send that is out already gives; `error` as a RequestRecord has it. */
const SENT: Awaited<void> & { readonly error: undefined } = { done: true, error: undefined, result: () => undefined }

/** One collective call's own messages: the communicator's collective context, under a tag that only this call uses. */
export class CollectiveExchange implements Exchange {
  readonly rank: number
  readonly size: number
  readonly postings: Postings | null
  private readonly base: PointToPoint
  private readonly context: number
  /** @internal What keeps this call's messages apart. */
  tag: number
  private readonly arrays: KnownArrays | null
  /** Records for reuse, those of the current call first; null when this exchange serves for one call. */
  private readonly records: (RequestRecord | null)[] | null
  private taken = 0
  private readonly asides: Asides | null

  /** With `reusable`, records are kept from one call to the next: see {@link recycle}. */
  constructor(base: PointToPoint, context: number, tag: number, postings: Postings | null, reusable = false) {
    this.postings = postings
    this.rank = base.rank
    this.size = base.size
    this.base = base
    this.context = context
    this.tag = tag
    this.records = reusable ? [] : null
    this.asides = reusable ? new Asides() : null
    this.arrays = reusable ? new KnownArrays() : null
  }

  bytesOf(view: ArrayBufferView): Uint8Array {
    return this.arrays === null ? bytesOf(view) : this.arrays.of(view).bytes
  }

  aside<T extends TypedArray>(like: T, length: number): T {
    return this.asides === null ? newLike(like, length) : this.asides.take(like, length)
  }

  /** The call is over and nobody has any of its records: they serve again. */
  recycle(): void {
    const records = this.records!
    for (let i = 0; i < this.taken; i++) {
      const record = records[i]!
      if (record.done) {
        record.renew()
        record.bytes = null
        record.context = -1
        record.elementType = 0
      } else {
        // sent and not waited for: it is not ours yet
        records[i] = null
      }
    }
    this.taken = 0
    this.asides!.giveBack()
    if (records.length > KEPT_RECORDS_MAX) records.length = KEPT_RECORDS_MAX
  }

  /** Memory aside that was needed so far is not kept for the next call. */
  dropAsides(): void {
    this.asides?.drop()
  }

  sendBytes(bytes: Uint8Array, dest: number, elementType = UINT8, receiving = false): Awaited<void> {
    return this.send(elementType, bytes, NO_PARTS, dest, receiving)
  }

  receiveBytes(into: Uint8Array, source: number, elementType = UINT8): Arriving {
    const record = this.receive(source, INTO)
    record.elementType = elementType
    record.bytes = into
    record.capacity = into.byteLength
    this.base.engine.receive(record)
    return record as Arriving
  }

  sendValue(value: unknown, dest: number): Awaited<void> {
    const { type, bytes, parts } = this.base.encode(value)
    return this.send(type, bytes, parts, dest, false)
  }

  receiveValue(source: number): Awaited<unknown> {
    const record = this.receive(source, VALUE_OF)
    this.base.engine.receive(record)
    return record
  }

  whyHopeless(source: number): OnecopyError | null {
    const { engine, freed } = this.base
    if (freed !== null) return freed
    return engine.isTroubled ? engine.hopeless(this.context, this.base.world(source), this.tag) : null
  }

  watch(watcher: Watched): Awaited<void> {
    // a blocked thread asks nothing but `done` and `error`, and looks itself
    return (this.records === null ? this.base.engine.completedBy(watcher) : watcher) as unknown as Awaited<void>
  }

  private send(type: number, bytes: Uint8Array, parts: Uint8Array[], dest: number, receiving: boolean): Awaited<void> {
    const { engine } = this.base
    const { messenger } = engine
    const world = this.base.world(dest)
    if (parts.length === 0 && messenger.trySend(this.context, world, this.tag, type, bytes)) return SENT
    const record = this.record()
    const link = receiving && announcesExchange(bytes.length) && dest !== this.rank ? messenger.link(world) : null
    if (engine.failure !== null) record.fail(engine.failure)
    else if (link !== null && link.remote !== null && link.ended === null)
      messenger.rendezvous.announce(link, this.context, this.tag, type, bytes, parts, record, false)
    // a rank inside a collective has nothing better to do than to copy its half, unless it receives
    else messenger.send(this.context, world, this.tag, type, bytes, parts, STANDARD, record, !receiving)
    return record as Awaited<void>
  }

  private receive(source: number, mode: number): RequestRecord {
    const record = this.record()
    record.mode = mode
    record.context = this.context
    record.source = this.base.world(source)
    record.tag = this.tag
    record.ranks = this.base.ranks
    return record
  }

  private record(): RequestRecord {
    const records = this.records
    if (records === null) return new RequestRecord(this.base.engine)
    const record = records[this.taken] ?? new RequestRecord(this.base.engine)
    records[this.taken] = record
    this.taken++
    return record
  }
}

const NO_PARTS: Uint8Array[] = []
/** Enough for a step of every algorithm on a few ranks; what is more is made anew. */
const KEPT_RECORDS_MAX = 16
