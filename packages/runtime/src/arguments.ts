import { ANY_SOURCE, ANY_TAG, PROC_NULL, TAG_MAX, UNDEFINED } from './constants.js'

/**
 * Checks a rank that a message goes to.
 * @throws TypeError no integer; RangeError not in the communicator.
 */
export function checkDest(dest: number, size: number): void {
  if (dest >= 0 && dest < size && Number.isInteger(dest)) return
  if (dest !== PROC_NULL) badRank('dest', dest, size)
}

/** Checks a rank that a message comes from; ANY_SOURCE and PROC_NULL are fine. */
export function checkSource(source: number, size: number): void {
  if (source >= 0 && source < size && Number.isInteger(source)) return
  if (source !== ANY_SOURCE && source !== PROC_NULL) badRank('source', source, size)
}

export function checkRoot(root: number, size: number): void {
  if (!(root >= 0 && root < size && Number.isInteger(root))) badRank('root', root, size)
}

/** Checks a tag to send with. */
export function checkSendTag(tag: number): void {
  if (!(tag >= 0 && tag <= TAG_MAX && Number.isInteger(tag))) badTag('tag', tag, '')
}

/** Checks a tag to receive with; ANY_TAG is fine. */
export function checkReceiveTag(tag: number): void {
  if (!(tag >= 0 && tag <= TAG_MAX && Number.isInteger(tag)) && tag !== ANY_TAG) badTag('tag', tag, ' or ANY_TAG')
}

/** Checks memory that a message is received into. */
export function checkView(name: string, view: unknown): asserts view is ArrayBufferView {
  if (ArrayBuffer.isView(view)) return
  const hint = view instanceof ArrayBuffer ? ': wrap it in a Uint8Array' : ''
  throw new TypeError(`${name} must be a typed array, Buffer or DataView, got ${describe(view)}${hint}`)
}

/** Checks what a rank gives to a split. */
export function checkColorAndKey(color: number, key: number): void {
  if (!(Number.isInteger(color) && ((color >= 0 && color === (color | 0)) || color === UNDEFINED))) {
    throw new TypeError(`color must be an integer from 0 to 2^31-1, or UNDEFINED, got ${describe(color)}`)
  }
  if (!Number.isInteger(key)) throw new TypeError(`key must be an integer, got ${describe(key)}`)
}

/** The colour that a type of split stands for: all ranks of a job share memory. */
export function colorOfType(type: 'shared' | typeof UNDEFINED): number {
  if (type === 'shared') return 0
  if (type !== UNDEFINED) throw new TypeError(`type must be 'shared' or UNDEFINED, got ${describe(type)}`)
  return UNDEFINED
}

function badRank(name: string, value: unknown, size: number): never {
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw new TypeError(`${name} must be a rank, an integer from 0 to ${size - 1}, got ${describe(value)}`)
  }
  throw new RangeError(`${name} ${value} is not in this communicator: its ranks are 0 to ${size - 1}`)
}

function badTag(name: string, value: unknown, alternative: string): never {
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw new TypeError(`${name} must be an integer from 0 to ${TAG_MAX}${alternative}, got ${describe(value)}`)
  }
  throw new RangeError(`${name} ${value} is out of range: tags are 0 to ${TAG_MAX}${alternative}`)
}

function describe(value: unknown): string {
  if (typeof value === 'string') return `the string '${value}'`
  if (value === null || typeof value !== 'object') return String(value)
  return `a ${value.constructor?.name ?? 'value'}`
}
