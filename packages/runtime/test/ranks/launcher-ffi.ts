// What a rank has mapped to make foreign function calls with, once it has joined: one line, the packages and the route.
import fs from 'node:fs'
import { init } from 'onecopy'

const world = await init()
const maps = fs.readFileSync('/proc/self/maps', 'utf8')
const packages = ['koffi', 'ffi-napi'].filter((name) => new RegExp(`/${name}(?:[-/].*)?\\.node$`, 'm').test(maps))
console.log(`${packages.join() || 'none'} ${world.transport(1 - world.rank).split(' ')[0]}`)
await world.finalize()
