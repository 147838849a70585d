import { announcesExchange } from './collectives/choose.js'
import { UINT8 } from './element-type.js'
import { STANDARD } from './messenger.js'
import type { PointToPoint } from './point-to-point.js'
import { INTO, RequestRecord, VALUE_OF } from './request.js'
import type { Awaited, Exchange } from './schedule.js'
import type { Status } from './status.js'

const SENT: Awaited<void> = { done: true, result: () => undefined }

/** One collective call's own messages: the communicator's collective context, under a tag that only this call uses. */
export class CollectiveExchange implements Exchange {
  readonly rank: number
  readonly size: number
  readonly #base: PointToPoint
  /** @internal What keeps this call's messages apart. */
  readonly tag: number
  readonly #context: number

  constructor(base: PointToPoint, context: number, tag: number) {
    this.rank = base.rank
    this.size = base.size
    this.#base = base
    this.#context = context
    this.tag = tag
  }

  sendBytes(bytes: Uint8Array, dest: number, elementType = UINT8, receiving = false): Awaited<void> {
    return this.#send(elementType, bytes, NO_PARTS, dest, receiving)
  }

  receiveBytes(into: Uint8Array, source: number, elementType = UINT8): Awaited<Status> {
    const record = this.#receive(source, INTO)
    record.elementType = elementType
    record.bytes = into
    record.capacity = into.byteLength
    this.#base.engine.receive(record)
    return record as Awaited<Status>
  }

  sendValue(value: unknown, dest: number): Awaited<void> {
    const { type, bytes, parts } = this.#base.encode(value)
    return this.#send(type, bytes, parts, dest, false)
  }

  receiveValue(source: number): Awaited<unknown> {
    const record = this.#receive(source, VALUE_OF)
    this.#base.engine.receive(record)
    return record
  }

  #send(type: number, bytes: Uint8Array, parts: Uint8Array[], dest: number, receiving: boolean): Awaited<void> {
    const { engine } = this.#base
    const { messenger } = engine
    const world = this.#base.world(dest)
    if (parts.length === 0 && messenger.trySend(this.#context, world, this.tag, type, bytes)) return SENT
    const record = new RequestRecord(engine)
    const link = receiving && announcesExchange(bytes.length) && dest !== this.rank ? messenger.link(world) : null
    if (engine.failure !== null) record.fail(engine.failure)
    else if (link !== null && link.remote !== null && link.ended === null)
      messenger.rendezvous.announce(link, this.#context, this.tag, type, bytes, parts, record, false)
    // a rank inside a collective has nothing better to do than to copy its half, unless it receives
    else messenger.send(this.#context, world, this.tag, type, bytes, parts, STANDARD, record, !receiving)
    return record as Awaited<void>
  }

  #receive(source: number, mode: number): RequestRecord {
    const record = new RequestRecord(this.#base.engine)
    record.mode = mode
    record.context = this.#context
    record.source = this.#base.world(source)
    record.tag = this.tag
    record.ranks = this.#base.ranks
    return record
  }
}

const NO_PARTS: Uint8Array[] = []
