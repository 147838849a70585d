import { Random } from '../random.js'
import { REGION_WORDS } from '../remote-memory.js'
import type { Area } from './area.js'
import { same, sameBytes, sure, throwsRangeError } from './expect.js'
import { pattern, type Stage } from './stage.js'

const CANARY = 0xa5
const PAGE = 4096
/** The kernel takes at most this many pieces in one call. */
const PIECES_PER_CALL = 1024

/** Reading: whole regions, pieces, many at once. */
export const remoteRead: Area = {
  title: 'remote memory: reading',
  size: 3,
  declare(test) {
    test(
      'refuses to expose less than exposeBytesMin, and exposes exactly that',
      (stage) => {
        const memory = stage.memory(0)
        const { exposeBytesMin, segmentBytes } = memory.limits
        sure(exposeBytesMin > 64, `exposeBytesMin is ${exposeBytesMin}: views of 64 bytes and less may move`)
        sure(segmentBytes > 0, `segmentBytes is ${segmentBytes}`)
        const words = new Int32Array(REGION_WORDS)
        for (const length of [0, 1, exposeBytesMin - 1]) {
          throwsRangeError(() => memory.expose(new Uint8Array(length), words, 0), `expose of ${length} bytes`)
        }
        memory.expose(new Uint8Array(exposeBytesMin), words, 0)
        memory.withdraw(words, 0)
      },
      ['remoteMemory'],
    )

    test(
      'every rank may read every other',
      (stage) => {
        forEachPair(stage, (rank, peer) => {
          same(stage.memory(rank).canRead(peer), true, `rank ${rank} may read rank ${peer}`)
        })
      },
      ['remoteMemory'],
    )

    test(
      'a name takes REGION_WORDS words and leaves its neighbours alone',
      (stage) => {
        const words = new Int32Array(REGION_WORDS + 6).fill(-5)
        stage.memory(1).expose(pattern(1000, 1), words, 3)
        sameBytes(words.subarray(0, 3), [-5, -5, -5], 'words before the name')
        sameBytes(words.subarray(3 + REGION_WORDS), [-5, -5, -5], 'words after the name')
        const into = new Uint8Array(1000)
        stage.memory(0).read(1, words, 3, 0, into, 0, 1000)
        sameBytes(into, pattern(1000, 1), 'what was read by a name in the middle of an array')
        stage.memory(1).withdraw(words, 3)
      },
      ['remoteMemory'],
    )

    test(
      'a name works after it has travelled in a frame, from inside frame',
      async (stage) => {
        const shared = pattern(10_000, 4)
        const words = new Int32Array(1 + REGION_WORDS)
        words[0] = shared.byteLength
        stage.memory(2).expose(shared, words, 1)
        const into = new Uint8Array(shared.byteLength)
        stage.recorder(0).onFrame = (frame) => {
          stage.memory(0).read(frame.peer, frame.words, 1, 0, into, 0, frame.words[0] as number)
        }
        await stage.send(2, 0, words, new Uint8Array(0))
        await stage.until('the frame with the name', () => stage.recorder(0).frames.length === 1)
        sameBytes(into, shared, 'what was read')
        stage.memory(2).withdraw(words, 1)
      },
      ['remoteMemory'],
    )

    test(
      'reads whole regions of every critical length, and nothing beside them',
      (stage) => {
        for (const length of regionLengths(stage)) {
          const { words, view } = exposed(stage, 1, length)
          const into = new Uint8Array(length + 16).fill(CANARY)
          stage.memory(0).read(1, words, 0, 0, into, 8, length)
          sameBytes(into.subarray(8, 8 + length), view, `region of ${length} bytes`)
          sureCanary(into, 8, length)
          stage.memory(1).withdraw(words, 0)
        }
      },
      ['remoteMemory'],
    )

    test(
      'reads pieces at every critical offset',
      (stage) => {
        const length = 2 * PAGE + 77
        const { words, view } = exposed(stage, 2, length)
        forEachPiece(length, (offset, byteLength) => {
          const into = new Uint8Array(byteLength + 16).fill(CANARY)
          stage.memory(0).read(2, words, 0, offset, into, 8, byteLength)
          sameBytes(into.subarray(8, 8 + byteLength), view.subarray(offset, offset + byteLength), `piece at ${offset}`)
          sureCanary(into, 8, byteLength)
        })
        stage.memory(2).withdraw(words, 0)
      },
      ['remoteMemory'],
    )

    test(
      'reads the memory as it is now, not as it was when it was named',
      (stage) => {
        const { words, view } = exposed(stage, 1, 5000)
        view.fill(0x42)
        const into = new Uint8Array(5000)
        stage.memory(0).read(1, words, 0, 0, into, 0, 5000)
        sure(
          into.every((byte) => byte === 0x42),
          'an old state of the memory was read',
        )
        stage.memory(1).withdraw(words, 0)
      },
      ['remoteMemory'],
    )

    test(
      'a region may be read by several ranks, and a rank may read several peers',
      (stage) => {
        forEachPair(stage, (rank, peer) => {
          const { words, view } = exposed(stage, peer, 3000 + 10 * rank + peer)
          for (let reader = 0; reader < stage.size; reader++) {
            if (reader === peer) continue
            const into = new Uint8Array(view.byteLength)
            stage.memory(reader).read(peer, words, 0, 0, into, 0, into.byteLength)
            sameBytes(into, view, `rank ${reader} reading rank ${peer}`)
          }
          stage.memory(peer).withdraw(words, 0)
        })
      },
      ['remoteMemory'],
    )

    test(
      'throws RangeError for pieces outside the region or the array, and copies nothing',
      (stage) => {
        const length = 1000
        const { words } = exposed(stage, 1, length)
        const into = new Uint8Array(length).fill(CANARY)
        for (const [offset, intoOffset, byteLength] of badPieces(length)) {
          const what = `read of ${byteLength} bytes at ${offset} to ${intoOffset}`
          throwsRangeError(() => stage.memory(0).read(1, words, 0, offset, into, intoOffset, byteLength), what)
        }
        sure(
          into.every((byte) => byte === CANARY),
          'a refused read has written something',
        )
        // And the pieces that only just fit do fit.
        stage.memory(0).read(1, words, 0, length, into, length, 0)
        stage.memory(0).read(1, words, 0, length - 1, into, length - 1, 1)
        stage.memory(1).withdraw(words, 0)
      },
      ['remoteMemory'],
    )

    for (const count of [0, 1, 2, PIECES_PER_CALL - 1, PIECES_PER_CALL, PIECES_PER_CALL + 1, 5000]) {
      test(`readMany reads ${count} regions`, (stage) => readMany(stage, count), ['remoteMemory'])
    }

    test(
      'readMany throws RangeError for an array longer than its region, and for more regions than arrays',
      (stage) => {
        const { words, view } = exposed(stage, 1, 1000)
        const fitting = new Uint8Array(1000)
        const tooLong = new Uint8Array(1001).fill(CANARY)
        throwsRangeError(
          () => stage.memory(0).readMany(1, words, 0, 1, [tooLong]),
          'readMany of more than the region has',
        )
        sureCanary(tooLong, 0, 0)
        throwsRangeError(() => stage.memory(0).readMany(1, words, 0, 1, []), 'readMany into no array')
        stage.memory(0).readMany(1, words, 0, 1, [fitting])
        sameBytes(fitting, view, 'readMany of a whole region')
        stage.memory(1).withdraw(words, 0)
      },
      ['remoteMemory'],
    )

    test(
      'names thousands of regions at once, each of its own',
      (stage) => {
        const count = 3000
        const least = stage.memory(1).limits.exposeBytesMin
        const words = new Int32Array(count * REGION_WORDS)
        const views = Array.from({ length: count }, (_, i) => pattern(least + (i % 50), i))
        views.forEach((view, i) => {
          stage.memory(1).expose(view, words, i * REGION_WORDS)
        })
        for (let i = count - 1; i >= 0; i -= 7) {
          const view = views[i] as Uint8Array
          const into = new Uint8Array(view.byteLength)
          stage.memory(0).read(1, words, i * REGION_WORDS, 0, into, 0, into.byteLength)
          sameBytes(into, view, `region ${i}`)
        }
        for (let i = 0; i < count; i++) stage.memory(1).withdraw(words, i * REGION_WORDS)
      },
      ['remoteMemory'],
    )
  },
}

