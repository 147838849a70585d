// What a rank does when others end: `reliability-endings.ts what sync|async [rank…]`. Everyone prints `ready <rank> <pid>`
// before it begins to wait, and what its call failed with as `told <json>`.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { ANY_SOURCE, type Communicator, init, OnecopyError, SUM, type SyncCommunicator } from 'onecopy'
import { assertBytes, filledBytes } from '../support/payload.ts'

/** What a call of a survivor failed with. */
export interface Told {
  readonly rank: number
  readonly call: string
  readonly code: string
  readonly failed: number | undefined
  readonly message: string
}

type Verbs = Pick<Communicator, 'barrier' | 'recv' | 'send' | 'ssend' | 'sendrecvInto' | 'probe' | 'allreduce'>

const MIB = 1024 * 1024
/** Long enough that a job that is interrupted at any moment is interrupted in a copy; twice this is a rank's memory. */
const COPY_BYTES = 200 * MIB
const [, , what, face, ...chosenTexts] = process.argv
const chosen = chosenTexts.map(Number)
const world = await init()
const { rank, size } = world
const next = (rank + 1) % size

/** Both faces look the same to `await`. */
const verbs = (face === 'sync' ? world.sync : world) as unknown as Verbs & SyncCommunicator

function ready(): void {
  fs.writeSync(1, `ready ${rank} ${process.pid}\n`)
}

async function tell(call: string, action: () => unknown): Promise<void> {
  try {
    await action()
    fs.writeSync(1, `done ${rank} ${call}\n`)
  } catch (error) {
    if (!(error instanceof OnecopyError)) throw error
    const told: Told = { rank, call, code: error.code, failed: error.rank, message: error.message }
    fs.writeSync(1, `told ${JSON.stringify(told)}\n`)
  }
}

/** What a rank can wait in, for ever: the others do not take part. */
const WAITS: Record<string, () => unknown> = {
  barrier: () => (rank === size - 1 ? verbs.recv(0, 99) : verbs.barrier()),
  recv: () => verbs.recv(next, 1),
  any: () => verbs.recv(ANY_SOURCE, 1),
  probe: () => verbs.probe(next, 1),
  send: () => verbs.send(filledBytes(16 * MIB, 3), next, 1),
  ssend: () => verbs.ssend(filledBytes(10, 3), next, 1),
  allreduce: () => (rank === size - 1 ? verbs.recv(0, 99) : verbs.allreduce(new Float64Array(100_000), SUM)),
}

