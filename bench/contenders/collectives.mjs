// onecopy's collectives, the blocking face, on typed arrays: what c/collectives.c does, call for call.
import { performance } from 'node:perf_hooks'
import { init, SUM } from 'onecopy'

const world = await init()
const { sync, rank, size } = world
const WARM_UP = 50

function filled(bytes) {
  return Float64Array.from({ length: bytes / 8 }, (_, i) => (i % 13) + 1 + rank)
}

/** One function per collective, so that each loop is compiled for what it calls. */
const LOOPS = {
  barrier: (_send, _recv, calls) => {
    for (let i = 0; i < calls; i++) sync.barrier()
  },
  bcast: (send, _recv, calls) => {
    for (let i = 0; i < calls; i++) sync.bcastInto(send, i % size)
  },
  reduce: (send, recv, calls) => {
    for (let i = 0; i < calls; i++) sync.reduceInto(send, recv, SUM, i % size)
  },
  allreduce: (send, recv, calls) => {
    for (let i = 0; i < calls; i++) sync.allreduceInto(send, recv, SUM)
  },
  allgather: (send, recv, calls) => {
    for (let i = 0; i < calls; i++) sync.allgatherInto(send, recv)
  },
  alltoall: (send, recv, calls) => {
    for (let i = 0; i < calls; i++) sync.alltoallInto(send, recv)
  },
}

function timed(loop, send, recv, calls) {
  sync.barrier()
  const start = performance.now()
  loop(send, recv, calls)
  sync.barrier()
  return (performance.now() - start) * 1000
}

/** Ends the run unless the collective, called once more with root 0, leaves the right last element. */
function check(name, send, recv, count) {
  LOOPS[name](send, recv, 1)
  const last = count - 1
  const own = (last % 13) + 1
  const sum = own * size + (size * (size - 1)) / 2
  const [found, expected] = {
    barrier: [0, 0],
    bcast: [send[last], own],
    reduce: rank === 0 ? [recv[last], sum] : [0, 0],
    allreduce: [recv[last], sum],
    allgather: [recv.at(-1), own + size - 1],
    alltoall: [recv.at(-1), ((rank * count + last) % 13) + size],
  }[name]
  if (found === expected || name === 'barrier') return
  throw new Error(`rank ${rank} has ${found} instead of ${expected} after ${name} of ${count} doubles`)
}

/** What rank 0 says. */
function agreed(answer) {
  const said = new Float64Array([answer ? 1 : 0])
  sync.bcastInto(said)
  return said[0] === 1
}

/** How many calls, `calls` or more, last about that long; found enough twice, so that a busy moment does not pass for slow calls. */
function callsIn(milliseconds, loop, send, recv, calls) {
  for (let enough = 0; enough < 2; ) {
    const taken = Math.min(...[1, 2, 3].map(() => timed(loop, send, recv, calls)))
    const more = agreed(taken * 1.5 <= milliseconds * 1000)
    if (more) calls *= 2
    enough = more ? 0 : enough + 1
  }
  return calls
}

for (const entry of (process.argv[2] ?? '').split(',')) {
  const [label, milliseconds, batches] = entry.split(':')
  const [name, bytes] = label.split('/')
  const loop = LOOPS[name]
  const sendBytes = name === 'alltoall' ? bytes * size : Number(bytes)
  const recvBytes = name === 'alltoall' || name === 'allgather' ? bytes * size : Number(bytes)
  const send = filled(sendBytes)
  const recv = filled(recvBytes)
  let calls = callsIn(milliseconds, loop, send, recv, 1)
  for (let spent = 0; agreed(spent < WARM_UP * milliseconds * 1000); ) spent += timed(loop, send, recv, calls)
  calls = callsIn(milliseconds, loop, send, recv, calls)
  const means = []
  for (let batch = 0; batch < batches; batch++) means.push((timed(loop, send, recv, calls) / calls).toFixed(4))
  if (rank === 0) console.log([label, ...means].join(' '))
  check(name, filled(sendBytes), recv, bytes / 8)
}
await world.finalize()
