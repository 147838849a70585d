/**
 * Matrix multiply on a grid of ranks, by the algorithm SUMMA: each rank owns a block of A, of B and of C = A B. A panel of
 * columns of A goes along the rows of the grid, the same panel of rows of B goes down its columns, and every rank adds the
 * product of the two to its block of C; meanwhile the next panels are on their way. Rows and columns of the grid are communicators
 * of their own, made by `split`. Any number of ranks will do: 6 are a grid of 2 x 3, 5 are one of 1 x 5. At the end rank 0
 * multiplies plainly and compares. The argument is the matrices' side (default 512).
 *
 *   npx onecopy run -n 4 examples/summa.ts 512
 */
import { init, type Request } from 'onecopy'
import { integerArgument } from './support/arguments.ts'
import { type Share, shareOf } from './support/shares.ts'

/** Columns of A (rows of B) per panel: enough work between two broadcasts, few enough to overlap. */
const PANEL = 64
const [SEED_A, SEED_B] = [1, 2]

const world = await init()
const side = integerArgument(world, 0, { name: 'side', fallback: 512, min: 1, max: 4096 })

const grid = gridFor(world.size)
const [gridRow, gridColumn] = [Math.floor(world.rank / grid.columns), world.rank % grid.columns]
// Everyone in this row of the grid, numbered by column; everyone in this column, numbered by row.
const alongRow = (await world.split(gridRow, gridColumn))!
const downColumn = (await world.split(gridColumn, gridRow))!

const rows = shareOf(side, gridRow, grid.rows)
const columns = shareOf(side, gridColumn, grid.columns)
const a = block(SEED_A, rows, columns)
const b = block(SEED_B, rows, columns)
const c = new Float64Array(rows.count * columns.count)

await world.barrier()
const startedAt = performance.now()
const panels = panelsOf(side)
let coming = panels.length > 0 ? broadcast(panels[0]!) : null
for (let i = 0; i < panels.length; i++) {
  const { left, upper, done } = coming!
  await Promise.all(done)
  coming = i + 1 < panels.length ? broadcast(panels[i + 1]!) : null
  addProduct(c, left, upper, panels[i]!.count)
}
await world.barrier()
const seconds = (performance.now() - startedAt) / 1000

const blocks = await world.gather({ rows, columns, c }, 0)
alongRow.free()
downColumn.free()

if (blocks !== undefined) {
  const whole = { from: 0, count: side }
  const plainlyAt = performance.now()
  const product = new Float64Array(side * side)
  multiplyPlainly(product, block(SEED_A, whole, whole), block(SEED_B, whole, whole))
  const plainSeconds = (performance.now() - plainlyAt) / 1000
  const wrong = blocks.reduce((count, each) => count + differences(product, each), 0)
  if (wrong > 0) throw new Error(`${wrong} of ${side * side} elements are wrong`)
  console.log(`${side} x ${side} on a grid of ${grid.rows} x ${grid.columns} ranks in ${seconds.toFixed(3)} s`)
  console.log(`the same product as one rank finds alone, in ${plainSeconds.toFixed(3)} s`)
}

interface Panels {
  /** This row of the grid's part of the panel of A, and this column's part of the panel of B. */
  readonly left: Float64Array
  readonly upper: Float64Array
  readonly done: readonly Request<void>[]
}

/** Starts the two broadcasts of a panel; what is sent comes out of the owner's block. */
function broadcast({ from, count }: Share): Panels {
  const left = new Float64Array(rows.count * count)
  const upper = new Float64Array(count * columns.count)
  const [ownerColumn, ownerRow] = [ownerOf(from, grid.columns), ownerOf(from, grid.rows)]
  if (ownerColumn === gridColumn) {
    for (let row = 0; row < rows.count; row++) {
      const start = row * columns.count + from - columns.from
      left.set(a.subarray(start, start + count), row * count)
    }
  }
  if (ownerRow === gridRow) {
    const start = (from - rows.from) * columns.count
    upper.set(b.subarray(start, start + count * columns.count))
  }
  return { left, upper, done: [alongRow.bcastInto(left, ownerColumn), downColumn.bcastInto(upper, ownerRow)] }
}

/** Panels that lie in one column of the grid as part of A, and in one row of it as part of B. */
function panelsOf(side: number): Share[] {
  const cuts = new Set<number>()
  for (let at = 0; at < side; at += PANEL) cuts.add(at)
  for (const parts of [grid.rows, grid.columns]) {
    for (let part = 0; part < parts; part++) cuts.add(shareOf(side, part, parts).from)
  }
  const starts = [...cuts].filter((at) => at < side).sort((one, other) => one - other)
  return starts.map((from, i) => ({ from, count: (starts[i + 1] ?? side) - from }))
}

/** Which of `parts` shares holds item `index`. */
function ownerOf(index: number, parts: number): number {
  for (let part = 0; part < parts; part++) {
    const { from, count } = shareOf(side, part, parts)
    if (index >= from && index < from + count) return part
  }
  throw new RangeError(`${index} is in nobody's share`)
}

/** c += left x upper, where left has `depth` columns and upper `depth` rows. */
function addProduct(c: Float64Array, left: Float64Array, upper: Float64Array, depth: number): void {
  const width = columns.count
  for (let row = 0; row < rows.count; row++) {
    for (let k = 0; k < depth; k++) {
      const factor = left[row * depth + k]!
      for (let column = 0; column < width; column++) c[row * width + column]! += factor * upper[k * width + column]!
    }
  }
}

function multiplyPlainly(product: Float64Array, a: Float64Array, b: Float64Array): void {
  for (let row = 0; row < side; row++) {
    for (let k = 0; k < side; k++) {
      const factor = a[row * side + k]!
      for (let column = 0; column < side; column++) product[row * side + column]! += factor * b[k * side + column]!
    }
  }
}

/** How many elements of a block are not those of the product. Small integers everywhere, so that sums are exact. */
function differences(product: Float64Array, { rows, columns, c }: { rows: Share; columns: Share; c: Float64Array }) {
  let count = 0
  for (let row = 0; row < rows.count; row++) {
    for (let column = 0; column < columns.count; column++) {
      const expected = product[(rows.from + row) * side + columns.from + column]
      if (c[row * columns.count + column] !== expected) count++
    }
  }
  return count
}

/** A block of a matrix whose elements follow from their place: integers from -8 to 8. */
function block(seed: number, rows: Share, columns: Share): Float64Array {
  const elements = new Float64Array(rows.count * columns.count)
  for (let row = 0; row < rows.count; row++) {
    for (let column = 0; column < columns.count; column++) {
      const place = Math.imul(rows.from + row + 1, 0x9e3779b1) ^ Math.imul(columns.from + column + seed, 0x85ebca6b)
      elements[row * columns.count + column] = ((Math.imul(place ^ (place >>> 15), 0x2c1b3c6d) >>> 16) % 17) - 8
    }
  }
  return elements
}

/** The most nearly square grid of so many ranks: no more rows than columns. */
function gridFor(size: number): { readonly rows: number; readonly columns: number } {
  let rows = Math.floor(Math.sqrt(size))
  while (size % rows !== 0) rows--
  return { rows, columns: size / rows }
}
