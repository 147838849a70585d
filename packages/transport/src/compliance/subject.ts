import type { Transport } from '../transport.js'

/** What the suite needs from a test runner: mocha, vitest, jest and node:test all have it. */
export interface ComplianceRunner {
  describe(title: string, body: () => void): unknown
  readonly it: ComplianceTest
  beforeEach(body: () => Promise<void>): unknown
  afterEach(body: () => Promise<void>): unknown
}

export interface ComplianceTest {
  (title: string, body: () => Promise<void>): unknown
  /** Reports a test that cannot run here; the title says why. */
  skip(title: string, body: () => Promise<void>): unknown
}

/** One job, with all its ranks' ends in this process. */
export interface Fixture {
  /** By rank. */
  readonly transports: readonly Transport[]
  /**
   * Ends one rank as suddenly as this fixture can, and tells nobody; frames that had left the rank stay on their way.
   * Default: `transports[rank].abort()`.
   */
  kill?(rank: number): void | Promise<void>
  /** Gives everything back, whatever state the ends are in: open, closed, aborted, in the middle of a failed test. */
  close(): void | Promise<void>
}

/** What a transport may do without. */
export interface Lacks {
  /** Remote memory: `remoteMemory` is null, or `canRead` answers false for every peer. */
  readonly remoteMemory?: string | null
  /** Writing into a peer's memory: `canWrite` answers false. */
  readonly remoteWrite?: string | null
  /** Telling that a region was withdrawn: a late read may still succeed. */
  readonly withdrawal?: string | null
  /** A board: `board` is null. */
  readonly board?: string | null
}

export type Capability = keyof Lacks

/** The transport under test. */
export interface ComplianceSubject {
  /** Stands in front of the tests' titles. */
  readonly name: string
  /** Makes a job of `size` ranks (1 to 4), fresh for each test. When it resolves, every end may send to every other. */
  open(size: number): Promise<Fixture>
  /** Lets the event loop take one turn: `() => new Promise((resolve) => setImmediate(resolve))`. */
  turn(): Promise<void>
  /**
   * What this transport cannot do here, each with the reason: the tests that need it are reported as skipped, with that
   * reason, and it is an error if the transport can do it after all. What is not named here (or null) must work.
   */
  readonly lacks?: Lacks
  /** How long one test waits for a frame or a wake-up that should come. Default 10000. */
  readonly deadlineMilliseconds?: number
  /** One stress test is run for each. Default 1, 2, 3. */
  readonly seeds?: readonly number[]
  /** Frames that each stress test sends between each two ranks. Default 200. */
  readonly stressFrames?: number
}
