import os from 'node:os'
import { OnecopyError, type Transport, type TransportProvider } from '@onecopy/transport'
import { type Communicator, communicatorOver } from './communicator.js'
import { WORLD_CONTEXT } from './communicator-base.js'
import { CommunicatorStates } from './communicator-states.js'
import { ContextTable } from './context-table.js'
import type { Universe } from './group.js'
import { JobGroup } from './job-group.js'
import type { JobLink } from './job-link.js'
import { namespaceName } from './launcher/control-message.js'
import { Messenger } from './messenger.js'
import { outsideWord } from './outside-word.js'
import { PeerLink } from './peer-link.js'
import { ProgressEngine } from './progress.js'
import { type Thresholds, thresholdsFor } from './protocol.js'
import { openRoutes, type Routes } from './routes.js'
import type { Schedule } from './schedule.js'
import { ValuePacker } from './value-packer.js'

/** Payload bytes received, by the way they came, and messages; without what collectives post in shared memory for all. */
export interface Statistics {
  /** Messages of any kind. */
  readonly messages: number
  /** Bytes that came in frames, with their message. */
  readonly bytesEager: number
  /** Bytes that the kernel copied from the sender's memory. */
  readonly bytesSingleCopy: number
  /** Bytes of long messages that came in frames, where single copy was not to be had. */
  readonly bytesStreamed: number
  /** The same, by the name of the transport that carried them. */
  readonly bytesByTransport: Readonly<Record<string, number>>
}

/**
 * One rank's part of a job: everything that has state hangs here, so that one process can hold many (a test holds
 * hundreds).
 */
export class Job implements Universe {
  readonly link: JobLink
  readonly engine: ProgressEngine
  readonly thresholds: Thresholds
  readonly world: Communicator
  readonly contexts: ContextTable
  /** Which process each rank is, in words that are the same in every job that it is in: see {@link Universe}. */
  readonly identities: readonly string[]
  /** The jobs of this process. */
  readonly group: JobGroup
  readonly #routes: Routes
  readonly #messenger: Messenger
  #finalizing: Promise<void> | null = null

  /** Opens transports, meets the other ranks, and gives the job with its world. */
  static async start(link: JobLink, providers: readonly TransportProvider[]): Promise<Job> {
    const opening = openRoutes(link, providers)
    link.ref()
    try {
      let step = opening.next()
      while (step.done !== true) {
        const card = step.value
        step = opening.next(
          await new Promise<unknown[]>((resolve, reject) => link.allgather(card, { resolve, reject })),
        )
      }
      // the directory is this job's alone, and a process without has a job to itself
      const name = link.directory || `process ${process.pid} of ${namespaceName()}`
      const identities = Array.from({ length: link.size }, (_, rank) => `${name} ${rank}`)
      return new Job(link, step.value, new JobGroup(), identities)
    } catch (error) {
      opening.throw(error)
      throw error
    } finally {
      link.unref()
    }
  }

  /** The same for a job that comes to `home` in its process: in a schedule of that one, so on either face. */
  static *join(link: JobLink, providers: readonly TransportProvider[], home: Job): Schedule<Job> {
    const opening = openRoutes(link, providers)
    link.ref()
    try {
      const own = home.identities[home.link.rank]
      const identities = yield* outsideWord<unknown[]>(home.engine, (waiting) => link.allgather(own, waiting))
      let step = opening.next()
      while (step.done !== true) {
        const card = step.value
        step = opening.next(yield* outsideWord<unknown[]>(home.engine, (waiting) => link.allgather(card, waiting)))
      }
      return new Job(link, step.value, home.group, identities.map(String))
    } catch (error) {
      opening.throw(error)
      throw error
    } finally {
      link.unref()
    }
  }

