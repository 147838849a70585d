import type { FrameReceiver } from '@onecopy/transport'
import { PassThrough } from './pass-through.js'

type Send = [peer: number, words: Int32Array, wordCount: number, bytes: Uint8Array, offset: number, length: number]

class NeverWakes extends PassThrough {
  override onWake(listener: (() => void) | null): boolean {
    return super.onWake(listener === null ? null : () => {})
  }
}

/** Arms although a frame waits, and so sleeps through it. */
class SleepsThroughWaitingFrames extends PassThrough {
  override onWake(listener: (() => void) | null): boolean {
    super.onWake(listener)
    return true
  }
}

/** The wake-up is not spent: it fires for every frame that comes. */
class StaysArmed extends PassThrough {
  private isClosed = false

  override onWake(listener: (() => void) | null): boolean {
    if (listener === null) return super.onWake(null)
    const again = (): void => {
      listener()
      const rearm = (): void => {
        if (!this.isClosed && !super.onWake(again)) setImmediate(rearm)
      }
      setImmediate(rearm)
    }
    return super.onWake(again)
  }

  override abort(): void {
    this.isClosed = true
    super.abort()
  }
}

class WakesAnUnarmedListener extends PassThrough {
  override onWake(listener: (() => void) | null): boolean {
    const isArmed = super.onWake(listener)
    if (!isArmed && listener !== null) setImmediate(listener)
    return isArmed
  }
}

class CannotTakeBack extends PassThrough {
  override onWake(listener: (() => void) | null): boolean {
    return listener === null ? true : super.onWake(listener)
  }
}

class WakesAfterClose extends PassThrough {
  private listener: (() => void) | null = null

  override onWake(listener: (() => void) | null): boolean {
    this.listener = listener
    return super.onWake(listener)
  }

  override close(): Promise<void> {
    if (this.listener !== null) setImmediate(this.listener)
    return super.close()
  }
}

/** Calls the listener in the middle of the sender's trySend. All ends share one board to find each other. */
const listeners = new WeakMap<object, (() => void) | null>()
class WakesInsideSend extends PassThrough {
  static ends: PassThrough[] = []

  override onWake(listener: (() => void) | null): boolean {
    WakesInsideSend.ends[this.rank] = this
    listeners.set(this, listener)
    return super.onWake(listener === null ? null : () => {})
  }

  override trySend(...send: Send): boolean {
    const isSent = super.trySend(...send)
    const target = WakesInsideSend.ends[send[0]]
    const listener = target === undefined ? null : listeners.get(target)
    if (target !== undefined) listeners.set(target, null)
    if (isSent) listener?.()
    return isSent
  }
}

class CanBeArmedOnce extends PassThrough {
  private isSpent = false

  override onWake(listener: (() => void) | null): boolean {
    if (this.isSpent) return super.onWake(listener === null ? null : () => {})
    return super.onWake(
      listener === null
        ? null
        : () => {
            this.isSpent = true
            listener()
          },
    )
  }
}

class ParksTheWholeTime extends PassThrough {
  override park(milliseconds: number): void {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
  }
}

class LosesFramesWhileParked extends PassThrough {
  private isBroken = false

  override park(_milliseconds: number): void {
    this.isBroken = true
  }

  override poll(receiver: FrameReceiver, framesMax: number): number {
    return this.isBroken ? 0 : super.poll(receiver, framesMax)
  }
}

export const WAKE_MUTANTS = [
  { mutant: NeverWakes, foundBy: /^parking and wake-up > onWake calls/ },
  { mutant: SleepsThroughWaitingFrames, foundBy: /^parking and wake-up > onWake answers false/ },
  { mutant: StaysArmed, foundBy: /^parking and wake-up > a wake-up is spent/ },
  { mutant: WakesAnUnarmedListener, foundBy: /^parking and wake-up > onWake answers false/ },
  { mutant: CannotTakeBack, foundBy: /^parking and wake-up > null takes/ },
  { mutant: WakesAfterClose, foundBy: /^lifecycle > close and abort take/ },
  { mutant: WakesInsideSend, foundBy: /^parking and wake-up > onWake does not call/ },
  { mutant: CanBeArmedOnce, foundBy: /^parking and wake-up > can be armed again/ },
  { mutant: ParksTheWholeTime, foundBy: /^parking and wake-up > park returns/ },
  { mutant: LosesFramesWhileParked, foundBy: /^parking and wake-up > park comes back/ },
] as const
