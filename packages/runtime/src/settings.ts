const PREFIX = 'ONECOPY_'

/** Tells a rank which descriptor its line to the launcher is; it takes the variable away before the script runs. */
export const LINK_VARIABLE = 'ONECOPY_RANK_LINK'

/** Variables that tell a rank who it is, where it writes, and what its job is like; they are no settings. */
const NOT_SETTINGS = new Set([
  'ONECOPY_RANK',
  'ONECOPY_SIZE',
  LINK_VARIABLE,
  'ONECOPY_ON_FAILURE',
  'ONECOPY_TERMINAL_COLUMNS',
])

/**
 * Gathers the settings in the environment: `ONECOPY_CMA` is `cma`, `ONECOPY_HANG_REPORT` is `hangReport`. The launcher
 * reads them once and hands the same ones to every rank.
 */
export function settingsFromEnvironment(environment: NodeJS.ProcessEnv): Record<string, string | undefined> {
  const settings: Record<string, string | undefined> = {}
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX) || NOT_SETTINGS.has(name) || value === undefined || value === '') continue
    settings[settingName(name)] = value
  }
  return settings
}

/** `ONECOPY_HANG_REPORT` → `hangReport`. */
export function settingName(variable: string): string {
  return variable
    .slice(PREFIX.length)
    .toLowerCase()
    .replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}
