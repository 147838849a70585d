import type { CommunicatorBase } from './communicator-base.js'

/** What happens to an attribute when its communicator is duplicated or freed. */
export interface AttributeCallbacks<T> {
  /**
   * Called by `dup` on the old communicator: what the new one gets, or undefined for nothing. Without it, nothing is copied.
   */
  readonly copy?: ((from: CommunicatorBase, value: T) => T | undefined) | undefined
  /** Called before the attribute goes: deleted, replaced, or its communicator freed. What it throws comes through. */
  readonly delete?: ((from: CommunicatorBase, value: T) => void) | undefined
}

/**
 * Names an attribute of communicators: a library's way to keep something with a communicator it was given.
 * @example const cache = AttributeKey.create<Map<string, unknown>>({ copy: (_, value) => new Map(value) })
 * @see MPI 4.1, 7.7
 */
export class AttributeKey<T = unknown> {
  /** @internal */
  readonly callbacks: AttributeCallbacks<T>

  private constructor(callbacks: AttributeCallbacks<T>) {
    this.callbacks = callbacks
  }

  /** A key that is equal to no other. @see MPI 4.1, 7.7.2 (MPI_Comm_create_keyval) */
  static create<T = unknown>(callbacks: AttributeCallbacks<T> = {}): AttributeKey<T> {
    for (const name of ['copy', 'delete'] as const) {
      const callback = callbacks[name]
      if (callback !== undefined && typeof callback !== 'function') throw new TypeError(`${name} must be a function`)
    }
    return new AttributeKey(callbacks)
  }

  /** `copy` for every duplicate: the same value, by reference. @see MPI 4.1, 7.7.2 (MPI_COMM_DUP_FN) */
  static readonly share = <T>(_from: CommunicatorBase, value: T): T => value
}

/** The attributes of one communicator, in the order they were set. */
export class Attributes {
  readonly #values = new Map<AttributeKey, unknown>()

  set(owner: CommunicatorBase, key: AttributeKey, value: unknown): void {
    checkKey(key)
    this.delete(owner, key)
    this.#values.set(key, value)
  }

  get(key: AttributeKey): unknown {
    checkKey(key)
    return this.#values.get(key)
  }

  /** Answers whether there was one. */
  delete(owner: CommunicatorBase, key: AttributeKey): boolean {
    checkKey(key)
    if (!this.#values.has(key)) return false
    key.callbacks.delete?.(owner, this.#values.get(key))
    return this.#values.delete(key)
  }

  /** In the opposite order of setting, as MPI has it for the end of the job. */
  deleteAll(owner: CommunicatorBase): void {
    for (const key of [...this.#values.keys()].reverse()) this.delete(owner, key)
  }

  copyTo(owner: CommunicatorBase, copy: Attributes): void {
    for (const [key, value] of this.#values) {
      const copied = key.callbacks.copy?.(owner, value)
      if (copied !== undefined) copy.#values.set(key, copied)
    }
  }
}

function checkKey(key: unknown): asserts key is AttributeKey {
  if (key instanceof AttributeKey) return
  throw new TypeError('an attribute needs a key made by AttributeKey.create()')
}
