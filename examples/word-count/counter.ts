import { isUtf8 } from 'node:buffer'
import fs from 'node:fs'
import path from 'node:path'
import { Operation } from 'onecopy'
import { FILE_BYTES_MAX } from './list-files.ts'
import { type PackedTable, WordTable } from './word-table.ts'

/** A text has no NUL in its beginning; what has one is binary, and need not be looked at any further. */
const LOOK_BYTES = 8192
/** Neither a link nor a pipe that took the file's place since it was listed (0 where the system has no such flag). */
const OPEN_FLAGS = fs.constants.O_RDONLY | (fs.constants.O_NOFOLLOW ?? 0) | (fs.constants.O_NONBLOCK ?? 0)

/** What one rank has counted, ready to travel. */
export interface Tally {
  readonly table: PackedTable
  /** Text files, and the bytes in them. */
  readonly files: number
  readonly bytes: number
  readonly binary: number
  /** Grown beyond the limit since they were listed. */
  readonly tooLarge: number
  readonly unreadable: number
}

/** Adds two ranks' tallies: the operation of the reduce at the end. */
export const ADD_TALLIES = Operation.create(addTallies, { commutative: true })

function addTallies(a: Tally, b: Tally): Tally {
  const table = WordTable.unpack(a.table)
  table.addTable(b.table)
  return {
    table: table.pack(),
    files: a.files + b.files,
    bytes: a.bytes + b.bytes,
    binary: a.binary + b.binary,
    tooLarge: a.tooLarge + b.tooLarge,
    unreadable: a.unreadable + b.unreadable,
  }
}

/** One rank's work: counts file after file. */
export class Counter {
  readonly #folder: string
  readonly #table = new WordTable()
  readonly #buffer = Buffer.allocUnsafeSlow(FILE_BYTES_MAX + 1)
  #files = 0
  #bytes = 0
  #binary = 0
  #tooLarge = 0
  #unreadable = 0

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Bytes of text counted so far. */
  get bytes(): number {
    return this.#bytes
  }

  get files(): number {
    return this.#files
  }

  get tally(): Tally {
    return {
      table: this.#table.pack(),
      files: this.#files,
      bytes: this.#bytes,
      binary: this.#binary,
      tooLarge: this.#tooLarge,
      unreadable: this.#unreadable,
    }
  }

  /** Counts the words of a file, given by its path below the folder, or notes why not. */
  count(file: string): void {
    let byteLength: number
    try {
      byteLength = this.#read(path.join(this.#folder, file))
    } catch {
      this.#unreadable++
      return
    }
    const text = this.#buffer.subarray(0, byteLength)
    if (text.subarray(0, LOOK_BYTES).includes(0)) this.#binary++
    else if (byteLength > FILE_BYTES_MAX) this.#tooLarge++
    else if (!isUtf8(text)) this.#binary++
    else {
      this.#files++
      this.#bytes += byteLength
      this.#table.addText(text, byteLength)
    }
  }

  /** Fills the buffer from the file; the number of bytes, more than FILE_BYTES_MAX if there is more than that. */
  #read(file: string): number {
    const descriptor = fs.openSync(file, OPEN_FLAGS)
    try {
      if (!fs.fstatSync(descriptor).isFile()) throw new Error('no regular file any more')
      let at = 0
      for (let wanted = LOOK_BYTES; ; wanted = this.#buffer.length - at) {
        const byteCount = fs.readSync(descriptor, this.#buffer, at, wanted, null)
        at += byteCount
        const isOver = byteCount === 0 || at === this.#buffer.length
        if (isOver || this.#buffer.subarray(0, Math.min(at, LOOK_BYTES)).includes(0)) return at
      }
    } finally {
      fs.closeSync(descriptor)
    }
  }
}
