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

/** Loads the module whose path is given and prints what it answers; then `change` changes V8's options, `keep` keeps its code. */
const [file, ...words] = process.argv.slice(2)
const module = new CachedModule<Answering>(file as string)
const isShared = createRequire(file as string)(file as string) === module.exports
const answered: Answered = { answer: module.exports.answer(), isShared }
console.log(JSON.stringify(answered))
for (const word of words) {
  if (word === 'change') setFlagsFromString('--max-inlined-bytecode-size=461')
  if (word === 'keep') module.keep()
}
