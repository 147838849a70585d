import assert from 'node:assert/strict'
import type { Communicator } from '../src/communicator.js'
import { ANY_SOURCE, ANY_TAG } from '../src/constants.js'
import type { Message } from '../src/message.js'
import {
  assertBytes,
  bytesOf,
  checkPayload,
  makePayload,
  type PayloadKind,
  RAW_KINDS,
  VALUE_KINDS,
} from './support/payload.js'
import { Random } from './support/random.js'
import { type SimulatedJobOptions, simulate } from './support/simulated-job.js'

/** A message as planned; every rank works out the same plan from the seed. */
interface Planned {
  readonly source: number
  readonly dest: number
  readonly tag: number
  readonly mode: 'send' | 'ssend' | 'bsend' | 'rsend'
  readonly byteLength: number
  readonly kind: PayloadKind
  readonly seed: number
}

/** How a rank receives everything that is meant for it. */
const RECEIVERS = ['any', 'byTag', 'bySource', 'exact', 'into', 'mprobe', 'probe', 'messages'] as const
type Receiver = (typeof RECEIVERS)[number]

const TAGS = 3
const MESSAGES_PER_RANK = 60
/** Sends that a rank has under way at once. */
const WINDOW = 12

const LENGTHS = [
  0, 1, 31, 32, 33, 64, 65, 1023, 4095, 4096, 4097, 8191, 8192, 8193, 65_535, 65_536, 65_537, 98_304, 300_001,
]

class Plan {
  readonly size: number
  readonly messages: Planned[] = []
  readonly receivers: Receiver[]

  constructor(seed: number, receivers: readonly Receiver[] = RECEIVERS) {
    const random = new Random(seed)
    this.size = random.between(2, 9)
    this.receivers = Array.from({ length: this.size }, () => random.pick(receivers))
    for (let source = 0; source < this.size; source++) {
      for (let i = 0; i < MESSAGES_PER_RANK; i++) {
        const dest = random.between(0, this.size - 1)
        const raw = this.receivers[dest] === 'into' || random.chance(0.6)
        const mode = random.pick(['send', 'send', 'send', 'ssend', 'bsend', 'rsend'] as const)
        const byteLength = random.chance(0.5) ? random.between(0, 200) : random.pick(LENGTHS)
        const kind: PayloadKind = raw ? random.pick(RAW_KINDS) : random.pick(VALUE_KINDS)
        this.messages.push({
          source,
          dest,
          tag: random.between(0, TAGS - 1),
          mode,
          byteLength,
          kind,
          seed: random.word(),
        })
      }
    }
  }

  from(source: number): Planned[] {
    return this.messages.filter((message) => message.source === source)
  }

  to(dest: number): Planned[] {
    return this.messages.filter((message) => message.dest === dest)
  }
}

/** Ticks a rank's messages off, in order for each source and tag. */
class Checklist {
  readonly #chains = new Map<string, Planned[]>()
  #open: number

  constructor(expected: readonly Planned[]) {
    this.#open = expected.length
    for (const message of expected) {
      const key = `${message.source}/${message.tag}`
      this.#chains.set(key, [...(this.#chains.get(key) ?? []), message])
    }
  }

  get open(): number {
    return this.#open
  }

  take(source: number, tag: number): Planned {
    const next = this.#chains.get(`${source}/${tag}`)?.shift()
    assert.ok(next !== undefined, `a message from ${source} with tag ${tag} too many`)
    this.#open--
    return next
  }

  check(message: Message<unknown>): void {
    const planned = this.take(message.source, message.tag)
    checkPayload(message.data, planned, nameOf(planned))
  }
}

function nameOf({ source, dest, tag, mode, byteLength, kind, seed }: Planned): string {
  return `${mode} of ${byteLength} bytes (${kind}, seed ${seed}) from ${source} to ${dest}, tag ${tag}`
}

async function sendAll(world: Communicator, messages: readonly Planned[]): Promise<void> {
  const underWay: Promise<void>[] = []
  for (const planned of messages) {
    underWay.push(sendOne(world, planned))
    if (underWay.length >= WINDOW) await underWay.shift()
  }
  await Promise.all(underWay)
}

async function sendOne(world: Communicator, planned: Planned): Promise<void> {
  const data = makePayload(planned)
  await world[planned.mode](data, planned.dest, planned.tag)
  // done means that the memory is ours again: what is written into it from then on must not be seen over there
  if (ArrayBuffer.isView(data)) bytesOf(data).fill(0xee)
}

async function receiveAll(world: Communicator, expected: readonly Planned[], receiver: Receiver): Promise<void> {
  const list = new Checklist(expected)
  const ordered = (source: number, tag: number) =>
    expected.filter((planned) => (source < 0 || planned.source === source) && (tag < 0 || planned.tag === tag))
  const ranks = Array.from({ length: world.size }, (_, rank) => rank)
  const tags = Array.from({ length: TAGS }, (_, tag) => tag)
  switch (receiver) {
    case 'any':
      for (const _ of expected) list.check(await world.recvMessage())
      break
    case 'byTag':
      await Promise.all(tags.map((tag) => receiveAtOnce(world, ANY_SOURCE, tag, ordered(ANY_SOURCE, tag).length, list)))
      break
    case 'bySource':
      await Promise.all(ranks.map((rank) => receiveAtOnce(world, rank, ANY_TAG, ordered(rank, ANY_TAG).length, list)))
      break
    case 'exact':
      await Promise.all(
        ranks.flatMap((rank) => tags.map((tag) => receiveAtOnce(world, rank, tag, ordered(rank, tag).length, list))),
      )
      break
    case 'into':
      await Promise.all(ranks.flatMap((rank) => tags.map((tag) => receiveInto(world, ordered(rank, tag)))))
      return
    case 'mprobe':
      while (list.open > 0) {
        const matched = await world.mprobe()
        list.check(await matched.recvMessage())
      }
      break
    case 'probe':
      while (list.open > 0) {
        const { source, tag } = await world.probe()
        list.check(await world.recvMessage(source, tag))
      }
      break
    case 'messages':
      if (expected.length === 0) break
      for await (const message of world.messages()) {
        list.check(message)
        if (list.open === 0) break
      }
  }
  assert.equal(list.open, 0)
  assert.equal(world.iprobe(), null, 'a message too many')
}

