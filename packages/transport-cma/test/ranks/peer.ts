// A rank in a process of its own: opens the transport and plays the role that the test names. Says `ready`, then what the
// role prints, one line each; or `refused`, and why, when the transport does not open.
import { createInterface } from 'node:readline'
import type { OnecopyError, Transport, TransportJob } from '@onecopy/transport'
import { cmaProvider } from '../../src/cma-provider.js'
import { loadLibc } from '../../src/libc/choose.js'
import { setParentDeathSignal } from '../../src/parent-death.js'

const PR_SET_DUMPABLE = 4
const FILL = 0x5a

type Role = (transport: Transport, job: TransportJob) => void | Promise<void>

const print = (line: string): void => void process.stdout.write(`${line}\n`)
const noBytes = new Uint8Array(0)

const roles: Record<string, Role> = {
  /** Sends every frame back, sleeping in park between them. */
  echo(transport) {
    let ended = false
    const receiver = {
      frame(peer: number, words: Int32Array, count: number, bytes: Uint8Array, offset: number, length: number) {
        if (words[0] === -1) ended = true
        while (!transport.trySend(peer, words, count, bytes, offset, length)) transport.yield()
      },
    }
    while (!ended) if (transport.poll(receiver, 16) === 0) transport.park(10_000)
  },

  /** Sends every frame back, sleeping in the event loop between them. */
  async echoFromLoop(transport) {
    let ended = false
    const receiver = {
      frame(peer: number, words: Int32Array, count: number, bytes: Uint8Array, offset: number, length: number) {
        if (words[0] === -1) ended = true
        while (!transport.trySend(peer, words, count, bytes, offset, length)) transport.yield()
      },
    }
    while (!ended) {
      while (transport.poll(receiver, 16) > 0);
      if (ended) return
      await new Promise<void>((resolve) => {
        if (!transport.onWake(resolve)) resolve()
      })
    }
  },

  /** Names 3 MiB of its memory in a frame; answers each line of stdin with whether the memory was written to. */
  async memory(transport) {
    const memory = new Uint8Array(3 * 2 ** 20).map((_, i) => (i * 7) & 0xff)
    await nameAndWait(transport, memory, () => {
      const written = memory.every((byte) => byte === FILL)
      const untouched = memory.every((byte, i) => byte === ((i * 7) & 0xff))
      print(written ? 'written' : untouched ? 'untouched' : 'mixed')
    })
  },

  /** May not be looked into, until stdin ends. */
  async undumpable() {
    loadLibc().libc?.prctl(PR_SET_DUMPABLE, 0)
    print('undumpable')
    for await (const _ of process.stdin);
  },

  /** Tries to read rank 0, whose region comes in a frame. */
  tryRead(transport) {
    const remote = transport.remoteMemory
    print(`canRead ${remote?.canRead(0)}`)
    print(`canWrite ${remote?.canWrite(0)}`)
    print(`whyNot ${remote?.whyNot(0)}`)
  },

  /** Fills the ring to rank 0 and is killed there. */
  async floodAndDie(transport) {
    let sent = 0
    while (transport.trySend(0, Int32Array.of(sent), 1, noBytes, 0, 0)) sent++
    print(`sent ${sent}`)
    process.kill(process.pid, 'SIGKILL')
  },
}

async function nameAndWait(transport: Transport, memory: Uint8Array, onLine: () => void): Promise<void> {
  const region = new Int32Array(4)
  transport.remoteMemory?.expose(memory, region, 0)
  while (!transport.trySend(0, region, 4, noBytes, 0, 0)) transport.yield()
  for await (const _ of createInterface({ input: process.stdin })) onLine()
}

const [text, role] = process.argv.slice(2) as [string, string]
const given = JSON.parse(text) as Omit<TransportJob, 'token' | 'descriptor' | 'notice'>
const { libc } = loadLibc()
if (libc !== null) setParentDeathSignal(libc, process.ppid)
const job: TransportJob = {
  ...given,
  token: new Uint8Array(32),
  descriptor: 3,
  notice: (key, message) => print(`notice ${key}: ${message}`),
}
const transport = openOrExit()
print('ready')
await roles[role]?.(transport, job)
await transport.close()

function openOrExit(): Transport {
  try {
    return cmaProvider.open(job)
  } catch (error) {
    const { code, errno, message } = error as OnecopyError
    print(`refused ${code} ${errno}: ${message}`)
    process.exit(1)
  }
}
