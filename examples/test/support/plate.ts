/**
 * What examples/heat.ts computes, once more, in the plainest way: one array, no ranks, no halos. Row by row, temperatures from
 * 0 to 1.
 */
export function solvePlate(side: number, steps: number): number[] {
  const isInDisc = (x: number, y: number, radius: number, row: number, column: number): boolean =>
    Math.hypot((column + 0.5) / side - x, (row + 0.5) / side - y) < radius
  const isHot = (row: number, column: number): boolean =>
    isInDisc(0.3, 0.35, 0.12, row, column) || isInDisc(0.7, 0.6, 0.18, row, column)
  const places = Array.from({ length: side * side }, (_, i) => [Math.floor(i / side), i % side] as const)

  let plate = places.map(([row, column]) => Number(isHot(row, column)))
  for (let step = 0; step < steps; step++) {
    const before: readonly number[] = plate
    plate = places.map(([row, column], i) => {
      const isRim = row === 0 || row === side - 1 || column === 0 || column === side - 1
      if (isRim || isHot(row, column)) return before[i]!
      const neighbours = [before[i - 1]!, before[i + 1]!, before[i - side]!, before[i + side]!]
      const mean = neighbours.reduce((sum, cell) => sum + cell, 0) / 4
      return before[i]! + 0.9 * (mean - before[i]!)
    })
  }
  return plate
}
