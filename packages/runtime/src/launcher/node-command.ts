import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { type JobOptions, LaunchArgumentError } from './launch-options.js'

const TYPESCRIPT = new Set(['.ts', '.mts', '.cts', '.tsx'])

/** An import, in a TypeScript file, of a file that does not exist, in Node's words. */
const NOT_FOUND = /Cannot find module '(.+)' imported from .+\.[cm]?ts$/m

/** A syntax error in a TypeScript file that Node met while it loaded the file, and not in a call of JSON.parse, say. */
const SYNTAX_ERROR = /\.[cm]?ts:\d+\n[\s\S]*^SyntaxError(?: \[(\w+)\])?: .*\n {4}at .*\(node:internal\/modules\//m

/** How to get what tsx can do and Node's type stripping cannot. */
const TSX = 'let tsx translate: npm install --save-dev tsx, and onecopy run --node-arg=--import=tsx …'

/**
 * The node options that `script` needs: none for JavaScript; for TypeScript, Node's own type stripping where it has it,
 * else tsx if it is installed beside the script or beside onecopy.
 * @throws LaunchArgumentError when nothing here can run TypeScript; the message says what to install.
 */
export function scriptNodeArgs(script: string): string[] {
  const extension = path.extname(script)
  if (!TYPESCRIPT.has(extension)) return []
  const stripArgs = extension === '.tsx' ? null : typeStrippingArgs()
  if (stripArgs !== null) return stripArgs
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

/** The options for Node's own type stripping; null where it has none. */
function typeStrippingArgs(): string[] | null {
  // `process.features.typescript` came with type stripping itself; it is truthy where no flag is needed.
  if ((process.features as { typescript?: unknown }).typescript) return ['--disable-warning=ExperimentalWarning']
  if (!process.allowedNodeEnvironmentFlags.has('--experimental-strip-types')) return null
  return ['--experimental-strip-types', '--disable-warning=ExperimentalWarning']
}

/**
 * What to tell whoever wrote TypeScript that Node's type stripping cannot load, given what the rank has written on standard
 * error; null when that is not what ended it. Node's own words name the symptom, and no cure.
 */
export function typeStrippingAdvice({ nodeArgs, env }: JobOptions, stderr: string): string | null {
  if (typeStrippingArgs() === null || `${nodeArgs} ${env.NODE_OPTIONS}`.includes('tsx')) return null
  const missing = NOT_FOUND.exec(stderr)?.[1]
  const meant = missing?.replace(/(?:\.([cm]?)js)?$/, '.$1ts')
  if (meant !== undefined && fs.existsSync(meant)) {
    const [name, source] = [path.basename(missing as string), path.basename(meant)]
    return `Node looks for ${name} under that very name, and there is only ${source}: import ${source}, or ${TSX}`
  }
  const syntax = SYNTAX_ERROR.exec(stderr)
  // TypeScript that is wrong as such is wrong for tsx too.
  if (syntax === null || syntax[1] === 'ERR_INVALID_TYPESCRIPT_SYNTAX') return null
  return (
    'Node takes the types out of TypeScript and nothing else, so what is left must be JavaScript that it knows: no enum, no ' +
    `namespace, no parameter property, 'import type' for types; or ${TSX}`
  )
}
