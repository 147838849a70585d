import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { LaunchArgumentError } from './launch-options.js'

const TYPESCRIPT = new Set(['.ts', '.mts', '.cts', '.tsx'])

/**
 * The node options that `script` needs: none for JavaScript; for TypeScript, Node's own type stripping where it has it,
 * else tsx if it is installed beside the script or beside onecopy.
 * @throws LaunchArgumentError when nothing here can run TypeScript; the message says what to install.
 */
export function scriptNodeArgs(script: string): string[] {
  const extension = path.extname(script)
  if (!TYPESCRIPT.has(extension)) return []
  if (extension !== '.tsx') {
    // `process.features.typescript` came with type stripping itself; it is truthy where no flag is needed.
    if ((process.features as { typescript?: unknown }).typescript) return ['--disable-warning=ExperimentalWarning']
    if (process.allowedNodeEnvironmentFlags.has('--experimental-strip-types')) {
      return ['--experimental-strip-types', '--disable-warning=ExperimentalWarning']
    }
  }
  for (const from of [script, new URL(import.meta.url)]) {
    try {
      return ['--import', pathToFileURL(createRequire(from).resolve('tsx')).href]
    } catch {
      // Not installed there.
    }
  }
  throw new LaunchArgumentError(
    `cannot run ${path.basename(script)}: Node ${process.version} does not strip types by itself and tsx is not installed; ` +
      'npm install --save-dev tsx, or use Node 22.18 or newer, or compile the script to JavaScript',
  )
}