  private constructor(link: JobLink, routes: Routes, group: JobGroup, identities: readonly string[]) {
    this.link = link
    this.identities = identities
    this.#routes = routes
    const crowded = link.size > (Number(link.settings.cores) || os.availableParallelism())
    this.thresholds = thresholdsFor(routes.transports[0]?.limits ?? null, link.settings, crowded)
    const packer = new ValuePacker({ partBytesMin: this.thresholds.partBytesMin })
    this.contexts = new ContextTable(link.rank, link.size)
    const communicators = new CommunicatorStates(this.contexts)
    this.#messenger = new Messenger(
      link.rank,
      packer,
      (rank) => {
        const transport = routes.routeTo(rank)
        return new PeerLink(rank, transport, thresholdsFor(transport.limits, link.settings, crowded))
      },
      communicators,
    )
    communicators.messenger = this.#messenger
    this.engine = new ProgressEngine(this.#messenger, routes.transports, link, { crowded, communicators })
    const everybody = Array.from({ length: link.size }, (_, rank) => rank)
    this.world = communicatorOver(this, WORLD_CONTEXT, everybody, 'world')
    this.group = group
    group.add(this)
  }

  describeRoute(rank: number): string {
    if (rank === this.link.rank) return 'self'
    const transport = this.#routes.routeTo(rank)
    return describeTransport(transport, rank)
  }

  statistics(): Statistics {
    const bytesByTransport: Record<string, number> = {}
    let [messages, bytesEager, bytesSingleCopy, bytesStreamed] = [0, 0, 0, 0]
    for (const link of this.#messenger.links()) {
      messages += link.messages
      bytesEager += link.bytesEager
      bytesSingleCopy += link.bytesSingleCopy
      bytesStreamed += link.bytesStreamed
      const name = link.transport.name
      const bytes = link.bytesEager + link.bytesSingleCopy + link.bytesStreamed
      bytesByTransport[name] = (bytesByTransport[name] ?? 0) + bytes
    }
    return { messages, bytesEager, bytesSingleCopy, bytesStreamed, bytesByTransport }
  }

  /** The communicator of this context is over here, or has never come to be: what waits on it fails, what comes is let go. */
  dropContext(context: number, error: OnecopyError): void {
    this.engine.dropContext(context, error)
    this.contexts.freed(context)
  }

  abort(exitCode: number, reason: string): never {
    this.link.abort(exitCode, reason)
    process.exit(exitCode)
  }

  /** Idempotent. */
  finalize(): Promise<void> {
    this.#finalizing ??= this.#finalize()
    return this.#finalizing
  }

  /** As {@link finalize}, and blocks the thread. */
  finalizeNow(): void {
    if (this.group.isHome(this)) for (const other of this.group.others(this)) other.finalizeNow()
    this.engine.flush().waitSync()
    // who has begun it on the event loop ends it there
    if (this.#finalizing !== null) return
    this.#finalizing = Promise.resolve()
    this.#stop()
    // nothing is unsent, so they close before they return
    for (const transport of this.#routes.transports) void transport.close()
    this.link.leave()
  }

  /** For a process that ends without finalize: nothing may wait any more. */
  abandon(): void {
    if (this.group.isHome(this)) for (const other of this.group.others(this)) other.abandon()
    for (const transport of this.#routes.transports) transport.abort()
  }

  async #finalize(): Promise<void> {
    // The world is the last to go: with it goes the line that the others are on.
    if (this.group.isHome(this)) await Promise.all(this.group.others(this).map((other) => other.finalize()))
    await this.engine.flush()
    this.#stop()
    for (const transport of this.#routes.transports) await transport.close()
    this.link.leave()
  }

  #stop(): void {
    const why = this.group.isHome(this)
      ? 'finalize() has been called: this rank has left the job'
      : 'the connection to the other job is closed: disconnect() has been called, or finalize()'
    const closed = new OnecopyError('ERR_CLOSED', why)
    this.world.base.closed = closed
    this.engine.stop(closed)
    this.group.remove(this)
    this.#reportStatistics()
  }

  #reportStatistics(): void {
    if (this.link.settings.stats !== '1') return
    const { bytesByTransport, ...numbers } = this.statistics()
    this.link.stats({ ...numbers, transports: Object.keys(bytesByTransport).join(',') })
  }
}

function describeTransport(transport: Transport, rank: number): string {
  const { name, remoteMemory } = transport
  if (remoteMemory === null) return name
  if (remoteMemory.canRead(rank)) return `${name} (single copy)`
  return `${name} (rings; single copy refused: ${remoteMemory.whyNot(rank)})`
}
