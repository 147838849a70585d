import { boardLayout } from '../board/board-layout.js'
import { MemoryBoard } from '../board/memory-board.js'
import type { RemoteMemory } from '../remote-memory.js'
import type { Transport, TransportLimits } from '../transport.js'
import { InProcessRemoteMemory, type RemoteMemoryPolicy } from './in-process-remote-memory.js'
import { type InProcessPeers, InProcessTransport } from './in-process-transport.js'
import { Inbox } from './inbox.js'
import { RegionTable } from './region-table.js'

/** What an in-process network is made of. Everything but `size` has a default. */
export interface InProcessOptions {
  /** The ranks of the job. */
  readonly size: number
  /** The longest payload of one frame, in bytes; not less than 1024. Default 8192. */
  readonly frameBytesMax?: number
  /** What the limits call inline; it makes no difference here. Default 64. */
  readonly inlineBytesMax?: number
  /** Payload bytes that may wait in one direction of one pair. Default 8 frames. */
  readonly queueBytesMax?: number
  /** Frames that may wait in one direction of one pair, so that empty frames are bounded too. Default 256. */
  readonly queueFramesMax?: number
  /** Whether there is remote memory: for all (default), for none (`remoteMemory` is null), or by actor, target, operation. */
  readonly remoteMemory?: boolean | RemoteMemoryPolicy
  /** The shortest view that may be exposed, in bytes. Default 65, as where small arrays live on the moving heap. */
  readonly exposeBytesMin?: number
  /** What the limits of remote memory call a segment, in bytes. Default 262144. */
  readonly segmentBytes?: number
  /** Why frames cannot travel between two ranks, in words, or null where they can (default). Symmetric. */
  readonly unreachable?: (rank: number, peer: number) => string | null
  /**
   * Runs a callback soon, but not before the caller has returned: `setImmediate`, `queueMicrotask`, or a simulator's clock.
   * Wake-ups come through it. Default: a promise's microtask, the only scheduler the language itself has.
   */
  readonly schedule?: (callback: () => void) => void
}

/** Any number of ranks in one JavaScript process, on one thread. */
export interface InProcessNetwork {
  readonly size: number

  /** The rank's end; the same object each time. */
  transport(rank: number): Transport

  /**
   * Ends a rank as SIGKILL ends a process: its end answers ERR_CLOSED from now on, what it exposed is gone, frames it has
   * sent still arrive. Nobody is told: call `peerGone` on the others when they should learn of it. Idempotent.
   */
  kill(rank: number): void
}

const FRAME_BYTES_MAX = 8192
const FRAME_BYTES_LEAST = 1024
const INLINE_BYTES_MAX = 64
const FRAME_COST_BYTES = 256
const QUEUED_FRAMES_OF_FULL_LENGTH = 8
const QUEUE_FRAMES_MAX = 256
const EXPOSE_BYTES_MIN = 65
const SEGMENT_BYTES = 256 * 1024

/**
 * Makes the reference transport: every rank of a job in one process, deterministic, nothing but copies between arrays.
 *
 * Frames go around fairly: a `poll` takes one frame of each talking peer in turn. What `poll` lends is overwritten as soon
 * as `receiver.frame` returns, so whoever keeps a lent array is found out. Sleeping is impossible, because the senders
 * run on the same thread: `park` and `yield` return at once, so a blocking call must not wait here for a rank that has
 * not sent yet. An armed wake-up keeps no process alive: with nothing else to run, nobody is left who could send.
 *
 * Memory grows with the pairs that have talked: about 1 KiB each, and up to twice `queueBytesMax` where much is under way.
 * @throws RangeError when `size` or a limit is out of range.
 */
export function createInProcessNetwork(options: InProcessOptions): InProcessNetwork {
  const { size, unreachable = () => null, remoteMemory = true } = options
  const limits = limitsOf(options)
  const queueFramesMax = atLeast('queueFramesMax', options.queueFramesMax ?? QUEUE_FRAMES_MAX, 1)
  const remoteLimits = {
    exposeBytesMin: atLeast('exposeBytesMin', options.exposeBytesMin ?? EXPOSE_BYTES_MIN, 1),
    sharedArrayBuffers: true,
    segmentBytes: atLeast('segmentBytes', options.segmentBytes ?? SEGMENT_BYTES, 1),
  }
  const schedule = options.schedule ?? microtask
  atLeast('size', size, 1)

  const table = new RegionTable()
  const inboxes = new Map<number, Inbox>()
  const ends = new Map<number, InProcessTransport>()
  const killed = new Set<number>()
  let boardMemory: ArrayBuffer | null = null

  const peers: InProcessPeers = {
    size,
    inboxOf(rank) {
      let inbox = inboxes.get(rank)
      if (inbox === undefined) {
        inbox = new Inbox(schedule)
        inboxes.set(rank, inbox)
      }
      return inbox
    },
    boardOf(rank) {
      boardMemory ??= new ArrayBuffer(boardLayout(size).totalBytes)
      return new MemoryBoard({
        words: new Int32Array(boardMemory),
        bytes: new Uint8Array(boardMemory),
        byteOffset: 0,
        rank,
        size,
        loadsAreOrdered: true,
        wake: (other) => inboxes.get(other)?.ring(),
      })
    },
    whyNot: unreachable,
    left: (rank) => table.removeAllOf(rank),
  }

  const policy: RemoteMemoryPolicy = typeof remoteMemory === 'function' ? remoteMemory : () => true
  const makeRemoteMemory = (end: InProcessTransport): RemoteMemory =>
    new InProcessRemoteMemory(end.rank, remoteLimits, table, policy, {
      checkPeer: (peer) => end.checkPeer(peer),
      isAlive: (peer) => !killed.has(peer) && !end.isGone(peer),
      checkOpen: () => end.checkOpen(),
    })

  function transport(rank: number): InProcessTransport {
    if (!(Number.isInteger(rank) && rank >= 0 && rank < size)) {
      throw new RangeError(`There is no rank ${rank} in a network of ${size}`)
    }
    let end = ends.get(rank)
    if (end === undefined) {
      end = new InProcessTransport(
        rank,
        limits,
        queueFramesMax,
        peers,
        remoteMemory === false ? null : makeRemoteMemory,
      )
      ends.set(rank, end)
    }
    return end
  }

  return {
    size,
    transport,
    kill(rank) {
      transport(rank).abort()
      killed.add(rank)
    },
  }
}

function limitsOf(options: InProcessOptions): TransportLimits {
  const frameBytesMax = atLeast('frameBytesMax', options.frameBytesMax ?? FRAME_BYTES_MAX, FRAME_BYTES_LEAST)
  const inlineBytesMax = atLeast('inlineBytesMax', options.inlineBytesMax ?? INLINE_BYTES_MAX, 0)
  if (inlineBytesMax > frameBytesMax) {
    throw new RangeError(`inlineBytesMax (${inlineBytesMax}) must not be more than frameBytesMax (${frameBytesMax})`)
  }
  const queueBytesMax = options.queueBytesMax ?? frameBytesMax * QUEUED_FRAMES_OF_FULL_LENGTH
  return {
    frameBytesMax,
    inlineBytesMax,
    frameCostBytes: FRAME_COST_BYTES,
    queueBytesMax: atLeast('queueBytesMax', queueBytesMax, frameBytesMax),
  }
}

function atLeast(name: string, value: number, least: number): number {
  if (Number.isInteger(value) && value >= least) return value
  throw new RangeError(`${name} must be a whole number of at least ${least}, not ${value}`)
}

function microtask(callback: () => void): void {
  void Promise.resolve().then(callback)
}
