import { Buffer } from 'node:buffer'
import { FLOAT32, FLOAT64, INT32 } from '../element-type.js'
import type { TypedArray } from './arrays.js'
import { VECTOR_PIECE_BYTES } from './choose.js'
import { VECTOR_KERNELS } from './vector-kernels.wasm.js'

/** What of WebAssembly is needed here; Node's types do not know it. Not there at all under `--jitless`. */
interface WebAssemblyApi {
  readonly Memory: new (pages: { readonly initial: number }) => { readonly buffer: ArrayBuffer }
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (
    module: object,
    imports: { readonly kernels: { readonly memory: object } },
  ) => { readonly exports: Readonly<Record<string, VectorLoop>> }
}

/** An instance of the kernels' module (vector-kernel.wat): a loop per operation and type, and the memory that they work on. */
interface Kernels {
  readonly loops: Readonly<Record<string, VectorLoop>>
  readonly buffer: ArrayBuffer
}
/** Offsets in that memory, in bytes. */
type VectorLoop = (out: number, a: number, b: number, end: number) => void

/** Bytes per turn of the loop. Behind what was copied in it works on whatever lies there, and nobody reads that. */
const TURN_BYTES = 64

const TYPE_NAMES: Readonly<Record<number, string>> = { [FLOAT64]: 'FLOAT64', [FLOAT32]: 'FLOAT32', [INT32]: 'INT32' }

const OPERATIONS: readonly string[] = ['SUM', 'PROD', 'MIN', 'MAX']

/** Whether elements of this type have kernels, for some operations. */
export function areVectors(elementType: number): boolean {
  return TYPE_NAMES[elementType] !== undefined
}

/** Whether there is a kernel for them where WebAssembly is to be had. */
export function isVectorised(operation: string, elementType: number): boolean {
  return areVectors(elementType) && OPERATIONS.includes(operation)
}

/**
 * Compiled code is a pure function of the build, takes part of a millisecond to make, and every kernel is an instance of the
 * same: so it is kept, once the first is asked for.
 */
let compiled: object | null = null

/**
 * A kernel (kernels.ts) in WebAssembly SIMD for `operation` on arrays of `elementType`, with memory of its own; null where
 * there is none for them, or no WebAssembly. WebAssembly reaches its own memory only: the arrays go through it in pieces that
 * stay in the L1 cache, which leaves twice to ten times the speed of the plain loop.
 */
export function vectorKernelFor(
  operation: string,
  elementType: number,
): ((out: TypedArray, a: TypedArray, b: TypedArray, length: number) => void) | null {
  if (!isVectorised(operation, elementType)) return null
  const kernels = instantiate(1)
  if (kernels === null) return null
  const loop = kernels.loops[`${operation} ${TYPE_NAMES[elementType]}`]!
  const { buffer } = kernels
  const kind = elementType === FLOAT64 ? Float64Array : elementType === FLOAT32 ? Float32Array : Int32Array
  const pieceLength = VECTOR_PIECE_BYTES / kind.BYTES_PER_ELEMENT
  const left = new kind(buffer, 0, pieceLength)
  const right = new kind(buffer, VECTOR_PIECE_BYTES, pieceLength)

  return (out, a, b, length) => {
    for (let start = 0; start < length; start += pieceLength) {
      const count = Math.min(pieceLength, length - start)
      const isAll = count === a.length && count === b.length
      left.set((isAll ? a : a.subarray(start, start + count)) as Float64Array)
      right.set((isAll ? b : b.subarray(start, start + count)) as Float64Array)
      const byteLength = count * kind.BYTES_PER_ELEMENT
      loop(0, 0, VECTOR_PIECE_BYTES, Math.ceil(byteLength / TURN_BYTES) * TURN_BYTES)
      out.set((count === pieceLength ? left : left.subarray(0, count)) as never, start)
    }
  }
}

const PAGE_BYTES = 64 * 1024

/**
 * Combines several arrays at once, in memory where they may also be put by others (read from another process, say): each is then
 * copied in once, and the result out once, however many there are.
 */
