import type { Board, FrameReceiver, RemoteMemory, Transport, TransportLimits } from '@onecopy/transport'

/** A wrapper that changes nothing: what the mutants start from. */
export class PassThrough implements Transport {
  readonly inner: Transport
  readonly rank: number
  remoteMemory: RemoteMemory | null

  constructor(inner: Transport, rank: number) {
    this.inner = inner
    this.rank = rank
    this.remoteMemory = inner.remoteMemory
  }

  get name(): string {
    return this.inner.name
  }

  get limits(): TransportLimits {
    return this.inner.limits
  }

  get board(): Board | null {
    return this.inner.board
  }

  get hasUnsent(): boolean {
    return this.inner.hasUnsent
  }

  reaches(peer: number): boolean {
    return this.inner.reaches(peer)
  }

  whyNot(peer: number): string | null {
    return this.inner.whyNot(peer)
  }

  trySend(
    peer: number,
    words: Int32Array,
    wordCount: number,
    bytes: Uint8Array,
    offset: number,
    length: number,
  ): boolean {
    return this.inner.trySend(peer, words, wordCount, bytes, offset, length)
  }

  poll(receiver: FrameReceiver, framesMax: number): number {
    return this.inner.poll(receiver, framesMax)
  }

  park(milliseconds: number): void {
    this.inner.park(milliseconds)
  }

  yield(): void {
    this.inner.yield()
  }

  onWake(listener: (() => void) | null): boolean {
    return this.inner.onWake(listener)
  }

  peerGone(peer: number): void {
    this.inner.peerGone(peer)
  }

  close(): Promise<void> {
    return this.inner.close()
  }

  abort(): void {
    this.inner.abort()
  }
}

/** Remote memory that changes nothing. */
export class PassThroughMemory implements RemoteMemory {
  readonly inner: RemoteMemory

  constructor(inner: RemoteMemory) {
    this.inner = inner
  }

  get limits(): RemoteMemory['limits'] {
    return this.inner.limits
  }

  expose(view: Uint8Array, words: Int32Array, at: number): void {
    this.inner.expose(view, words, at)
  }

  withdraw(words: Int32Array, at: number): void {
    this.inner.withdraw(words, at)
  }

  canRead(peer: number): boolean {
    return this.inner.canRead(peer)
  }

  canWrite(peer: number): boolean {
    return this.inner.canWrite(peer)
  }

  whyNot(peer: number): string | null {
    return this.inner.whyNot(peer)
  }

  read(
    peer: number,
    words: Int32Array,
    at: number,
    offset: number,
    into: Uint8Array,
    to: number,
    length: number,
  ): void {
    this.inner.read(peer, words, at, offset, into, to, length)
  }

  write(
    peer: number,
    words: Int32Array,
    at: number,
    offset: number,
    from: Uint8Array,
    start: number,
    length: number,
  ): void {
    this.inner.write(peer, words, at, offset, from, start, length)
  }

  readMany(peer: number, words: Int32Array, at: number, count: number, into: readonly Uint8Array[]): void {
    this.inner.readMany(peer, words, at, count, into)
  }
}
