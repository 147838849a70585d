import { createRequire } from 'node:module'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
// Types only: at run time it is the TypeScript that typedoc uses, because the repository's own has no API for programs.
import type typescript from '../../../../docs/node_modules/typescript/lib/typescript.js'

const DOCS = fileURLToPath(new URL('../../../../docs/', import.meta.url))
const ts: typeof typescript = createRequire(path.join(DOCS, 'package.json'))('typescript')

/** What a program can see of one exported class or interface. */
export interface PublicType {
  /** Its members, inherited ones too, without what is internal, protected or private. */
  readonly members: ReadonlySet<string>
  /** Those that are methods and give a Request. */
  readonly verbs: ReadonlySet<string>
}

/** Everything that `onecopy` exports: values by name, and types with their members. */
export interface PublicNames {
  readonly values: ReadonlySet<string>
  readonly types: ReadonlyMap<string, PublicType>
}

/** Reads the sources, as typedoc does. */
export function readPublicNames(): PublicNames {
  const configFile = path.join(DOCS, 'tsconfig.json')
  const { config } = ts.readConfigFile(configFile, ts.sys.readFile)
  const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, DOCS)
  const program = ts.createProgram(fileNames, options)
  const checker = program.getTypeChecker()
  const entry = program.getSourceFile(fileNames[0]!)!
  const values = new Set<string>()
  const types = new Map<string, PublicType>()
  for (const exported of checker.getExportsOfModule(checker.getSymbolAtLocation(entry)!)) {
    const isAlias = (exported.flags & ts.SymbolFlags.Alias) !== 0
    const symbol = isAlias ? checker.getAliasedSymbol(exported) : exported
    const isTypeOnly = exported.declarations?.some(
      (each) => ts.isExportSpecifier(each) && ts.isTypeOnlyExportDeclaration(each),
    )
    if ((symbol.flags & ts.SymbolFlags.Value) !== 0 && isTypeOnly !== true) values.add(exported.name)
    if ((symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface)) !== 0) {
      types.set(exported.name, publicType(checker, symbol))
    }
  }
  return { values, types }
}

function publicType(checker: typescript.TypeChecker, symbol: typescript.Symbol): PublicType {
  const properties = checker.getDeclaredTypeOfSymbol(symbol).getProperties()
  const isClass = (symbol.flags & ts.SymbolFlags.Class) !== 0
  const statics = isClass ? checker.getTypeOfSymbol(symbol).getProperties() : []
  const all = [...properties, ...statics].filter(isPublic)
  return {
    members: new Set(all.map(({ name }) => name)),
    verbs: new Set(all.filter((member) => givesRequest(checker, member)).map(({ name }) => name)),
  }
}

function isPublic(member: typescript.Symbol): boolean {
  // Symbols such as asyncDispose have names that begin with two underscores.
  if (member.name === 'prototype' || member.name.startsWith('__') || member.name.includes('#')) return false
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected
  return (member.declarations ?? []).every((declaration) => {
    if ((ts.getCombinedModifierFlags(declaration) & hidden) !== 0) return false
    const isInternal = ts.getJSDocTags(declaration).some((tag) => tag.tagName.text === 'internal')
    // What Error and Object bring along is nobody's news.
    return !isInternal && !declaration.getSourceFile().fileName.includes('/node_modules/')
  })
}

function givesRequest(checker: typescript.TypeChecker, member: typescript.Symbol): boolean {
  return checker
    .getTypeOfSymbol(member)
    .getCallSignatures()
    .some((signature) => signature.getReturnType().symbol?.name === 'Request')
}