/** The lengths at which copies change their ways: the least, cache lines, pages, the transport's own segment. */
export function regionLengths(stage: Stage): number[] {
  const { exposeBytesMin, segmentBytes } = stage.memory(0).limits
  const around = [128, PAGE, 2 * PAGE, 65_536, segmentBytes, 1024 * 1024].flatMap((n) => [n - 1, n, n + 1])
  const lengths = [exposeBytesMin, exposeBytesMin + 1, ...around, 2 * segmentBytes + 3]
  return [...new Set(lengths)].filter((n) => n >= exposeBytesMin && n <= 4 * 1024 * 1024)
}

/** Exposes a fresh region of a rank, in the middle of its buffer so that its neighbours can be watched. */
export function exposed(
  stage: Stage,
  rank: number,
  byteLength: number,
): { words: Int32Array; view: Uint8Array; memory: Uint8Array } {
  const memory = new Uint8Array(byteLength + 16).fill(CANARY)
  const view = memory.subarray(8, 8 + byteLength)
  view.set(pattern(byteLength, rank))
  const words = new Int32Array(REGION_WORDS)
  stage.memory(rank).expose(view, words, 0)
  return { words, view, memory }
}

export function sureCanary(memory: Uint8Array, offset: number, byteLength: number): void {
  for (let i = 0; i < memory.length; i++) {
    if (i >= offset && i < offset + byteLength) continue
    same(memory[i], CANARY, `the byte at ${i - offset}, beside the ${byteLength} that were asked for`)
  }
}

