import type { RemoteMemory } from '../remote-memory.js'
import type { Transport, TransportLimits } from '../transport.js'
import { same, sameBytes, sure } from './expect.js'
import { type Frame, Recorder } from './recorder.js'
import type { ComplianceSubject, Fixture, Lacks } from './subject.js'

const DEADLINE_MILLISECONDS = 10_000
const FRAMES_PER_POLL = 64
/** Rounds without any frame after which the suite believes that none is on its way. */
const QUIET_ROUNDS = 8
/** Refusals in a row after which a queue is believed to be full: a transport may also refuse for a passing reason. */
const REFUSALS_WHEN_FULL = 60

/** One test's job: the ends, a recorder for each, and the loop that moves frames. */
export class Stage {
  readonly transports: readonly Transport[]
  readonly recorders: readonly Recorder[]
  readonly lacks: Lacks
  readonly limits: TransportLimits

  private readonly fixture: Fixture
  private readonly subject: ComplianceSubject
  private readonly ended = new Set<number>()

  constructor(fixture: Fixture, subject: ComplianceSubject) {
    this.fixture = fixture
    this.subject = subject
    this.transports = fixture.transports
    this.lacks = subject.lacks ?? {}
    this.limits = this.end(0).limits
    this.recorders = fixture.transports.map((end, rank) => {
      return new Recorder(rank, fixture.transports.length, end.limits.frameBytesMax)
    })
  }

  get size(): number {
    return this.transports.length
  }

  end(rank: number): Transport {
    const end = this.transports[rank]
    sure(end !== undefined, `the fixture has no transport for rank ${rank}`)
    return end
  }

  recorder(rank: number): Recorder {
    return this.recorders[rank] as Recorder
  }

  memory(rank: number): RemoteMemory {
    const memory = this.end(rank).remoteMemory
    sure(
      memory !== null,
      `${this.end(rank).name} has no remote memory; if that is so, say why in the subject's 'lacks'`,
    )
    return memory
  }

  /** Lets the event loop take `count` turns. */
  async turns(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.subject.turn()
  }

  /** One poll of one rank into its recorder. */
  poll(rank: number, framesMax = FRAMES_PER_POLL): number {
    const recorder = this.recorder(rank)
    const before = recorder.frames.length
    recorder.isPolled = true
    let handedOver: number
    try {
      handedOver = this.end(rank).poll(recorder, framesMax)
    } finally {
      recorder.isPolled = false
    }
    same(handedOver, recorder.frames.length - before, `rank ${rank}: what poll answered, against frames handed over`)
    sure(handedOver <= framesMax, `rank ${rank}: poll handed over ${handedOver} frames of at most ${framesMax}`)
    return handedOver
  }

  /** Polls every given rank that is still open once; answers the frames handed over. */
  pollAll(ranks: readonly number[] | null = null): number {
    let handedOver = 0
    for (let rank = 0; rank < this.size; rank++) {
      if (!this.ended.has(rank) && (ranks === null || ranks.includes(rank))) handedOver += this.poll(rank)
    }
    return handedOver
  }

  /** Polls until the condition holds; fails with `what` when it does not in time. */
  async until(what: string, condition: () => boolean, ranks: readonly number[] | null = null): Promise<void> {
    const deadline = Date.now() + (this.subject.deadlineMilliseconds ?? DEADLINE_MILLISECONDS)
    for (let round = 1; !condition(); round++) {
      if (this.pollAll(ranks) === 0 || round % FRAMES_PER_POLL === 0) await this.turns(1)
      this.check()
      if (Date.now() > deadline) throw new Error(`waited in vain: ${what} (${this.tally()})`)
    }
    this.check()
  }

  /** Polls until nothing has moved for a while. */
  async settle(): Promise<void> {
    let quiet = 0
    await this.until('the job to become quiet', () => {
      quiet = this.pollAll() === 0 && !this.hasUnsent() ? quiet + 1 : 0
      return quiet > QUIET_ROUNDS
    })
  }

  /** Sends one frame, polling while it is refused. */
  async send(
    from: number,
    to: number,
    words: Int32Array,
    bytes: Uint8Array,
    byteOffset = 0,
    byteLength: number = bytes.byteLength - byteOffset,
  ): Promise<void> {
    const end = this.end(from)
    await this.until(`rank ${from} to send to rank ${to}`, () => {
      return end.trySend(to, words, words.length, bytes, byteOffset, byteLength)
    })
  }

