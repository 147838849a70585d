import type { FrameReceiver, Transport, TransportJob } from '@onecopy/transport'
import { pipeProvider } from '@onecopy/transport-pipe'

/** The descriptor under which a test's ranks inherit the bulk file. */
const INHERITED = 3

/** Opens the transport of the rank that this process plays; the job comes as JSON in the first argument. */
export function openRank(): { transport: Transport; scenario: string } {
  const { rank, size, directory, token, scenario } = JSON.parse(process.argv[2] ?? '{}') as {
    rank: number
    size: number
    directory: string
    token: string
    scenario: string
  }
  const job: TransportJob = {
    rank,
    size,
    directory,
    token: Buffer.from(token, 'hex'),
    launcherPid: process.ppid,
    descriptor: INHERITED,
    data: null,
    settings: {},
    notice: (key, message) => console.error(key, message),
  }
  return { transport: pipeProvider.open(job), scenario }
}

/** Sends one frame, polling into `receiver` while there is no room. */
export function send(
  transport: Transport,
  peer: number,
  words: Int32Array,
  bytes: Uint8Array,
  receiver: FrameReceiver = nobody,
): void {
  const deadline = Date.now() + 15_000
  while (!transport.trySend(peer, words, words.length, bytes, 0, bytes.length)) {
    if (transport.poll(receiver, 64) === 0) transport.park(5)
    if (Date.now() > deadline) throw new Error(`no room towards rank ${peer} for 15 s`)
  }
}

/** Takes no frames: for ranks that only send. */
export const nobody: FrameReceiver = {
  frame(peer) {
    throw new Error(`an unexpected frame from rank ${peer}`)
  },
}
