import { allocate, bytesPerElement } from './element-type.js'

interface View {
  readonly bytes: Uint8Array
  readonly elementBytes: number
  /** [element type, segment, byteOffset, byteLength]: the table's entry, whose last three are filled in by `place`. */
  readonly entry: number[]
}

/**
 * The pieces of memory that a value's views lie in. Views that overlap share one segment, so they overlap on the other side
 * too, and views of an ArrayBuffer that is itself in the value come back over that ArrayBuffer. Views that share an
 * ArrayBuffer without overlapping become separate memory: bytes that no view names are never sent.
 */
export class MemorySegments {
  readonly #views: View[] = []

  /** Adds a view; `entry` is filled in by {@link place}. */
  add(bytes: Uint8Array, elementType: number, entry: number[]): void {
    this.#views.push({ bytes, elementBytes: bytesPerElement(elementType), entry })
  }

  /** Cuts the memory into segments: parts (`partBytesMin` bytes and more) and inline ones. */
  place(partBytesMin: number): { parts: Uint8Array[]; inline: Uint8Array[] } {
    const parts: Uint8Array[] = []
    const inline: Uint8Array[] = []
    for (const views of this.#overlapping()) {
      const { bytes, start } = segmentOf(views)
      const isPart = bytes.byteLength >= partBytesMin
      const segment = isPart ? parts.push(bytes) - 1 : -inline.push(bytes)
      for (const { bytes: view, entry } of views) {
        entry[1] = segment
        entry[2] = view.byteOffset - start
        entry[3] = view.byteLength
      }
    }
    return { parts, inline }
  }

  #overlapping(): View[][] {
    const viewsOf = new Map<ArrayBufferLike, View[]>()
    for (const view of this.#views) {
      const views = viewsOf.get(view.bytes.buffer)
      if (views === undefined) viewsOf.set(view.bytes.buffer, [view])
      else views.push(view)
    }
    const groups: View[][] = []
    for (const views of viewsOf.values()) {
      if (views.length > 1) views.sort((a, b) => a.bytes.byteOffset - b.bytes.byteOffset)
      let group: View[] = []
      let end = -1
      for (const view of views) {
        if (view.bytes.byteOffset >= end) {
          group = []
          groups.push(group)
        }
        group.push(view)
        end = Math.max(end, view.bytes.byteOffset + view.bytes.byteLength)
      }
    }
    return groups
  }
}

/** The union of overlapping views, sorted by offset; `start` is where in the ArrayBuffer the segment's byte 0 would be. */
function segmentOf(views: readonly View[]): { bytes: Uint8Array; start: number } {
  const first = (views[0] as View).bytes
  if (views.length === 1) return { bytes: first, start: first.byteOffset }
  let end = 0
  let isAligned = true
  for (const { bytes, elementBytes } of views) {
    end = Math.max(end, bytes.byteOffset + bytes.byteLength)
    if ((bytes.byteOffset - first.byteOffset) % elementBytes !== 0) isAligned = false
  }
  const union = new Uint8Array(first.buffer, first.byteOffset, end - first.byteOffset)
  if (isAligned) return { bytes: union, start: first.byteOffset }
  // Say bytes from 3 on and doubles from 8 on: over fresh memory both can only be had with 3 bytes in front. Those in front in
  // the sender's memory are nobody's business, so this rare mix is copied behind zeros.
  const padding = first.byteOffset % 8
  const padded = new Uint8Array(allocate(padding + union.byteLength))
  padded.fill(0, 0, padding)
  padded.set(union, padding)
  return { bytes: padded, start: first.byteOffset - padding }
}
