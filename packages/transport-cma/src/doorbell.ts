import { closeSync, constants, unlinkSync, writeSync } from 'node:fs'
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net'
import { OnecopyError } from '@onecopy/transport'
import { bellPath, openBell, openOwnBell } from './bell.js'
import { systemFields } from './errno.js'
import type { Libc } from './libc/libc.js'
import { LOADS_ARE_ORDERED } from './memory-order.js'
import {
  AWAKE,
  pendingWord,
  SLEEPING_IN_EVENT_LOOP,
  SLEEPING_ON_FUTEX,
  sleepingWord,
  summaryWord,
} from './ring-layout.js'
import type { Segment } from './segment.js'

/** One byte rings; more than one can pile up only when wake-ups are taken back. */
const RING_BYTE = new Uint8Array([1])
const DRAIN_BYTES = 512

/**
 * Waking and being woken. A sleeper says how it sleeps, looks once more, and sleeps; a ringer publishes, then looks whether
 * somebody sleeps. Both sides use sequentially consistent stores and loads, so at least one of them sees the other (Dekker).
 * Whoever turns the sleeping word back to awake rings, so a sleep is rung for once.
 */
export class Doorbell {
  private readonly libc: Libc
  private readonly segment: Segment
  private readonly words: Int32Array
  private readonly rank: number
  private readonly directory: string
  private readonly sleeping: number
  private readonly summary: number
  private readonly pending: number
  private readonly bells: (number | undefined)[]
  /** By rank: the word that says how it sleeps. */
  private readonly sleepingWords: readonly number[]
  private readonly socket: Socket
  /** Peers whose bell could not be rung for want of descriptors or memory; tried again by {@link retry}. */
  private readonly unrung: number[] = []
  private listener: (() => void) | null = null
  private closed = false

  /**
   * @throws OnecopyError ERR_UNAVAILABLE when the bell's FIFO cannot be made in `directory`; ERR_AUTH when something that is not
   *   ours is in its place.
   */
  constructor(libc: Libc, segment: Segment, rank: number, directory: string) {
    this.libc = libc
    this.segment = segment
    this.words = segment.words
    this.rank = rank
    this.directory = directory
    const { layout } = segment
    this.sleepingWords = Array.from({ length: layout.size }, (_, peer) => sleepingWord(layout, peer))
    this.sleeping = sleepingWord(layout, rank)
    this.summary = summaryWord(segment.layout, rank)
    this.pending = pendingWord(segment.layout, rank)
    this.bells = new Array<number | undefined>(segment.layout.size).fill(undefined)
    this.socket = this.openOwnBell()
  }

  /** Whether some rank may have frames that this rank does not watch for. One load. */
  get isSummoned(): boolean {
    return Atomics.load(this.words, this.summary) !== 0
  }

  /** The same, cheaper, for a rank that looks again and again: may miss a summons of this very moment. */
  get seemsSummoned(): boolean {
    return this.words[this.summary] !== 0
  }

  /** Whether a poll has more to see to than rings: a summons, a listener, a bell to ring. May miss a summons of this very moment. */
  get seemsBusy(): boolean {
    return this.words[this.summary] !== 0 || this.listener !== null || this.unrung.length !== 0
  }

  /** Whether a ring is owed to somebody. */
  get owesRing(): boolean {
    return this.unrung.length !== 0
  }

  /** Whether a listener waits for the wake-up. */
  get isArmed(): boolean {
    return this.listener !== null
  }

  /** Takes one word of the bitmap of senders; the summary must have been taken first. */
  takePending(index: number): number {
    if (Atomics.load(this.words, this.pending + index) === 0) return 0
    return Atomics.exchange(this.words, this.pending + index, 0)
  }

  takeSummons(): void {
    Atomics.store(this.words, this.summary, 0)
  }

  /**
   * Tells `peer` to look at this rank's ring, and wakes it if it sleeps.
   * @throws OnecopyError ERR_AUTH when what lies in its bell's place is not ours: then it would sleep for ever.
   */
  summon(peer: number): void {
    const layout = this.segment.layout
    Atomics.or(this.words, pendingWord(layout, peer) + (this.rank >>> 5), 1 << (this.rank & 31))
    Atomics.store(this.words, summaryWord(layout, peer), 1)
    this.wake(peer)
  }

