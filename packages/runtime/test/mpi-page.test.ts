// docs/mpi.md against the code: what it names exists, what exists it names, and no function of MPI is left out.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { fileURLToPath } from 'node:url'
import { mpiFunctions } from './support/mpi-functions.js'
import { type PublicNames, readPublicNames } from './support/public-names.js'

/** Classes whose members the page names alone, and those it names as `Group.incl`. */
const COMMUNICATORS = ['Communicator', 'Intercommunicator', 'SyncCommunicator', 'SyncIntercommunicator']
const OTHERS = [
  ...['Group', 'Request', 'PersistentRequest', 'MatchedMessage', 'Status', 'Operation', 'AttributeKey', 'OnecopyError'],
]
/** Exported classes: their members are on the page. */
const CLASSES = ['Group', 'Operation', 'AttributeKey', 'OnecopyError', 'Status']
/** What classes and interfaces have from JavaScript's own. */
const INHERITED = ['then', 'message']

interface Row {
  readonly heading: string
  readonly mpi: readonly string[]
  readonly ours: readonly string[]
  readonly hasNone: boolean
}

describe('docs/mpi.md', function () {
  this.timeout(60_000)
  const rows = rowsOf(fs.readFileSync(fileURLToPath(new URL('../../../docs/mpi.md', import.meta.url)), 'utf8'))
  const named = new Set(rows.flatMap(({ ours }) => ours))
  let names: PublicNames

  before(() => {
    names = readPublicNames()
  })

  it('has every function of its chapters, once, under its heading', () => {
    for (const [heading, functions] of mpiFunctions()) {
      const found = rows.filter((row) => row.heading === heading).flatMap(({ mpi }) => mpi)
      assert.deepEqual([...found].sort(), [...functions].sort(), heading)
    }
    const all = rows.flatMap(({ mpi }) => mpi).filter((name) => /[a-z]/.test(name))
    assert.equal(new Set(all).size, all.length, 'a function stands there twice')
  })

  it('names something of ours in each row, or nothing and why', () => {
    for (const { heading, mpi, ours, hasNone } of rows) {
      assert.ok(ours.length > 0 !== hasNone, `${heading}: ${mpi.join(', ')}`)
    }
  })

  it('names only what exists', () => {
    for (const name of named) {
      const [type, member] = name.split('.')
      if (member === undefined) {
        const exists = names.values.has(name) || COMMUNICATORS.some((each) => names.types.get(each)!.members.has(name))
        assert.ok(exists, `there is no ${name}`)
      } else {
        assert.ok(OTHERS.includes(type!) || type === 'Intercommunicator', `members of ${type} are not checked`)
        const exists = names.types.get(type!)!.members.has(member) || INHERITED.includes(member)
        assert.ok(exists, `there is no ${name}`)
      }
    }
  })

  it('names everything that communicators, requests, groups, … have', () => {
    const missing: string[] = []
    for (const type of COMMUNICATORS) {
      for (const member of names.types.get(type)!.members) {
        if (!named.has(member) && !named.has(`Intercommunicator.${member}`)) missing.push(`${type}.${member}`)
      }
    }
    for (const type of OTHERS) {
      for (const member of names.types.get(type)!.members) {
        const isRequest = type === 'PersistentRequest' && names.types.get('Request')!.members.has(member)
        if (!isRequest && !INHERITED.includes(member) && !named.has(`${type}.${member}`))
          missing.push(`${type}.${member}`)
      }
    }
    assert.deepEqual(missing, [])
  })

  it('names everything that is exported', () => {
    const missing = [...names.values].filter((name) => !named.has(name) && !CLASSES.includes(name))
    assert.deepEqual(missing, [])
  })

  it('is right that every verb has a blocking face', () => {
    for (const type of ['Communicator', 'Intercommunicator']) {
      const sync = names.types.get(`Sync${type}`)!.members
      const missing = [...names.types.get(type)!.verbs].filter((verb) => !sync.has(verb))
      assert.deepEqual(missing, [], type)
    }
  })
})

/** The rows of all tables; names of ours are what stands in backticks in the last column but one. */
function rowsOf(page: string): Row[] {
  const rows: Row[] = []
  let heading = ''
  for (const line of page.split('\n')) {
    if (line.startsWith('## ')) heading = line.slice(3)
    if (!line.startsWith('| ') || heading === '') continue
    const columns = line.slice(2).split(/ ?\| ?/)
    const isHeader = columns[0] === 'MPI' || columns[0] === 'onecopy'
    if (isHeader) continue
    const hasMpi = columns.length === 4
    const ours = columns[hasMpi ? 1 : 0]!
    rows.push({
      heading,
      mpi: hasMpi ? namesIn(columns[0]!) : [],
      ours: ours === '—' ? [] : namesIn(ours),
      hasNone: ours === '—' && columns[2] !== '',
    })
  }
  return rows
}

function namesIn(column: string): string[] {
  return [...column.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)
}
