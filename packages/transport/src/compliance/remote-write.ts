import { Random } from '../random.js'
import type { Area } from './area.js'
import { describeError, same, sameBytes, sure, thrownBy, throwsRangeError } from './expect.js'
import { badPieces, exposed, forEachPair, forEachPiece, regionLengths, sureCanary } from './remote-memory.js'
import { pattern, type Stage } from './stage.js'

const PAGE = 4096
const RANDOM_COPIES = 300

/** Writing into a peer's memory, and the end of a region. */
export const remoteWrite: Area = {
  title: 'remote memory: writing and withdrawing',
  size: 3,
  declare(test, subject) {
    test(
      'every rank may write to every other',
      (stage) => {
        forEachPair(stage, (rank, peer) => {
          same(stage.memory(rank).canWrite(peer), true, `rank ${rank} may write to rank ${peer}`)
          same(stage.memory(rank).whyNot(peer), null, `why rank ${rank} is refused by rank ${peer}`)
        })
      },
      ['remoteWrite'],
    )

    test(
      'writes whole regions of every critical length, and nothing beside them',
      (stage) => {
        for (const length of regionLengths(stage)) {
          const { words, view, memory } = exposed(stage, 1, length)
          const from = pattern(length + 10, 9)
          stage.memory(0).write(1, words, 0, 0, from, 5, length)
          sameBytes(view, from.subarray(5, 5 + length), `region of ${length} bytes`)
          sureCanary(memory, 8, length)
          sameBytes(from, pattern(length + 10, 9), 'the array that was written from')
          stage.memory(1).withdraw(words, 0)
        }
      },
      ['remoteWrite'],
    )

    test(
      'writes pieces at every critical offset',
      (stage) => {
        const length = 2 * PAGE + 77
        const { words, view } = exposed(stage, 2, length)
        const expected = pattern(length, 2)
        let round = 0
        forEachPiece(length, (offset, byteLength) => {
          const from = pattern(byteLength, ++round)
          expected.set(from, offset)
          stage.memory(0).write(2, words, 0, offset, from, 0, byteLength)
          sameBytes(view, expected, `region after writing ${byteLength} bytes at ${offset}`)
        })
        stage.memory(2).withdraw(words, 0)
      },
      ['remoteWrite'],
    )

    test(
      'throws RangeError for pieces outside the region or the array, and copies nothing',
      (stage) => {
        const length = 1000
        const { words, view } = exposed(stage, 1, length)
        const from = pattern(length, 8)
        for (const [offset, fromOffset, byteLength] of badPieces(length)) {
          const what = `write of ${byteLength} bytes at ${offset} from ${fromOffset}`
          throwsRangeError(() => stage.memory(0).write(1, words, 0, offset, from, fromOffset, byteLength), what)
        }
        sameBytes(view, pattern(length, 1), 'the region after refused writes')
        stage.memory(0).write(1, words, 0, length, from, length, 0)
        stage.memory(1).withdraw(words, 0)
      },
      ['remoteWrite'],
    )

    for (const seed of subject.seeds ?? [1]) {
      test(
        `copies right pieces in both directions, ${RANDOM_COPIES} times at random (seed ${seed})`,
        (stage) => {
          copyAtRandom(stage, seed)
        },
        ['remoteWrite'],
      )
    }

    test(
      'a withdrawn name gives ERR_BUFFER_GONE, if anything',
      (stage) => {
        const { words } = exposed(stage, 1, 5000)
        const into = new Uint8Array(5000)
        stage.memory(0).read(1, words, 0, 0, into, 0, 5000)
        stage.memory(1).withdraw(words, 0)
        const error = thrownBy(() => stage.memory(0).read(1, words, 0, 0, into, 0, 5000))
        const isExpected = error === undefined || (error as { code?: unknown }).code === 'ERR_BUFFER_GONE'
        sure(isExpected, `read of withdrawn memory: ${describeError(error)}`)
      },
      ['remoteMemory'],
    )

    test(
      'a withdrawn name is known to be gone: ERR_BUFFER_GONE with the rank',
      (stage) => {
        const { words } = exposed(stage, 1, 5000)
        const other = exposed(stage, 1, 5000)
        stage.memory(1).withdraw(words, 0)
        // The place that has become free must not make the old name good again.
        const next = exposed(stage, 1, 5000)
        const into = new Uint8Array(5000)
        const error = thrownBy(() => stage.memory(0).read(1, words, 0, 0, into, 0, 5000)) as Record<string, unknown>
        same(error?.code, 'ERR_BUFFER_GONE', 'code of a read of withdrawn memory')
        same(error?.rank, 1, 'rank of a read of withdrawn memory')
        same(error?.bytesDone, 0, 'bytesDone of a read of withdrawn memory')
        stage.memory(0).read(1, other.words, 0, 0, into, 0, 5000)
        sameBytes(into, other.view, 'another region of the same rank')
        stage.memory(1).withdraw(other.words, 0)
        stage.memory(1).withdraw(next.words, 0)
      },
      ['withdrawal'],
    )

    test(
      'withdraw may be called after the last use, in any order, and memory may be named again',
      (stage) => {
        const into = new Uint8Array(300)
        for (let round = 0; round < 20; round++) {
          const regions = [0, 1, 2, 3].map(() => exposed(stage, 1, 300))
          for (const index of [2, 0, 3, 1]) {
            const { words, view } = regions[index] as (typeof regions)[0]
            stage.memory(0).read(1, words, 0, 0, into, 0, 300)
            sameBytes(into, view, `region ${index} in round ${round}`)
            stage.memory(1).withdraw(words, 0)
          }
        }
      },
      ['remoteMemory'],
    )

    declareAbsences(test, subject)
  },
}