  /** Wakes `peer` if it sleeps: one system call; none if it is awake. To be called after an atomic store of what it is to find. */
  wake(peer: number): void {
    const word = this.sleepingWords[peer] as number
    // on x64 no load overtakes that store
    if (LOADS_ARE_ORDERED && this.words[word] === AWAKE) return
    const how = Atomics.load(this.words, word)
    if (how === AWAKE || Atomics.compareExchange(this.words, word, how, AWAKE) !== how) return
    if (how === SLEEPING_ON_FUTEX) this.libc.futexWake(this.segment.address + 4 * word, 1)
    else this.ringBell(peer)
  }

  /** Tries again what {@link wake} could not do, once each: what fails again is put behind. */
  retry(): void {
    for (let left = this.unrung.length; left > 0; left--) this.ringBell(this.unrung.shift() as number)
  }

  /** Blocks until woken or `milliseconds` are over; not at all when `isBusy` says so after the sleep was announced. */
  sleep(milliseconds: number, isBusy: () => boolean): void {
    Atomics.store(this.words, this.sleeping, SLEEPING_ON_FUTEX)
    if (!isBusy()) this.libc.futexWait(this.segment.address + 4 * this.sleeping, SLEEPING_ON_FUTEX, milliseconds)
    Atomics.store(this.words, this.sleeping, this.listener === null ? AWAKE : SLEEPING_IN_EVENT_LOOP)
  }

  /** Announces a sleep in the event loop; answers false, with nothing armed, when `isBusy` says so after that. */
  arm(listener: () => void, isBusy: () => boolean): boolean {
    Atomics.store(this.words, this.sleeping, SLEEPING_IN_EVENT_LOOP)
    if (isBusy()) {
      this.disarm()
      return false
    }
    this.listener = listener
    this.socket.ref()
    return true
  }

  disarm(): void {
    this.listener = null
    this.socket.unref()
    Atomics.compareExchange(this.words, this.sleeping, SLEEPING_IN_EVENT_LOOP, AWAKE)
  }

  /** Fires the own armed wake-up, from the event loop as always. */
  wakeSelf(): void {
    this.wake(this.rank)
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    this.disarm()
    for (const bell of this.bells) if (bell !== undefined) closeSync(bell)
    this.bells.fill(undefined)
    this.unrung.length = 0
    this.socket.destroy()
    ignoreErrors(() => unlinkSync(bellPath(this.directory, this.rank)))
  }

  private openOwnBell(): Socket {
    const fd = openOwnBell(this.libc, bellPath(this.directory, this.rank))
    // With `onread` every ring lands in the same buffer. Node's documentation has it; its types have it elsewhere only.
    const onread: OnReadOpts = { buffer: new Uint8Array(DRAIN_BYTES), callback: () => this.rung() }
    const options: SocketConstructorOpts & { onread: OnReadOpts } = { fd, readable: true, writable: false, onread }
    const socket = new Socket(options)
    socket.on('error', () => undefined)
    socket.unref()
    return socket
  }

  private rung(): boolean {
    const listener = this.listener
    if (listener !== null) {
      this.disarm()
      listener()
    }
    return true
  }

  private ringBell(peer: number): void {
    try {
      let bell = this.bells[peer]
      if (bell === undefined) {
        bell = openBell(bellPath(this.directory, peer), constants.O_WRONLY)
        this.bells[peer] = bell
      }
      writeSync(bell, RING_BYTE, 0, 1)
    } catch (error) {
      // Somebody else's: said at each ring, because the peer still sleeps.
      if (error instanceof OnecopyError) {
        Atomics.compareExchange(this.words, sleepingWord(this.segment.layout, peer), AWAKE, SLEEPING_IN_EVENT_LOOP)
        throw new OnecopyError(error.code, error.message, { rank: peer, ...systemFields(error) })
      }
      // EAGAIN: the bell is full of rings already. ENOENT, ENXIO, EPIPE: nobody is there any more.
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'EMFILE' || code === 'ENFILE' || code === 'ENOMEM' || code === 'EINTR') this.unrung.push(peer)
    }
  }
}

function ignoreErrors(action: () => void): void {
  try {
    action()
  } catch {
    // Giving back is done as far as it goes.
  }
}
