import { type Board, type BoardChannel, NOT_TOLD, TOLD_ILL, TOLD_WELL } from '../board/board.js'
import type { Area } from './area.js'
import { same, sameBytes, sure } from './expect.js'
import { pattern, type Stage } from './stage.js'

const NOTHING = new Uint8Array(0)
const KIND = -7
/** The ranks of the stage. */
const EVERYBODY = [0, 1, 2, 3]

/** The board: what one rank posts for all others. */
export const posting: Area = {
  title: 'the board',
  size: 4,
  declare(test, subject) {
    if (typeof subject.lacks?.board === 'string') {
      test('there is none, as the subject says', (stage) => {
        for (const end of stage.transports)
          same(end.board, null, `${end.name}'s board, although 'lacks' says otherwise`)
      })
    }

    test(
      'has the same measures on every rank',
      (stage) => {
        const { channels, slots, bytesMax } = boardOf(stage, 0)
        sure(channels >= 2 && slots >= 2 && bytesMax >= 1024, `${channels} channels, ${slots} slots, ${bytesMax} bytes`)
        for (let rank = 1; rank < stage.size; rank++) {
          const board = boardOf(stage, rank)
          same(board.channels, channels, `channels of rank ${rank}`)
          same(board.slots, slots, `slots of rank ${rank}`)
          same(board.bytesMax, bytesMax, `bytesMax of rank ${rank}`)
        }
        for (const group of [EVERYBODY, [0, 2, 3], [3, 1]]) {
          for (let channel = 0; channel < channels; channel++) {
            const [first, ...others] = group.map((rank) => boardOf(stage, rank).channel(channel, group).bytesMax)
            sure((first as number) >= bytesMax, `channel ${channel} takes ${first} bytes, less than the board`)
            for (const other of others) same(other, first, `bytesMax of channel ${channel}, of one member and another`)
          }
        }
      },
      ['board'],
    )

    test(
      'takes nobody for away who has the core back',
      (stage) => {
        const ends = EVERYBODY.map((rank) => boardOf(stage, rank).channel(0, EVERYBODY))
        for (const end of stage.transports) {
          end.yield()
          for (const [rank, channel] of ends.entries()) {
            for (const member of EVERYBODY) same(channel.isAway(member), false, `${member} is away, says rank ${rank}`)
          }
        }
      },
      ['board'],
    )

    test(
      'shows every member what each has posted, of every critical length',
      (stage) => {
        const group = [2, 0, 3]
        const ends = group.map((rank) => boardOf(stage, rank).channel(1, group))
        const limits = [boardOf(stage, 0).bytesMax, (ends[0] as BoardChannel).bytesMax]
        let number = 0
        for (const length of [
          0,
          1,
          16,
          23,
          24,
          25,
          48,
          49,
          1023,
          ...limits.flatMap((max) => [max - 1, max, max + 1]),
        ]) {
          if (length > (ends[0] as BoardChannel).bytesMax) continue
          number++
          for (const [member, end] of ends.entries()) {
            for (const other of ends) same(other.has(member, number), false, `posting ${number} before it is made`)
            end.post(number, KIND + member, pattern(length, 10 * number + member))
            for (const [reader, other] of ends.entries()) {
              // those of all who have posted before, so that nobody's lies where another's does
              for (let earlier = 0; earlier <= member; earlier++) {
                const wanted = pattern(length, 10 * number + earlier)
                expectPosting(stage, group[reader] as number, other, earlier, number, wanted)
              }
            }
          }
          for (const end of ends) end.done(number)
        }
      },
      ['board'],
    )

    test(
      'keeps as many postings as there are slots, and says of a reader half of them behind that there is room',
      (stage) => {
        const group = [1, 3]
        const [writer, reader] = group.map((rank) => boardOf(stage, rank).channel(0, group)) as [
          BoardChannel,
          BoardChannel,
        ]
        const { slots } = boardOf(stage, 0)
        const lag = slots / 2
        for (let number = 1; number <= 5 * slots; number++) {
          sure(number - slots <= writer.doneBy(1), `posting ${number} has no room, done by ${writer.doneBy(1)}`)
          writer.post(number, KIND, pattern(20, number))
          for (let kept = Math.max(1, number - slots + 1); kept <= number; kept++) {
            expectPosting(stage, 3, reader, 0, kept, pattern(20, kept))
          }
          if (number > lag) reader.done(number - lag)
          sure(writer.doneBy(1) <= Math.max(0, number - lag), `the reader is said to be done with ${writer.doneBy(1)}`)
        }
      },
      ['board'],
    )

    test(
      'keeps long postings beside short ones, as many as it says, and says at once of every reader that it is done',
      (stage) => {
        const groups = [EVERYBODY, [1, 3, 0]].map((group, index) =>
          group.map((rank) => boardOf(stage, rank).channel(index, group)),
        )
        const board = boardOf(stage, 0)
        for (const [index, ends] of groups.entries()) {
          const [writer, ...readers] = ends as [BoardChannel, ...BoardChannel[]]
          let number = 0
          for (const longest of lengthsBySlots(board, writer.bytesMax)) {
            const slots = board.slotsFor(longest)
            const from = number + 1
            const contents = (at: number): Uint8Array =>
              pattern(at % 3 === 0 ? 40 : at % 3 === 1 ? longest : longest - 16, 100 * index + at)
            for (number++; number < from + 4 * slots; number++) {
              if (number % 2 === 0) writer.post(number, KIND, contents(number))
              else postInParts(writer, number, contents(number))
              for (let kept = Math.max(from, number - slots + 1); kept <= number; kept++) {
                for (const reader of readers) expectPosting(stage, 0, reader, 0, kept, contents(kept))
              }
              for (const [at, reader] of readers.entries()) {
                const done = Math.max(from - 1, number - slots + 1)
                reader.done(done, true)
                same(writer.doneBy(at + 1), done, `what member ${at + 1} is done with`)
              }
            }
            number--
            for (const reader of readers) reader.done(number, true)
          }
        }
      },
      ['board'],
    )

    test(
      'tells the stages of a number, posted or not, and keeps them apart',
      (stage) => {
        const group = [0, 1, 2]
        const ends = group.map((rank) => boardOf(stage, rank).channel(0, group)) as [
          BoardChannel,
          BoardChannel,
          BoardChannel,
        ]
        const { slots } = boardOf(stage, 0)
        for (let number = 1; number <= 3 * slots; number++) {
          for (const at of [0, 1]) {
            for (const end of ends) {
              for (const member of [0, 1, 2])
                same(end.told(member, number, at), NOT_TOLD, `stage ${at} before it is over`)
            }
            if (number % 2 === 0) ends[0].post(number, KIND, pattern(100, number))
            ends[0].tell(number, at, number % 3 !== 0)
            ends[2].tell(number, at, number % 3 === 0)
            for (const end of ends) {
              same(end.told(0, number, at), number % 3 !== 0 ? TOLD_WELL : TOLD_ILL, `stage ${at} of member 0`)
              same(end.told(1, number, at), NOT_TOLD, `stage ${at} of member 1`)
              same(end.told(2, number, at), number % 3 === 0 ? TOLD_WELL : TOLD_ILL, `stage ${at} of member 2`)
            }
            ends[1].tell(number, at, true)
          }
          if (number % 2 === 0) expectPosting(stage, 2, ends[2], 0, number, pattern(100, number))
          for (const end of ends) end.done(number)
        }
      },
      ['board'],
    )

    test(
      'to tell wakes the members that sleep',
      async (stage) => {
        const group = [0, 1]
        const [sleeper, teller] = group.map((rank) => boardOf(stage, rank).channel(0, group)) as [
          BoardChannel,
          BoardChannel,
        ]
        let wakes = 0
        await armed(stage, 0, () => wakes++)
        teller.tell(1, 1, false)
        await stage.until('the wake-up', () => wakes > 0, [1, 2, 3])
        same(sleeper.told(1, 1, 1), TOLD_ILL, 'what was told')
      },
      ['board'],
    )

    test(
      'keeps channels apart',
      (stage) => {
        const group = [0, 1]
        const boards = group.map((rank) => boardOf(stage, rank))
        const last = (boards[0] as Board).channels - 1
        const [a, b] = [0, last].map((channel) => boards.map((board) => board.channel(channel, group))) as [
          BoardChannel[],
          BoardChannel[],
        ]
        a[0]?.post(1, 1, pattern(100, 1))
        same(b[1]?.has(0, 1), false, 'a posting of another channel')
        b[0]?.post(1, 2, pattern(100, 2))
        expectPosting(stage, 1, a[1] as BoardChannel, 0, 1, pattern(100, 1), 1)
        expectPosting(stage, 1, b[1] as BoardChannel, 0, 1, pattern(100, 2), 2)
        let thrown = false
        try {
          boards[0]?.channel(last + 1, group)
        } catch (error) {
          thrown = error instanceof RangeError
        }
        sure(thrown, 'a channel that there is not must be a RangeError')
      },
      ['board'],
    )

    test(
      'a posting wakes the members that sleep',
      async (stage) => {
        const group = [0, 1]
        const [sleeper, writer] = group.map((rank) => boardOf(stage, rank).channel(0, group)) as [
          BoardChannel,
          BoardChannel,
        ]
        let wakes = 0
        await armed(stage, 0, () => wakes++)
        writer.post(1, KIND, pattern(8, 1))
        await stage.until('the wake-up', () => wakes > 0, [1, 2, 3])
        expectPosting(stage, 0, sleeper, 1, 1, pattern(8, 1), KIND)
      },
      ['board'],
    )

    test(
      'nobody sleeps who waits for what is there',
      async (stage) => {
        const group = [0, 1]
        const board = boardOf(stage, 0)
        const [sleeper, writer] = group.map((rank) => boardOf(stage, rank).channel(0, group)) as [
          BoardChannel,
          BoardChannel,
        ]
        board.isDue = () => sleeper.has(1, 1)
        await armed(stage, 0, () => undefined)
        stage.end(0).onWake(null)
        writer.post(1, KIND, NOTHING)
        await stage.turns(2)
        same(
          stage.end(0).onWake(() => undefined),
          false,
          'onWake with a posting that is waited for',
        )
        const before = Date.now()
        stage.end(0).park(2000)
        // Not a measurement: between "at once" and "the whole time" lies room for the slowest machine.
        sure(Date.now() - before < 1500, 'park slept while a posting was waited for')
      },
      ['board'],
    )

    test(
      'wakes who wishes for room, once a member is done',
      async (stage) => {
        const group = [0, 1]
        const { slots } = boardOf(stage, 0)
        const [writer, reader] = group.map((rank) => boardOf(stage, rank).channel(0, group)) as [
          BoardChannel,
          BoardChannel,
        ]
        for (let number = 1; number <= slots; number++) writer.post(number, KIND, NOTHING)
        writer.wishForRoom(true)
        let wakes = 0
        await armed(stage, 0, () => wakes++)
        for (let number = 1; number <= slots; number++) reader.done(number)
        await stage.until('the wake-up', () => wakes > 0, [1, 2, 3])
        same(writer.doneBy(1), slots, 'what the reader is done with')
        writer.wishForRoom(false)
        await armed(stage, 0, () => wakes++)
        const before = wakes
        for (let number = 1; number <= slots; number++) reader.done(slots + number)
        await stage.turns(20)
        same(wakes, before, 'wake-ups that nobody wished for')
        stage.end(0).onWake(null)
      },
      ['board'],
    )
  },
}

