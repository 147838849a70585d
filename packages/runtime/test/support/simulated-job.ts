import {
  createInProcessNetwork,
  type FaultOptions,
  OnecopyError,
  type Transport,
  type TransportProvider,
  withFaults,
} from '@onecopy/transport'
import type { Communicator } from '../../src/communicator.js'
import { Job } from '../../src/job.js'
import type { Agreed, JobLink, JobListener, LinkTransport, PeerEnd, Waiting } from '../../src/job-link.js'
import { Agreements } from '../../src/launcher/agreements.js'
import { within } from './deadline.js'

/** How the simulated network behaves; see `createInProcessNetwork` for the bounds. */
export interface SimulatedJobOptions {
  readonly frameBytesMax?: number
  readonly queueBytesMax?: number
  readonly queueFramesMax?: number
  readonly segmentBytes?: number
  /** Whether `actor` may read, or write, `target`'s memory. */
  readonly remoteMemory?: boolean | ((actor: number, target: number, operation: 'read' | 'write') => boolean)
  readonly settings?: Record<string, string>
  /** Puts something between the runtime and the network: faults. */
  readonly wrap?: (transport: Transport, rank: number) => Transport
  /** Faults for a rank's transport; each rank gets a seed of its own from `seed`. */
  readonly faults?: (rank: number) => FaultOptions
}

/** A job of many ranks in one process, over the in-process transport: only the event-loop face can wait. */
export interface SimulatedJob {
  readonly jobs: readonly Job[]
  readonly worlds: readonly Communicator[]
  readonly notices: string[]
  /** Runs `script` on every rank at once; gives the results by rank. */
  run<T>(script: (world: Communicator, rank: number) => Promise<T>): Promise<T[]>
  /**
   * Ends a rank as a signal ends a process: what it waits for fails, its memory is gone, and the others are told. A rank
   * that leaves by itself calls finalize() instead.
   */
  kill(rank: number): void
  /** Why a rank has ended the job; null while none has. */
  aborted(): string | null
  close(): Promise<void>
}

/** Makes a job, runs `script` on every rank, and closes the job. Nothing may take longer than `milliseconds`. */
export async function simulate<T>(
  size: number,
  options: SimulatedJobOptions,
  script: (world: Communicator, rank: number, job: SimulatedJob) => Promise<T>,
  milliseconds = 15_000,
): Promise<T[]> {
  const job = await simulateJob(size, options)
  const results = await within(
    job.run((world, rank) => script(world, rank, job)),
    'the ranks',
    milliseconds,
  )
  await within(job.close(), 'finalize', milliseconds)
  return results
}

/**
 * As {@link simulate}, on a communicator that cannot post more than 16 KiB (the board has few places for long postings, and the first
 * communicators have them): what is longer is read where it lies, or goes by messages.
 */
export function simulateShortPostings<T>(
  size: number,
  options: SimulatedJobOptions,
  script: (comm: Communicator, rank: number, job: SimulatedJob) => Promise<T>,
): Promise<T[]> {
  return simulate(size, options, async (world, rank, job) => script(await (await world.dup()).dup(), rank, job))
}

export async function simulateJob(size: number, options: SimulatedJobOptions = {}): Promise<SimulatedJob> {
  const { settings = {}, wrap = (transport: Transport) => transport, faults, ...network } = options
  const net = createInProcessNetwork({ size, ...network, schedule: (callback) => void setImmediate(callback) })
  const notices: string[] = []
  // routes are agreed by name, and a transport with faults says so in its name
  const name = faults === undefined ? 'in-process' : 'in-process with faults'
  const board = new CardBoard(size)
  const links = Array.from({ length: size }, (_, rank) => new SimulatedLink(rank, size, name, settings, board, notices))
  board.links = links
  const jobs = await Promise.all(
    links.map((link, rank) =>
      Job.start(link, [
        providerOf(name, () => {
          const transport = wrap(net.transport(rank), rank)
          return faults === undefined ? transport : withFaults(transport, faults(rank))
        }),
      ]),
    ),
  )
  const worlds = jobs.map((job) => job.world)
  return {
    jobs,
    worlds,
    notices,
    run: (script) => Promise.all(worlds.map((world, rank) => script(world, rank))),
    kill(rank) {
      links[rank]!.over = true
      jobs[rank]!.engine.stop(new OnecopyError('ERR_ABORTED', 'killed by the test', { rank }))
      net.kill(rank)
      board.tell({ rank, how: 'failed', exitCode: null, signal: 'SIGKILL' })
    },
    aborted: () => links.find((link) => link.aborted !== null)?.aborted ?? null,
    async close() {
      await Promise.all(jobs.map((job, rank) => (links[rank]!.over ? undefined : job.finalize())))
    },
  }
}

function providerOf(name: string, open: () => Transport): TransportProvider {
  return {
    name,
    probe: () => ({ available: true, detail: 'simulated' }),
    prepare: () => Promise.resolve({ descriptor: null, data: null, release: () => undefined }),
    open,
  }
}

/** What stands in for the launcher: where simulated ranks lay their cards, and who tells who has ended. */
class CardBoard {
  links: readonly SimulatedLink[] = []
  readonly agreements = new Agreements((rank, id, agreed) => {
    // as over a line: never from inside the call
    setImmediate(() => {
      const link = this.links[rank] as SimulatedLink
      if (!link.over) link.agreements.get(id)?.(agreed)
      link.agreements.delete(id)
    })
  })
  readonly #size: number
  readonly #rounds: {
    cards: unknown[]
    given: number
    resolve: (cards: unknown[]) => void
    all: Promise<unknown[]>
  }[] = []

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

  tell(end: PeerEnd): void {
    for (const link of this.links) if (link.rank !== end.rank && !link.over) link.listener?.peerEnded(end)
    this.agreements.ended(end.rank)
  }
}

class SimulatedLink implements JobLink {
  readonly launcherPid = null
  readonly directory = ''
  readonly token = new Uint8Array(32)
  readonly transports: readonly LinkTransport[]
  listener: JobListener | null = null
  aborted: string | null = null
  /** The rank has ended: it hears and says nothing any more. */
  over = false
  readonly agreements = new Map<string, (agreed: Agreed) => void>()
  #round = 0
  readonly rank: number
  readonly size: number
  readonly settings: Record<string, string>
  readonly #board: CardBoard
  readonly #notices: string[]

  constructor(
    rank: number,
    size: number,
    transport: string,
    settings: Record<string, string>,
    board: CardBoard,
    notices: string[],
  ) {
    this.rank = rank
    this.transports = [{ name: transport, descriptor: null, data: null }]
    this.size = size
    this.settings = settings
    this.#board = board
    this.#notices = notices
  }

  allgather(card: unknown, { resolve, reject }: Waiting<unknown[]>): void {
    this.#board.give(this.#round++, this.rank, card).then(resolve, reject)
  }

  agree(id: string, members: readonly number[], flags: number, done: (agreed: Agreed) => void): void {
    this.agreements.set(id, done)
    this.#board.agreements.propose(this.rank, id, members, flags)
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

  abort(exitCode: number, reason: string): void {
    if (this.over) return
    this.aborted = reason
    for (const link of this.#board.links) {
      if (link.rank !== this.rank && !link.over) link.listener?.aborted(this.rank, exitCode, reason)
    }
  }

  leave(): void {
    if (this.over) return
    this.over = true
    this.#board.tell({ rank: this.rank, how: 'left', exitCode: 0, signal: null })
  }
}
