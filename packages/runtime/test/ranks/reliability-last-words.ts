// Rank 1 ends while rank 0 waits for it, and rank 0 prints what it learns:
//
//     abort    by abort(), with a code and a reason
//     send     killed right behind the announcement of a long message
import { init, type OnecopyError } from 'onecopy'

const world = await init()
const [, , how] = process.argv
if (world.rank === 0) {
  try {
    await world.recvInto(new Float64Array(200_000), 1)
    console.log('received')
  } catch (error) {
    const { code, rank, byRank, exitCode, reason } = error as OnecopyError
    console.log(`told ${JSON.stringify({ code, rank, byRank, exitCode, reason })}`)
  }
} else if (how === 'abort') {
  setTimeout(() => world.abort(9, 'disk full'), 100)
} else {
  world.send(new Float64Array(200_000).fill(1), 0)
  process.kill(process.pid, 'SIGKILL')
}