function expectPosting(
  stage: Stage,
  rank: number,
  reader: BoardChannel,
  member: number,
  number: number,
  wanted: Uint8Array,
  kind = KIND + member,
): void {
  const what = `posting ${number} of member ${member}, seen by rank ${rank}`
  sure(reader.has(member, number), `${what}: it is not there`)
  same(reader.kindOf(member, number), kind, `${what}: kind`)
  same(reader.byteLengthOf(member, number), wanted.length, `${what}: length`)
  const at = reader.offsetOf(member, number, wanted.length)
  same(at % 16, 0, `${what}: alignment`)
  sameBytes(boardOf(stage, rank).bytes.subarray(at, at + wanted.length), wanted, what)
}

function postInParts(writer: BoardChannel, number: number, bytes: Uint8Array): void {
  const middle = Math.floor(bytes.length / 3)
  writer.fill(number, bytes.length, middle, bytes.subarray(middle))
  writer.fill(number, bytes.length, 0, bytes.subarray(0, middle))
  writer.publish(number, KIND, bytes.length)
}

/** The longest postings for which there are fewer places than for shorter ones. */
function lengthsBySlots(board: Board, bytesMax: number): number[] {
  const lengths: number[] = []
  for (let length = bytesMax; length > board.bytesMax; length = Math.floor(length / 2)) {
    if (lengths.length === 0 || board.slotsFor(length) > board.slotsFor(lengths.at(-1) as number)) lengths.push(length)
  }
  return lengths
}

function boardOf(stage: Stage, rank: number): Board {
  const { board, name } = stage.end(rank)
  sure(board !== null, `${name} has no board; if that is so, say why in the subject's 'lacks'`)
  return board
}

async function armed(stage: Stage, rank: number, listener: () => void): Promise<void> {
  await stage.until('onWake to answer true', () => stage.end(rank).onWake(listener), [rank])
}
