import { ANY_SOURCE, ANY_TAG } from './constants.js'

/** What matching needs of a posted receive. `source` is a world rank or ANY_SOURCE. */
export interface Posted {
  source: number
  tag: number
  /** Set by the queue: the order of posting. */
  order: number
  next: this | null
  previous: this | null
  posted: boolean
}

/** What matching needs of a message that came before its receive. */
export interface Arrived {
  readonly peer: number
  readonly tag: number
  nextOfPeer: this | null
  previousOfPeer: this | null
  nextOfAll: this | null
  previousOfAll: this | null
  stored: boolean
}

interface Ends<T> {
  head: T | null
  tail: T | null
}

/**
 * The posted queue and the unexpected queue of one context, with MPI's rules: messages from one rank match in the order
 * they were sent, receives match in the order they were posted, wildcards included. Pure: no I/O, no allocation per
 * message but the first from each peer. @see MPI 4.1, 3.5
 */
export class MatchQueues<P extends Posted, A extends Arrived> {
  private readonly postedFrom: (Ends<P> | undefined)[] = []
  private readonly postedAny: Ends<P> = { head: null, tail: null }
  private readonly arrivedFrom: (Ends<A> | undefined)[] = []
  private readonly arrived: Ends<A> = { head: null, tail: null }
  private order = 0

  /** The earliest arrival that `posted` matches, removed; or null, and `posted` waits in the queue. */
  post(posted: P): A | null {
    const arrival = this.find(posted.source, posted.tag)
    if (arrival !== null) {
      this.remove(arrival)
      return arrival
    }
    posted.order = this.order++
    posted.posted = true
    posted.next = null
    const ends = posted.source === ANY_SOURCE ? this.postedAny : this.postedBy(posted.source)
    posted.previous = ends.tail
    if (ends.tail === null) ends.head = posted
    else ends.tail.next = posted
    ends.tail = posted
    return null
  }

  /** The earliest posted receive that matches a message from `peer` with `tag`, removed; or null. */
  match(peer: number, tag: number): P | null {
    const ends = this.postedFrom[peer]
    let found = ends === undefined ? null : ends.head
    while (found !== null && found.tag !== tag && found.tag !== ANY_TAG) found = found.next
    let any = this.postedAny.head
    if (any !== null) {
      while (any !== null && any.tag !== tag && any.tag !== ANY_TAG) any = any.next
      if (any !== null && (found === null || any.order < found.order)) found = any
    }
    if (found !== null) this.cancel(found)
    return found
  }

  /** Keeps a message that matched nothing. */
  store(arrival: A): void {
    arrival.stored = true
    let ends = this.arrivedFrom[arrival.peer]
    if (ends === undefined) {
      ends = { head: null, tail: null }
      this.arrivedFrom[arrival.peer] = ends
    }
    arrival.nextOfPeer = null
    arrival.previousOfPeer = ends.tail
    if (ends.tail === null) ends.head = arrival
    else ends.tail.nextOfPeer = arrival
    ends.tail = arrival
    const all = this.arrived
    arrival.nextOfAll = null
    arrival.previousOfAll = all.tail
    if (all.tail === null) all.head = arrival
    else all.tail.nextOfAll = arrival
    all.tail = arrival
  }

  /** The earliest arrival that matches, left where it is (probe); or null. */
  find(source: number, tag: number): A | null {
    if (source === ANY_SOURCE) {
      let arrival = this.arrived.head
      while (arrival !== null && arrival.tag !== tag && tag !== ANY_TAG) arrival = arrival.nextOfAll
      return arrival
    }
    const ends = this.arrivedFrom[source]
    if (ends === undefined) return null
    let arrival = ends.head
    while (arrival !== null && arrival.tag !== tag && tag !== ANY_TAG) arrival = arrival.nextOfPeer
    return arrival
  }

  /** Takes an arrival out (matched probe, cancelled send). */
  remove(arrival: A): void {
    arrival.stored = false
    const ends = this.arrivedFrom[arrival.peer]!
    if (arrival.previousOfPeer === null) ends.head = arrival.nextOfPeer
    else arrival.previousOfPeer.nextOfPeer = arrival.nextOfPeer
    if (arrival.nextOfPeer === null) ends.tail = arrival.previousOfPeer
    else arrival.nextOfPeer.previousOfPeer = arrival.previousOfPeer
    const all = this.arrived
    if (arrival.previousOfAll === null) all.head = arrival.nextOfAll
    else arrival.previousOfAll.nextOfAll = arrival.nextOfAll
    if (arrival.nextOfAll === null) all.tail = arrival.previousOfAll
    else arrival.nextOfAll.previousOfAll = arrival.previousOfAll
    arrival.nextOfPeer = null
    arrival.previousOfPeer = null
    arrival.nextOfAll = null
    arrival.previousOfAll = null
  }

  /** Takes a posted receive out; false when it is not (or no longer) posted here. */
  cancel(posted: P): boolean {
    if (!posted.posted) return false
    posted.posted = false
    const ends = posted.source === ANY_SOURCE ? this.postedAny : this.postedBy(posted.source)
    if (ends.head === ends.tail) {
      // the usual: the only one
      ends.head = null
      ends.tail = null
      return true
    }
    if (posted.previous === null) ends.head = posted.next
    else posted.previous.next = posted.next
    if (posted.next === null) ends.tail = posted.previous
    else posted.next.previous = posted.previous
    posted.next = null
    posted.previous = null
    return true
  }

  /** Every posted receive for which `concerns` answers true, taken out. For failures: slow path. */
  withdraw(concerns: (posted: P) => boolean): P[] {
    const withdrawn: P[] = []
    for (const ends of [...this.postedFrom, this.postedAny]) {
      if (ends === undefined) continue
      for (let posted = ends.head; posted !== null; ) {
        const next: P | null = posted.next
        if (concerns(posted)) withdrawn.push(posted)
        posted = next
      }
    }
    for (const posted of withdrawn) this.cancel(posted)
    return withdrawn.sort((a, b) => a.order - b.order)
  }

  /** Every arrival kept, in order of arrival. Slow path. */
  arrivals(): A[] {
    const kept: A[] = []
    for (let arrival = this.arrived.head; arrival !== null; arrival = arrival.nextOfAll) kept.push(arrival)
    return kept
  }

  private postedBy(source: number): Ends<P> {
    let ends = this.postedFrom[source]
    if (ends === undefined) {
      ends = { head: null, tail: null }
      this.postedFrom[source] = ends
    }
    return ends
  }
}
