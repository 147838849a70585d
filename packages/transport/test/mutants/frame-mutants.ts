import { type FrameReceiver, OnecopyError, type TransportLimits } from '@onecopy/transport'
import { PassThrough } from './pass-through.js'

type Send = [peer: number, words: Int32Array, wordCount: number, bytes: Uint8Array, offset: number, length: number]
type Frame = Parameters<FrameReceiver['frame']>

function copied([peer, words, wordCount, bytes, offset, length]: Send): Send {
  return [
    peer,
    words.slice(0, wordCount),
    wordCount,
    Uint8Array.from(bytes.subarray(offset, offset + length)),
    0,
    length,
  ]
}

/** Keeps what it accepts until the next poll, and then sends what `flush` makes of it. */
class Late extends PassThrough {
  protected kept: Send[] = []

  override trySend(...send: Send): boolean {
    if (this.kept.length >= 4) return false
    this.kept.push(this.keep(send))
    return true
  }

  override poll(receiver: FrameReceiver, framesMax: number): number {
    this.flush()
    return super.poll(receiver, framesMax)
  }

  override get hasUnsent(): boolean {
    return this.kept.length > 0
  }

  protected keep(send: Send): Send {
    return copied(send)
  }

  protected flush(): void {
    while (this.kept.length > 0 && this.inner.trySend(...(this.kept[0] as Send))) this.kept.shift()
  }
}

/** Changes frames on their way up. */
abstract class Rewriting extends PassThrough {
  abstract rewrite(frame: Frame): Frame[]

  override poll(receiver: FrameReceiver, framesMax: number): number {
    let count = 0
    this.inner.poll(
      {
        frame: (...frame) => {
          for (const rewritten of this.rewrite(frame)) {
            count++
            receiver.frame(...rewritten)
          }
        },
      },
      framesMax,
    )
    return count
  }
}

class DropsFrames extends PassThrough {
  private sends = 0

  override trySend(...send: Send): boolean {
    return ++this.sends % 37 === 0 ? true : super.trySend(...send)
  }
}

class DoublesFrames extends PassThrough {
  private sends = 0

  override trySend(...send: Send): boolean {
    const isSent = super.trySend(...send)
    if (isSent && ++this.sends % 41 === 0) super.trySend(...send)
    return isSent
  }
}

class LetsSmallFramesOvertake extends Late {
  protected override flush(): void {
    this.kept.sort((a, b) => Math.sign(a[5] - 100) - Math.sign(b[5] - 100))
    super.flush()
  }
}

class DoesNotCopyBytes extends Late {
  protected override keep([peer, words, wordCount, bytes, offset, length]: Send): Send {
    return [peer, words.slice(), wordCount, bytes, offset, length]
  }
}

class DoesNotCopyWords extends Late {
  protected override keep(send: Send): Send {
    const copy = copied(send)
    copy[1] = send[1]
    return copy
  }
}

class ReEnters extends PassThrough {
  private receiver: FrameReceiver | null = null

  override trySend(...send: Send): boolean {
    const isSent = super.trySend(...send)
    if (this.receiver !== null)
      this.receiver.frame(send[0], send[1].slice(0, send[2]), send[2], send[3], send[4], send[5])
    return isSent
  }

  override poll(receiver: FrameReceiver, framesMax: number): number {
    this.receiver = receiver
    try {
      return super.poll(receiver, framesMax)
    } finally {
      this.receiver = null
    }
  }
}

class IgnoresByteOffset extends PassThrough {
  override trySend(
    peer: number,
    words: Int32Array,
    count: number,
    bytes: Uint8Array,
    _: number,
    length: number,
  ): boolean {
    return super.trySend(peer, words, count, bytes, 0, length)
  }
}

class CutsTheLongestFrame extends PassThrough {
  override trySend(
    peer: number,
    words: Int32Array,
    count: number,
    bytes: Uint8Array,
    at: number,
    length: number,
  ): boolean {
    const cut = length === this.limits.frameBytesMax ? length - 1 : length
    return super.trySend(peer, words, count, bytes, at, cut)
  }
}

class ForgetsLateWords extends Rewriting {
  rewrite([peer, words, count, bytes, offset, length]: Frame): Frame[] {
    if (count > 10) words[10] = 0
    return [[peer, words, count, bytes, offset, length]]
  }
}

class SendsAllWords extends PassThrough {
  override trySend(peer: number, words: Int32Array, _: number, bytes: Uint8Array, at: number, length: number): boolean {
    return super.trySend(peer, words, words.length, bytes, at, length)
  }
}

