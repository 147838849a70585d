// Assembles the WebAssembly kernels of reductions (packages/runtime/src/collectives/vector-kernel.wat) into a module that
// holds their bytes as text: bundles then carry them along, and no file has to be found at run time.
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const LANES = { FLOAT64: 'f64x2', FLOAT32: 'f32x4', INT32: 'i32x4' }
const INSTRUCTIONS = { SUM: 'add', PROD: 'mul', MIN: 'min', MAX: 'max' }

/** Writes `vector-kernels.wasm.ts` beside the source, unless it is newer than what it is made of. */
export async function writeVectorKernels(packagesFolder) {
  const folder = join(packagesFolder, 'runtime', 'src', 'collectives')
  const source = join(folder, 'vector-kernel.wat')
  const target = join(folder, 'vector-kernels.wasm.ts')
  const inputs = [source, fileURLToPath(import.meta.url)]
  const isMade = existsSync(target) && inputs.every((path) => statSync(path).mtimeMs <= statSync(target).mtimeMs)
  if (isMade) return
  // loaded only when there is something to do: it takes a tenth of a second
  const { default: loadWabt } = await import('wabt')
  const wabt = await loadWabt()
  const module = wabt.parseWat('vector-kernels.wat', moduleText(readFileSync(source, 'utf8')), { simd: true })
  module.validate()
  const bytes = Buffer.from(module.toBinary({}).buffer)
  module.destroy()
  writeFileSync(
    target,
    `// Made from vector-kernel.wat by scripts/vector-kernels.mjs; not to be edited.
export const VECTOR_KERNELS =
  '${bytes.toString('base64')}'
`,
  )
}

/** Memory that whoever makes an instance brings, one page at least, and a function for each operation on each element type. */
function moduleText(loop) {
  const functions = Object.entries(LANES).flatMap(([type, lanes]) =>
    Object.entries(INSTRUCTIONS).map(([operation, instruction]) => {
      const isSigned = lanes === 'i32x4' && (operation === 'MIN' || operation === 'MAX')
      return loop
        .replace('NAME', `${operation} ${type}`)
        .replaceAll(/\bOP\b(?= \(v128)/g, `${lanes}.${instruction}${isSigned ? '_s' : ''}`)
    }),
  )
  return `(module (import "kernels" "memory" (memory 1))\n${functions.join('\n')})`
}
