import type { OnecopyError, RemoteMemory, Transport } from '@onecopy/transport'
import { PassThrough, PassThroughMemory } from './pass-through.js'

type Copy = [
  peer: number,
  words: Int32Array,
  at: number,
  offset: number,
  own: Uint8Array,
  ownOffset: number,
  byteLength: number,
]
type Many = [peer: number, words: Int32Array, at: number, count: number, into: readonly Uint8Array[]]

const REGION_WORDS = 4

class ReadsFromTheStart extends PassThroughMemory {
  override read(...[peer, words, at, offset, into, to, length]: Copy): void {
    super.read(peer, words, at, offset > 4096 ? offset - 1 : offset, into, to, length)
  }
}

class ReadsToTheStart extends PassThroughMemory {
  override read(...[peer, words, at, offset, into, , length]: Copy): void {
    super.read(peer, words, at, offset, into, 0, length)
  }
}

class StopsAtAShortTransfer extends PassThroughMemory {
  override read(...[peer, words, at, offset, into, to, length]: Copy): void {
    super.read(peer, words, at, offset, into, to, length > 65_536 ? 65_536 : length)
  }
}

class ReadsTooMuch extends PassThroughMemory {
  override read(...copy: Copy): void {
    super.read(...copy)
    const [, , , , into, to, length] = copy
    if (to + length < into.length) into[to + length] = 0
  }
}

class DoesNotCheckReads extends PassThroughMemory {
  override read(...copy: Copy): void {
    try {
      super.read(...copy)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
    }
  }
}

class TouchesTheNextByte extends PassThroughMemory {
  override expose(view: Uint8Array, words: Int32Array, at: number): void {
    super.expose(view, words, at)
    // The byte behind the region, as something that rounds up to whole words would touch it.
    new Uint8Array(view.buffer, 0)[view.byteOffset + view.byteLength] = 0
  }
}

class DoesNotWriteTheLastByte extends PassThroughMemory {
  override write(...[peer, words, at, offset, from, start, length]: Copy): void {
    super.write(peer, words, at, offset, from, start, length > 4096 ? length - 1 : length)
  }
}

class DoesNotCheckWrites extends PassThroughMemory {
  override write(...copy: Copy): void {
    try {
      super.write(...copy)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
    }
  }
}

class ForgetsTheLastPiece extends PassThroughMemory {
  override readMany(...[peer, words, at, count, into]: Many): void {
    super.readMany(peer, words, at, Math.max(0, count - 1), into)
  }
}

class ReadsOnlyOneBatch extends PassThroughMemory {
  override readMany(...[peer, words, at, count, into]: Many): void {
    super.readMany(peer, words, at, Math.min(count, 1024), into)
  }
}

class RepeatsTheFirstBatch extends PassThroughMemory {
  override readMany(...[peer, words, at, count, into]: Many): void {
    for (let done = 0; done < count; done += 1024) {
      super.readMany(
        peer,
        words,
        at,
        Math.min(1024, count - done),
        into.slice(done).map((piece) => piece.subarray(0, 65)),
      )
    }
  }
}

class DoesNotCheckMany extends PassThroughMemory {
  override readMany(...many: Many): void {
    try {
      super.readMany(...many)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
    }
  }
}

class WritesToTheDead extends PassThroughMemory {
  override write(...copy: Copy): void {
    try {
      super.write(...copy)
    } catch (error) {
      if ((error as OnecopyError).code !== 'ERR_PROC_FAILED') throw error
    }
  }
}

class ReadsIntoEverything extends PassThroughMemory {
  override readMany(...many: Many): void {
    super.readMany(...many)
    many[4][many[3]]?.fill(0)
  }
}

class ExposesAnything extends PassThroughMemory {
  override expose(view: Uint8Array, words: Int32Array, at: number): void {
    if (view.byteLength >= this.limits.exposeBytesMin) super.expose(view, words, at)
  }
}

class SpoilsTheNextWord extends PassThroughMemory {
  override expose(view: Uint8Array, words: Int32Array, at: number): void {
    super.expose(view, words, at)
    if (at + REGION_WORDS < words.length) words[at + REGION_WORDS] = 0
  }
}

class ExposesASnapshot extends PassThroughMemory {
  override expose(view: Uint8Array, words: Int32Array, at: number): void {
    super.expose(view.slice(), words, at)
  }
}

class DoesNotWithdraw extends PassThroughMemory {
  override withdraw(_words: Int32Array, _at: number): void {}
}

class LeavesNoReason extends PassThroughMemory {
  override canWrite(_peer: number): boolean {
    return false
  }
}

class ReadsTheDead extends PassThroughMemory {
  override read(...copy: Copy): void {
    try {
      super.read(...copy)
    } catch (error) {
      if ((error as OnecopyError).code !== 'ERR_PROC_FAILED') throw error
    }
  }
}

function withMemory(Memory: new (inner: RemoteMemory) => RemoteMemory): typeof PassThrough {
  const Mutant = class extends PassThrough {
    constructor(inner: Transport, rank: number) {
      super(inner, rank)
      if (inner.remoteMemory !== null) this.remoteMemory = new Memory(inner.remoteMemory)
    }
  }
  Object.defineProperty(Mutant, 'name', { value: Memory.name })
  return Mutant
}

const READING = /^remote memory: reading/
const WRITING = /^remote memory: writing/

export const MEMORY_MUTANTS = [
  { mutant: withMemory(ReadsFromTheStart), foundBy: /^remote memory: reading > reads pieces/ },
  { mutant: withMemory(ReadsToTheStart), foundBy: READING },
  { mutant: withMemory(StopsAtAShortTransfer), foundBy: READING },
  { mutant: withMemory(ReadsTooMuch), foundBy: READING },
  { mutant: withMemory(DoesNotCheckReads), foundBy: /^remote memory: reading > throws RangeError/ },
  { mutant: withMemory(TouchesTheNextByte), foundBy: WRITING },
  { mutant: withMemory(DoesNotWriteTheLastByte), foundBy: WRITING },
  { mutant: withMemory(DoesNotCheckWrites), foundBy: /^remote memory: writing and withdrawing > throws RangeError/ },
  { mutant: withMemory(ForgetsTheLastPiece), foundBy: /^remote memory: reading > readMany reads 1 / },
  { mutant: withMemory(ReadsOnlyOneBatch), foundBy: /^remote memory: reading > readMany reads 1025/ },
  { mutant: withMemory(RepeatsTheFirstBatch), foundBy: /^remote memory: reading > readMany/ },
  { mutant: withMemory(DoesNotCheckMany), foundBy: /^remote memory: reading > readMany throws/ },
  { mutant: withMemory(WritesToTheDead), foundBy: /^peer failure > remote memory refuses writes/ },
  { mutant: withMemory(ReadsIntoEverything), foundBy: /^remote memory: reading > readMany/ },
  { mutant: withMemory(ExposesAnything), foundBy: /^remote memory: reading > refuses to expose/ },
  { mutant: withMemory(SpoilsTheNextWord), foundBy: /^remote memory: reading > a name takes/ },
  { mutant: withMemory(ExposesASnapshot), foundBy: /^remote memory: reading > reads the memory as it is now/ },
  {
    mutant: withMemory(DoesNotWithdraw),
    foundBy: /^remote memory: writing and withdrawing > a withdrawn name is known/,
  },
  { mutant: withMemory(LeavesNoReason), foundBy: /^remote memory: writing/ },
  { mutant: withMemory(ReadsTheDead), foundBy: /^peer failure > remote memory refuses/ },
] as const
