import type { JobLink } from '../job-link.js'
import { LINK_SLOT } from './control-message.js'

/** Gives the link that boot has published; null in a process that no launcher has started. */
export function publishedLink(): JobLink | null {
  return (globalThis as { [LINK_SLOT]?: JobLink })[LINK_SLOT] ?? null
}
