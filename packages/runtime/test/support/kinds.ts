/** A kind of typed array, as tests go through all of them. */
export interface Kind {
  readonly name: string
  // biome-ignore lint/suspicious/noExplicitAny: one type for the constructors of all kinds
  readonly constructor: any
  readonly elementBytes: number
  readonly isFloat: boolean
  readonly isBigInt: boolean
  /** True when this Node does not have it. */
  readonly missing: boolean
}

const NAMES = [
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float16Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
]

/** Every kind of typed array that the language has, also the newest. */
export const KINDS: readonly Kind[] = NAMES.map((name) => {
  const found = (globalThis as Record<string, unknown>)[name] as { BYTES_PER_ELEMENT: number } | undefined
  return {
    name,
    constructor: found,
    elementBytes: found?.BYTES_PER_ELEMENT ?? 0,
    isFloat: name.startsWith('Float'),
    isBigInt: name.startsWith('Big'),
    missing: found === undefined,
  }
})
