// Two processes, transport only: latency of small frames by trySend and poll, beside a bare Atomics flag, and streaming
// bandwidth of large frames. Build first; then: node packages/transport-cma/bench/ring-ping-pong.mjs
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cmaProvider, loadLibc } from '@onecopy/transport-cma'

const WARM_UP = 50_000
// Times are taken over short stretches, and the tenth part that was least disturbed counts: cores are shared.
const STRETCHES = 200
const STRETCH_ROUNDS = 500
const SIZES = [0, 8, 40, 64, 72, 128, 256, 1024, 4096, 16384, 65536]
const STREAM_BYTES = 2 ** 23
const LIMIT_MS = 60_000

const bytes = new Uint8Array(65536).fill(7)
const words = new Int32Array([1, 2, 3, 4])

if (process.argv[2] === 'rank') await runRank(JSON.parse(process.argv[3]))
else await runLauncher()

async function runLauncher() {
  const directory = mkdtempSync(join(tmpdir(), 'onecopy-bench-'))
  const prepared = await cmaProvider.prepare({ size: 2, directory, settings: {} })
  const { libc } = loadLibc()
  const flags = libc.memfdCreate('flags')
  libc.ftruncate(flags, 4096)
  const ends = [0, 1].map((rank) => {
    const job = JSON.stringify({ rank, size: 2, directory, launcherPid: process.pid, data: prepared.data })
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), 'rank', job], {
      stdio: ['ignore', 'inherit', 'inherit', prepared.descriptor, flags],
      timeout: LIMIT_MS,
    })
    return new Promise((resolve) => child.on('exit', resolve))
  })
  await Promise.all(ends)
  prepared.release()
  rmSync(directory, { recursive: true })
}

async function runRank(job) {
  const transport = await cmaProvider.open({
    ...job,
    token: new Uint8Array(32),
    descriptor: 3,
    settings: {},
    notice: (key, message) => console.error(key, message),
  })
  const peer = 1 - job.rank
  while (!transport.reaches(peer)) transport.yield()
  let got = 0
  let sum = 0
  const receiver = {
    frame(_peer, _words, _count, payload, offset, length) {
      got++
      if (length > 0) sum += payload[offset] + payload[offset + length - 1]
    },
  }
  const send = (length) => {
    while (!transport.trySend(peer, words, 4, bytes, 0, length)) transport.poll(receiver, 64)
  }
  const receive = () => {
    const before = got
    while (got === before) transport.poll(receiver, 1)
  }
  const pingPong = (length, rounds) => {
    for (let i = 0; i < rounds; i++) {
      if (job.rank === 0) {
        send(length)
        receive()
      } else {
        receive()
        send(length)
      }
    }
  }
  const flags = mapFlags()
  pingPong(8, WARM_UP)
  flagHop(flags, job.rank)
  const print = (line) => job.rank === 0 && console.log(line)
  print(`bare flag          ${flagHop(flags, job.rank).toFixed(3)} us one way`)
  for (const length of SIZES) {
    if (length > transport.limits.frameBytesMax) continue
    pingPong(length, WARM_UP / 10)
    const rounds = length > 1024 ? STRETCH_ROUNDS / 10 : STRETCH_ROUNDS
    const us = undisturbed(() => pingPong(length, rounds)) / rounds / 2
    print(`frame ${String(length).padStart(7)} B    ${us.toFixed(3)} us one way`)
  }
  print(`bare flag          ${flagHop(flags, job.rank).toFixed(3)} us one way`)

  // Gives way now and then: the other end may want this very core.
  let pauses = 0
  const pause = () => {
    if (++pauses % 1000 === 0) transport.yield()
  }
  // Streaming: rank 0 copies in, rank 1 copies out.
  const into = new Uint8Array(4 * 2 ** 20).fill(1)
  const from = new Uint8Array(4 * 2 ** 20).fill(2)
  for (const length of [8192, 32768, transport.limits.frameBytesMax]) {
    let received = 0
    const copier = {
      frame(_peer, _words, _count, payload, offset, byteLength) {
        into.set(payload.subarray(offset, offset + byteLength), received % into.length)
        received += byteLength
      },
    }
    const us = undisturbed(() => {
      if (job.rank === 0) {
        for (let sent = 0; sent < STREAM_BYTES; sent += length) {
          while (!transport.trySend(peer, words, 4, from, sent % from.length, length)) pause()
        }
        receive()
      } else {
        received = 0
        while (received < STREAM_BYTES) if (transport.poll(copier, 8) === 0) pause()
        send(0)
      }
    }, STRETCHES / 5)
    print(`stream ${String(length).padStart(6)} B    ${(STREAM_BYTES / us / 1000).toFixed(2)} GB/s`)
  }
  remoteMemory(transport, peer, job.rank, receive, send, print)
  if (sum < 0) console.log(sum)
  await transport.close()
}

function remoteMemory(transport, peer, rank, receive, send, print) {
  const remote = transport.remoteMemory
  if (!remote.canRead(peer)) return print(`no remote memory: ${remote.whyNot(peer)}`)
  const mine = new Uint8Array(2 ** 20).fill(rank + 1)
  let region = null
  const grab = { frame: (_peer, header, count) => (region = header.slice(0, count)) }
  const name = new Int32Array(4)
  remote.expose(mine, name, 0)
  while (!transport.trySend(peer, name, 4, bytes, 0, 0));
  while (region === null) transport.poll(grab, 1)
  const into = new Uint8Array(2 ** 20).fill(9)
  if (rank === 0) {
    for (const length of [256, 4096, 16384, 65536, 2 ** 20]) {
      for (const verb of ['read', 'write']) {
        const rounds = length > 65536 ? 3 : 20
        const us = undisturbed(() => {
          for (let i = 0; i < rounds; i++) remote[verb](peer, region, 0, 0, into, 0, length)
        })
        print(`${verb.padEnd(5)} ${String(length).padStart(8)} B   ${(us / rounds).toFixed(2)} us`)
      }
    }
    send(0)
  } else receive()
}

/** The speed of light: one word there, one word back, over memory of this job's own, no transport. */
function flagHop(flags, rank) {
  let value = Atomics.load(flags, rank === 0 ? 0 : 16)
  const rounds = STRETCH_ROUNDS
  const us = undisturbed(() => {
    for (let i = 0; i < rounds; i++) {
      value++
      if (rank === 0) {
        Atomics.store(flags, 0, value)
        while (Atomics.load(flags, 16) !== value);
      } else {
        while (Atomics.load(flags, 0) !== value);
        Atomics.store(flags, 16, value)
      }
    }
  })
  return us / rounds / 2
}

/** Microseconds of `work`: the median of the fastest tenth of many runs. */
function undisturbed(work, stretches = STRETCHES) {
  const times = []
  for (let i = 0; i < stretches; i++) {
    const start = process.hrtime.bigint()
    work()
    times.push(Number(process.hrtime.bigint() - start) / 1000)
  }
  times.sort((a, b) => a - b)
  return times[Math.floor(stretches / 20)]
}

function mapFlags() {
  const { libc } = loadLibc()
  return new Int32Array(libc.viewAt(libc.mapShared(4, 4096), 4096).buffer)
}
