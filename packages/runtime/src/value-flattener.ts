import { types } from 'node:util'
import { bytesOf, elementTypeOf, VALUE } from './element-type.js'
import { MemorySegments } from './memory-segments.js'
import { NESTING_MAX, Reference } from './msgpack.js'
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
  survivesUtf8,
  TEXT,
  tableText,
} from './value-table.js'

/** A value taken apart: see value-table.ts. */
export interface FlatValue {
  /** [inline segments, entries] */
  readonly table: unknown[]
  /** [the value, content of each container entry] */
  readonly content: unknown[]
  /** The sender's own memory, not copied, unless views of different alignment overlap in it. */
  readonly parts: Uint8Array[]
}

/** Takes one value apart into a table and content. Used once. */
export class ValueFlattener {
  readonly #root: unknown
  readonly #segments = new MemorySegments()
  readonly #entries: unknown[][] = []
  readonly #entryOf = new Map<object, number>()
  /** Objects met more than once. */
  readonly #shared = new Set<object>()
  /** What an object's toJSON gave; asked once, so that sharing is kept. */
  readonly #forms = new Map<object, unknown>()
  /** Containers in the table whose content is still to be written, in the table's order. */
  readonly #containers: object[] = []

  constructor(root: unknown) {
    this.#root = root
  }

