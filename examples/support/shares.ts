/** A stretch of consecutive items. */
export interface Share {
  readonly from: number
  readonly count: number
}

/** The share of `rank` when `total` items are dealt to `size` ranks in order; shares differ by one item at most. */
export function shareOf(total: number, rank: number, size: number): Share {
  const from = Math.floor((total * rank) / size)
  return { from, count: Math.floor((total * (rank + 1)) / size) - from }
}
