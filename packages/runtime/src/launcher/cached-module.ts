import fs from 'node:fs'
import Module, { createRequire } from 'node:module'
import path from 'node:path'
import v8 from 'node:v8'
import vm from 'node:vm'

/** How a bundle ends: with what stands for its text. V8 itself compares no more than its length. */
const BUILD = /\n\/\/# build=([0-9a-f]{16})\n$/
const BUILD_LINE_LENGTH = 40

/** Far more than V8 makes of any bundle of ours (0.4 MB). */
const CACHE_BYTES_MAX = 16 * 1024 * 1024
/** One for each version of Node and set of V8's options that a job was run with. */
const CACHES_MAX = 8
const WRITABLE_BY_OTHERS = 0o022

/**
 * A CommonJS module that is loaded with what V8 has compiled of it in an earlier process, if that was kept: a rank spares a
 * tenth of its start. (Node has the same built in from 22.1 on, `module.enableCompileCache()`, for all modules of a process.)
 *
 * What is kept lies beside the module, and is believed only if it belongs to whom the module belongs to: who can put it
 * there can as well change the module. Where it is missing or cannot be written, the module is compiled as ever. The module can
 * `require`, but not `import()`.
 */
export class CachedModule<Exports> {
  readonly exports: Exports
  /** Null where there is nothing to keep. */
  readonly #toKeep: { readonly script: vm.Script; readonly cache: CodeCache } | null = null

  /** Loads the module at `file`, as `require` does, whose next callers get the same one. */
  constructor(file: string) {
    const load = createRequire(file)
    const place = load.resolve(file)
    const cache = mayCompile() ? CodeCache.of(place) : null
    if (cache === null) {
      this.exports = load(place)
      return
    }
    const kept = cache.read()
    // as Node wraps CommonJS
    const script = new vm.Script(`(function (exports, require, module, __filename, __dirname) {${cache.source}\n})`, {
      filename: place,
      ...(kept === null ? {} : { cachedData: kept }),
    })
    const module = new Module(place)
    module.filename = place
    load.cache[place] = module
    script.runInThisContext().call(module.exports, module.exports, load, module, place, path.dirname(place))
    module.loaded = true
    this.exports = module.exports
    if (kept === null || script.cachedDataRejected) this.#toKeep = { script, cache }
  }

  /** Keeps what V8 has compiled by now for the processes to come, unless it has been kept before. Never throws. */
  keep(): void {
    const toKeep = this.#toKeep
    if (toKeep === null) return
    try {
      toKeep.cache.write(toKeep.script)
    } catch {
      // A folder that cannot be written to, no room left: the next process compiles for itself.
    }
  }
}

/** Whether to compile in Node's stead: not where Node would have done more than that. */
function mayCompile(): boolean {
  const { NODE_V8_COVERAGE, NODE_DISABLE_COMPILE_CACHE } = process.env
  if (NODE_V8_COVERAGE || NODE_DISABLE_COMPILE_CACHE === '1') return false
  // Only `require` reads source maps.
  const { sourceMapsEnabled } = process as { sourceMapsEnabled?: boolean }
  return sourceMapsEnabled !== true
}

/** Where V8's code for one module is kept, for this version of Node and these options. */
class CodeCache {
  readonly source: string
  readonly #owner: number
  readonly #folder: string
  /** How the caches of this module begin, whatever it looked like, and those of this very one. */
  readonly #module: string
  readonly #build: string
  readonly #version = v8.cachedDataVersionTag()

  /** Null for a module that does not say which it is. */
  static of(place: string): CodeCache | null {
    const descriptor = fs.openSync(place, 'r')
    try {
      const source = fs.readFileSync(descriptor, 'utf8')
      const build = BUILD.exec(source.slice(-BUILD_LINE_LENGTH))?.[1]
      return build === undefined ? null : new CodeCache(place, source, build, fs.fstatSync(descriptor).uid)
    } finally {
      fs.closeSync(descriptor)
    }
  }

  private constructor(place: string, source: string, build: string, owner: number) {
    this.source = source
    this.#owner = owner
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
      descriptor = fs.openSync(this.#file, fs.constants.O_RDONLY | (fs.constants.O_NOFOLLOW ?? 0))
      const found = fs.fstatSync(descriptor)
      if (!found.isFile() || found.uid !== this.#owner || found.size > CACHE_BYTES_MAX) return null
      if (process.platform !== 'win32' && (found.mode & WRITABLE_BY_OTHERS) !== 0) return null
      return fs.readFileSync(descriptor)
    } catch {
      return null
    } finally {
      if (descriptor >= 0) fs.closeSync(descriptor)
    }
  }

  /** @throws the system's error where it cannot be written. */
  write(script: vm.Script): void {
    // Somebody else's module; or the script has set options of V8's, and nobody would ever take what it makes under these.
    if ((process.geteuid?.() ?? this.#owner) !== this.#owner || v8.cachedDataVersionTag() !== this.#version) return
    const caches = fs
      .readdirSync(this.#folder)
      .filter((name) => name.startsWith(this.#module) && name.includes('.cache'))
    const current = caches.filter((name) => name.startsWith(this.#build))
    if (current.length >= CACHES_MAX) return
    for (const name of caches) if (!current.includes(name)) fs.rmSync(path.join(this.#folder, name), { force: true })
    const file = this.#file
    const unfinished = `${file}.${process.pid}`
    try {
      // flushed: after a power failure V8 would believe a file of the right length and no content
      fs.writeFileSync(unfinished, script.createCachedData(), { flag: 'wx', mode: 0o644, flush: true })
      fs.renameSync(unfinished, file)
    } catch (error) {
      fs.rmSync(unfinished, { force: true })
      throw error
    }
  }
}
