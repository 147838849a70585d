// Rank 1 ends while rank 0 waits for it, and rank 0 prints what it learns:
//
//     abort    by abort(), with a code and a reason
//     required goes on, after rank 0 could not send what single copy is required for and refused
//     send     killed right behind the announcement of a long message
import { init, type OnecopyError } from 'onecopy'

/** Elements that take longer to copy than a rank is kept from its core between two statements. */
const LONG = 8_000_000

const world = await init()
const [, , how] = process.argv
if (how === 'required' && world.rank === 0) {
  for (let time = 0; time < 2; time++) {
    const code = await Promise.resolve(world.send(new Uint8Array(2 ** 22), 1)).catch(({ code }: OnecopyError) => code)
    console.log(`told ${code}`)
  }
  await world.send('short', 1)
} else if (how === 'required') {
  console.log(`told ${await world.recv()}`)
} else if (world.rank === 0) {
  try {
    await world.recvInto(new Float64Array(LONG), 1)
    console.log('received')
  } catch (error) {
    const { code, rank, byRank, exitCode, reason } = error as OnecopyError
    console.log(`told ${JSON.stringify({ code, rank, byRank, exitCode, reason })}`)
  }
} else if (how === 'abort') {
  setTimeout(() => world.abort(9, 'disk full'), 100)
} else {
  world.send(new Float64Array(LONG).fill(1), 0)
  process.kill(process.pid, 'SIGKILL')
}