  /**
   * @throws TypeError naming the path to what cannot be sent: a function, symbol, promise, weak collection or detached memory.
   *   Errors thrown by getters and by toJSON come through as they are.
   */
  flatten(partBytesMin: number): FlatValue {
    this.#findShared()
    const content = [this.#encode(this.#root, 0)]
    for (let i = 0; i < this.#containers.length; i++) {
      content.push(this.#contentOf(this.#containers[i] as object))
    }
    const { parts, inline } = this.#segments.place(partBytesMin)
    return { table: [inline, this.#entries], content, parts }
  }

  /** Meets every object once, without recursion: a list of a million links is as good as a flat array. */
  #findShared(): void {
    const seen = new Set<object>()
    const waiting: unknown[] = [this.#root]
    const wait = (child: unknown) => {
      if ((typeof child === 'object' && child !== null) || !isSendablePrimitive(child)) waiting.push(child)
    }
    while (waiting.length > 0) {
      const value = this.#form(waiting.pop())
      if (typeof value !== 'object' || value === null) {
        if (!isSendablePrimitive(value)) this.#refuse(value)
      } else if (seen.has(value)) {
        this.#shared.add(value)
      } else {
        seen.add(value)
        this.#eachChild(value, wait)
      }
    }
  }

  /** An instance of a class that says how it wants to be written (URL, Decimal, …) is written so. */
  #form(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value
    if (this.#forms.has(value)) return this.#forms.get(value)
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype || prototype === null || Array.isArray(value)) return value
    if (kindOf(value) !== OBJECT || Object.hasOwn(value, 'toJSON')) return value
    const { toJSON } = value as { toJSON?: unknown }
    if (typeof toJSON !== 'function') return value
    const form: unknown = toJSON.call(value, '')
    this.#forms.set(value, form)
    // What toJSON gives is final, as in JSON.stringify.
    if (typeof form === 'object' && form !== null) this.#forms.set(form, form)
    return form
  }

  #encode(given: unknown, level: number): unknown {
    const value = this.#form(given)
    if (typeof value === 'string') return survivesUtf8(value) ? value : this.#add([TEXT, tableText(value)])
    if (value === 0 && 1 / value < 0) return this.#add([NEGATIVE_ZERO])
    if (typeof value !== 'object' || value === null) return isSendablePrimitive(value) ? value : this.#refuse(value)

    const index = this.#entryOf.get(value)
    if (index !== undefined) return new Reference(index)
    const kind = kindOf(value)
    if (level < NESTING_MAX && !this.#shared.has(value)) {
      if (kind === ARRAY) return (value as unknown[]).map((item) => this.#encode(item, level + 1))
      if (kind === OBJECT) {
        const keys = Object.keys(value)
        if (keys.every(isPlainKey)) {
          const copy: Record<string, unknown> = {}
          for (const key of keys) copy[key] = this.#encode((value as Record<string, unknown>)[key], level + 1)
          return copy
        }
      }
    }
    this.#entryOf.set(value, this.#entries.length)
    if (kind >= CONTAINER_MIN) {
      this.#containers.push(value)
      return this.#add(kind === ERROR ? [ERROR, tableText(textOf((value as Error).name))] : [kind])
    }
    return this.#add(this.#leaf(value, kind))
  }

  #add(entry: unknown[]): Reference {
    this.#entries.push(entry)
    return new Reference(this.#entries.length - 1)
  }

  #leaf(value: object, kind: number): unknown[] {
    switch (kind) {
      case DATE:
        return [DATE, Date.prototype.getTime.call(value)]
      case REGEXP:
        return [REGEXP, tableText((value as RegExp).source), (value as RegExp).flags]
      case BOXED: {
        const primitive: unknown = unboxed(value)
        return [BOXED, typeof primitive === 'string' ? tableText(primitive) : primitive]
      }
      default: {
        const entry = [kind, 0, 0, 0]
        this.#segments.add(this.#bytesOf(value), kind, entry)
        return entry
      }
    }
  }

  #bytesOf(value: object): Uint8Array {
    try {
      return bytesOf(value)
    } catch (error) {
      throw new TypeError(`${this.#pathTo(value)}: ${(error as Error).message}`, { cause: error })
    }
  }

  #contentOf(value: object): unknown[] {
    const content: unknown[] = []
    const put = (child: unknown) => content.push(this.#encode(child, 1))
    switch (kindOf(value)) {
      case OBJECT:
        for (const key of Object.keys(value)) {
          put(key)
          put((value as Record<string, unknown>)[key])
        }
        break
      case SPARSE_ARRAY:
        content.push((value as unknown[]).length)
        for (const index of indicesOf(value as unknown[])) {
          content.push(index)
          put((value as unknown[])[index])
        }
        break
      case ERROR: {
        const { message, stack } = value as Error
        put(textOf(message))
        put(stack === undefined ? undefined : textOf(stack))
        for (const key of errorKeys(value)) {
          put(key)
          put((value as Record<string, unknown>)[key])
        }
        break
      }
      default:
        this.#eachChild(value, put)
    }
    return content
  }

  /** Calls `visit` with everything that `parent` holds, and with the key it is under. */
  #eachChild(parent: object, visit: (child: unknown, key: unknown) => void): void {
    const kind = kindOf(parent)
    switch (kind) {
      case ARRAY:
        for (let i = 0; i < (parent as unknown[]).length; i++) visit((parent as unknown[])[i], i)
        break
      case SPARSE_ARRAY:
        for (const index of indicesOf(parent as unknown[])) visit((parent as unknown[])[index], index)
        break
      case OBJECT:
        for (const key of Object.keys(parent)) visit((parent as Record<string, unknown>)[key], key)
        break
      case ERROR:
        for (const key of errorKeys(parent)) visit((parent as Record<string, unknown>)[key], key)
        break
      case MAP:
        // The methods are taken from this realm's prototypes: they work on maps and sets of any realm and of any subclass.
        Map.prototype.forEach.call(parent, (item: unknown, key: unknown) => {
          visit(key, '(key)')
          visit(item, key)
        })
        break
      case SET:
        Set.prototype.forEach.call(parent, (item: unknown) => visit(item, '(item)'))
        break
      default:
        if (kind === REFUSED) this.#refuse(parent)
    }
  }

