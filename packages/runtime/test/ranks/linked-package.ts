// Messages on the event loop, then a package behind a link: what a rank finds must not depend on how its messages come.
import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { init } from 'onecopy'

const world = await init()
const folder = process.argv[2] as string
if (world.rank === 0) {
  fs.mkdirSync(path.join(folder, 'real/pk'), { recursive: true })
  fs.mkdirSync(path.join(folder, 'node_modules'))
  fs.writeFileSync(path.join(folder, 'real/pk/index.js'), '')
  fs.symlinkSync('../real/pk', path.join(folder, 'node_modules/pk'))
  fs.writeFileSync(path.join(folder, 'resolve.mjs'), "export default import.meta.resolve('pk')")
}
for (let i = 0; i < 5; i++) await world.sendrecv(new Int32Array(100_000), 1 - world.rank, 1 - world.rank)
const found = (await import(pathToFileURL(path.join(folder, 'resolve.mjs')).href)).default
console.log(found === pathToFileURL(fs.realpathSync(path.join(folder, 'real/pk/index.js'))).href ? 'right' : found)
