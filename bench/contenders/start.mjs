// How soon a job stands: every rank says when it and all others are connected.
import { init } from 'onecopy'

const world = await init()
await world.barrier()
console.log('connected')
await world.finalize()