/** Posts many receives at once: they must complete with the messages in order. */
async function receiveAtOnce(world: Communicator, source: number, tag: number, count: number, list: Checklist) {
  const requests = Array.from({ length: count }, () => world.recvMessage(source, tag))
  for (const request of requests) list.check(await request)
}

async function receiveInto(world: Communicator, expected: readonly Planned[]): Promise<void> {
  const posted = expected.map((planned) => {
    const want = bytesOf(makePayload(planned) as Uint8Array)
    const slack = planned.seed % 3 === 0 ? 17 : 0
    const memory = new Uint8Array(want.byteLength + slack + 32).fill(0xa5)
    const view = memory.subarray(16, 16 + want.byteLength + slack)
    return { planned, want, memory, view, request: world.recvInto(view, planned.source, planned.tag) }
  })
  for (const { planned, want, memory, view, request } of posted) {
    const status = await request
    const { source, tag } = planned
    assert.deepEqual({ ...status }, { source, tag, byteLength: want.byteLength, cancelled: false }, nameOf(planned))
    assertBytes(view.subarray(0, want.byteLength), want, nameOf(planned))
    for (const [at, byte] of memory.entries()) {
      if ((at < 16 || at >= 16 + want.byteLength) && byte !== 0xa5)
        assert.fail(`${nameOf(planned)}: wrote at ${at - 16}`)
    }
  }
}

async function runPlan(seed: number, options: SimulatedJobOptions, receivers?: readonly Receiver[]): Promise<void> {
  const plan = new Plan(seed, receivers)
  await simulate(plan.size, options, async (world, rank) => {
    await Promise.all([
      sendAll(world, plan.from(rank)),
      receiveAll(world, plan.to(rank), plan.receivers[rank] as Receiver),
    ])
  })
}

const NETWORKS: Record<string, (seed: number) => SimulatedJobOptions> = {
  'remote memory': () => ({}),
  'small segments, so that a message takes many steps': () => ({ segmentBytes: 5000 }),
  'no remote memory': () => ({ remoteMemory: false }),
  'no rank may read': () => ({ remoteMemory: (_actor, _target, operation) => operation === 'write' }),
  'no rank may write': () => ({ remoteMemory: (_actor, _target, operation) => operation === 'read' }),
  'one direction only': () => ({ remoteMemory: (actor, target) => actor < target }),
  'one peer refused': () => ({ remoteMemory: (actor, target) => actor !== 1 && target !== 1 }),
  'narrow queues': () => ({ frameBytesMax: 1024, queueBytesMax: 2048, queueFramesMax: 3 }),
  'nothing eager': () => ({ settings: { eager: '0' } }),
  'everything eager': () => ({ settings: { eager: '1000000' } }),
  'refusals and delays': (seed) => ({ faults: (rank) => ({ seed: seed * 100 + rank, refuse: 0.3, delay: 0.3 }) }),
  'refusals and delays without remote memory': (seed) => ({
    remoteMemory: false,
    faults: (rank) => ({ seed: seed * 100 + rank, refuse: 0.3, delay: 0.3 }),
  }),
  'reads refused from the n-th on (EPERM)': (seed) => ({
    segmentBytes: 5000,
    faults: (rank) => ({
      seed: seed * 100 + rank,
      delay: 0.2,
      remoteMemory: [{ error: 'EPERM', operation: 'read', call: 3 + (seed % 20), isPartial: true }],
    }),
  }),
  'writes refused from the n-th on (EPERM)': (seed) => ({
    segmentBytes: 5000,
    faults: (rank) => ({
      seed: seed * 100 + rank,
      delay: 0.2,
      remoteMemory: [{ error: 'EPERM', operation: 'write', call: 3 + (seed % 20), isPartial: true }],
    }),
  }),
  'both refused now and then (ENOSYS)': (seed) => ({
    segmentBytes: 9000,
    faults: (rank) => ({
      seed: seed * 100 + rank,
      refuse: 0.1,
      remoteMemory: [{ error: 'ENOSYS', probability: 0.02 }],
    }),
  }),
}

const SEEDS_PER_NETWORK = Number(process.env.ONECOPY_TEST_SEEDS ?? 3)

describe('random traffic loses, doubles, reorders and tears nothing', function () {
  this.timeout(60_000)

  for (const [name, optionsOf] of Object.entries(NETWORKS)) {
    it(`with ${name}`, async () => {
      for (let i = 0; i < SEEDS_PER_NETWORK; i++) {
        const seed = name.length * 1000 + i
        try {
          await runPlan(seed, optionsOf(seed))
        } catch (error) {
          throw new Error(`seed ${seed}`, { cause: error })
        }
      }
    })
  }

  for (const receiver of RECEIVERS) {
    it(`with every rank receiving by ${receiver}`, () => runPlan(7, { segmentBytes: 20_000 }, [receiver]))
  }
})
