import assert from 'node:assert/strict'
import { ANY_SOURCE, ANY_TAG } from '../src/constants.js'
import { type Arrived, MatchQueues, type Posted } from '../src/matching.js'
import { Random } from './support/random.js'

class Receive implements Posted {
  order = 0
  next: this | null = null
  previous: this | null = null
  posted = false
  readonly name: string
  source: number
  tag: number

  constructor(name: string, source: number, tag: number) {
    this.name = name
    this.source = source
    this.tag = tag
  }
}

class Sent implements Arrived {
  nextOfPeer: this | null = null
  previousOfPeer: this | null = null
  nextOfAll: this | null = null
  previousOfAll: this | null = null
  stored = false
  readonly name: string
  readonly peer: number
  readonly tag: number

  constructor(name: string, peer: number, tag: number) {
    this.name = name
    this.peer = peer
    this.tag = tag
  }
}

/** MPI 4.1, 3.5, in its plainest form: two lists, searched from the front. */
class NaiveQueues {
  readonly posted: Receive[] = []
  readonly arrived: Sent[] = []

  post(receive: Receive): Sent | null {
    const at = this.#indexOf(receive.source, receive.tag)
    if (at >= 0) return this.arrived.splice(at, 1)[0]!
    this.posted.push(receive)
    return null
  }

  match(peer: number, tag: number): Receive | null {
    const at = this.posted.findIndex((receive) => agrees(receive.source, receive.tag, peer, tag))
    return at < 0 ? null : this.posted.splice(at, 1)[0]!
  }

  find(source: number, tag: number): Sent | null {
    return this.arrived[this.#indexOf(source, tag)] ?? null
  }

  #indexOf(source: number, tag: number): number {
    return this.arrived.findIndex((sent) => agrees(source, tag, sent.peer, sent.tag))
  }
}

function agrees(source: number, wantedTag: number, peer: number, tag: number): boolean {
  return (source === ANY_SOURCE || source === peer) && (wantedTag === ANY_TAG || wantedTag === tag)
}

const SEEDS = 60
const STEPS = 3000

describe('matching', () => {
  it(`does what two plain lists do (seeds 1 to ${SEEDS})`, () => {
    for (let seed = 1; seed <= SEEDS; seed++) compare(seed)
  })

  it('gives a message to the receive posted first, wildcard or not', () => {
    const queues = new MatchQueues<Receive, Sent>()
    const any = new Receive('any', ANY_SOURCE, 5)
    const exact = new Receive('exact', 2, 5)
    const open = new Receive('open', 2, ANY_TAG)
    for (const receive of [any, exact, open]) assert.equal(queues.post(receive), null)
    assert.equal(queues.match(2, 6), open)
    assert.equal(queues.match(2, 5), any)
    assert.equal(queues.match(2, 5), exact)
    assert.equal(queues.match(2, 5), null)
  })

  it('gives a receive the message that came first, per source and over all', () => {
    const queues = new MatchQueues<Receive, Sent>()
    const sent = [new Sent('a', 3, 1), new Sent('b', 0, 1), new Sent('c', 3, 2), new Sent('d', 3, 1)] as const
    for (const message of sent) queues.store(message)
    assert.equal(queues.find(ANY_SOURCE, 2), sent[2])
    assert.equal(queues.post(new Receive('', 3, ANY_TAG)), sent[0])
    assert.equal(queues.post(new Receive('', ANY_SOURCE, 1)), sent[1])
    assert.equal(queues.post(new Receive('', 3, 1)), sent[3])
    assert.deepEqual(queues.arrivals(), [sent[2]])
  })

  it('forgets a cancelled receive, once', () => {
    const queues = new MatchQueues<Receive, Sent>()
    const receives = ['first', 'middle', 'last'].map((name) => new Receive(name, 1, ANY_TAG))
    for (const receive of receives) queues.post(receive)
    assert.equal(queues.cancel(receives[1]!), true)
    assert.equal(queues.cancel(receives[1]!), false)
    assert.equal(queues.match(1, 0), receives[0])
    assert.equal(queues.cancel(receives[0]!), false, 'it has matched')
    assert.equal(queues.match(1, 0), receives[2])
    assert.equal(queues.match(1, 0), null)
  })

  it('withdraws the receives that a failure concerns, in the order of posting, and no others', () => {
    const queues = new MatchQueues<Receive, Sent>()
    const receives = [1, ANY_SOURCE, 2, 1, ANY_SOURCE].map((source, i) => new Receive(String(i), source, ANY_TAG))
    for (const receive of receives) queues.post(receive)
    const withdrawn = queues.withdraw((receive) => receive.source !== 2)
    assert.deepEqual(
      withdrawn.map((receive) => receive.name),
      ['0', '1', '3', '4'],
    )
    assert.equal(queues.match(1, 0), null)
    assert.equal(queues.match(2, 0), receives[2])
  })
})

function compare(seed: number): void {
  const random = new Random(seed)
  const peers = random.between(1, 4)
  const tags = random.between(1, 4)
  const queues = new MatchQueues<Receive, Sent>()
  const naive = new NaiveQueues()
  const wildcard = random.next() / 2
  const source = () => (random.chance(wildcard) ? ANY_SOURCE : random.between(0, peers - 1))
  const wantedTag = () => (random.chance(wildcard) ? ANY_TAG : random.between(0, tags - 1))
  for (let step = 0; step < STEPS; step++) {
    const where = `seed ${seed}, step ${step}`
    switch (random.between(0, 9)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const receive = new Receive(`receive ${step}`, source(), wantedTag())
        assert.equal(queues.post(receive)?.name, naive.post(receive)?.name, where)
        break
      }
      case 4:
      case 5:
      case 6:
      case 7: {
        const [peer, tag] = [random.between(0, peers - 1), random.between(0, tags - 1)]
        const expected = naive.match(peer, tag)
        assert.equal(queues.match(peer, tag)?.name, expected?.name, where)
        if (expected !== null) break
        const sent = new Sent(`message ${step}`, peer, tag)
        queues.store(sent)
        naive.arrived.push(sent)
        break
      }
      case 8: {
        const [from, tag] = [source(), wantedTag()]
        const found = queues.find(from, tag)
        assert.equal(found?.name, naive.find(from, tag)?.name, where)
        if (found === null || random.chance(0.5)) break
        queues.remove(found)
        assert.equal(found.stored, false, where)
        naive.arrived.splice(naive.arrived.indexOf(found), 1)
        break
      }
      default: {
        const at = random.between(0, naive.posted.length - 1)
        const receive = naive.posted[at]
        if (receive === undefined) break
        assert.equal(queues.cancel(receive), true, where)
        naive.posted.splice(at, 1)
      }
    }
    // long queues hide mistakes at their ends
    if (step % 500 !== 499) continue
    assert.deepEqual(names(queues.arrivals()), names(naive.arrived), where)
    const concerned = (receive: Posted) => receive.tag === 0 || receive.source === ANY_SOURCE
    assert.deepEqual(names(queues.withdraw(concerned)), names(naive.posted.filter(concerned)), where)
    const kept = naive.posted.filter((receive) => !concerned(receive))
    naive.posted.splice(0, naive.posted.length, ...kept)
  }
}

function names(all: readonly { readonly name: string }[]): string[] {
  return all.map(({ name }) => name)
}
