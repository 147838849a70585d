import fs from 'node:fs'
import { createRequire } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import { CachedModule } from '../../src/launcher/cached-module.js'

/** What the modules of `cached-module.test.ts` export. */
export interface Answering {
  answer(): unknown
}

/** What this program prints, as JSON. */
export interface Answered {
  readonly answer: unknown
  /** Whether `require` gives the module that was loaded. */
  readonly isShared: boolean
}

/**
 * Loads the module whose path is given and prints what it answers; then `change` changes V8's options, `replace` puts another
 * file in its place, `keep` keeps its code. `twice`: tries to load it and to `require` it, and prints why it cannot.
 */
const [file, ...words] = process.argv.slice(2) as [string, ...string[]]
if (words[0] === 'twice') {
  const attempts = [() => new CachedModule(file), () => createRequire(file)(file)]
  console.log(attempts.map(whyNot).join(', '))
} else {
  const module = new CachedModule<Answering>(file)
  const answered: Answered = {
    answer: module.exports.answer(),
    isShared: createRequire(file)(file) === module.exports,
  }
  console.log(JSON.stringify(answered))
  for (const word of words) {
    if (word === 'change') setFlagsFromString('--max-inlined-bytecode-size=461')
    if (word === 'replace') {
      fs.copyFileSync(file, `${file}.new`)
      fs.renameSync(`${file}.new`, file)
    }
    if (word === 'keep') module.keep()
  }
}

function whyNot(attempt: () => unknown): string {
  try {
    attempt()
    return 'it can'
  } catch (error) {
    return (error as Error).message
  }
}
