import { setFlagsFromString } from 'node:v8'

/** How much bytecode V8 inlines into one function. */
const INLINING = '--max-inlined-bytecode-size-cumulative'
const INLINING_BYTES = 3000
/** … by itself, in every version up to now (26). */
const INLINING_BYTES_USUAL = 920

/** Whether V8 throws bytecode away that has not run for some collections: by itself it does. */
const FLUSHING = '--flush-bytecode'
const NO_FLUSHING = '--no-flush-bytecode'

/**
 * Lets V8 inline more into one function: between a verb and shared memory lie some thirty small functions, and with room for
 * them a message of 8 bytes takes a tenth less (0.191 to 0.172 us one way, Node 20). For ranks, whose process is the job's own.
 * What the user has set on the command line wins.
 *
 * Not an option of the rank's command line: V8 takes code from Node's cache only under the very options that it was made with,
 * and to compile Node's own modules anew costs each start 11 ms of CPU. Here nearly all of them are loaded.
 */
export function widenInlining(): void {
  if (!isChosen(INLINING)) setFlagsFromString(`${INLINING}=${INLINING_BYTES}`)
}

/** Has V8 keep the code of functions that run at the start only: a long job's would be gone when it ends. */
export function keepBytecode(): void {
  if (!isChosen(FLUSHING) && !isChosen(NO_FLUSHING)) setFlagsFromString(NO_FLUSHING)
}

/** Takes both back, at the end of a process: what is kept of its code then suits processes that begin with V8's own. */
export function resetOptions(): void {
  if (!isChosen(INLINING)) setFlagsFromString(`${INLINING}=${INLINING_BYTES_USUAL}`)
  if (!isChosen(FLUSHING) && !isChosen(NO_FLUSHING)) setFlagsFromString(FLUSHING)
}

function isChosen(option: string): boolean {
  return process.execArgv.some((argument) => argument.replaceAll('_', '-').startsWith(option))
}
