import { createInProcessNetwork, type TransportProvider, type Transport } from '@onecopy/transport'
import type { Communicator } from 'onecopy'
import { Job } from '../../src/job.js'
import type { JobLink, JobListener, LinkTransport, PeerEnd } from '../../src/job-link.js'

/** How the simulated network behaves; see `createInProcessNetwork` for the bounds. */
export interface SimulatedJobOptions {
  readonly frameBytesMax?: number
  readonly queueBytesMax?: number
  /** Whether `reader` may read `target`'s memory (and the other way round for writes). */
  readonly remoteMemory?: boolean | ((reader: number, target: number) => boolean)
  readonly settings?: Record<string, string>
  /** Puts something between the runtime and the network: faults. */
  readonly wrap?: (transport: Transport, rank: number) => Transport
}

/** A job of many ranks in one process, over the in-process transport: only the event-loop face can wait. */
export interface SimulatedJob {
  readonly jobs: readonly Job[]
  readonly worlds: readonly Communicator[]
  readonly notices: string[]
  /** Runs `script` on every rank at once; gives the results by rank. */
  run<T>(script: (world: Communicator, rank: number) => Promise<T>): Promise<T[]>
  /** Has a rank end; the others are told. */
  end(rank: number, how?: 'left' | 'failed'): void
  close(): Promise<void>
}

export async function simulateJob(size: number, options: SimulatedJobOptions = {}): Promise<SimulatedJob> {
  const { settings = {}, wrap = (transport: Transport) => transport, ...network } = options
  const net = createInProcessNetwork({ size, ...network, schedule: (callback) => void setImmediate(callback) })
  const notices: string[] = []
  const board = new CardBoard(size)
  const links = Array.from({ length: size }, (_, rank) => new SimulatedLink(rank, size, settings, board, notices))
  const jobs = await Promise.all(
    links.map((link, rank) => Job.start(link, [providerOf(() => wrap(net.transport(rank), rank))])),
  )
  const worlds = jobs.map((job) => job.world)
  return {
    jobs,
    worlds,
    notices,
    run: (script) => Promise.all(worlds.map((world, rank) => script(world, rank))),
    end(rank, how = 'left') {
      const end: PeerEnd = { rank, how, exitCode: how === 'left' ? 0 : null, signal: how === 'left' ? null : 'SIGKILL' }
      jobs[rank]!.abandon()
      for (const link of links) if (link.rank !== rank) link.listener?.peerEnded(end)
    },
    async close() {
      await Promise.all(jobs.map((job) => job.finalize()))
    },
  }
}

function providerOf(open: () => Transport): TransportProvider {
  return {
    name: 'in-process',
    probe: () => ({ available: true, detail: 'simulated' }),
    prepare: () => Promise.resolve({ descriptor: null, data: null, release: () => undefined }),
    open: () => Promise.resolve(open()),
  }
}

/** Where simulated ranks lay their cards. */
class CardBoard {
  readonly #size: number
  readonly #rounds: { cards: unknown[]; given: number; resolve: (cards: unknown[]) => void; all: Promise<unknown[]> }[] = []

  constructor(size: number) {
    this.#size = size
  }

  give(round: number, rank: number, card: unknown): Promise<unknown[]> {
    while (this.#rounds.length <= round) {
      let resolve: (cards: unknown[]) => void = () => undefined
      const all = new Promise<unknown[]>((settle) => {
        resolve = settle
      })
      this.#rounds.push({ cards: new Array(this.#size).fill(null), given: 0, resolve, all })
    }
    const current = this.#rounds[round]!
    current.cards[rank] = JSON.parse(JSON.stringify(card ?? null))
    current.given++
    if (current.given === this.#size) current.resolve(current.cards)
    return current.all
  }
}

class SimulatedLink implements JobLink {
  readonly launcherPid = null
  readonly directory = ''
  readonly token = new Uint8Array(32)
  readonly transports: readonly LinkTransport[] = [{ name: 'in-process', descriptor: null, data: null }]
  listener: JobListener | null = null
  aborted: string | null = null
  #round = 0
  readonly rank: number
  readonly size: number
  readonly settings: Record<string, string>
  readonly #board: CardBoard
  readonly #notices: string[]

  constructor(rank: number, size: number, settings: Record<string, string>, board: CardBoard, notices: string[]) {
    this.rank = rank
    this.size = size
    this.settings = settings
    this.#board = board
    this.#notices = notices
  }

  allgather(card: unknown): Promise<unknown[]> {
    return this.#board.give(this.#round++, this.rank, card)
  }

  listen(listener: JobListener): void {
    this.listener = listener
  }

  pump(): void {}
  ref(): void {}
  unref(): void {}
  stats(): void {}

  notice(key: string, message: string): void {
    this.#notices.push(`${key}: ${message}`)
  }

  abort(_exitCode: number, reason: string): void {
    this.aborted = reason
  }

  leave(): void {}
}
