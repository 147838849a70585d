/**
 * Preloaded in every rank (`--import`), so that it is there before the script: loads what runs in a rank and lets it take
 * over. Every rank pays for each module file, 2 to 4 ms of CPU: bundled, this is one, and what it loads is one more.
 */
import { fileURLToPath } from 'node:url'
import { isMainThread } from 'node:worker_threads'
import { LINK_VARIABLE } from '../settings.js'
import { keepBytecode, resetOptions } from '../v8-options.js'
import { CachedModule } from './cached-module.js'

const marker = process.env[LINK_VARIABLE]
// Workers and forked children inherit --import too; they are no ranks. The marker is taken away from their environment,
// and the flag from what fork() hands on.
if (isMainThread && marker !== undefined) {
  delete process.env[LINK_VARIABLE]
  const flag = process.execArgv.indexOf(import.meta.url)
  if (flag > 0) process.execArgv.splice(flag - 1, 2)
  const place = fileURLToPath(new URL('../../bundle/core.cjs', import.meta.url))
  const core = new CachedModule<typeof import('../core.js')>(place)
  const { rank, size } = core.exports.startRank(Number(marker))
  // One rank of several is enough, when it has done its work well and all that this takes is compiled.
  if (core.isNew && rank === 0 && size > 1) {
    keepBytecode()
    process.once('exit', (exitCode) => {
      if (exitCode !== 0 || !core.exports.isInitialized()) return
      resetOptions()
      core.keep()
    })
  }
}
