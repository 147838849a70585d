import { OnecopyError } from '@onecopy/transport'
import type { JobLink } from '../job-link.js'
import { LINK_SLOT } from './control-message.js'
import type { RankLink } from './rank-link.js'

/**
 * Gives the link that boot has published; null in a process that no launcher has started. From then on the link's errors
 * are of the asking copy's class, so that `instanceof OnecopyError` holds where they are caught: boot has none of its own.
 */
export function publishedLink(): JobLink | null {
  const link = (globalThis as { [LINK_SLOT]?: RankLink })[LINK_SLOT]
  if (link === undefined) return null
  link.makeError = (code, message, fields) => new OnecopyError(code, message, fields)
  return link
}