export class VectorAccumulator {
  /** Bytes of each part that go through it at a time. */
  readonly chunkBytes: number
  /** Parts that it takes. */
  readonly partsMax = PARTS_MAX
  readonly #loop: VectorLoop
  /** A token for whose bytes are in it between two steps; null for nobody's. Whoever puts others there takes it. */
  owner: object | null = null
  readonly #parts: readonly Uint8Array[]

  constructor(loop: VectorLoop, buffer: ArrayBuffer) {
    const chunkBytes = buffer.byteLength / PARTS_MAX
    this.#loop = loop
    this.chunkBytes = chunkBytes
    this.#parts = Array.from(
      { length: PARTS_MAX },
      (_, index) => new Uint8Array(buffer, index * chunkBytes, chunkBytes),
    )
  }

  /** Where `byteLength` bytes of a part are to be put, up to `chunkBytes`. */
  landing(part: number, byteLength: number): Uint8Array {
    const whole = this.#parts[part]!
    return byteLength === whole.length ? whole : whole.subarray(0, byteLength)
  }

  /** Combines what has been put into the first `parts` parts, in their order, into `out`. */
  combineInto(out: Uint8Array, parts: number): void {
    this.combine(0, out.length, parts)
    out.set(this.landing(0, out.length))
  }

  /** The same for the bytes between two places, the first a multiple of 64, and leaves it where the first part was. */
  combine(from: number, to: number, parts: number): void {
    // in pieces, so that what they come to stays in the L1 cache
    for (let start = from; start < to; start += VECTOR_PIECE_BYTES) {
      const end = Math.min(start + VECTOR_PIECE_BYTES, Math.ceil(to / TURN_BYTES) * TURN_BYTES)
      for (let part = 1; part < parts; part++) this.#loop(start, start, part * this.chunkBytes + start, end)
    }
  }

  /** The same for arrays that lie elsewhere; `out` may be one of them. */
  combineAll(out: Uint8Array, arrays: readonly Uint8Array[]): void {
    const { length } = out
    this.owner = null
    for (let start = 0; start < length; start += VECTOR_PIECE_BYTES) {
      const end = Math.min(start + VECTOR_PIECE_BYTES, length)
      for (let part = 0; part < arrays.length; part++) this.#parts[part]!.set(arrays[part]!.subarray(start, end))
      this.combineInto(out.subarray(start, end), arrays.length)
    }
  }
}

/** Ranks that combine each other's arrays directly are this few (choose.ts). */
const PARTS_MAX = 4

/**
 * An accumulator for `operation` on arrays of `elementType`, with `chunkBytes` (whole pages of 64 KiB) for each part; null as for
 * {@link vectorKernelFor}.
 */
export function vectorAccumulatorFor(
  operation: string,
  elementType: number,
  chunkBytes: number,
): VectorAccumulator | null {
  if (!isVectorised(operation, elementType)) return null
  const kernels = instantiate((PARTS_MAX * chunkBytes) / PAGE_BYTES)
  if (kernels === null) return null
  return new VectorAccumulator(kernels.loops[`${operation} ${TYPE_NAMES[elementType]}`]!, kernels.buffer)
}

/**
 * Null also where its memory is refused: each takes gigabytes of addresses (none of memory), and those may be limited. The memory
 * is made as large as it is to be: once memory has grown anywhere in a process, V8 looks at each use of any typed array
 * whether its memory has gone (8 bytes from rank to rank: 5 % more).
 */
function instantiate(pages: number): Kernels | null {
  const { WebAssembly } = globalThis as { readonly WebAssembly?: WebAssemblyApi }
  if (WebAssembly === undefined) return null
  try {
    compiled ??= new WebAssembly.Module(Buffer.from(VECTOR_KERNELS, 'base64'))
    const memory = new WebAssembly.Memory({ initial: pages })
    const { exports } = new WebAssembly.Instance(compiled, { kernels: { memory } })
    return { loops: exports, buffer: memory.buffer }
  } catch {
    return null
  }
}
