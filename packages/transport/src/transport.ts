import type { Board } from './board/board.js'
import type { FrameReceiver } from './frame-receiver.js'
import type { RemoteMemory } from './remote-memory.js'

/** The most int32 words a frame's header can have. */
export const FRAME_WORDS_MAX = 12

export interface TransportLimits {
  /** The longest payload of one frame. Not less than 1024. */
  readonly frameBytesMax: number
  /**
   * Payload bytes that travel with the header at no extra cost (the same slot, cache line, or record). Not more than
   * `frameBytesMax`.
   */
  readonly inlineBytesMax: number
  /**
   * What a frame costs by itself, as the payload bytes that could be copied in the same time: who cuts a message into shorter frames
   * pays more for frames than for bytes. Not more than `frameBytesMax`.
   */
  readonly frameCostBytes: number
  /** Payload bytes that may be under way to one peer before `trySend` answers false. Not less than `frameBytesMax`. */
  readonly queueBytesMax: number
}

/**
 * One rank's end of a way to move bytes between the processes of a job.
 *
 * A rank is a number from 0 to size-1; `peer` is always another rank than one's own. All calls are made on one thread. No
 * call blocks except `park` (until its time is over) and the remote-memory copies. A dead or misbehaving peer breaks the
 * calls to that peer only.
 */
export interface Transport {
  /** The transport's name, as in `ONECOPY_TRANSPORT`. */
  readonly name: string
  readonly limits: TransportLimits
  /** One-sided copies, or `null` where this transport has none at all. Per peer, ask {@link RemoteMemory.canRead}. */
  readonly remoteMemory: RemoteMemory | null
  /**
   * Where ranks post for all others, or `null` where this transport has no such memory. All ranks that have opened this transport see
   * the same board.
   */
  readonly board: Board | null

  /** Whether frames can travel to and from `peer`, proven where that needs proof. The same answer on both ends. */
  reaches(peer: number): boolean

  /** Why `reaches` answered false, in words; null when it did not. */
  whyNot(peer: number): string | null

  /**
   * Copies one frame out and answers true, or answers false and has done nothing (the queue to this peer is full: poll,
   * and try again). Frames to one peer arrive in order, whole, once. The header is `words[0 … wordCount-1]`, 1 to
   * {@link FRAME_WORDS_MAX} words; the payload `bytes[byteOffset … byteOffset+byteLength-1]`, 0 to `limits.frameBytesMax`
   * bytes. When it answers true, words and bytes are the caller's again, and the frame will arrive even if this process ends
   * (after {@link close}, or by a plain exit). Allocates nothing; one system call at most, and none where the peer is awake.
   * @throws OnecopyError ERR_PROC_FAILED after {@link peerGone}; ERR_NO_SHM when memory for the first frame to this peer
   *   cannot be had; ERR_CLOSED after close or abort.
   */
  trySend(
    peer: number,
    words: Int32Array,
    wordCount: number,
    bytes: Uint8Array,
    byteOffset: number,
    byteLength: number,
  ): boolean

  /**
   * Hands at most `framesMax` arrived frames to `receiver` and pushes out what `trySend` had to keep; answers how many were
   * handed over. Allocates nothing. Its cost grows with the peers that are talking, not with the job's size. Never
   * re-enters: a `poll` from inside `receiver.frame` is a caller's error.
   * @throws OnecopyError ERR_CORRUPT or ERR_PROTOCOL, with `rank`, when a peer's frames cannot be believed; that peer's
   *   frames are dropped from then on, everybody else's go on.
   */
  poll(receiver: FrameReceiver, framesMax: number): number

  /**
   * Puts the thread to sleep until a frame may have come, at most `milliseconds`. Returns at once when frames are
   * waiting. Wakes early at will; uses no CPU while asleep (under 1 %).
   */
  park(milliseconds: number): void

  /** Gives the CPU to somebody else who wants it, if anybody does: for spinning with more ranks than cores. */
  yield(): void

  /**
   * Asks for one call of `listener` from the event loop once a frame may have come, and answers true; or answers false,
   * arming nothing, when frames are waiting already. While armed, the transport keeps the process alive. The wake-up is
   * spent when it fires; `null` takes it back. Uses no CPU while armed.
   */
  onWake(listener: (() => void) | null): boolean

  /** Whether frames that `trySend` accepted are still in this process and need more `poll` calls to get out. */
  readonly hasUnsent: boolean

  /**
   * Learns that `peer` has ended. Frames it had sent are still handed over by `poll`; after that, silence. `trySend` to it
   * throws, remote memory refuses.
   */
  peerGone(peer: number): void

  /** Pushes out what is unsent, then gives everything back. Idempotent. */
  close(): Promise<void>

  /** Gives everything back at once, dropping what is unsent. Idempotent; safe in an exit handler. */
  abort(): void
}

/** Whether a transport can work here, and if not, why, in words a user can act on. */
export type Probe =
  | { readonly available: true; readonly detail: string }
  | { readonly available: false; readonly reason: string }

/** A kind of transport: what the runtime's table of transports holds. */
export interface TransportProvider {
  readonly name: string

  /** Tries, cheaply and without side effects that last, whether this transport can work in this process. */
  probe(): Probe

  /**
   * Launcher's side: makes what all ranks of a job share, before they are started.
   * @throws OnecopyError ERR_NO_SHM, ERR_LIMIT, ERR_UNAVAILABLE.
   */
  prepare(plan: JobPlan): Promise<PreparedTransport>

  /** Rank's side: joins, and waits for nobody. When it returns, peers may send to this rank. @throws OnecopyError */
  open(job: TransportJob): Transport
}

export interface JobPlan {
  readonly size: number
  /** The job's private directory (0700, owned by this user). */
  readonly directory: string
  /**
   * The ranks run already and can inherit nothing. What they share must then be reachable by a name in `directory`, which
   * `release` removes, or by the launcher's descriptor, which a rank of the same user can open through /proc.
   */
  readonly latecomers?: boolean
  /** The transports' own settings, by name, from flags and environment: all optional. */
  readonly settings: Readonly<Record<string, string | undefined>>
}

export interface PreparedTransport {
  /** A descriptor each rank inherits, or null. Owned by the prepared transport: see `release`. */
  readonly descriptor: number | null
  /** What `open` needs to know: plain JSON. */
  readonly data: unknown
  /** Gives back what the launcher holds; ranks that have opened keep working. Idempotent. */
  release(): void
}

export interface TransportJob {
  readonly rank: number
  readonly size: number
  /** 32 random bytes that only the job's processes know. */
  readonly token: Uint8Array
  readonly directory: string
  /** The launcher's process id, or null for a job without one. */
  readonly launcherPid: number | null
  /** The descriptor of {@link PreparedTransport}, inherited or opened again; null when there was none. */
  readonly descriptor: number | null
  readonly data: unknown
  readonly settings: Readonly<Record<string, string | undefined>>
  /** Tells the user something once per job: denied single copy, and the like. */
  notice(key: string, message: string): void
}
