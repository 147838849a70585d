import { constants } from 'node:fs'
import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net'
import { openFifo } from './fifo.js'
import { READ_BYTES_MAX, type RecordReader } from './record-reader.js'

/** How often a sleeping event loop looks after something that no arriving byte will tell: room in a peer's inbox. */
export const TICK_MILLISECONDS = 1

/**
 * One wake-up from the event loop when bytes arrive in the inbox FIFO.
 *
 * Node can only watch a descriptor by reading it, so the bytes it reads go to the same {@link RecordReader} that the thread's
 * own reads go to. It watches only while armed, one read per wake-up.
 */
export class Waker {
  private readonly path: string
  private readonly reader: RecordReader
  private readonly onTick: () => boolean
  private socket: Socket | null = null
  private listener: (() => void) | null = null
  private timer: NodeJS.Timeout | null = null

  /** `onTick` is called every TICK_MILLISECONDS where asked for; when it answers true, the wake-up fires. */
  constructor(path: string, reader: RecordReader, onTick: () => boolean) {
    this.path = path
    this.reader = reader
    this.onTick = onTick
  }

  get isArmed(): boolean {
    return this.listener !== null
  }

  /** Arms the wake-up and keeps the process alive for it. */
  arm(listener: () => void, withTicks: boolean): void {
    this.listener = listener
    this.socket ??= this.open()
    this.socket.resume()
    this.socket.ref()
    if (withTicks) this.timer ??= setInterval(this.tick, TICK_MILLISECONDS)
    else this.stopTicks()
  }

  disarm(): void {
    if (this.listener === null) return
    this.listener = null
    this.stopTicks()
    if (this.socket !== null) {
      this.socket.pause()
      this.socket.unref()
    }
  }

  /** Fires the wake-up soon, though no byte may arrive any more: frames are waiting in the reader already. */
  fireSoon(): void {
    if (this.listener !== null) setImmediate(this.fire)
  }

  close(): void {
    this.disarm()
    this.socket?.destroy()
    this.socket = null
  }

  private readonly fire = (): void => {
    const listener = this.listener
    if (listener === null) return
    this.disarm()
    listener()
  }

  private readonly tick = (): void => {
    if (this.onTick()) this.fire()
  }

  private stopTicks(): void {
    if (this.timer === null) return
    clearInterval(this.timer)
    this.timer = null
  }

  private open(): Socket {
    const buffer = new Uint8Array(READ_BYTES_MAX)
    // `onread` is an option of the constructor too; the types know it from connect() only.
    const options: SocketConstructorOpts & ConnectOpts = {
      fd: openFifo(this.path, constants.O_RDWR),
      readable: true,
      writable: false,
      onread: {
        buffer,
        callback: (byteLength) => {
          const reader = this.reader
          reader.bytes.set(buffer.subarray(0, byteLength), reader.end)
          reader.added(byteLength)
          this.fire()
          // Whoever was woken may have armed again already.
          return this.listener !== null
        },
      },
    }
    const socket = new Socket(options)
    // A FIFO that this rank itself holds open neither ends nor fails; should it, the next arming opens it again.
    socket.on('error', () => this.lose())
    socket.on('close', () => this.lose())
    return socket
  }

  private lose(): void {
    this.socket = null
    // Whoever waits looks for himself then, and arms again.
    this.fireSoon()
  }
}
