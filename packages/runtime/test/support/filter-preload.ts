// Preloaded (`--import`) where a test wants a filter: reads OC_TEST_FILTER, a JSON of FilterPlan.
import { type FilterRule, installFilter } from './system-call-filter.js'

/** Who gets which filter. A process without a rank, the launcher, is -1. */
export interface FilterPlan {
  /** All processes, when missing. What the launcher has, its ranks inherit. */
  readonly ranks?: readonly number[]
  readonly rules: readonly FilterRule[]
}

const plan = JSON.parse(process.env.OC_TEST_FILTER ?? '{"rules":[]}') as FilterPlan
const rank = Number(process.env.ONECOPY_RANK ?? -1)
if (plan.rules.length > 0 && (plan.ranks?.includes(rank) ?? true)) await installFilter(plan.rules)