const BEHAVIOURS: Record<string, () => Promise<void>> = {
  /** Long messages from rank 0 to rank 1, each one checked, until somebody dies. */
  stream: async () => {
    const bytes = filledBytes(24 * MIB, 7)
    ready()
    for (let message = 0; ; message++) {
      bytes[0] = message
      if (rank === 0) {
        await verbs.send(bytes, 1)
      } else {
        const got = (await verbs.recv(0)) as Uint8Array
        assertBytes(got, bytes, `message ${message}`)
        fs.writeSync(1, `whole ${message}\n`)
      }
    }
  },
  /** Short messages in turn, for ever: no rank ever sleeps. */
  spin: async () => {
    const view = new Uint8Array(8)
    ready()
    for (;;) await verbs.sendrecvInto(new Uint8Array(8), next, view, (rank - 1 + size) % size)
  },
  /** Long messages both ways at once, for ever. */
  copy: async () => {
    const data = filledBytes(COPY_BYTES, 5)
    const view = new Uint8Array(COPY_BYTES)
    ready()
    for (let round = 0; ; round++) {
      await verbs.sendrecvInto(data, next, view, (rank - 1 + size) % size)
      fs.writeSync(1, `copied ${round}\n`)
    }
  },
  /** The chosen rank fails in the way of a script; the others wait for it, and are loud about it. */
  fail: async () => {
    world.sync.barrier()
    if (chosen.includes(rank)) return fail(process.env.OC_TEST_FAILURE as string)
    try {
      await verbs.barrier()
    } catch (error) {
      await tell('barrier', () => Promise.reject(error))
      console.error(`rank ${rank} will not have it`)
      throw error
    }
  },
  /** The chosen ranks end by a fault of their own while the others wait. */
  crash: async () => {
    world.sync.barrier()
    if (!chosen.includes(rank)) return tell('barrier', () => verbs.barrier())
    crash(process.env.OC_TEST_CRASH as string)
  },
  /** The chosen rank ends by coming to the end of the script; what only it could have done fails, the rest goes on. */
  leave: async () => {
    await verbs.barrier()
    const [leaver] = chosen as [number]
    if (rank === leaver) {
      await verbs.send(filledBytes(300_000, 4), (leaver + 1) % size, 5)
      return
    }
    if (rank === (leaver + 1) % size) {
      // What it sent before it left still comes.
      assertBytes((await verbs.recv(leaver, 5)) as Uint8Array, filledBytes(300_000, 4), 'sent before leaving')
    }
    await tell('recv', () => verbs.recv(leaver, 6))
    await tell('send', () => verbs.send(filledBytes(MIB, 1), leaver, 6))
    await tell('barrier', () => verbs.barrier())
    await ringWithout(leaver, 3)
  },
  /** Ranks leave with much that nobody has taken yet; what the taker owes them, it owes to nobody. */
  'leave-much': async () => {
    await verbs.barrier()
    if (rank !== 0) {
      const sends = Array.from({ length: 1000 }, (_, index) => world.send(filledBytes(1500, rank + index), 0, 1))
      await Promise.all(sends)
      return
    }
    await tell('never', () => verbs.recv(1, 9))
    for (let from = 1; from < size; from++) {
      for (let index = 0; index < 1000; index++) {
        assertBytes((await verbs.recv(from, 1)) as Uint8Array, filledBytes(1500, from + index), `${index} from ${from}`)
      }
    }
    fs.writeSync(1, 'took everything\n')
  },
  /** A message is sent and received, and the receiver is gone before the sender looks. */
  'leave-after': async () => {
    for (let round = 0; round < 5; round++) {
      if (rank === 0) {
        const sending = world.send(filledBytes(400_000, 8), 1)
        if (round === 4) for (const end = performance.now() + 1000; performance.now() < end; );
        await sending
      } else {
        assertBytes((await verbs.recv(0)) as Uint8Array, filledBytes(400_000, 8), 'the message')
      }
    }
  },
  /** Everyone but rank 0 leaves at once; rank 0 waits for anybody. */
  alone: async () => {
    await verbs.barrier()
    if (rank === 0) {
      await tell('any', () => verbs.recv(ANY_SOURCE, 1))
      await tell('later', () => verbs.recv(ANY_SOURCE, 1))
      await tell('probe', () => verbs.probe(ANY_SOURCE, 1))
      await tell('self', async () => {
        const toSelf = world.send('note', 0, 2)
        assert.equal(await verbs.recv(0, 2), 'note')
        await toSelf
      })
    }
  },
  /** One after the other leaves; the last message of each still comes to rank 0, which waits for anybody all the time. */
  trickle: async () => {
    if (rank !== 0) {
      for (let turn = 1; turn < rank; turn++) await new Promise((resolve) => setTimeout(resolve, 20))
      await verbs.send({ from: rank }, 0, 1)
      return
    }
    const from: number[] = []
    for (let count = 1; count < size; count++) from.push(((await verbs.recv(ANY_SOURCE, 1)) as { from: number }).from)
    fs.writeSync(1, `heard ${from.sort().join(' ')}\n`)
    await tell('any', () => verbs.recv(ANY_SOURCE, 1))
  },
  /** With onFailure 'continue': only what concerned the dead fails. */
  continue: async () => {
    const [victim] = chosen as [number]
    ready()
    if (rank === victim) await world.recv(victim, 9)
    await tell('recv', () => verbs.recv(victim, 6))
    await tell('send', () => verbs.send(filledBytes(MIB, 1), victim, 6))
    await ringWithout(victim, 3)
  },
}

/** Exchanges checked messages among everybody but `missing`. */
async function ringWithout(missing: number, rounds: number): Promise<void> {
  const members = Array.from({ length: size }, (_, member) => member).filter((member) => member !== missing)
  const at = members.indexOf(rank)
  const to = members[(at + 1) % members.length] as number
  const from = members[(at - 1 + members.length) % members.length] as number
  for (let round = 0; round < rounds; round++) {
    const byteLength = 200_000 + round
    const sending = world.send(filledBytes(byteLength, rank + 1), to, 50 + round)
    assertBytes((await verbs.recv(from, 50 + round)) as Uint8Array, filledBytes(byteLength, from + 1), `round ${round}`)
    await sending
  }
  fs.writeSync(1, `ring ${rank} right\n`)
}

function fail(how: string): void | Promise<void> {
  if (how === 'throw') throw new Error('the first failure')
  if (how === 'exit') process.exit(3)
  void Promise.reject(new Error('the first failure'))
  return new Promise(() => setTimeout(() => {}, 60_000))
}

function crash(how: string): void {
  if (how.startsWith('SIG')) {
    process.kill(process.pid, how)
    // The signal comes at the next system call; until then this rank does nothing else.
    for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000)
  }
  if (how === 'abort') process.abort()
  const hoard: unknown[] = []
  for (;;) hoard.push(new Array(10_000).fill({ hoard: hoard.length }))
}

const wait = WAITS[what as string]
if (wait !== undefined) {
  await world.barrier()
  ready()
  await tell(what as string, wait)
} else {
  await BEHAVIOURS[what as string]?.()
}
