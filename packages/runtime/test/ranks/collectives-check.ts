// What a rank of collectives-check.test.ts runs: `collectives-check.ts sync|async|mixed`. Rank 2 calls another collective than the
// others; every rank prints the error it gets, and then they agree again.
import { type Communicator, init, type OnecopyError, SUM } from 'onecopy'

const world: Communicator = await init()
const face = process.argv[2]
const sync = face === 'sync' || (face === 'mixed' && world.rank % 2 === 0)
const comm = (sync ? world.sync : world) as unknown as {
  barrier(): unknown
  reduce(data: number, op: typeof SUM): unknown
}

try {
  if (world.rank === 2) await comm.barrier()
  else await comm.reduce(1, SUM)
  console.log('no error')
} catch (error) {
  console.log(`${(error as OnecopyError).code} ${(error as OnecopyError).message}`)
}
await comm.reduce(1, SUM)
await comm.barrier()
