import type { Operation } from '../operation.js'
import type { TypedArray } from './arrays.js'

/** One rank's part of a reduction of arrays. `Recv` says whether every rank gets the result. */
export interface Reduction<Recv extends TypedArray | null = TypedArray | null> {
  /** Whose errors they are. */
  readonly collective: string
  readonly op: Operation
  readonly own: TypedArray
  /** Where the result goes; null on ranks that get none. May be `own`. */
  readonly recv: Recv
  /** Who gets the result; null when all do. */
  readonly root: number | null
}
