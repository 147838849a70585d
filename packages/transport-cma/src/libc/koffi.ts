import { loadKoffi } from './koffi-package.js'
import type { LibcBinding } from './libc.js'

/**
 * The binding over koffi: prebuilt for every platform, no install script, 0.05 us a call.
 * @param load the host's `require`.
 * @throws whatever a missing or broken package throws.
 */
export function bindKoffi(load: NodeJS.Require): LibcBinding {
  const koffi = loadKoffi(load)
  const library = koffi.load(null)
  // `long` takes and gives plain numbers of both signs up to 2^53: addresses, descriptors and flags alike.
  const long = 'long'
  const call = library.func('syscall', long, [long, long, long, long, long, long, long]) as (
    ...values: number[]
  ) => number
  const schedYield = library.func('sched_yield', 'int', []) as () => number
  // memmove of no bytes answers its first argument: the one way to learn a view's address without a BigInt.
  const move = library.func('memmove', 'int64_t', ['void *', 'int64_t', 'int64_t']) as (
    view: NodeJS.ArrayBufferView,
    from: number,
    byteLength: number,
  ) => number
  const iovec = koffi.struct({ base: 'void *', length: 'size_t' })
  return {
    name: 'koffi',
    iovec: {
      bytes: koffi.sizeof(iovec),
      baseOffset: koffi.offsetof(iovec, 'base'),
      lengthOffset: koffi.offsetof(iovec, 'length'),
    },
    syscall(number, a, b, c, d, e, f) {
      const result = call(number, a, b, c, d, e, f)
      return result === -1 ? -koffi.errno() : result
    },
    schedYield,
    addressOf: (view) => move(view, 0, 0),
    viewAt: (address, byteLength) => new Uint8Array(koffi.view(BigInt(address), byteLength)),
  }
}
