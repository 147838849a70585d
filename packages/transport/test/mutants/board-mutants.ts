import type { Board, BoardChannel, Transport } from '@onecopy/transport'
import { PassThrough } from './pass-through.js'

/** A board whose channels are changed by the mutant. */
abstract class OtherBoard extends PassThrough {
  override get board(): Board | null {
    const inner = this.inner.board
    if (inner === null) return null
    const change = (channel: BoardChannel): BoardChannel => this.changed(channel)
    return new Proxy(inner, {
      get: (board, name) => {
        if (name === 'channel') return (index: number, ranks: readonly number[]) => change(board.channel(index, ranks))
        return Reflect.get(board, name, board) as unknown
      },
      set: (board, name, value) => Reflect.set(board, name, value, board),
    })
  }

  protected abstract changed(channel: BoardChannel): BoardChannel
}

/** A channel with some of its methods replaced. */
function but(channel: BoardChannel, methods: Partial<BoardChannel>): BoardChannel {
  const all = [
    'post',
    'fill',
    'publish',
    'forget',
    'has',
    'isAway',
    'kindOf',
    'byteLengthOf',
    'offsetOf',
    'tell',
    'told',
    'done',
    'doneBy',
    'wishForRoom',
  ] as const
  const bound = all.map((name) => [name, (channel[name] as (...args: unknown[]) => unknown).bind(channel)])
  return { ...(Object.fromEntries(bound) as unknown as BoardChannel), bytesMax: channel.bytesMax, ...methods }
}

class SeesWhatIsNotThere extends OtherBoard {
  protected override changed(channel: BoardChannel): BoardChannel {
    return but(channel, { has: () => true })
  }
}

class TakesAllForAway extends OtherBoard {
  protected override changed(channel: BoardChannel): BoardChannel {
    return but(channel, { isAway: () => true })
  }
}

class CutsPostings extends OtherBoard {
  protected override changed(channel: BoardChannel): BoardChannel {
    return but(channel, { post: (number, kind, bytes) => channel.post(number, kind, bytes.subarray(0, 1023)) })
  }
}

class ForgetsKinds extends OtherBoard {
  protected override changed(channel: BoardChannel): BoardChannel {
    return but(channel, { kindOf: () => 0 })
  }
}

class NeverSaysThatItIsDone extends OtherBoard {
  protected override changed(channel: BoardChannel): BoardChannel {
    return but(channel, { done: () => undefined })
  }
}

/** Lags where long postings may be. */
class SaysLateThatItIsDone extends OtherBoard {
  protected override changed(channel: BoardChannel): BoardChannel {
    return but(channel, { done: (number) => channel.done(number) })
  }
}

class MixesPlacesOfLongPostings extends OtherBoard {
  protected override changed(channel: BoardChannel): BoardChannel {
    return but(channel, {
      offsetOf: (member, number, byteLength) =>
        channel.offsetOf(member, byteLength > 100_000 ? number ^ 1 : number, byteLength),
    })
  }
}

class AlwaysTellsWell extends OtherBoard {
  protected override changed(channel: BoardChannel): BoardChannel {
    return but(channel, { tell: (number, stage) => channel.tell(number, stage, true) })
  }
}

class HasOneStageOnly extends OtherBoard {
  protected override changed(channel: BoardChannel): BoardChannel {
    return but(channel, {
      tell: (number, _stage, isWell) => channel.tell(number, 0, isWell),
      told: (member, number) => channel.told(member, number, 0),
    })
  }
}

class HasOneChannelOnly extends PassThrough {
  override get board(): Board | null {
    const inner = this.inner.board
    return inner === null
      ? null
      : new Proxy(inner, {
          get: (board, name) => {
            if (name === 'channel') return (index: number, ranks: readonly number[]) => board.channel(index % 1, ranks)
            return Reflect.get(board, name, board) as unknown
          },
        })
  }
}

/** Does not look at what somebody waits for before it sleeps. */
class SleepsThroughPostings extends PassThrough {
  readonly #board: Board | null

  constructor(inner: Transport, rank: number) {
    super(inner, rank)
    const { board } = inner
    this.#board =
      board === null
        ? null
        : new Proxy(board, {
            get: (target, name) => {
              const value = Reflect.get(target, name, target) as unknown
              return typeof value === 'function' ? (value.bind(target) as unknown) : value
            },
            set: () => true,
          })
  }

  override get board(): Board | null {
    return this.#board
  }
}

/** Each with the words of the test that must find it. */
export const BOARD_MUTANTS: readonly {
  readonly mutant: new (inner: Transport, rank: number) => Transport
  readonly foundBy: RegExp
}[] = [
  { mutant: SeesWhatIsNotThere, foundBy: /before it is made/ },
  { mutant: TakesAllForAway, foundBy: /is away/ },
  { mutant: CutsPostings, foundBy: /length/ },
  { mutant: ForgetsKinds, foundBy: /kind/ },
  { mutant: NeverSaysThatItIsDone, foundBy: /has no room|done/ },
  { mutant: SaysLateThatItIsDone, foundBy: /is done with/ },
  { mutant: MixesPlacesOfLongPostings, foundBy: /posting \d+ of member/ },
  { mutant: AlwaysTellsWell, foundBy: /stage/ },
  { mutant: HasOneStageOnly, foundBy: /stage/ },
  { mutant: HasOneChannelOnly, foundBy: /another channel|already|RangeError/ },
  { mutant: SleepsThroughPostings, foundBy: /waited for/ },
]
