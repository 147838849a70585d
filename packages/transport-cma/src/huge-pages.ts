import { readFileSync } from 'node:fs'
import type { Libc } from './libc/libc.js'

/** What a huge page covers where this is worth its while; elsewhere (arm64 with pages of 64 KiB: 512 MiB) nothing is done. */
const RANGE_BYTES = 2 * 1024 * 1024
/** Shorter pieces are read for their call's sake, and their pages hardly count. */
const PIECE_BYTES_MIN = 16 * 1024
/**
 * Named so often, memory has been read for as long as a huge page costs, or longer: 0.4 ms (5 ms where a hypervisor has to find the memory
 * first) against 2.4 us in 64 KiB. So nobody pays more than twice what it would have cost to know beforehand.
 */
const NAMED_BYTES_MIN = 32 * 1024 * 1024
/** Then it is asked for again: it was refused, or the memory may be another by now. Asking for what is there already takes some microseconds. */
const NAMED_BYTES_AGAIN = 512 * 1024 * 1024
/** Ranges that are remembered; two that share a place forget each other. */
const PLACES = 1024

const FOLDER = '/sys/kernel/mm/transparent_hugepage'

/**
 * Huge pages for memory that peers read or write again and again: the kernel looks up every page that another process reaches into, and
 * that takes longer than to copy it (64 KiB: 5.7 us, of a huge page 3.3; 1 MiB: 78, 40). The memory stays where it is and what it is; this only
 * asks the kernel to gather its pages (MADV_COLLAPSE, Linux 6.1), as a network's library would register it.
 *
 * It is asked for once in a while, never where the machine's administrator has said `never`, and a refusal changes nothing.
 */
export class HugePages {
  private readonly libc: Pick<Libc, 'collapse'>
  private readonly ranges = new Int32Array(PLACES)
  /** Bytes that are still to be named before a range is worth a huge page. */
  private readonly remaining = new Int32Array(PLACES)
  private readonly mayBeAsked: () => boolean
  private wanted: boolean | undefined

  /** `mayBeAsked` is called once, before the first time. */
  constructor(libc: Pick<Libc, 'collapse'>, mayBeAsked: () => boolean) {
    this.libc = libc
    this.mayBeAsked = mayBeAsked
  }

  /** This memory has been named to a peer, once more. Takes a moment now and then, for one range at a time. */
  note(address: number, byteLength: number): void {
    if (byteLength < PIECE_BYTES_MIN || this.wanted === false) return
    const end = address + byteLength
    let due = 0
    for (let range = Math.floor(address / RANGE_BYTES); range * RANGE_BYTES < end; range++) {
      const start = range * RANGE_BYTES
      if (this.count(range, Math.min(end, start + RANGE_BYTES) - Math.max(address, start))) due = range
    }
    if (due !== 0) this.gather(due)
  }

  /** Whether it is worth a huge page now. */
  private count(range: number, byteLength: number): boolean {
    const place = range % PLACES
    if (this.ranges[place] !== range) {
      this.ranges[place] = range
      this.remaining[place] = NAMED_BYTES_MIN
    }
    const remaining = (this.remaining[place] as number) - byteLength
    // one range at a time: those that are not taken stay due
    this.remaining[place] = Math.max(remaining, 0)
    return remaining <= 0
  }

  private gather(range: number): void {
    this.wanted ??= this.mayBeAsked()
    if (!this.wanted) return
    this.remaining[range % PLACES] = NAMED_BYTES_AGAIN
    this.libc.collapse(range * RANGE_BYTES, RANGE_BYTES)
  }
}

/** Whether this machine has huge pages of that size, and its administrator lets programs ask for them. */
export function hasHugePages(): boolean {
  return Number(textOf('hpage_pmd_size')) === RANGE_BYTES && !textOf('enabled').includes('[never]')
}

/** Empty where there is no such file. */
function textOf(name: string): string {
  try {
    return readFileSync(`${FOLDER}/${name}`, 'utf8')
  } catch {
    return ''
  }
}