class SpoilsTheLastByte extends Rewriting {
  rewrite([peer, words, count, bytes, offset, length]: Frame): Frame[] {
    if (length > this.limits.inlineBytesMax) bytes[offset + length - 1] = 0
    return [[peer, words, count, bytes, offset, length]]
  }
}

class NamesTheWrongPeer extends Rewriting {
  rewrite([peer, words, count, bytes, offset, length]: Frame): Frame[] {
    return [[peer === 2 ? 1 - this.rank : peer, words, count, bytes, offset, length]]
  }
}

class SharesWords extends Rewriting {
  private words = new Int32Array(12)
  private isCopied = false

  // The words are filled once per poll only, as if they lay in a ring that the receiver had spoilt.
  override poll(receiver: FrameReceiver, framesMax: number): number {
    this.isCopied = false
    return super.poll(receiver, framesMax)
  }

  rewrite([peer, words, count, bytes, offset, length]: Frame): Frame[] {
    if (!this.isCopied) this.words.set(words)
    this.isCopied = true
    return [[peer, this.words, count, bytes, offset, length]]
  }
}

class SpoilsTheCallersBytes extends PassThrough {
  override trySend(...send: Send): boolean {
    const isSent = super.trySend(...send)
    if (isSent && send[5] > 0) send[3][send[4]] = 0
    return isSent
  }
}

class IgnoresFramesMax extends PassThrough {
  override poll(receiver: FrameReceiver, _framesMax: number): number {
    return super.poll(receiver, 1000)
  }
}

class Miscounts extends PassThrough {
  override poll(receiver: FrameReceiver, framesMax: number): number {
    return Math.min(1, super.poll(receiver, framesMax))
  }
}

class SendsWhatItRefuses extends PassThrough {
  private refused: Send[] = []

  override trySend(...send: Send): boolean {
    const isSent = super.trySend(...send)
    if (!isSent && this.refused.length < 1) this.refused.push(copied(send))
    return isSent
  }

  override poll(receiver: FrameReceiver, framesMax: number): number {
    while (this.refused.length > 0 && this.inner.trySend(...(this.refused[0] as Send))) this.refused.shift()
    return super.poll(receiver, framesMax)
  }
}

class NeverRefuses extends Late {
  override trySend(...send: Send): boolean {
    this.kept.push(copied(send))
    return true
  }
}

/** Bytes are bounded, frames are not. */
class TakesAnyNumberOfEmptyFrames extends Late {
  override trySend(...send: Send): boolean {
    if (send[5] > 0 && this.kept.length >= 4) return false
    this.kept.push(copied(send))
    return true
  }
}

class AlwaysRefusesTheLongest extends PassThrough {
  override trySend(...send: Send): boolean {
    return send[5] === this.limits.frameBytesMax ? false : super.trySend(...send)
  }
}

class LetsOneFullQueueBlockAll extends PassThrough {
  private full: Send | null = null

  override trySend(...send: Send): boolean {
    if (this.full !== null && send[0] !== this.full[0] && !super.trySend(...this.full)) return false
    const isSent = super.trySend(...send)
    this.full = isSent ? null : copied(send)
    return isSent
  }
}

class HidesUnsentFrames extends Late {
  override get hasUnsent(): boolean {
    return false
  }
}

class HasAlwaysSomethingUnsent extends PassThrough {
  override get hasUnsent(): boolean {
    return true
  }
}

class LendsItsSendBuffer extends Rewriting {
  private readonly shared = new Uint8Array(this.limits.frameBytesMax)

  override trySend(...send: Send): boolean {
    this.shared.set(send[3].subarray(send[4], send[4] + send[5]))
    return super.trySend(send[0], send[1], send[2], this.shared, 0, send[5])
  }

  rewrite([peer, words, count, bytes, offset, length]: Frame): Frame[] {
    this.shared.set(bytes.subarray(offset, offset + length))
    return [[peer, words, count, this.shared, 0, length]]
  }
}

class HasShortFrames extends PassThrough {
  override get limits(): TransportLimits {
    return { ...this.inner.limits, frameBytesMax: 512 }
  }
}

class DoesNotFlushOnClose extends Late {
  override close(): Promise<void> {
    this.kept = []
    return super.close()
  }

  override abort(): void {
    this.kept = []
    super.abort()
  }
}

class ClosesOnce extends PassThrough {
  private isClosed = false

