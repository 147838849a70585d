import type { Operation } from '../operation.js'
import type { Exchange } from '../schedule.js'
import { itemTypeOf, type TypedArray } from './arrays.js'
import { othersThan } from './messages.js'

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

/** What a rank that reads everybody's array says of it on the board: see `PostedPlan`. */
export function amongAll({ rank, size }: Exchange, { collective, own }: Reduction) {
  const sources = othersThan(rank, size)
  return { collective, type: itemTypeOf(own), sources, byteLengths: sources.map(() => own.byteLength) }
}
