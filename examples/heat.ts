/**
 * Heat spreading over a square plate, by the explicit finite-difference scheme: the rim is held at temperature 0, two discs are
 * held at 1, and every step moves each other cell towards the mean of its four neighbours. Each rank owns a stretch of rows;
 * the rows at its edges go to the neighbours with persistent requests while the rows between are computed. Rank 0 gathers the
 * plate and writes a picture.
 *
 * Arguments: cells per side (default 512), steps (default 1000), file (default examples/out/heat.png).
 *
 *   npx onecopy run -n 4 examples/heat.ts 512 1000
 */
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { encode } from 'fast-png'
import { type Communicator, init, type PersistentRequest, PROC_NULL, SUM } from 'onecopy'
import { integerArgument } from './support/arguments.ts'
import { shareOf } from './support/shares.ts'

/** The share of the difference to its neighbours' mean that a cell moves per step; the scheme is stable up to 1. */
const RATE = 0.9
/** Centre and radius as fractions of the side. */
const DISCS = [
  { x: 0.3, y: 0.35, radius: 0.12 },
  { x: 0.7, y: 0.6, radius: 0.18 },
]
const UP = 1
const DOWN = 2

const world = await init()
const { rank, size } = world
const side = integerArgument(world, 0, { name: 'cells per side', fallback: 512, min: 3, max: 8192 })
const steps = integerArgument(world, 1, { name: 'steps', fallback: 1000, min: 0, max: 10_000_000 })
const file = process.argv[4] ?? fileURLToPath(new URL('out/heat.png', import.meta.url))
if (size > side) world.abort(2, `${side} rows are too few for ${size} ranks: each needs at least one`)

const { from, count } = shareOf(side, rank, size)
const held = heldCells()
// Own rows are 1 … count; rows 0 and count + 1 are copies of the neighbours' rows. Two plates: one to read, one to write.
let now = firstPlate()
let next = firstPlate()
let halo = haloRequests(world, now)
let nextHalo = haloRequests(world, next)

await world.barrier()
const startedAt = performance.now()
for (let step = 0; step < steps; step++) {
  for (const request of halo) request.start()
  relax(now, next, 2, count - 1)
  for (const request of halo) request.waitSync()
  relax(now, next, 1, 1)
  if (count > 1) relax(now, next, count, count)
  ;[now, next] = [next, now]
  ;[halo, nextHalo] = [nextHalo, halo]
}
const seconds = (performance.now() - startedAt) / 1000

const rows = now.subarray(side, (count + 1) * side)
const heat = await world.allreduce(
  rows.reduce((sum, cell) => sum + cell, 0),
  SUM,
)
const plate = rank === 0 ? new Float64Array(side * side) : null
const counts = Array.from({ length: size }, (_, each) => shareOf(side, each, size).count * side)
await world.gatherInto(rows, plate, { counts, root: 0 })

if (plate !== null) {
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, encode({ width: side, height: side, channels: 3, data: coloured(plate) }))
  console.log(`${steps} steps of ${side} x ${side} cells on ${size} ranks in ${seconds.toFixed(2)} s`)
  console.log(`mean temperature ${(heat / side ** 2).toPrecision(12)}`)
  console.log(`picture in ${file}`)
}

/** Sends the edge rows to the neighbours and receives theirs, for one of the two plates. */
function haloRequests(world: Communicator, plate: Float64Array): PersistentRequest<unknown>[] {
  const above = rank > 0 ? rank - 1 : PROC_NULL
  const below = rank < size - 1 ? rank + 1 : PROC_NULL
  const row = (index: number): Float64Array => plate.subarray(index * side, (index + 1) * side)
  return [
    world.recvInit(row(0), above, DOWN),
    world.recvInit(row(count + 1), below, UP),
    world.sendInit(row(1), above, UP),
    world.sendInit(row(count), below, DOWN),
  ]
}

/** One step, from one plate to the other, for the rows first … last (none, if last < first). */
function relax(now: Float64Array, next: Float64Array, first: number, last: number): void {
  for (let row = first; row <= last; row++) {
    const end = (row + 1) * side - 1
    for (let cell = row * side + 1; cell < end; cell++) {
      const mean = (now[cell - 1]! + now[cell + 1]! + now[cell - side]! + now[cell + side]!) / 4
      next[cell] = held[cell] === 1 ? now[cell]! : now[cell]! + RATE * (mean - now[cell]!)
    }
  }
}

function firstPlate(): Float64Array {
  const plate = new Float64Array((count + 2) * side)
  for (let row = 1; row <= count; row++) {
    for (let column = 0; column < side; column++) if (isHot(from + row - 1, column)) plate[row * side + column] = 1
  }
  return plate
}

/** 1 for the cells whose temperature does not change; laid out like a plate. */
function heldCells(): Uint8Array {
  const cells = new Uint8Array((count + 2) * side)
  for (let row = 1; row <= count; row++) {
    const y = from + row - 1
    for (let x = 0; x < side; x++) {
      const onRim = y === 0 || y === side - 1 || x === 0 || x === side - 1
      cells[row * side + x] = onRim || isHot(y, x) ? 1 : 0
    }
  }
  return cells
}

function isHot(y: number, x: number): boolean {
  return DISCS.some((disc) => Math.hypot((x + 0.5) / side - disc.x, (y + 0.5) / side - disc.y) < disc.radius)
}

/** Black, red, yellow, white, as a glowing body: the three channels rise one after the other. */
function coloured(plate: Float64Array): Uint8Array {
  const pixels = new Uint8Array(3 * plate.length)
  for (let cell = 0; cell < plate.length; cell++) {
    for (let channel = 0; channel < 3; channel++) {
      pixels[3 * cell + channel] = Math.round(255 * Math.min(1, Math.max(0, 3 * plate[cell]! - channel)))
    }
  }
  return pixels
}
