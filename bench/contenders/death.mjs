// How soon a death is known: the last rank prints the time and kills itself, the others wait for it in the blocking face, and
// print the time at which they hear of it.
import { init } from 'onecopy'

const world = await init()
const { rank, size, sync } = world
const now = () => performance.timeOrigin + performance.now()

sync.barrier()
if (rank === size - 1) {
  process.stdout.write(`dies ${now()}\n`, () => process.kill(process.pid, 'SIGKILL'))
} else {
  try {
    sync.recv(size - 1)
  } catch {
    process.stdout.write(`hears ${now()}\n`)
  }
}
