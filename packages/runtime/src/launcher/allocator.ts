/**
 * How glibc keeps freed memory in a rank. A received array is fresh memory each time; what glibc has given back to the system
 * costs a page fault per 4 KiB to get again, several times the copy itself (64 KiB: 65 us instead of 13). So memory up to
 * these bounds stays with the process. Other C libraries take no notice.
 */
const ALLOCATOR: Readonly<Record<string, string>> = {
  MALLOC_MMAP_THRESHOLD_: String(32 * 2 ** 20),
  MALLOC_TRIM_THRESHOLD_: String(128 * 2 ** 20),
  MALLOC_TOP_PAD_: String(4 * 2 ** 20),
}

/** The allocator's variables for a rank in `environment`. What the user has set there wins, and is left out. */
export function allocatorVariables(environment: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(Object.entries(ALLOCATOR).filter(([name]) => environment[name] === undefined))
}
