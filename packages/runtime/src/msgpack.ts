import { createRequire } from 'node:module'
import { OnecopyError } from '@onecopy/transport'

/** Stands in a packed value for an entry of its table: see value-table.ts. */
export class Reference {
  readonly index: number

  constructor(index: number) {
    this.index = index
  }
}

/** Containers within containers that one document may have; more are hoisted into the table. Far from the stack's end. */
export const NESTING_MAX = 64
/** Levels that the documents' own arrays add to {@link NESTING_MAX}. */
const FRAMING_LEVELS = 4

/** msgpackr's extension types that occur in our documents. */
const UNDEFINED_EXTENSION = 0x00
const REFERENCE_EXTENSION = 0x01
const BIG_INT_EXTENSION = 0x42

/** A document longer than this has grown msgpackr's scratch memory, which is given back after it. */
const SCRATCH_BYTES_KEPT = 1 << 20
const SCRATCH_BYTES = 8192

const NO_TARGETS: readonly unknown[] = []

/**
 * msgpackr, loaded at first use and confined to what onecopy writes: primitives, dense arrays, objects with string keys,
 * bytes, and {@link Reference}. Ranks that send typed arrays only never pay for loading it (about 10 ms).
 *
 * It is msgpackr's build without `new Function` and without native code: bodies come from other processes, and none of
 * them shall reach a code generator or C++. That build is a module of its own, so extensions which a program registers
 * with its msgpackr do not meet ours.
 */
export class Msgpack {
  /** msgpackr keeps its extensions per process, so there is one of this per process too: a memo, the same for every job. */
  static #loaded: Msgpack | undefined

  readonly #packr: import('msgpackr').Packr
  readonly #reserveStart: number
  readonly #range = { start: 0, end: 0 }
  readonly #remaining = new Float64Array(NESTING_MAX + FRAMING_LEVELS + 1)
  #targets: readonly unknown[] = NO_TARGETS

