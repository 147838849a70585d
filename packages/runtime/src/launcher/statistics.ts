/** What one rank reports: numbers and words by name, possibly grouped. */
export type RankReport = Readonly<Record<string, unknown>>

/**
 * Lays the ranks' reports out as a table, one line per rank and one for the sum, columns in the order they first appear.
 * Groups are flattened: `{ cma: { frames: 3 } }` is the column `cma.frames`.
 */
export function statisticsTable(reports: ReadonlyMap<number, RankReport>): string {
  const ranks = [...reports.keys()].sort((a, b) => a - b)
  const rows = new Map<number, Map<string, unknown>>()
  const columns = new Set<string>()
  for (const rank of ranks) {
    const row = new Map<string, unknown>()
    flatten(reports.get(rank) as RankReport, '', row)
    for (const name of row.keys()) columns.add(name)
    rows.set(rank, row)
  }
  const names = [...columns]
  const lines = [['rank', ...names]]
  for (const rank of ranks) lines.push([String(rank), ...names.map((name) => cell(rows.get(rank)?.get(name)))])
  if (ranks.length > 1)
    lines.push(['all', ...names.map((name) => total(ranks.map((rank) => rows.get(rank)?.get(name))))])
  return formatTable(lines)
}

/** Columns two spaces apart, the first one left, the others right aligned. Ends with a line end. */
export function formatTable(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines
    .map((line) =>
      line
        .map((text, column) => (column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('')
}

function flatten(group: RankReport, prefix: string, into: Map<string, unknown>): void {
  for (const [name, value] of Object.entries(group)) {
    if (typeof value === 'object' && value !== null) flatten(value as RankReport, `${prefix}${name}.`, into)
    else into.set(`${prefix}${name}`, value)
  }
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return '-'
  if (typeof value === 'number' && !Number.isInteger(value)) return value.toFixed(2)
  return String(value)
}

function total(values: readonly unknown[]): string {
  const numbers = values.filter((value) => typeof value === 'number')
  if (numbers.length === 0) return '-'
  return cell(numbers.reduce((sum, value) => sum + value, 0))
}
