import type { JobLink } from '../job-link.js'

/**
 * Where boot leaves the link for `init`. Boot is loaded as a module of its own before the script; the script may load the
 * library as ESM, as CommonJS, or as both (two copies, two module graphs). A property of `globalThis` under a registered
 * symbol is the one place in a process where all of them meet.
 */
const SLOT = Symbol.for('onecopy.link')

/** Publishes this process's link. Called by boot, once. */
export function publishLink(link: JobLink): void {
  Object.defineProperty(globalThis, SLOT, { value: link, enumerable: false, configurable: false, writable: false })
}

/** Gives the link that boot has published; null in a process that no launcher has started. */
export function publishedLink(): JobLink | null {
  return (globalThis as { [SLOT]?: JobLink })[SLOT] ?? null
}
