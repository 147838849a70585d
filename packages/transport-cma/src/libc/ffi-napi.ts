import type { LibcBinding } from './libc.js'

interface Ffi {
  CIF(result: string, parameters: string[]): Buffer
  DynamicLibrary(path: string | null): { get(symbol: string): Buffer }
  errno(): number
}

interface Ref {
  address(view: NodeJS.ArrayBufferView): number
  readPointer(buffer: Buffer, offset: number, byteLength: number): Buffer
  writePointer(buffer: Buffer, offset: number, pointer: Buffer): void
}

interface StructType {
  readonly size: number
  readonly fields: Readonly<Record<string, { readonly offset: number }>>
}

interface Bindings {
  ffi_call(frame: Buffer, symbol: Buffer, result: Buffer, values: Buffer): void
}

const ARGUMENT_COUNT = 7
const WORD_BYTES = 8
const WORD_RANGE = 4294967296

/**
 * The binding over ffi-napi, ref-napi and ref-struct-di. The comfortable calls of that package build the frame anew each
 * time (36-48 us for six arguments); here the frame, its argument block and its result are built once, 0.3 us a call.
 * @param load the host's `require`.
 * @throws whatever a missing or broken package throws.
 */
export function bindFfiNapi(load: (name: string) => unknown): LibcBinding {
  const ffi = load('ffi-napi') as Ffi
  const ref = load('ref-napi') as Ref
  const struct = (load('ref-struct-di') as (ref: Ref) => (fields: Record<string, string>) => StructType)(ref)
  const { ffi_call: ffiCall } = load('ffi-napi/lib/bindings') as Bindings

  const long = 'long'
  const frame = ffi.CIF(long, new Array<string>(ARGUMENT_COUNT).fill(long))
  const library = ffi.DynamicLibrary(null)
  const symbol = library.get('syscall')
  const yieldFrame = ffi.CIF('int', [])
  const yieldSymbol = library.get('sched_yield')
  // Buffer.alloc (unlike allocUnsafe) never shares a pool, so these have memory of their own that does not move.
  const values = Buffer.alloc(128)
  const pointers = Buffer.alloc(128)
  const result = Buffer.alloc(128)
  const valueWords = new Int32Array(values.buffer, values.byteOffset, 2 * ARGUMENT_COUNT)
  const resultWords = new Int32Array(result.buffer, result.byteOffset, 2)
  for (let i = 0; i < ARGUMENT_COUNT; i++) {
    ref.writePointer(pointers, i * WORD_BYTES, values.subarray(i * WORD_BYTES, (i + 1) * WORD_BYTES))
  }
  const iovec = struct({ base: 'pointer', length: 'size_t' })

  // Storing a number into an Int32Array keeps its low 32 bits, whatever its sign; floor gives the high half of either sign.
  const put = (index: number, value: number): void => {
    valueWords[2 * index] = value
    valueWords[2 * index + 1] = Math.floor(value / WORD_RANGE)
  }
  return {
    name: 'ffi-napi',
    iovec: {
      bytes: iovec.size,
      baseOffset: offsetOf(iovec, 'base'),
      lengthOffset: offsetOf(iovec, 'length'),
    },
    syscall(number, a, b, c, d, e, f) {
      put(0, number)
      put(1, a)
      put(2, b)
      put(3, c)
      put(4, d)
      put(5, e)
      put(6, f)
      ffiCall(frame, symbol, result, pointers)
      const low = resultWords[0] as number
      const high = resultWords[1] as number
      return low === -1 && high === -1 ? -ffi.errno() : high * WORD_RANGE + (low >>> 0)
    },
    schedYield() {
      ffiCall(yieldFrame, yieldSymbol, result, pointers)
      return resultWords[0] as number
    },
    addressOf(view) {
      if (view.buffer instanceof SharedArrayBuffer) {
        throw new TypeError('ffi-napi cannot tell the address of a SharedArrayBuffer; use koffi (ONECOPY_FFI=koffi)')
      }
      return ref.address(view)
    },
    viewAt(address, byteLength) {
      // Pointer and length in one step: `deref` would first make a shorter Buffer for the address, which then stays.
      const pointer = new Float64Array(16)
      const words = new Int32Array(pointer.buffer)
      words[0] = address
      words[1] = Math.floor(address / WORD_RANGE)
      const buffer = ref.readPointer(Buffer.from(pointer.buffer), 0, byteLength)
      return new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset, byteLength)
    },
  }
}

function offsetOf(type: StructType, field: string): number {
  const found = type.fields[field]
  if (found === undefined) throw new TypeError(`ref-struct-di describes no field ${field}`)
  return found.offset
}
