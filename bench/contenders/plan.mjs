// What every contender does the same way: reading its plan, filling its buffers, keeping time, checking and printing.
// A plan is `MESSAGE:ITERATIONS:BATCHES[,…]`, MESSAGE a number of bytes or `object`; the C contender reads the same.

/** The small object of the second table: what a call to a worker looks like. */
export function smallObject(id) {
  return {
    id,
    name: 'resize',
    args: ['images/cat.png', 640, 480],
    opts: { quality: 0.8, tags: ['a', 'b'], dry: false },
  }
}

export function readPlan(text = process.argv[2]) {
  return (text ?? '').split(',').map((entry) => {
    const [message, iterations, batches] = entry.split(':')
    const isObject = message === 'object'
    return {
      message,
      isObject,
      bytes: isObject ? 0 : Number(message),
      iterations: Number(iterations),
      batches: Number(batches),
    }
  })
}

/** Untimed batches before each entry: V8 compiles what is hot meanwhile. */
const WARM_UP_BATCHES = 5

/** Messages of one entry in each direction: the batches, and those to warm up. */
export function messageCount({ iterations, batches }) {
  return iterations * (batches + WARM_UP_BATCHES)
}

/** Memory with no zero byte in it: untouched pages are all the same page, and never leave the cache. */
export function filled(bytes, seed) {
  const buffer = Buffer.from(new ArrayBuffer(bytes))
  for (let i = 0; i < bytes; i++) buffer[i] = ((i * 7 + seed) % 255) + 1
  return buffer
}

/** Ends the run if the last message is not what rank `seed` has sent. */
export function check(entry, received, seed) {
  if (entry.isObject) {
    if (received?.name === 'resize' && received.args.length === 3 && received.opts.tags[1] === 'b') return
  } else {
    const last = entry.bytes - 1
    if (received.byteLength === entry.bytes) {
      if (entry.bytes === 0) return
      if (received[0] === (seed % 255) + 1 && received[last] === ((last * 7 + seed) % 255) + 1) return
    }
  }
  throw new Error(`a message of the entry ${entry.message} arrived wrong`)
}

/** Prints an entry's result: each batch's mean one-way time in microseconds. */
export function print(entry, batchMilliseconds) {
  const means = batchMilliseconds.map((each) => ((each * 1000) / (2 * entry.iterations)).toFixed(4))
  console.log([entry.message, ...means].join(' '))
}

/** Times one entry; `roundTrips(n)` sends and receives n times, blocking. */
export function time(entry, roundTrips) {
  const batches = []
  for (let batch = -WARM_UP_BATCHES; batch < entry.batches; batch++) {
    const start = performance.now()
    roundTrips(entry.iterations)
    if (batch >= 0) batches.push(performance.now() - start)
  }
  print(entry, batches)
}

/** The same with `roundTrips` returning a promise. */
export async function timeAsync(entry, roundTrips) {
  const batches = []
  for (let batch = -WARM_UP_BATCHES; batch < entry.batches; batch++) {
    const start = performance.now()
    await roundTrips(entry.iterations)
    if (batch >= 0) batches.push(performance.now() - start)
  }
  print(entry, batches)
}
