// What a rank of collectives-check.test.ts runs: `collectives-check.ts sync|async|mixed [across]`. Rank 2 calls another collective
// than the others, with `across` between rank 0 and the others; every rank prints the error it gets, and then they agree again.
import { type Communicator, init, type OnecopyError, SUM } from 'onecopy'

const world: Communicator = await init()
const face = process.argv[2]
const sync = face === 'sync' || (face === 'mixed' && world.rank % 2 === 0)
const made = process.argv[3] === 'across' ? await twoGroups() : world
const comm = (sync ? made.sync : made) as unknown as {
  barrier(): unknown
  allreduce(data: number, op: typeof SUM): unknown
}

try {
  if (world.rank === 2) await comm.barrier()
  else await comm.allreduce(1, SUM)
  console.log('no error')
} catch (error) {
  console.log(`${(error as OnecopyError).code} ${(error as OnecopyError).message}`)
}
await comm.allreduce(1, SUM)
await comm.barrier()

async function twoGroups() {
  const local = (await world.split(world.rank === 0 ? 0 : 1)) as Communicator
  return local.createIntercomm(0, local.rank === 0 ? world : null, world.rank === 0 ? 1 : 0)
}
