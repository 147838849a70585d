/** What goes wrong, and how often. Everything but `seed` has a default: it does not happen. */
export interface FaultOptions {
  /** Everything random follows from it: the same seed and the same calls give the same faults. */
  readonly seed: number
  /** Probability that `trySend` answers false although there is room. */
  readonly refuse?: number
  /** Probability that an arrived frame is held back for some polls. What the same peer sent later waits behind it. */
  readonly delay?: number
  /** The most polls a frame is held back for. Default 5. */
  readonly delayPollsMax?: number
  /** What happens to remote copies. For each call, the first fault that applies wins. */
  readonly remoteMemory?: readonly RemoteMemoryFault[]
  /** Peers that die along the way. */
  readonly deaths?: readonly PeerDeath[]
  /** Peers whose frames become unbelievable along the way. */
  readonly corruptions?: readonly PeerCorruption[]
}

/** A failing remote copy. Give `call`, or `probability`, or both. */
export interface RemoteMemoryFault {
  /**
   * EPERM and ENOSYS: refused, and from then on `canRead` or `canWrite` is false for this peer (ERR_UNAVAILABLE). EFAULT:
   * this call only (ERR_BUFFER_GONE). ESRCH: the peer's process is gone, in both directions (ERR_PROC_FAILED).
   */
  readonly error: 'EPERM' | 'ENOSYS' | 'EFAULT' | 'ESRCH'
  /** Default: both. `readMany` is a read. */
  readonly operation?: 'read' | 'write'
  /** Default: every peer. */
  readonly peer?: number
  /**
   * The n-th call that this fault looks at, from 1. With EPERM or ENOSYS, 0 stands for the proof itself: `canRead` or
   * `canWrite` is false from the start.
   */
  readonly call?: number
  /** Of each call that this fault looks at. */
  readonly probability?: number
  /** Whether a random part of the bytes is copied first, as the kernel does (`bytesDone`). Default false: none. */
  readonly isPartial?: boolean
}

/** The peer dies, as this rank sees it, once so many frames and remote copies have passed between the two. */
export interface PeerDeath {
  readonly peer: number
  readonly afterCalls: number
}

/** `poll` throws once the peer has delivered so many frames, and the peer's frames are dropped from then on. */
export interface PeerCorruption {
  readonly peer: number
  readonly afterFrames: number
  /** Default ERR_CORRUPT. */
  readonly code?: 'ERR_CORRUPT' | 'ERR_PROTOCOL'
}
