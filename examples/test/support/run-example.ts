import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** Far beyond what any example takes with small arguments; a job that hangs fails with what it printed. */
const DEADLINE_MS = 60_000

export interface Outcome {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a script, relative to the repository, on that many ranks, as a user would. */
export function run(ranks: number, script: string, ...args: (string | number)[]): Promise<Outcome> {
  return runThrough([], ranks, script, ...args)
}

/** The same, with a command before node's: one that changes the user, say. */
export function runThrough(
  wrapper: readonly string[],
  ranks: number,
  script: string,
  ...args: (string | number)[]
): Promise<Outcome> {
  const node = [process.execPath, 'packages/runtime/bin/onecopy.mjs', 'run', '-n', String(ranks)]
  const [file, ...rest] = [...wrapper, ...node, script, ...args.map(String)]
  return new Promise((resolve, reject) => {
    execFile(file!, rest, { cwd: ROOT, timeout: DEADLINE_MS }, (error, stdout, stderr) => {
      const exitCode = error === null ? 0 : error.code
      if (typeof exitCode === 'number') resolve({ exitCode, stdout, stderr })
      else reject(new Error(`${script} on ${ranks} ranks: ${error?.message}\n${stdout}${stderr}`))
    })
  })
}

/** Runs an example that must end well, and gives the lines it printed. */
export async function linesOf(ranks: number, name: string, ...args: (string | number)[]): Promise<string[]> {
  const { exitCode, stdout, stderr } = await run(ranks, path.join('examples', `${name}.ts`), ...args)
  assert.equal(exitCode, 0, `${name} on ${ranks} ranks ended with code ${exitCode}\n${stdout}${stderr}`)
  assert.ok(!stderr.includes('\x1b'), `${name} draws although nobody watches: ${JSON.stringify(stderr)}`)
  return stdout.split('\n').slice(0, -1)
}

/** What `pattern` finds in its one group, in the one line that has it. */
export function found(lines: readonly string[], pattern: RegExp): string {
  const matches = lines.map((line) => pattern.exec(line)?.[1]).filter((match) => match !== undefined)
  assert.equal(matches.length, 1, `${pattern} should be in one line of\n${lines.join('\n')}`)
  return matches[0]!
}
