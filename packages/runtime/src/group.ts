import { type CONGRUENT, IDENT, PROC_NULL, SIMILAR, UNDEFINED, UNEQUAL } from './constants.js'

/** How two groups, or two communicators, relate: one of IDENT, CONGRUENT, SIMILAR, UNEQUAL. */
export type Comparison = typeof IDENT | typeof CONGRUENT | typeof SIMILAR | typeof UNEQUAL

/** What numbers of processes mean: a job. */
export interface Universe {
  /** Which process each number is, in words that are the same in every job which that process is in. */
  readonly identities: readonly string[]
}

/** First rank, last rank and stride (default 1), both ends included, as in MPI's range calls. */
export type RankRange = readonly [first: number, last: number, stride?: number]

/**
 * An ordered set of processes, without communication: what a communicator is made from, and what `create` makes one of. Groups
 * never change; every operation gives a new one.
 * @see MPI 4.1, 7.3
 */
export class Group {
  /** How many processes there are. @see MPI 4.1, 7.3.1 */
  readonly size: number
  /** This process's number in the group, or UNDEFINED when it is not in it. @see MPI 4.1, 7.3.1 */
  readonly rank: number
  /** @internal World ranks, by rank in the group. */
  readonly members: readonly number[]
  readonly #self: number
  /** What the members are numbers of. */
  readonly #universe: Universe

  /** @internal Groups come from communicators and from other groups. */
  constructor(universe: Universe, self: number, members: readonly number[]) {
    this.#universe = universe
    this.#self = self
    this.members = members
    this.size = members.length
    const rank = members.indexOf(self)
    this.rank = rank < 0 ? UNDEFINED : rank
  }

  /**
   * The processes with these ranks, in this order.
   * @throws TypeError, RangeError for no ranks of this group, or one given twice
   * @see MPI 4.1, 7.3.2
   */
  incl(ranks: readonly number[]): Group {
    this.#check(ranks)
    return this.#of(ranks.map((rank) => this.members[rank] as number))
  }

  /** The processes without these ranks, in their old order. @throws as {@link incl}. @see MPI 4.1, 7.3.2 */
  excl(ranks: readonly number[]): Group {
    this.#check(ranks)
    const out = new Set(ranks)
    return this.#of(this.members.filter((_, rank) => !out.has(rank)))
  }

  /** The ranks of all ranges, one range after the other. @throws as {@link incl}. @see MPI 4.1, 7.3.2 */
  rangeIncl(ranges: readonly RankRange[]): Group {
    return this.incl(ranksOf(ranges))
  }

  /** The processes outside all ranges. @throws as {@link incl}. @see MPI 4.1, 7.3.2 */
  rangeExcl(ranges: readonly RankRange[]): Group {
    return this.excl(ranksOf(ranges))
  }

  /**
   * All of this group, then those of `other` that are not in it.
   * @throws TypeError when the two are of different jobs, and this one's does not know all of the other's processes.
   * @see MPI 4.1, 7.3.2
   */
  union(other: Group): Group {
    const theirs = this.#membersOf(other)
    if (theirs.includes(STRANGER))
      throw new TypeError('no job knows the processes of both groups: ask the other one for the union')
    return this.#of([...this.members, ...theirs.filter((member) => !this.members.includes(member))])
  }

  /** Those of this group that are also in `other`, in this group's order. @see MPI 4.1, 7.3.2 */
  intersection(other: Group): Group {
    const theirs = new Set(this.#membersOf(other))
    return this.#of(this.members.filter((member) => theirs.has(member)))
  }

  /** Those of this group that are not in `other`, in this group's order. @see MPI 4.1, 7.3.2 */
  difference(other: Group): Group {
    const theirs = new Set(this.#membersOf(other))
    return this.#of(this.members.filter((member) => !theirs.has(member)))
  }

  /**
   * The ranks that these ranks of this group have in `other`; UNDEFINED for processes that are not in it. PROC_NULL stays.
   * @see MPI 4.1, 7.3.1
   */
  translate(ranks: readonly number[], other: Group): number[] {
    const theirs = this.#membersOf(other)
    return ranks.map((rank) => {
      if (rank === PROC_NULL) return PROC_NULL
      this.#checkRank(rank)
      const found = theirs.indexOf(this.members[rank]!)
      return found < 0 ? UNDEFINED : found
    })
  }

  /** IDENT: the same processes in the same order; SIMILAR: in another order; UNEQUAL. @see MPI 4.1, 7.3.1 */
  compare(other: Group): Comparison {
    if (!(other instanceof Group)) throw notAGroup(other)
    if (other.size !== this.size) return UNEQUAL
    const theirs = this.#membersOf(other)
    if (this.members.every((member, rank) => member === theirs[rank])) return IDENT
    const known = new Set(theirs)
    return this.members.every((member) => known.has(member)) ? SIMILAR : UNEQUAL
  }

  /** @internal The numbers that the group's processes have in `universe`; {@link STRANGER} for those that it does not know. */
  membersIn(universe: Universe): readonly number[] {
    if (universe === this.#universe) return this.members
    return this.members.map((member) => universe.identities.indexOf(this.#universe.identities[member]!))
  }

  #of(members: number[]): Group {
    return new Group(this.#universe, this.#self, members)
  }

  #membersOf(other: Group): readonly number[] {
    if (!(other instanceof Group)) throw notAGroup(other)
    return other.membersIn(this.#universe)
  }

  #check(ranks: readonly number[]): void {
    if (!Array.isArray(ranks)) throw new TypeError('ranks must be an array of ranks of this group')
    for (const rank of ranks) this.#checkRank(rank)
    if (new Set(ranks).size !== ranks.length) throw new RangeError(`a rank is given twice: ${ranks.join(', ')}`)
  }

  #checkRank(rank: number): void {
    if (typeof rank !== 'number' || !Number.isInteger(rank)) throw new TypeError(`${String(rank)} is not a rank`)
    if (rank < 0 || rank >= this.size) {
      throw new RangeError(`rank ${rank} is not in this group: its ranks are 0 to ${this.size - 1}`)
    }
  }
}

/** No process of this job. */
const STRANGER = -1

function ranksOf(ranges: readonly RankRange[]): number[] {
  if (!Array.isArray(ranges)) throw new TypeError('ranges must be an array of [first, last, stride]')
  const ranks: number[] = []
  for (const range of ranges) {
    if (!Array.isArray(range)) throw new TypeError('a range is an array [first, last, stride]')
    const [first, last, stride = 1] = range
    if (![first, last, stride].every(Number.isInteger))
      throw new TypeError(`[${range.join(', ')}] is no range of ranks`)
    if (stride === 0) throw new RangeError('the stride of a range of ranks is 0')
    for (let rank = first; stride > 0 ? rank <= last : rank >= last; rank += stride) {
      ranks.push(rank)
      if (ranks.length > RANKS_MAX) throw new RangeError(`[${range.join(', ')}] is more ranks than any job has`)
    }
  }
  return ranks
}

function notAGroup(value: unknown): TypeError {
  return new TypeError(`a Group is needed, as communicator.group gives one, got ${String(value)}`)
}

/** Far above what the launcher starts: a range that is longer is a mistake, found before it fills the memory. */
const RANKS_MAX = 2 ** 20