  override close(): Promise<void> {
    if (this.isClosed) return Promise.reject(new OnecopyError('ERR_CLOSED', 'closed twice'))
    this.isClosed = true
    return super.close()
  }
}

class RefusesWhenClosed extends PassThrough {
  override trySend(...send: Send): boolean {
    try {
      return super.trySend(...send)
    } catch {
      return false
    }
  }
}

class DropsArrivedFramesOfTheDead extends Rewriting {
  private readonly gone = new Set<number>()

  override peerGone(peer: number): void {
    this.gone.add(peer)
    super.peerGone(peer)
  }

  rewrite(frame: Frame): Frame[] {
    return this.gone.has(frame[0]) ? [] : [frame]
  }
}

class SendsToTheDead extends PassThrough {
  override peerGone(_peer: number): void {}
}

class BlamesTheWrongRank extends PassThrough {
  override trySend(...send: Send): boolean {
    try {
      return super.trySend(...send)
    } catch (error) {
      const { code } = error as OnecopyError
      throw new OnecopyError(code, 'somebody is gone', { rank: this.rank })
    }
  }
}

class FailsWithAnyPeer extends PassThrough {
  private isBroken = false

  override peerGone(peer: number): void {
    this.isBroken = true
    super.peerGone(peer)
  }

  override trySend(...send: Send): boolean {
    if (this.isBroken) throw new OnecopyError('ERR_PROC_FAILED', 'a peer is gone', { rank: send[0] })
    return super.trySend(...send)
  }
}

/** Each with the part of the suite that must find it. */
export const FRAME_MUTANTS = [
  { mutant: DropsFrames, foundBy: /^delivery/ },
  { mutant: DoublesFrames, foundBy: /^delivery/ },
  { mutant: LetsSmallFramesOvertake, foundBy: /^(delivery|ordering)/ },
  { mutant: DoesNotCopyBytes, foundBy: /^delivery > has copied/ },
  { mutant: DoesNotCopyWords, foundBy: /^delivery > has copied/ },
  { mutant: ReEnters, foundBy: /^polling/ },
  { mutant: IgnoresByteOffset, foundBy: /^delivery > takes exactly the bytes/ },
  { mutant: CutsTheLongestFrame, foundBy: /^delivery/ },
  { mutant: ForgetsLateWords, foundBy: /^delivery > carries headers/ },
  { mutant: SendsAllWords, foundBy: /^delivery > takes no more words/ },
  { mutant: SpoilsTheLastByte, foundBy: /^delivery/ },
  { mutant: NamesTheWrongPeer, foundBy: /^delivery/ },
  { mutant: SharesWords, foundBy: /^delivery/ },
  { mutant: SpoilsTheCallersBytes, foundBy: /^delivery > leaves the sender/ },
  { mutant: IgnoresFramesMax, foundBy: /^(ordering|polling)/ },
  { mutant: Miscounts, foundBy: /^delivery/ },
  { mutant: SendsWhatItRefuses, foundBy: /./ },
  { mutant: NeverRefuses, foundBy: /^back-pressure/ },
  { mutant: TakesAnyNumberOfEmptyFrames, foundBy: /^back-pressure > bounds empty frames/ },
  { mutant: AlwaysRefusesTheLongest, foundBy: /^delivery/ },
  { mutant: LetsOneFullQueueBlockAll, foundBy: /^back-pressure > a full queue to one peer/ },
  { mutant: HidesUnsentFrames, foundBy: /^(back-pressure|parking|peer)/ },
  { mutant: HasAlwaysSomethingUnsent, foundBy: /./ },
  { mutant: LendsItsSendBuffer, foundBy: /^polling/ },
  { mutant: HasShortFrames, foundBy: /^lifecycle > has a name and limits/ },
  { mutant: DoesNotFlushOnClose, foundBy: /^lifecycle > close pushes out/ },
  { mutant: ClosesOnce, foundBy: /^lifecycle/ },
  { mutant: RefusesWhenClosed, foundBy: /^lifecycle > trySend throws ERR_CLOSED/ },
  { mutant: DropsArrivedFramesOfTheDead, foundBy: /^peer failure > frames that a peer had sent/ },
  { mutant: SendsToTheDead, foundBy: /^peer failure > trySend/ },
  { mutant: BlamesTheWrongRank, foundBy: /^peer failure > trySend/ },
  { mutant: FailsWithAnyPeer, foundBy: /^peer failure/ },
] as const