  #refuse(value: unknown): never {
    const what = typeof value === 'object' ? `a ${nameOf(value as object)}` : `a ${typeof value}`
    const cure = types.isPromise(value) ? ': await it first' : ''
    throw new TypeError(`${this.#pathTo(value)} is ${what}, which cannot be sent${cure}`)
  }

  /** Where in the root value `sought` is, the way a programmer would write it. Only for error messages. */
  #pathTo(sought: unknown): string {
    const parentOf = new Map<unknown, { parent: unknown; key: unknown }>()
    const waiting: unknown[] = [this.#form(this.#root)]
    for (let i = 0; i < waiting.length && !parentOf.has(sought); i++) {
      const parent = waiting[i]
      if (parent === sought || typeof parent !== 'object' || parent === null || kindOf(parent) === REFUSED) continue
      this.#eachChild(parent, (given, key) => {
        const child = this.#form(given)
        const isNew = (typeof child === 'object' && child !== null) || child === sought
        if (!isNew || parentOf.has(child) || child === waiting[0]) return
        parentOf.set(child, { parent, key })
        waiting.push(child)
      })
    }
    let path = ''
    for (let at = parentOf.get(sought); at !== undefined; at = parentOf.get(at.parent)) path = step(at.key) + path
    return `value${path}`
  }
}

/** Not a kind of entry: what must not be dropped in silence. */
const REFUSED = -1

/** The kind of entry that an object becomes; OBJECT for instances of unknown classes (their own enumerable properties). */
function kindOf(value: object): number {
  if (Array.isArray(value)) return isDense(value) ? ARRAY : SPARSE_ARRAY
  if (Object.getPrototypeOf(value) === Object.prototype) return OBJECT
  const elementType = elementTypeOf(value)
  if (elementType !== VALUE) return elementType
  if (types.isMap(value)) return MAP
  if (types.isSet(value)) return SET
  if (types.isDate(value)) return DATE
  if (types.isRegExp(value)) return REGEXP
  if (types.isNativeError(value) || value instanceof Error) return ERROR
  if (types.isBoxedPrimitive(value)) return types.isSymbolObject(value) ? REFUSED : BOXED
  if (types.isPromise(value) || types.isWeakMap(value) || types.isWeakSet(value) || value instanceof WeakRef)
    return REFUSED
  return OBJECT
}

/** Stops at the first hole, so an array of length 4e9 with one item is no work. */
function isDense(array: readonly unknown[]): boolean {
  for (let i = 0; i < array.length; i++) {
    if (array[i] === undefined && !(i in array)) return false
  }
  return true
}

function indicesOf(array: readonly unknown[]): number[] {
  const indices: number[] = []
  for (const key of Object.keys(array)) {
    const index = Number(key)
    if (String(index) === key && index >= 0 && index < array.length && Number.isInteger(index)) indices.push(index)
  }
  return indices
}

/**
 * What an error carries besides name, message and stack. Functions are left out rather than refused: errors of other libraries
 * have them at times, and an error must get through.
 */
function errorKeys(error: object): string[] {
  const keys = new Set(Object.keys(error))
  for (const hidden of ['cause', 'errors']) if (Object.hasOwn(error, hidden)) keys.add(hidden)
  for (const apart of ['name', 'message', 'stack']) keys.delete(apart)
  return [...keys].filter((key) => isSendablePrimitive((error as Record<string, unknown>)[key]))
}

function isSendablePrimitive(value: unknown): boolean {
  return typeof value !== 'function' && typeof value !== 'symbol'
}

function isPlainKey(key: string): boolean {
  return key !== '__proto__' && survivesUtf8(key)
}

function unboxed(value: object): unknown {
  if (types.isNumberObject(value)) return Number.prototype.valueOf.call(value)
  if (types.isStringObject(value)) return String.prototype.valueOf.call(value)
  if (types.isBooleanObject(value)) return Boolean.prototype.valueOf.call(value)
  return BigInt.prototype.valueOf.call(value)
}

/** An error's name or message is nearly always a string; whatever else it is must not stop the error. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : `${typeof value}`
}

function nameOf(value: object): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1)
}

function step(key: unknown): string {
  if (typeof key === 'string') {
    if (/^[A-Za-z_$][\w$]*$/.test(key)) return `.${key}`
    return key.startsWith('(') ? key : `[${JSON.stringify(key.slice(0, 64))}]`
  }
  return typeof key === 'object' || typeof key === 'symbol' ? '(value)' : `[${String(key)}]`
}
