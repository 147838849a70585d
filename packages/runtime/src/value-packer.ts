import { Buffer } from 'node:buffer'
import { OnecopyError } from '@onecopy/transport'
import { Msgpack } from './msgpack.js'
import { PlainTree } from './plain-tree.js'
import { PlainWriter } from './plain-writer.js'
import { ValueFlattener } from './value-flattener.js'
import { fillContainers, makeEntries } from './value-restorer.js'
import { PART_LENGTH_BYTES, PLAIN_BODY, TABLE_BODY, TABLE_HEADER_BYTES } from './value-table.js'

/** A value ready to travel. */
export interface PackedValue {
  /** Self-describing, owned by the result. */
  readonly body: Uint8Array
  /** Large binaries, to travel beside the body: the value's own memory, which must not change until it has travelled. */
  readonly parts: Uint8Array[]
}

export interface ValuePackerOptions {
  /** Binaries of this many bytes and more inside a value become parts; shorter ones are copied into the body. */
  readonly partBytesMin: number
}

const NO_PARTS: Uint8Array[] = []
/** Bodies up to here are unpacked in place; see {@link ValuePacker.unpackScratch}. */
const SCRATCH_BYTES = 8 * 1024

/**
 * Packs values into bytes and large binary parts, and unpacks them again. Each message stands for itself: nothing is
 * remembered from one to the next, and any instance reads what any other wrote.
 *
 * Kept: undefined, -0, NaN, BigInt of any size, any string, Date, RegExp, Map, Set, Error (name, message, stack, cause, own properties),
 * boxed primitives, every kind of raw memory, sparse arrays, cycles, shared references, overlap of memory. A subclass comes back
 * as the built-in it extends; an instance of any other class as what its `toJSON` gives, or else as a plain object of its
 * own enumerable properties. Not kept: prototypes, accessors, symbol keys, named properties of arrays.
 */
export class ValuePacker {
  /** Where a short body without parts may be laid to be unpacked: fresh views over each body cost as much as unpacking it. */
  readonly scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  readonly #partBytesMin: number
  readonly #plainTree = new PlainTree()
  readonly #plainWriter = new PlainWriter()

  constructor(options: ValuePackerOptions) {
    this.#partBytesMin = options.partBytesMin
  }

  /**
   * Packs `value`. Getters may be read more than once.
   * @throws TypeError naming the path to a function, symbol, promise, weak collection or detached memory. What a getter
   *   or `toJSON` throws comes through as it is.
   */
  pack(value: unknown): PackedValue {
    const short = this.#plainWriter.write(value)
    if (short !== null) return { body: short, parts: NO_PARTS }
    const msgpack = Msgpack.load()
    if (this.#plainTree.holds(value)) {
      const body = msgpack.write(value, 1)
      body[0] = PLAIN_BODY
      return { body, parts: NO_PARTS }
    }
    const { table, content, parts } = new ValueFlattener(value).flatten(this.#partBytesMin)
    const tableBytes = msgpack.write(table, 0)
    const contentBytes = msgpack.write(content, 0)
    const lengthsEnd = TABLE_HEADER_BYTES + parts.length * PART_LENGTH_BYTES
    // May come from Node's pool, which is quick; every byte of it is written below.
    const body = Buffer.allocUnsafe(lengthsEnd + tableBytes.length + contentBytes.length)
    body.writeUInt32LE(TABLE_BODY, 0)
    body.writeUInt32BE(parts.length, 4)
    body.writeUInt32BE(tableBytes.length, 8)
    for (let i = 0; i < parts.length; i++) {
      body.writeDoubleBE((parts[i] as Uint8Array).byteLength, TABLE_HEADER_BYTES + i * PART_LENGTH_BYTES)
    }
    body.set(tableBytes, lengthsEnd)
    body.set(contentBytes, lengthsEnd + tableBytes.length)
    return { body, parts }
  }

  /**
   * Gives the byte lengths of the parts that belong to `body`, without unpacking it. They are what the sender says: check them
   * against what it announced before allocating.
   * @throws OnecopyError ERR_CORRUPT
   */
  partLengths(body: Uint8Array): number[] {
    if (body[0] === PLAIN_BODY) return []
    return readPartLengths(bufferOver(body))
  }

  /**
   * Gives the value. `body` is only lent: nothing of the result aliases it. `parts` become the value's memory, without copying
   * where a part fills its ArrayBuffer.
   * @throws OnecopyError ERR_CORRUPT when no rank can have written this; ERR_UNAVAILABLE when this Node lacks a kind of array.
   */
  unpack(body: Uint8Array, parts: readonly Uint8Array[]): unknown {
    return this.#unpack(bufferOver(body), parts)
  }

  /** The same for the first bytes of {@link scratch}, and no parts. */
  unpackScratch(byteLength: number): unknown {
    const { scratch } = this
    if (scratch[0] === PLAIN_BODY) return Msgpack.load().read(scratch, 1, byteLength, NO_PARTS)
    return this.#unpack(scratch.subarray(0, byteLength), NO_PARTS)
  }

  #unpack(bytes: Buffer, parts: readonly Uint8Array[]): unknown {
    const msgpack = Msgpack.load()
    if (bytes[0] === PLAIN_BODY) {
      if (parts.length !== 0) throw corrupt('parts that it does not name')
      return msgpack.read(bytes, 1, bytes.length, NO_PARTS)
    }
    const lengths = readPartLengths(bytes)
    if (lengths.length !== parts.length || lengths.some((length, i) => parts[i]?.byteLength !== length)) {
      throw corrupt(`other parts than the ${parts.length} that came with it`)
    }
    const tableStart = TABLE_HEADER_BYTES + lengths.length * PART_LENGTH_BYTES
    const tableEnd = tableStart + bytes.readUInt32BE(8)
    if (tableEnd > bytes.length) throw corrupt('a table beyond its end')
    try {
      const table = msgpack.read(bytes, tableStart, tableEnd, NO_PARTS)
      const entries = makeEntries(table, parts)
      return fillContainers(table, entries, msgpack.read(bytes, tableEnd, bytes.length, entries))
    } catch (error) {
      if (error instanceof OnecopyError) throw error
      // The engine's own limits: a Map of more than 2^24 entries, for one.
      throw new OnecopyError('ERR_CORRUPT', 'a packed value cannot be restored', { cause: error })
    }
  }
}

/** A view of our own: msgpackr hangs a DataView on whatever it reads. */
function bufferOver(body: Uint8Array): Buffer {
  return Buffer.from(body.buffer as ArrayBuffer, body.byteOffset, body.byteLength)
}

function readPartLengths(bytes: Buffer): number[] {
  if (bytes.length < TABLE_HEADER_BYTES || bytes.readUInt32LE(0) !== TABLE_BODY) throw corrupt('an unknown header')
  const count = bytes.readUInt32BE(4)
  if (count * PART_LENGTH_BYTES > bytes.length - TABLE_HEADER_BYTES) throw corrupt('more part lengths than bytes')
  const lengths: number[] = []
  for (let i = 0; i < count; i++) {
    const length = bytes.readDoubleBE(TABLE_HEADER_BYTES + i * PART_LENGTH_BYTES)
    if (!Number.isSafeInteger(length) || length < 0) throw corrupt('a part of impossible length')
    lengths.push(length)
  }
  return lengths
}

function corrupt(what: string): OnecopyError {
  return new OnecopyError('ERR_CORRUPT', `a packed value has ${what}`)
}
