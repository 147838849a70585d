import fs from 'node:fs'
import path from 'node:path'
import v8 from 'node:v8'
import type vm from 'node:vm'
import zlib from 'node:zlib'

/** How a bundle ends: with what stands for its text. V8 itself compares no more than its length. */
const BUILD = /\n\/\/# build=([0-9a-f]{16})\n$/
const BUILD_LINE_LENGTH = 40

/** Behind V8's code, its CRC: V8 believes what it is given, and crashes on a wrong bit. */
const SUM_BYTES = 4
/** Far more than V8 makes of any bundle of ours (0.4 MB). */
const CACHE_BYTES_MAX = 16 * 1024 * 1024
/** One for each version of Node and set of V8's options that a job was run with; then the oldest goes. */
const CACHES_MAX = 8
const WRITABLE_BY_OTHERS = 0o022

/** Node's, from 20.15 on. */
const { crc32: sumOf } = zlib as { crc32?: (data: Uint8Array) => number }

/** To open what may be anything: neither through a link, nor waiting for somebody at the other end. */
const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = fs.constants

/** Where V8's code for one module is kept, for this version of Node and these options. */
export class CodeCache {
  readonly source: string
  readonly #place: string
  /** The module as it was read. */
  readonly #stats: fs.Stats
  readonly #folder: string
  /** How the caches of this module begin, whatever it looked like, and those of this very one. */
  readonly #module: string
  readonly #build: string
  readonly #version = v8.cachedDataVersionTag()

  /** Null for a module that does not say which it is, and where Node has no CRC. */
  static of(place: string): CodeCache | null {
    if (sumOf === undefined) return null
    const descriptor = fs.openSync(place, 'r')
    try {
      const source = fs.readFileSync(descriptor, 'utf8')
      const build = BUILD.exec(source.slice(-BUILD_LINE_LENGTH))?.[1]
      return build === undefined ? null : new CodeCache(place, source, build, fs.fstatSync(descriptor))
    } finally {
      fs.closeSync(descriptor)
    }
  }

  private constructor(place: string, source: string, build: string, stats: fs.Stats) {
    this.source = source
    this.#place = place
    this.#stats = stats
    this.#folder = path.dirname(place)
    this.#module = `${path.basename(place, path.extname(place))}-`
    this.#build = `${this.#module}${build}-`
  }

  get #file(): string {
    return path.join(this.#folder, `${this.#build}${this.#version.toString(16)}.cache`)
  }

  read(): Buffer | null {
    let descriptor = -1
    try {
      descriptor = fs.openSync(this.#file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
      if (!this.#mayBelieve(fs.fstatSync(descriptor))) return null
      const bytes = fs.readFileSync(descriptor)
      const code = bytes.subarray(0, -SUM_BYTES)
      return bytes.readUInt32LE(code.length) === sumOf?.(code) ? code : null
    } catch {
      return null
    } finally {
      if (descriptor >= 0) fs.closeSync(descriptor)
    }
  }

  #mayBelieve(found: fs.Stats): boolean {
    if (!found.isFile() || found.size > CACHE_BYTES_MAX) return false
    // edited by hand: the build that it names is another one
    if (found.mtimeMs < this.#stats.mtimeMs) return false
    return process.platform === 'win32' || (found.uid === this.#stats.uid && (found.mode & WRITABLE_BY_OTHERS) === 0)
  }

  /** @throws the system's error where it cannot be written. */
  write(script: vm.Script): void {
    if (!this.#mayWrite()) return
    const file = this.#file
    const unfinished = `${file}.${process.pid}`
    const code = script.createCachedData()
    const sum = Buffer.alloc(SUM_BYTES)
    sum.writeUInt32LE(sumOf?.(code) ?? 0)
    this.#makeRoom()
    try {
      fs.writeFileSync(unfinished, Buffer.concat([code, sum]), { flag: 'wx', mode: 0o644, flush: true })
      fs.renameSync(unfinished, file)
    } catch (error) {
      fs.rmSync(unfinished, { force: true })
      throw error
    }
  }

  #mayWrite(): boolean {
    const { uid, ino, mtimeMs } = this.#stats
    // somebody else's module
    if ((process.geteuid?.() ?? uid) !== uid) return false
    // the script has set options of V8's: nobody would ever take what it makes under these
    if (v8.cachedDataVersionTag() !== this.#version) return false
    const now = fs.statSync(this.#place)
    return now.ino === ino && now.mtimeMs === mtimeMs
  }

  /** Removes what nobody will read any more, and the oldest of what somebody may. */
  #makeRoom(): void {
    const caches = fs
      .readdirSync(this.#folder)
      .filter((name) => name.startsWith(this.#module) && /\.cache(?:\.\d+)?$/.test(name))
      .map((name) => path.join(this.#folder, name))
    const own = this.#file
    const isCurrent = (file: string): boolean =>
      path.basename(file).startsWith(this.#build) && file.endsWith('.cache') && file !== own
    const current = caches.filter(isCurrent).map((file) => ({ file, mtimeMs: fs.lstatSync(file).mtimeMs }))
    current.sort((a, b) => b.mtimeMs - a.mtimeMs)
    const spare = current.slice(CACHES_MAX - 1).map(({ file }) => file)
    for (const file of [...caches.filter((each) => !isCurrent(each)), ...spare]) {
      fs.rmSync(file, { recursive: true, force: true })
    }
  }
}
