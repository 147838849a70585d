// Ranks whose last request settles while the event loop sleeps on the transport: nothing is left to wait for, so they end.
import { init } from 'onecopy'

const world = await init()
const { rank, size } = world
const other = (rank + 1) % size
const LATER = 60

const ways: Record<string, () => Promise<unknown>> = {
  async signal() {
    await world.recv(other, 9, { signal: AbortSignal.timeout(LATER) }).catch(() => 'gave up')
  },
  async cancel() {
    const request = world.recv(other, 9)
    setTimeout(() => request.cancel(), LATER)
    await request.catch(() => 'cancelled')
  },
  async free() {
    const copy = await world.dup()
    const request = copy.recv(other, 9)
    setTimeout(() => copy.free(), LATER)
    await request.catch(() => 'freed')
  },
  async self() {
    const request = world.recv(rank, 9)
    setTimeout(() => void world.send('hello, me', rank, 9), LATER)
    await request
  },
  async messages() {
    for await (const _ of world.messages({ tag: 9, signal: AbortSignal.timeout(LATER) }));
  },
  /** An async receive is pending and armed when a sync one takes its frame in. */
  async sync() {
    const request = world.recv(other, 9)
    await new Promise((resolve) => setTimeout(resolve, LATER))
    world.sync.send('for await', other, 9)
    world.sync.send('for sync', other, 8)
    if (world.sync.recv(other, 8) !== 'for sync') throw new Error('a wrong message')
    if ((await request) !== 'for await') throw new Error('a wrong message')
  },
}

const way = process.argv[2] as string
await (ways[way] as () => Promise<unknown>)().catch((error: Error) => {
  if (way !== 'messages' || error.name !== 'TimeoutError') throw error
})
console.log(`rank ${rank} has nothing left to do`)
