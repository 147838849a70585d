import { describeMachine, describeVersions } from './machine.js'

/** What a report says about where, when and how it was made. */
export interface Circumstances {
  readonly command: string
  readonly date: string
  readonly machine: ReturnType<typeof describeMachine>
  readonly versions: ReturnType<typeof describeVersions>
  readonly rounds: number
}

export function describeCircumstances(rounds: number): Circumstances {
  return {
    command: `npm run bench -- ${process.argv.slice(2).join(' ')}`,
    date: new Date().toISOString(),
    machine: describeMachine(),
    versions: describeVersions(),
    rounds,
  }
}

export function printCircumstances({ command, date, machine, versions }: Circumstances): void {
  const installed = Object.entries(versions).filter(([, version]) => version !== null)
  console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.platform} ${machine.kernel} ${machine.architecture}`)
  console.log(`${installed.map(([name, version]) => `${name} ${version?.replace(/^v/, '')}`).join(', ')}; ${date}`)
  console.log(`${command}\n`)
}

/** Ours over the best of theirs; empty where either is missing. */
export function ratio(ours: number | undefined, theirs: readonly (number | undefined)[]): string {
  const known = theirs.filter((each) => each !== undefined)
  return ours === undefined || known.length === 0 ? '' : (ours / Math.min(...known)).toFixed(2)
}

export function printReasons(reasons: readonly string[]): void {
  if (reasons.length > 0) console.log('\nLeft out:')
  for (const reason of reasons) console.log(`  ${reason.replaceAll('\n', '\n    ')}`)
}
