import { ELEMENT_TYPE_MAX, elementTypeName, INT8, UINT8 } from '../element-type.js'

/** A kind of element, named by the array that holds it: `Float64Array`, `Int32Array`, `Buffer` … */
export interface ElementKind {
  /** The constructor's own name. */
  readonly name: string
  /** Bytes of one element, as its constructor says. */
  readonly BYTES_PER_ELEMENT?: number
}

/**
 * The element types (element-type.ts) that the constructors stand for. A Buffer's elements are a Uint8Array's.
 * @throws TypeError unless there is one constructor of typed arrays per rank.
 */
export function elementTypesOf(collective: string, kinds: readonly ElementKind[], size: number): number[] {
  if (!Array.isArray(kinds) || kinds.length !== size) {
    throw new TypeError(`${collective}: types must be an array of ${size} constructors, one per rank`)
  }
  return kinds.map((kind, rank) => {
    if (typeof kind === 'function') {
      if (kind.name === 'Buffer') return UINT8
      // by name, so that another realm's Float64Array is one too
      for (let type = INT8; type <= ELEMENT_TYPE_MAX; type++) if (elementTypeName(type) === kind.name) return type
    }
    throw new TypeError(`${collective}: types[${rank}] must be a constructor of typed arrays, as in Float64Array`)
  })
}
