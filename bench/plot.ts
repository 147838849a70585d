import type { Contender } from './contenders.js'
import type { Report } from './p2p.js'
import { formatBytes, formatNumber } from './units.js'

const [WIDTH, HEIGHT] = [960, 600]
const FRAME = { left: 80, right: 200, top: 50, bottom: 60 }
/** Okabe and Ito's colours, which the colour-blind can tell apart, then greys. */
const COLOURS = [
  '#d55e00',
  '#e69f00',
  '#cc79a7',
  '#f0a070',
  '#8c5a2b',
  '#0072b2',
  '#56b4e9',
  '#009e73',
  '#444',
  '#777',
  '#999',
  '#bbb',
]

/** Draws one-way time over message size, both axes logarithmic, one line per contender, as an SVG document. */
export function plotTimes(report: Report, contenders: readonly Contender[]): string {
  const points = report.results.filter((each): each is typeof each & { message: number } => each.message !== 'object')
  const sizes = [...new Set(points.map(({ message }) => message))].sort((a, b) => a - b)
  const decades = points.map(({ best }) => Math.log10(Math.max(best, 0.01)))
  const [low, high] = [Math.floor(Math.min(0, ...decades)), Math.ceil(Math.max(1, ...decades))]

  // 0 bytes has no logarithm: sizes stand at even distances, which for powers of two is the same picture.
  const x = (size: number): number =>
    FRAME.left + (sizes.indexOf(size) / Math.max(1, sizes.length - 1)) * (WIDTH - FRAME.left - FRAME.right)
  const y = (microseconds: number): number =>
    HEIGHT -
    FRAME.bottom -
    ((Math.log10(Math.max(microseconds, 0.01)) - low) / (high - low)) * (HEIGHT - FRAME.top - FRAME.bottom)

  const parts: string[] = []
  for (let decade = low; decade <= high; decade++) {
    const at = y(10 ** decade).toFixed(1)
    parts.push(`<line x1="${FRAME.left}" y1="${at}" x2="${WIDTH - FRAME.right}" y2="${at}" stroke="#ddd"/>`)
    parts.push(text(FRAME.left - 8, Number(at) + 4, 'end', formatNumber(10 ** decade)))
  }
  for (const size of sizes) parts.push(text(x(size), HEIGHT - FRAME.bottom + 20, 'middle', formatBytes(size)))

  const shown = contenders.filter(({ key }) => points.some((each) => each.contender === key))
  for (const [i, { key, title, isOnecopy }] of shown.entries()) {
    const colour = COLOURS[contenders.findIndex((each) => each.key === key) % COLOURS.length] as string
    const own = points.filter((each) => each.contender === key).sort((a, b) => a.message - b.message)
    const corners = own.map(({ message, best }) => `${x(message).toFixed(1)},${y(best).toFixed(1)}`)
    const width = isOnecopy ? 2.5 : 1.5
    parts.push(`<polyline points="${corners.join(' ')}" fill="none" stroke="${colour}" stroke-width="${width}"/>`)
    for (const corner of corners) {
      const [cx, cy] = corner.split(',')
      parts.push(`<circle cx="${cx}" cy="${cy}" r="2.5" fill="${colour}"/>`)
    }
    const legendY = FRAME.top + 10 + i * 22
    const legendX = WIDTH - FRAME.right + 20
    parts.push(
      `<line x1="${legendX}" y1="${legendY}" x2="${legendX + 24}" y2="${legendY}" stroke="${colour}" stroke-width="3"/>`,
    )
    parts.push(text(legendX + 32, legendY + 4, 'start', title))
  }
  const { cpu, cores } = report.machine
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>`,
    text(
      FRAME.left,
      28,
      'start',
      `One-way time in µs between two ranks, by message size (${cpu}, ${cores} cores, ${report.date.slice(0, 10)})`,
    ),
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

function text(x: number, y: number, anchor: 'start' | 'middle' | 'end', content: string): string {
  const escaped = content.replace(/&/g, '&amp;').replace(/</g, '&lt;')
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escaped}</text>`
}
