/**
 * A server and its clients: rank 0 keeps a table of counters and answers requests from `for await … of world.messages()`,
 * the other ranks send requests. The loop ends by itself when every client has left the job. The argument is the number of
 * requests per client (default 1000). On one rank, rank 0 asks itself.
 *
 *   npx onecopy run -n 4 examples/server.ts 1000
 */
import { type Communicator, init } from 'onecopy'
import { integerArgument } from './support/arguments.ts'

interface Query {
  readonly key: string
  /** What to add to the counter; 0 only reads it. */
  readonly add: number
}

interface Answer {
  readonly key: string
  readonly value: number
}

const REQUEST = 1
const ANSWER = 2
const KEYS = ['apples', 'pears', 'plums']

const world = await init()
const requests = integerArgument(world, 0, { name: 'requests', fallback: 1000, min: 1, max: 10_000_000 })

if (world.size === 1) {
  const listening = new AbortController()
  const serving = serve(world, listening.signal)
  await ask(world, requests)
  listening.abort()
  await serving
} else if (world.rank === 0) {
  await serve(world)
} else {
  await ask(world, requests)
}

async function serve(world: Communicator, signal?: AbortSignal): Promise<void> {
  const counters = new Map<string, number>()
  let answered = 0
  try {
    for await (const { data, source } of world.messages<Query>({ tag: REQUEST, signal })) {
      const value = (counters.get(data.key) ?? 0) + data.add
      counters.set(data.key, value)
      await world.send({ key: data.key, value } satisfies Answer, source, ANSWER)
      answered++
    }
  } catch (error) {
    if (!signal?.aborted) throw error
  }
  console.log(`answered ${answered} requests`)
  for (const key of KEYS) console.log(`${key}: ${counters.get(key) ?? 0}`)
}

async function ask(world: Communicator, requests: number): Promise<void> {
  for (let i = 0; i < requests; i++) {
    const key = KEYS[i % KEYS.length]!
    await world.send({ key, add: 1 } satisfies Query, 0, REQUEST)
    const answer = await world.recv<Answer>(0, ANSWER)
    if (answer.key !== key) throw new Error(`asked for ${key}, was told about ${answer.key}`)
  }
}
