import { LaunchArgumentError, type Program, SIZE_MAX, sizeText } from './launch-options.js'

const SEPARATOR = ':'

/**
 * Cuts the words of `-n 2 a.ts x : -n 1 b.ts` into one list per program. A colon counts only before `-n`, so that a script
 * can have a lone colon among its arguments.
 */
export function splitPrograms(words: readonly string[]): string[][] {
  const programs: string[][] = [[]]
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string
    if (word === SEPARATOR && words[at + 1]?.startsWith('-n')) programs.push([])
    else programs.at(-1)?.push(word)
  }
  return programs
}

/**
 * Reads a further program of a job: `-n 1 b.ts args…`. The job's options stand in the first one.
 * @throws LaunchArgumentError on anything else.
 */
export function parseProgram(words: readonly string[]): Program {
  const flag = words[0] ?? ''
  const attached = /^-n=?(.+)$/.exec(flag)?.[1]
  const [script, ...args] = words.slice(attached === undefined ? 2 : 1)
  const size = parseRankCount(attached ?? words[1] ?? '')
  if (script === undefined) throw new LaunchArgumentError(`no script after '${words.join(' ')}': name the file to run`)
  if (script.startsWith('-')) {
    throw new LaunchArgumentError(
      `${script} stands after ':', where only -n does: put the job's options before the first script`,
    )
  }
  return { size, script, args }
}

/**
 * Reads a number of ranks.
 * @throws LaunchArgumentError when it is no integer from 1 to 1024.
 */
export function parseRankCount(text: string): number {
  const size = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(size >= 1 && size <= SIZE_MAX)) throw new LaunchArgumentError(sizeText(size > SIZE_MAX ? size : `'${text}'`))
  return size
}