  private constructor() {
    const library = createRequire(import.meta.url)('msgpackr/index-no-eval') as typeof import('msgpackr')
    const indexBytes = new Uint8Array(4)
    const indexView = new DataView(indexBytes.buffer)
    library.addExtension({
      Class: Reference,
      type: REFERENCE_EXTENSION,
      pack: (reference: Reference) => {
        indexView.setUint32(0, reference.index)
        return indexBytes
      },
      unpack: (bytes: Uint8Array) => this.#target(bytes),
    })
    this.#reserveStart = library.RESERVE_START_SPACE
    this.#packr = new library.Packr({
      useRecords: false,
      mapsAsObjects: true,
      variableMapSize: true,
      useBigIntExtension: true,
      useToJSON: false,
      copyBuffers: true,
    })
  }

  /** Gives the one instance, loading msgpackr the first time. */
  static load(): Msgpack {
    Msgpack.#loaded ??= new Msgpack()
    return Msgpack.#loaded
  }

  /**
   * Writes one document after `reserve` (0 … 255) bytes that are the caller's to fill. The bytes belong to the result.
   * `value` must be what this class is confined to.
   */
  write(value: unknown, reserve: number): Uint8Array {
    const bytes = this.#packr.pack(value, reserve === 0 ? undefined : this.#reserveStart + reserve)
    if (bytes.length > SCRATCH_BYTES_KEPT) this.#packr.useBuffer(Buffer.allocUnsafeSlow(SCRATCH_BYTES))
    return bytes
  }

  /**
   * Reads the document in `bytes[start … end-1]`; a reference becomes its entry of `targets`. What it gives shares no
   * memory with `bytes`. Everything is checked before msgpackr sees it.
   * @throws OnecopyError ERR_CORRUPT
   */
  read(bytes: Buffer, start: number, end: number, targets: readonly unknown[]): unknown {
    this.#check(bytes, start, end, targets.length)
    this.#range.start = start
    this.#range.end = end
    this.#targets = targets
    try {
      return this.#packr.unpack(bytes, this.#range)
    } catch (error) {
      throw new OnecopyError('ERR_CORRUPT', 'a packed value cannot be read', { cause: error })
    } finally {
      this.#targets = NO_TARGETS
    }
  }

  #target(bytes: Uint8Array): unknown {
    return this.#targets[new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0)]
  }

  /**
   * Walks a document's tokens without building anything: only what {@link write} can produce passes, every length lies
   * within the document (so nothing is allocated that the document does not hold), and nesting is bounded.
   */
  #check(bytes: Uint8Array, start: number, end: number, targetCount: number): void {
    const remaining = this.#remaining
    let position = start
    let level = 0
    remaining[0] = 1
    for (;;) {
      while (remaining[level] === 0) {
        if (level === 0) {
          if (position !== end) throw corrupt('bytes follow the value')
          return
        }
        level--
      }
      ;(remaining[level] as number)--
      if (position >= end) throw corrupt('the bytes end early')
      const token = bytes[position++] as number
      if (token < 0x80 || token >= 0xe0) continue
      let items = -1
      if (token < 0x90) items = (token & 0x0f) * 2
      else if (token < 0xa0) items = token & 0x0f
      else if (token < 0xc0) position += token & 0x1f
      else {
        // Reading past `end` is harmless here: whatever comes of it, the position is checked below.
        switch (token) {
          case 0xc0: // null
          case 0xc2: // false
          case 0xc3: // true
            break
          case 0xc4: // bytes
          case 0xd9: // string
            position += 1 + uint(bytes, position, 1)
            break
          case 0xc5:
          case 0xda:
            position += 2 + uint(bytes, position, 2)
            break
          case 0xc6:
          case 0xdb:
            position += 4 + uint(bytes, position, 4)
            break
          case 0xcc: // uint8
          case 0xd0: // int8
            position += 1
            break
          case 0xcd: // uint16
          case 0xd1: // int16
            position += 2
            break
          case 0xce: // uint32
          case 0xd2: // int32
          case 0xca: // float32
            position += 4
            break
          case 0xcb: // float64
          case 0xcf: // uint64
          case 0xd3: // int64
            position += 8
            break
          case 0xd4: // one byte of extension
            if (bytes[position] !== UNDEFINED_EXTENSION) throw corrupt(`extension ${bytes[position]}`)
            position += 2
            break
          case 0xd6: // four bytes of extension
            if (bytes[position] !== REFERENCE_EXTENSION) throw corrupt(`extension ${bytes[position]}`)
            if (uint(bytes, position + 1, 4) >= targetCount) throw corrupt('a reference beyond the table')
            position += 5
            break
          case 0xd8: // sixteen bytes of extension
            if (bytes[position] !== BIG_INT_EXTENSION) throw corrupt(`extension ${bytes[position]}`)
            position += 17
            break
          case 0xc7: // any bytes of extension
          case 0xc8:
          case 0xc9: {
            const width = 1 << (token - 0xc7)
            if (bytes[position + width] !== BIG_INT_EXTENSION) throw corrupt(`extension ${bytes[position + width]}`)
            position += width + 1 + uint(bytes, position, width)
            break
          }
          case 0xdc: // array
          case 0xdd: {
            const width = token === 0xdc ? 2 : 4
            items = uint(bytes, position, width)
            position += width
            break
          }
          case 0xde: // object
          case 0xdf: {
            const width = token === 0xde ? 2 : 4
            items = uint(bytes, position, width) * 2
            position += width
            break
          }
          default:
            throw corrupt(`token ${token}`)
        }
      }
      if (position > end) throw corrupt('the bytes end early')
      if (items > 0) {
        if (items > end - position) throw corrupt('more items announced than there are bytes')
        if (++level >= remaining.length) throw corrupt('nested too deeply')
        remaining[level] = items
      }
    }
  }
}

function uint(bytes: Uint8Array, position: number, width: number): number {
  let value = 0
  for (let i = 0; i < width; i++) value = value * 256 + (bytes[position + i] ?? 0)
  return value
}

function corrupt(what: string): OnecopyError {
  return new OnecopyError('ERR_CORRUPT', `a packed value holds something that no rank writes: ${what}`)
}
