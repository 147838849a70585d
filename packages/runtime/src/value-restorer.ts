import { OnecopyError } from '@onecopy/transport'
import { arrayOver, bytesPerElement, ELEMENT_TYPE_MAX } from './element-type.js'
import {
  ARRAY,
  BOXED,
  CONTAINER_MIN,
  DATE,
  ERROR,
  MAP,
  NEGATIVE_ZERO,
  OBJECT,
  REGEXP,
  SET,
  SPARSE_ARRAY,
  TEXT,
} from './value-table.js'

const ERROR_CLASSES: ReadonlyMap<string, new () => Error> = new Map([
  ['EvalError', EvalError],
  ['RangeError', RangeError],
  ['ReferenceError', ReferenceError],
  ['SyntaxError', SyntaxError],
  ['TypeError', TypeError],
  ['URIError', URIError],
])

/**
 * Makes every entry of a received table: leaves complete, containers empty, to be filled by {@link fillContainers} once
 * the content, which refers to them, has been read. Uses the parts' memory without copying.
 * @throws OnecopyError ERR_CORRUPT, or ERR_UNAVAILABLE when this Node lacks a kind of array.
 */
export function makeEntries(table: unknown, parts: readonly Uint8Array[]): unknown[] {
  const [inline, entries] = list(table, 2)
  const memories = new Map<number, ArrayBuffer>()
  const inlineSegments = list(inline)
  return list(entries).map((given) => {
    const entry = list(given)
    const kind = entry[0]
    if (typeof kind !== 'number') throw corrupt('an entry without a kind')
    return kind <= ELEMENT_TYPE_MAX ? makeView(entry, parts, inlineSegments, memories) : makeEntry(kind, entry)
  })
}

function makeEntry(kind: number, entry: readonly unknown[]): unknown {
  switch (kind) {
    case TEXT:
      return text(entry[1])
    case NEGATIVE_ZERO:
      return -0
    case DATE:
      return new Date(integer(entry[1], true))
    case REGEXP:
      try {
        return new RegExp(text(entry[1]), text(entry[2]))
      } catch (error) {
        throw new OnecopyError('ERR_CORRUPT', 'a packed value holds a broken regular expression', { cause: error })
      }
    case BOXED:
      return boxed(entry[1])
    case OBJECT:
      return {}
    case ARRAY:
    case SPARSE_ARRAY:
      return []
    case MAP:
      return new Map()
    case SET:
      return new Set()
    case ERROR:
      return makeError(text(entry[1]))
    default:
      throw corrupt(`entry kind ${kind}`)
  }
}

function makeView(
  entry: readonly unknown[],
  parts: readonly Uint8Array[],
  inline: readonly unknown[],
  memories: Map<number, ArrayBuffer>,
): unknown {
  const [kind, segment, byteOffset, byteLength] = entry
  if (!isInteger(segment) || !isInteger(byteOffset) || !isInteger(byteLength)) throw corrupt('a view without numbers')
  let memory = memories.get(segment)
  if (memory === undefined) {
    const bytes = segment >= 0 ? parts[segment] : inline[-1 - segment]
    if (!(bytes instanceof Uint8Array)) throw corrupt('a view without a segment')
    memory = wholeBuffer(bytes)
    memories.set(segment, memory)
  }
  const isWithin = byteOffset >= 0 && byteLength >= 0 && byteOffset + byteLength <= memory.byteLength
  if (!isWithin || bytesPerElement(kind as number) === 0) throw corrupt('a view outside its segment')
  return arrayOver(kind as number, memory, byteLength, byteOffset)
}

/** The bytes as a buffer of their own: as they are when they fill theirs, which fresh memory does. */
function wholeBuffer(bytes: Uint8Array): ArrayBuffer {
  const { buffer } = bytes
  const isWhole = buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength
  return isWhole ? buffer : new Uint8Array(bytes).buffer
}

/**
 * Puts `content` (item 0 is the value itself) into the containers among `made`, in the order of the table.
 * @throws OnecopyError ERR_CORRUPT
 */