/** What the subject says it lacks, it must lack, and it must say why. */
function declareAbsences(test: Parameters<Area['declare']>[0], subject: Parameters<Area['declare']>[1]): void {
  const lacks = subject.lacks ?? {}
  const isSet = (reason: string | null | undefined): boolean => reason !== null && reason !== undefined
  if (isSet(lacks.remoteMemory)) {
    test('remote memory is absent, or refuses for every peer and says why', (stage) => {
      forEachPair(stage, (rank, peer) => {
        const memory = stage.end(rank).remoteMemory
        if (memory === null) return
        same(memory.canRead(peer), false, `rank ${rank} may read rank ${peer}, although 'lacks' says otherwise`)
        const why = memory.whyNot(peer)
        sure(why !== null && why.length > 0, `rank ${rank} may not read rank ${peer}, and whyNot gives no reason`)
      })
    })
  } else if (isSet(lacks.remoteWrite)) {
    test('remote memory refuses to write for every peer and says why', (stage) => {
      forEachPair(stage, (rank, peer) => {
        const memory = stage.memory(rank)
        same(memory.canWrite(peer), false, `rank ${rank} may write to rank ${peer}, although 'lacks' says otherwise`)
        const why = memory.whyNot(peer)
        sure(why !== null && why.length > 0, `rank ${rank} may not write to rank ${peer}, and whyNot gives no reason`)
      })
    })
  }
}

function copyAtRandom(stage: Stage, seed: number): void {
  const random = new Random(seed)
  const length = 50_000
  const regions = stage.transports.map((_, rank) => exposed(stage, rank, length))
  const models = regions.map(({ view }) => view.slice())
  for (let i = 0; i < RANDOM_COPIES; i++) {
    const rank = random.between(0, stage.size - 1)
    const peer = (rank + random.between(1, stage.size - 1)) % stage.size
    const { words } = regions[peer] as (typeof regions)[0]
    const model = models[peer] as Uint8Array
    const offset = random.between(0, length)
    const byteLength = random.between(0, random.chance(0.5) ? Math.min(300, length - offset) : length - offset)
    if (random.chance(0.5)) {
      const from = pattern(byteLength, i)
      model.set(from, offset)
      stage.memory(rank).write(peer, words, 0, offset, from, 0, byteLength)
    } else {
      const into = new Uint8Array(byteLength)
      stage.memory(rank).read(peer, words, 0, offset, into, 0, byteLength)
      sameBytes(into, model.subarray(offset, offset + byteLength), `seed ${seed}, copy ${i}`)
    }
  }
  regions.forEach(({ view, words, memory }, rank) => {
    sameBytes(view, models[rank] as Uint8Array, `seed ${seed}: rank ${rank}'s region in the end`)
    sureCanary(memory, 8, length)
    stage.memory(rank).withdraw(words, 0)
  })
}