/** Pieces of a region: every offset near a boundary, with lengths that end near one. */
export function forEachPiece(length: number, visit: (offset: number, byteLength: number) => void): void {
  const places = [0, 1, 7, 8, 9, 63, 64, 65, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, length - 1, length]
  for (const offset of places) {
    for (const end of places) if (end >= offset) visit(offset, end - offset)
  }
}

/** `[offset, offset in the own array, byteLength]` that do not lie in a region, or an array, of `length` bytes. */
export function badPieces(length: number): [number, number, number][] {
  return [
    [-1, 0, 1],
    [0, -1, 1],
    [0, 0, -1],
    [0, 0, length + 1],
    [1, 0, length],
    [0, 1, length],
    [length, 0, 1],
    [0, length, 1],
    [length + 1, 0, 0],
    [0, length + 1, 0],
    [2 ** 31, 0, 1],
    [2 ** 32, 0, 1],
    [2 ** 53, 0, 1],
    [Number.NaN, 0, 1],
    [0, 0, Number.POSITIVE_INFINITY],
  ]
}

export function forEachPair(stage: Stage, visit: (rank: number, peer: number) => void): void {
  for (let rank = 0; rank < stage.size; rank++) {
    for (let peer = 0; peer < stage.size; peer++) if (rank !== peer) visit(rank, peer)
  }
}

function readMany(stage: Stage, count: number): void {
  const random = new Random(count + 1)
  const least = stage.memory(1).limits.exposeBytesMin
  const words = new Int32Array(2 + count * REGION_WORDS)
  const views: Uint8Array[] = []
  for (let i = 0; i < count; i++) {
    // Mostly short pieces, now and then one over several pages.
    const view = pattern(least + (random.chance(0.02) ? random.between(PAGE, 5 * PAGE) : random.between(0, 200)), i)
    views.push(view)
    stage.memory(1).expose(view, words, 2 + i * REGION_WORDS)
  }
  const canvases = views.map((view) => new Uint8Array(view.byteLength + 16).fill(CANARY))
  const into = canvases.map((canvas) => canvas.subarray(8, canvas.byteLength - 8))
  // One more than asked for: it must stay untouched.
  const spare = new Uint8Array(100).fill(CANARY)
  stage.memory(0).readMany(1, words, 2, count, [...into, spare])
  views.forEach((view, i) => {
    sameBytes(into[i] as Uint8Array, view, `piece ${i} of ${count}`)
    sureCanary(canvases[i] as Uint8Array, 8, view.byteLength)
  })
  sureCanary(spare, 0, 0)
  for (let i = 0; i < count; i++) stage.memory(1).withdraw(words, 2 + i * REGION_WORDS)
}
