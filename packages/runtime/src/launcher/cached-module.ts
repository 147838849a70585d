import Module, { createRequire } from 'node:module'
import path from 'node:path'
import vm from 'node:vm'
import { CodeCache } from './code-cache.js'

/**
 * A CommonJS module that is loaded with what V8 has compiled of it in an earlier process, if that was kept: a rank spares a
 * tenth of its start. (Node has the same built in from 22.1 on, `module.enableCompileCache()`, for all modules of a process.)
 *
 * What is kept lies beside the module, and is believed only if it belongs to whom the module belongs to and is not older: who
 * can put it there can as well change the module. Where it is missing or cannot be written, the module is compiled as ever. The
 * module can `require`, but not `import()`.
 */
export class CachedModule<Exports> {
  readonly exports: Exports
  /** Null where there is nothing to keep. */
  readonly #toKeep: { readonly script: vm.Script; readonly cache: CodeCache } | null = null

  /** Loads the module at `file`, as `require` does, whose next callers get the same one. */
  constructor(file: string) {
    const load = createRequire(file)
    const place = load.resolve(file)
    const isLoaded = load.cache[place] !== undefined
    const cache = isLoaded || !mayCompile() ? null : CodeCache.of(place)
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
    try {
      script.runInThisContext().call(module.exports, module.exports, load, module, place, path.dirname(place))
    } catch (error) {
      delete load.cache[place]
      throw error
    }
    module.loaded = true
    this.exports = module.exports
    if (kept === null || script.cachedDataRejected) this.#toKeep = { script, cache }
  }

  /** Whether there is anything to keep: nobody has before. */
  get isNew(): boolean {
    return this.#toKeep !== null
  }

  /** Keeps what V8 has compiled by now for the processes to come. Never throws. */
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
  if (NODE_V8_COVERAGE || NODE_DISABLE_COMPILE_CACHE !== undefined) return false
  // Only `require` reads source maps.
  const { sourceMapsEnabled } = process as { sourceMapsEnabled?: boolean }
  return sourceMapsEnabled !== true
}
