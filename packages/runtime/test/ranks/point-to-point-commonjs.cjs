// What a rank of point-to-point-processes.test.ts runs to use onecopy from CommonJS.
const { init, OnecopyError, SUM } = require('onecopy')

async function main() {
  const world = await init()
  const { rank, size } = world
  const sum = await world.allreduce(rank, SUM)
  const got = await world.sendrecv(new Float64Array([rank]), (rank + 1) % size, (rank + size - 1) % size)
  if (sum !== (size * (size - 1)) / 2 || got[0] !== (rank + size - 1) % size) throw new Error('wrong')
  if (typeof OnecopyError !== 'function') throw new Error('no OnecopyError')
  // one world per process, however it is loaded
  const { init: initOfModule } = await import('onecopy')
  if ((await initOfModule()) !== world) throw new Error('two worlds in one process')
  console.log(`rank ${rank} is done`)
}

main()
