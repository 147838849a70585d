import { INLINE_BYTES_MAX } from '../../src/record.js'
import { nobody, openRank, send } from './rank.js'

/** Whom every scenario talks to: the test itself. */
const PEER = 0
const { transport, scenario } = openRank()
const { frameBytesMax } = transport.limits
const [what, argument] = scenario.split(' ')
const count = Number(argument)

/** Frame `i`: its number in the header, and bytes that follow from it. Both ways of a payload take turns. */
function frameOf(i: number): [Int32Array, Uint8Array] {
  const lengths = [0, frameBytesMax, 1, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, frameBytesMax - 1]
  return [Int32Array.of(i), new Uint8Array(lengths[i % lengths.length] as number).fill(i & 255)]
}

/** CPU used in the least busy of some windows, in percent: what else runs here must not count. */
function leastCpuPercent(windows: number[]): string {
  return Math.min(...windows).toFixed(3)
}

switch (what) {
  // Sends every frame back until one whose first word is -1.
  case 'echo': {
    let isOver = false
    const receiver = {
      frame(_peer: number, words: Int32Array, wordCount: number, bytes: Uint8Array, at: number, length: number): void {
        if (words[0] === -1) isOver = true
        else backlog.push([words.slice(0, wordCount), bytes.slice(at, at + length)])
      },
    }
    const backlog: [Int32Array, Uint8Array][] = []
    while (!isOver || backlog.length > 0) {
      if (transport.poll(receiver, 64) === 0 && backlog.length === 0) transport.park(5)
      for (;;) {
        const [words, bytes] = backlog[0] ?? []
        if (words === undefined || bytes === undefined) break
        if (!transport.trySend(PEER, words, words.length, bytes, 0, bytes.length)) break
        backlog.shift()
      }
    }
    await transport.close()
    break
  }
  // Sends, and leaves at once in one of three ways.
  case 'exit':
  case 'end':
  case 'close':
    for (let i = 0; i < count; i++) send(transport, PEER, ...frameOf(i))
    if (what === 'exit') process.exit(0)
    if (what === 'close') await transport.close()
    break
  // Sends until there is no room any more and says how many frames that were.
  case 'fill': {
    let sent = 0
    const length = count
    const bytes = new Uint8Array(length).fill(3)
    while (transport.trySend(PEER, Int32Array.of(sent), 1, bytes, 0, length)) sent++
    console.log(sent)
    break
  }
  // Sends for ever: to be killed.
  case 'flood':
    for (let i = 0; ; i++) send(transport, PEER, ...frameOf(i))
  // Sends from the event loop, sleeping armed whenever there is no room.
  case 'armed-sender': {
    for (let i = 0; i < count; i++) {
      const [words, bytes] = frameOf(i)
      while (!transport.trySend(PEER, words, 1, bytes, 0, bytes.length)) {
        transport.poll(nobody, 64)
        await new Promise<void>((resolve) => {
          if (!transport.onWake(resolve)) resolve()
        })
      }
    }
    await transport.close()
    break
  }
  // Waits for one frame in the event loop with nothing else that keeps the process alive, and says what came.
  case 'armed-receiver': {
    let word = 0
    const receiver = {
      frame(_peer: number, words: Int32Array): void {
        word = words[0] as number
      },
    }
    console.log('ready')
    while (transport.poll(receiver, 1) === 0) {
      await new Promise<void>((resolve) => {
        if (!transport.onWake(resolve)) resolve()
      })
    }
    console.log(`came ${word}`)
    await transport.close()
    break
  }
  // Waits for nothing, parked, and says what that costs.
  case 'idle-parked': {
    transport.park(100)
    const windows: number[] = []
    for (let i = 0; i < 3; i++) {
      const before = process.cpuUsage()
      const start = performance.now()
      while (performance.now() - start < 1000) {
        transport.poll(nobody, 16)
        transport.park(40)
      }
      const used = process.cpuUsage(before)
      windows.push((used.user + used.system) / (performance.now() - start) / 10)
    }
    console.log(leastCpuPercent(windows))
    break
  }
  // Waits for nothing, armed, and says what that costs.
  case 'idle-armed': {
    transport.onWake(() => console.log('woken for nothing'))
    const windows: number[] = []
    await new Promise((resolve) => setTimeout(resolve, 100))
    for (let i = 0; i < 3; i++) {
      const before = process.cpuUsage()
      const start = performance.now()
      await new Promise((resolve) => setTimeout(resolve, 1000))
      const used = process.cpuUsage(before)
      windows.push((used.user + used.system) / (performance.now() - start) / 10)
    }
    transport.onWake(null)
    console.log(leastCpuPercent(windows))
    break
  }
  // Polls an empty inbox and sends small frames to it, and says by how many bytes the heap has grown.
  case 'flat-heap': {
    const collect = (globalThis as { gc?: () => void }).gc ?? (() => undefined)
    const work = (): void => {
      for (let i = 0; i < 20_000; i++) transport.poll(nobody, 16)
      for (let i = 0; i < 20_000; i++) send(transport, PEER, words, bytes)
    }
    const words = Int32Array.of(1)
    const bytes = new Uint8Array(8)
    work()
    collect()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < count; i++) work()
    collect()
    console.log(process.memoryUsage().heapUsed - before)
    break
  }
  default:
    throw new Error(`unknown scenario ${scenario}`)
}
