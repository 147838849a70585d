const UNITS: Readonly<Record<string, number>> = { '': 1, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 }

/** `64Ki` to 65536. */
export function parseBytes(text: string): number {
  const [, digits, unit] = /^\s*(\d+)\s*(Ki|Mi|Gi|)B?\s*$/.exec(text) ?? []
  if (digits === undefined || unit === undefined) throw new RangeError(`'${text}' is not a size like 8, 64Ki or 1Mi`)
  return Number(digits) * (UNITS[unit] as number)
}

/** 65536 to `64 KiB`. */
export function formatBytes(bytes: number): string {
  for (const unit of ['Gi', 'Mi', 'Ki']) {
    const factor = UNITS[unit] as number
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor} ${unit}B`
  }
  return `${bytes} B`
}

/** Three digits that mean something: 0.213, 12.4, 345, 11 700. */
export function formatNumber(value: number): string {
  if (value === 0) return '0'
  if (value < 100) return value.toPrecision(value < 1 && value < 0.1 ? 2 : 3)
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ' ')
}
