import type { Communicator } from 'onecopy'

/** Calls that no caller may make: each must throw a TypeError or RangeError at once and leave nothing behind. */
export function badCalls(world: Communicator): Record<string, () => unknown> {
  const { sync, size } = world
  const view = new Uint8Array(4)
  const detached = new Uint8Array(100)
  structuredClone(detached.buffer, { transfer: [detached.buffer] })
  const calls: Record<string, () => unknown> = {
    'send a function': () => world.send(() => 1, 0),
    'send a symbol': () => world.send({ a: [Symbol('x')] }, 0),
    'send a promise': () => world.send(Promise.resolve(), 0),
    'send detached memory': () => world.send(detached, 0),
    'sync.send detached memory': () => sync.send(detached, 0),
    'sync.send a function': () => sync.send(() => 1, 0),
    'recvInto nothing': () => world.recvInto(undefined as never),
    'recvInto a plain array': () => world.recvInto([1, 2] as never),
    'recvInto an ArrayBuffer': () => world.recvInto(new ArrayBuffer(8) as never),
    'recvInto a string': () => sync.recvInto('abc' as never),
    'recvInto detached memory': () => world.recvInto(detached),
    'sync.recvInto detached memory': () => sync.recvInto(detached, 0),
    'sendrecv a function': () => world.sendrecv(() => 1, 0, 0),
    'sendrecvInto nothing': () => world.sendrecvInto(view, 0, null as never, 0),
    'sendrecvInto detached memory': () => world.sendrecvInto(view, 0, detached, 0),
    'sendrecvInto the memory that is sent': () => world.sendrecvInto(view, 0, view, 0),
    'sync.sendrecvInto memory that overlaps': () => sync.sendrecvInto(view.subarray(0, 3), 0, view.subarray(2), 0),
    'messages from nobody': () => world.messages({ source: size }),
    'messages with a bad tag': () => world.messages({ tag: -9 }),
    'abort with a word': () => world.abort('x' as never),
    'abort with a fraction': () => world.abort(2.5),
    'abort with a code that no process has': () => world.abort(256),
    'abort with a negative code': () => world.abort(-1),
    'sendrecvReplace a value': () => world.sendrecvReplace({} as never, 0, 0),
    'sendrecvReplace detached memory': () => world.sendrecvReplace(detached, 0, 0),
    'recvInit a value': () => world.recvInit({} as never),
    'a signal that is none': () => world.recv(0, 0, { signal: {} as never }),
    'free the world': () => world.free(),
  }
  const badRanks: unknown[] = [-1, -3, size, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '0', null, {}, 0n, true, [0]]
  for (const bad of badRanks) {
    const dest = bad as number
    const name = typeof bad === 'bigint' ? '0n' : (JSON.stringify(bad) ?? String(bad))
    calls[`send to ${name}`] = () => world.send(view, dest)
    calls[`ssend to ${name}`] = () => world.ssend('x', dest)
    calls[`bsend to ${name}`] = () => world.bsend('x', dest)
    calls[`rsend to ${name}`] = () => world.rsend('x', dest)
    calls[`sync.send to ${name}`] = () => sync.send(view, dest)
    calls[`sendInit to ${name}`] = () => world.sendInit(view, dest)
    calls[`sendrecv to ${name}`] = () => world.sendrecv(view, dest, 0)
    calls[`transport to ${name}`] = () => world.transport(dest)
    // -1 is ANY_SOURCE
    if (bad === -1) continue
    calls[`recv from ${name}`] = () => world.recv(dest)
    calls[`recvInto from ${name}`] = () => world.recvInto(view, dest)
    calls[`recvMessage from ${name}`] = () => world.recvMessage(dest)
    calls[`sync.recv from ${name}`] = () => sync.recv(dest)
    calls[`probe from ${name}`] = () => world.probe(dest)
    calls[`iprobe from ${name}`] = () => world.iprobe(dest)
    calls[`mprobe from ${name}`] = () => sync.mprobe(dest)
    calls[`improbe from ${name}`] = () => world.improbe(dest)
    calls[`recvInit from ${name}`] = () => world.recvInit(view, dest)
    calls[`sendrecv from ${name}`] = () => world.sendrecv(view, 0, dest)
    calls[`sendrecvReplace from ${name}`] = () => world.sendrecvReplace(view, 0, dest)
  }
  for (const bad of [-1, -2, 2 ** 31, 1.5, Number.NaN, '0', null, {}] as unknown[]) {
    const tag = bad as number
    const name = JSON.stringify(bad)
    calls[`send with tag ${name}`] = () => world.send(view, 0, tag)
    calls[`sync.send with tag ${name}`] = () => sync.send(view, 0, tag)
    calls[`sendInit with tag ${name}`] = () => world.sendInit(view, 0, tag)
    calls[`sendrecv with sendTag ${name}`] = () => world.sendrecv(view, 0, 0, { sendTag: tag })
    // -1 is ANY_TAG
    if (bad === -1) continue
    calls[`recv with tag ${name}`] = () => world.recv(0, tag)
    calls[`sync.recvInto with tag ${name}`] = () => sync.recvInto(view, 0, tag)
    calls[`iprobe with tag ${name}`] = () => world.iprobe(0, tag)
    calls[`sendrecv with recvTag ${name}`] = () => world.sendrecv(view, 0, 0, { recvTag: tag })
  }
  return calls
}
