/**
 * Pi as the area under 4 / (1 + x²) from 0 to 1: every rank adds up its share of thin rectangles, one `allreduce` adds up the
 * ranks. The argument is the number of rectangles (default 10 million).
 *
 *   npx onecopy run -n 4 examples/pi.ts 10000000
 */
import { init, SUM } from 'onecopy'
import { integerArgument } from './support/arguments.ts'

const world = await init()
const rectangles = integerArgument(world, 0, { name: 'rectangles', fallback: 10_000_000, min: 1, max: 1e10 })

// Rank r takes rectangles r, r + size, r + 2 size, …: equal shares, whatever the number of ranks.
const width = 1 / rectangles
let heights = 0
for (let i = world.rank; i < rectangles; i += world.size) {
  const x = (i + 0.5) * width
  heights += 4 / (1 + x * x)
}

const pi = await world.allreduce(heights * width, SUM)

if (world.rank === 0) {
  console.log(`pi is about ${pi}`)
  console.log(`off by ${Math.abs(pi - Math.PI).toExponential(1)}, from ${rectangles} rectangles on ${world.size} ranks`)
}
