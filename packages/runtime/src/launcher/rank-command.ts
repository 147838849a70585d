import { LINK_VARIABLE } from '../settings.js'
import { allocatorVariables } from './allocator.js'
import type { JobMessage } from './control-message.js'
import { pinCommand } from './cores.js'
import type { JobOptions } from './launch-options.js'
import { LINK_DESCRIPTOR, type RankCommand } from './rank-process.js'
import type { SharedResources } from './shared-resources.js'

/** The module that is preloaded in every rank. */
export function bootUrl(): string {
  return new URL('./boot.js', import.meta.url).href
}

/** The width of the terminal that the ranks' standard error ends on; undefined when it is none. */
function terminalColumns(stderr: JobOptions['stderr']): string | undefined {
  const stream = [process.stdout, process.stderr].find(({ fd, isTTY }) => isTTY && fd === stderr)
  // A terminal that does not know its width says 0.
  return stream === undefined ? undefined : String(stream.columns || 80)
}

/** Puts together what is executed as rank `rank`, with which environment and descriptors. */
export function rankCommand(
  rank: number,
  nodeArgs: readonly string[],
  options: JobOptions,
  descriptors: readonly number[],
): RankCommand {
  const pin = options.bindToCores ? pinCommand(rank, options.env) : []
  const [file, ...args] = [...pin, ...options.wrapper, options.execPath, ...nodeArgs]
  return {
    file: file as string,
    args,
    cwd: options.cwd,
    env: {
      ...options.env,
      ...allocatorVariables(options.env),
      [LINK_VARIABLE]: String(LINK_DESCRIPTOR),
      ONECOPY_RANK: String(rank),
      ONECOPY_SIZE: String(options.size),
      // What a program that means to outlive its ranks has to know before it relies on it.
      ONECOPY_ON_FAILURE: options.continueOnFailure ? 'continue' : 'abort',
      // A rank writes to a pipe, so it cannot see for itself whether a person watches.
      ONECOPY_TERMINAL_COLUMNS: terminalColumns(options.stderr),
    },
    stdin: rank === 0 ? options.stdin : 'ignore',
    descriptors,
  }
}

/** What the ranks inherit of the transports: descriptors, and what is said about them (the numbers are the rank's). */
export function inheritTransports(shared: SharedResources): {
  transports: JobMessage['transports']
  descriptors: readonly number[]
} {
  const descriptors: number[] = []
  const transports = shared.transports.map(({ name, prepared }) => {
    const { data, descriptor } = prepared
    if (descriptor === null) return { name, data, descriptor }
    descriptors.push(descriptor)
    return { name, data, descriptor: LINK_DESCRIPTOR + descriptors.length }
  })
  return { transports, descriptors }
}