  /** Sends frames of this length until the queue is full, polling nobody; answers how many were accepted. */
  fill(from: number, to: number, byteLength: number, framesMax: number): number {
    const end = this.end(from)
    let accepted = 0
    let refused = 0
    const words = new Int32Array(2)
    let payload = pattern(byteLength, 0)
    while (accepted < framesMax && refused < REFUSALS_WHEN_FULL) {
      words[0] = accepted
      words[1] = ~accepted
      if (end.trySend(to, words, 2, payload, 0, byteLength)) {
        accepted++
        refused = 0
        payload.fill(0xee)
        payload = pattern(byteLength, accepted)
      } else {
        refused++
      }
    }
    return accepted
  }

  /** Waits for what {@link fill} sent, exactly that, then for silence. */
  async expectFilled(from: number, to: number, byteLength: number, count: number): Promise<void> {
    const recorder = this.recorder(to)
    await this.until(`${count} frames from rank ${from} to rank ${to}`, () => recorder.from(from).length >= count)
    await this.settle()
    const frames = recorder.from(from)
    same(frames.length, count, `frames from rank ${from} to rank ${to}`)
    frames.forEach((frame, i) => {
      sameBytes(frame.words, [i, ~i], `header of frame ${i}`)
      sameBytes(frame.bytes, pattern(byteLength, i), `payload of frame ${i}`)
    })
  }

  /** Waits until exactly these frames, and no more, have come from one rank to the other. */
  async expectFrames(from: number, to: number, expected: readonly Omit<Frame, 'peer'>[]): Promise<void> {
    const recorder = this.recorder(to)
    await this.until(
      `${expected.length} frames from ${from} to ${to}`,
      () => recorder.from(from).length >= expected.length,
    )
    await this.settle()
    const frames = recorder.from(from)
    same(frames.length, expected.length, `frames from rank ${from} to rank ${to}`)
    expected.forEach((frame, i) => {
      sameBytes((frames[i] as Frame).words, frame.words, `header of frame ${i}`)
      sameBytes((frames[i] as Frame).bytes, frame.bytes, `payload of frame ${i}`)
    })
  }

  /** Polls one rank until its accepted frames have left the process. */
  async flush(rank: number): Promise<void> {
    await this.until(`rank ${rank} to push out its frames`, () => !this.end(rank).hasUnsent, [rank])
  }

  /** Lets every rank push out what is unsent, without taking a frame: what a runtime does before it sleeps. */
  pushOut(): void {
    this.transports.forEach((end, rank) => {
      if (!this.ended.has(rank) && end.hasUnsent) this.poll(rank, 0)
    })
  }

  hasUnsent(): boolean {
    return this.transports.some((end, rank) => !this.ended.has(rank) && end.hasUnsent)
  }

  /** Closes one end while everybody else polls. */
  async close(rank: number): Promise<void> {
    this.ended.add(rank)
    let isClosed = false
    let failure: unknown
    this.end(rank)
      .close()
      .then(
        () => {
          isClosed = true
        },
        (error: unknown) => {
          failure = error
          isClosed = true
        },
      )
    await this.until(`rank ${rank} to close`, () => isClosed)
    if (failure !== undefined) throw failure
  }

  abort(rank: number): void {
    this.ended.add(rank)
    this.end(rank).abort()
  }

  async kill(rank: number): Promise<void> {
    this.ended.add(rank)
    if (this.fixture.kill === undefined) this.end(rank).abort()
    else await this.fixture.kill(rank)
  }

  /** Fails when a recorder has seen a rule broken. */
  check(): void {
    for (const recorder of this.recorders) {
      if (recorder.violation !== null) throw new Error(recorder.violation)
    }
  }

  private tally(): string {
    const open = this.transports.map((end, rank) => {
      const state = this.ended.has(rank) ? 'ended' : end.hasUnsent ? 'has unsent frames' : 'nothing unsent'
      return `rank ${rank}: ${this.recorder(rank).frames.length} frames received, ${state}`
    })
    return open.join('; ')
  }
}

/** Bytes that look different for each length, seed and place. */
export function pattern(byteLength: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(byteLength)
  for (let i = 0; i < byteLength; i++) bytes[i] = i * 167 + (i >>> 8) * 59 + (i >>> 16) * 31 + seed * 101 + byteLength
  return bytes
}

/** Payload lengths at which transports change their ways. */
export function payloadLengths(limits: TransportLimits): number[] {
  const { inlineBytesMax: inline, frameBytesMax: most } = limits
  const lengths = [0, 1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, inline - 1, inline, inline + 1, 2 * inline, most - 1, most]
  const valid = lengths.filter((length) => length >= 0 && length <= most)
  return [...new Set(valid)].sort((a, b) => a - b)
}
