import { REGION_WORDS } from '../remote-memory.js'

/*
 * The name of a region, in int32 words:
 *
 *     0      1      2           3
 *     owner  index  generation  byteLength (low 32 bits, to spot a name that was cut or mixed up)
 */
const OWNER = 0
const INDEX = 1
const GENERATION = 2
const LENGTH = 3

interface Region {
  owner: number
  generation: number
  /** Null while the entry is free. */
  view: Uint8Array | null
  /** Kept beside the view, whose own length becomes 0 when its buffer is transferred. */
  byteLength: number
}

/** All regions that the ranks of one network have named. What a kernel's page tables are to real processes. */
export class RegionTable {
  private readonly regions: Region[] = []
  private readonly free: number[] = []

  add(owner: number, view: Uint8Array, words: Int32Array, at: number): void {
    let index = this.free.pop()
    if (index === undefined) {
      index = this.regions.length
      this.regions.push({ owner, generation: 0, view: null, byteLength: 0 })
    }
    const region = this.regions[index] as Region
    region.owner = owner
    region.generation = (region.generation + 1) | 0
    region.view = view
    region.byteLength = view.byteLength
    words[at + OWNER] = owner
    words[at + INDEX] = index
    words[at + GENERATION] = region.generation
    words[at + LENGTH] = view.byteLength | 0
  }

  /** Takes the name back; does nothing where it has been taken back before, or is another rank's. */
  remove(owner: number, words: Int32Array, at: number): void {
    const region = this.find(owner, words, at)
    if (region === null) return
    region.view = null
    this.free.push(words[at + INDEX] as number)
  }

  removeAllOf(owner: number): void {
    for (let index = 0; index < this.regions.length; index++) {
      const region = this.regions[index] as Region
      if (region.owner !== owner || region.view === null) continue
      region.view = null
      this.free.push(index)
    }
  }

  /** The bytes behind a name, or null where the name is not, or no longer, one of `owner`'s. */
  bytesOf(owner: number, words: Int32Array, at: number): Uint8Array | null {
    const region = this.find(owner, words, at)
    // A transferred or shrunk buffer: its view answers for fewer bytes than were named.
    return region?.view?.byteLength === region?.byteLength ? (region?.view ?? null) : null
  }

  private find(owner: number, words: Int32Array, at: number): Region | null {
    if (at < 0 || at + REGION_WORDS > words.length) {
      throw new RangeError(`A region's name takes ${REGION_WORDS} words; words[${at}…] of ${words.length} are too few`)
    }
    const region = this.regions[words[at + INDEX] as number]
    if (region === undefined || region.view === null || region.owner !== owner || words[at + OWNER] !== owner)
      return null
    if (region.generation !== words[at + GENERATION] || (region.byteLength | 0) !== words[at + LENGTH]) return null
    return region
  }
}