export function fillContainers(table: unknown, made: readonly unknown[], content: unknown): unknown {
  const entries = list(list(table)[1])
  const contents = list(content)
  let next = 1
  for (let i = 0; i < entries.length; i++) {
    const kind = list(entries[i])[0] as number
    if (kind >= CONTAINER_MIN) fill(kind, made[i], list(contents[next++]))
  }
  if (contents.length !== next) throw corrupt('content without a container')
  return contents[0]
}

function fill(kind: number, container: unknown, content: readonly unknown[]): void {
  switch (kind) {
    case ARRAY:
      for (const item of content) (container as unknown[]).push(item)
      break
    case SET:
      for (const item of content) (container as Set<unknown>).add(item)
      break
    case MAP:
      if (content.length % 2 !== 0) throw corrupt('a key without a value')
      for (let i = 0; i < content.length; i += 2) (container as Map<unknown, unknown>).set(content[i], content[i + 1])
      break
    case SPARSE_ARRAY:
      fillSparse(container as unknown[], content)
      break
    case OBJECT:
      defineAll(container as object, content, 0)
      break
    case ERROR:
      define(container as object, 'message', text(content[0]), false)
      define(container as object, 'stack', content[1] === undefined ? undefined : text(content[1]), false)
      defineAll(container as object, content, 2)
      break
  }
}

function fillSparse(array: unknown[], content: readonly unknown[]): void {
  const length = content[0]
  if (!isInteger(length) || length < 0 || length > 0xffffffff) throw corrupt('an array of impossible length')
  if (content.length % 2 !== 1) throw corrupt('an index without an item')
  // The longest length makes the engine keep items in a dictionary, so that a short message cannot make it reserve much.
  array.length = 0xffffffff
  array.length = length
  for (let i = 1; i < content.length; i += 2) {
    const index = content[i]
    if (!isInteger(index) || index < 0 || index >= length) throw corrupt('an index outside its array')
    array[index] = content[i + 1]
  }
}

function defineAll(target: object, content: readonly unknown[], from: number): void {
  if ((content.length - from) % 2 !== 0) throw corrupt('a key without a value')
  for (let i = from; i < content.length; i += 2) {
    const key = content[i]
    if (typeof key !== 'string') throw corrupt('a key that is no string')
    const isHidden = from > 0 && (key === 'cause' || key === 'errors')
    define(target, key, content[i + 1], !isHidden)
  }
}

/** Defines rather than assigns: '__proto__' becomes a property like any other. */
function define(target: object, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(target, key, { value, enumerable, writable: true, configurable: true })
}

/** Only JavaScript's own classes are made; any other name is a plain Error that bears it. */
function makeError(name: string): Error {
  // The stack that comes with the message replaces this one: capturing it, and with source maps formatting it, is 50 us.
  const { stackTraceLimit } = Error
  Reflect.set(Error, 'stackTraceLimit', 0)
  try {
    if (name === 'AggregateError') return new AggregateError([])
    const ErrorClass = ERROR_CLASSES.get(name)
    if (ErrorClass !== undefined) return new ErrorClass()
    const error = new Error()
    if (name !== 'Error') define(error, 'name', name, false)
    return error
  } finally {
    Reflect.set(Error, 'stackTraceLimit', stackTraceLimit)
  }
}

function boxed(primitive: unknown): unknown {
  if (primitive === null || primitive === undefined) throw corrupt('a boxed nothing')
  if (primitive instanceof Uint8Array) return Object(text(primitive))
  if (typeof primitive === 'object') throw corrupt('a boxed object')
  return Object(primitive)
}

function text(value: unknown): string {
  if (typeof value === 'string') return value
  if (!(value instanceof Uint8Array) || value.byteLength % 2 !== 0) throw corrupt('a text that is none')
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf16le')
}

function list(value: unknown, length?: number): unknown[] {
  if (!Array.isArray(value) || (length !== undefined && value.length !== length)) throw corrupt('a list that is none')
  return value
}

function isInteger(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

function integer(value: unknown, orNaN: boolean): number {
  if (isInteger(value) || (orNaN && Number.isNaN(value))) return value as number
  throw corrupt('a number that is none')
}

function corrupt(what: string): OnecopyError {
  return new OnecopyError('ERR_CORRUPT', `a packed value holds something that no rank writes: ${what}`)
}
