import { randomBytes, timingSafeEqual } from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { OnecopyError } from '@onecopy/transport'
import { BridgeDesk, type Desk } from './bridge-desk.js'
import type { BridgeResources } from './bridge-resources.js'
import type { Home } from './extensions.js'
import { JoinLine } from './join-line.js'
import { checkSize } from './launch-options.js'
import { claimName, findName, type NameEntry } from './names.js'
import { RemoteDesk } from './remote-desk.js'
import { seatRemoteGroup } from './remote-group.js'

/** Whoever has connected and has not said the token by then is hung up on. */
const KNOCK_MS = 5000

/** Connections that have not said the token; more are refused. */
const STRANGERS_MAX = 16

/** The other launcher may take this long to prepare the bridge. */
const WELCOME_MS = 30_000

/** Between two looks for somebody who listens. */
const LOOK_MS = 50

const TOKEN_BYTES = 32

/** What joining needs of the ranks that want it. */
export interface JoinParty {
  readonly home: Home
  readonly name: string
  /** How many ranks of this side there are. */
  readonly size: number
  readonly timeoutMs: number | null
  /** The ranks have given it up. */
  readonly signal: AbortSignal
  makeResources(size: number): Promise<BridgeResources>
  /** Opens the lines of this side's ranks, members of the desk's bridge from `firstMember` on; answers their number. */
  open(desk: Desk, firstMember: number): number
  shut(line: number): void
}

/**
 * Waits under a name for one other job, and holds the bridge to it; answers the number of the ranks' lines. Whoever else has
 * come is hung up on, and knocks again when somebody next listens under the name.
 *
 * Strangers: the socket lies in the job's private directory, and what it is called and the token stand in a file that only
 * this user can read. Node cannot ask the kernel who has connected.
 * @throws OnecopyError ERR_UNAVAILABLE when the name is taken, ERR_TIMEOUT, ERR_CANCELLED.
 */
export async function listenForGroup(party: JoinParty): Promise<number> {
  const { home, name } = party
  const token = randomBytes(TOKEN_BYTES)
  const socketPath = path.join(home.shared.directory, `listen-${randomBytes(4).toString('hex')}`)
  const server = net.createServer({ pauseOnConnect: false })
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(new OnecopyError('ERR_UNAVAILABLE', `cannot listen: ${error.message}`, { cause: error })),
    )
    server.listen(socketPath, resolve)
  })
  fs.chmodSync(socketPath, 0o600)
  let visitor: Visitor
  try {
    const { directory, guardian } = home.shared
    const claim = await claimName(name, { socket: socketPath, token: token.toString('hex') }, directory, guardian.pid)
    try {
      guardian.watchName(claim.file, claim.id)
      visitor = await firstVisitor(server, token, party)
    } finally {
      claim.release()
    }
  } finally {
    // Before the visitor is received, which takes its time: what nobody will answer must not connect.
    server.close()
  }
  return receive(visitor, party)
}

interface Visitor {
  readonly line: JoinLine
  readonly size: number
}

/** The first one who says the token. */
function firstVisitor(server: net.Server, token: Buffer, party: JoinParty): Promise<Visitor> {
  const strangers = new Set<net.Socket>()
  return new Promise<Visitor>((resolve, reject) => {
    const stop = whenOver(party, `nobody has connected to '${party.name}'`, 'listen', reject)
    server.on('connection', (socket) => {
      if (strangers.size >= STRANGERS_MAX) {
        socket.destroy()
        return
      }
      const line = new JoinLine(socket)
      const deadline = setTimeout(() => line.destroy(), KNOCK_MS)
      strangers.add(socket)
      line.whenClosed(() => {
        clearTimeout(deadline)
        strangers.delete(socket)
      })
      line.hear((message) => {
        if (message.type !== 'knock' || !isToken(message.token, token)) {
          party.home.notice('knock', `somebody who does not know the token has connected to '${party.name}' (ERR_AUTH)`)
          throw new Error('a stranger')
        }
        clearTimeout(deadline)
        strangers.delete(socket)
        line.hear(null)
        line.trust()
        stop()
        resolve({ line, size: message.size })
      })
    })
  }).finally(() => {
    for (const stranger of strangers) stranger.destroy()
  })
}

function isToken(said: unknown, token: Buffer): boolean {
  const bytes = Buffer.from(typeof said === 'string' ? said : '', 'hex')
  return bytes.length === token.length && timingSafeEqual(bytes, token)
}

async function receive({ line, size }: Visitor, party: JoinParty): Promise<number> {
  const { home } = party
  let resources: BridgeResources
  try {
    if (!Number.isInteger(size) || size < 1) throw new OnecopyError('ERR_PROTOCOL', `a group of ${size} ranks`)
    checkSize(party.size + size)
    resources = await party.makeResources(party.size + size)
  } catch (error) {
    line.say({ type: 'sorry', message: (error as Error).message })
    line.end()
    throw error
  }
  if (home.isEnding) {
    resources.release()
    line.destroy()
    throw new OnecopyError('ERR_ABORTED', 'the job is being ended: it can join nobody any more')
  }
  let forget = (): void => {}
  let number = -1
  const desk = new BridgeDesk({
    groups: [party.size, size],
    resources,
    home,
    startTimeoutMs: home.options.startTimeoutMs,
    nameOf: (member) => (member < party.size ? `rank ${member}` : `rank ${member - party.size} of the other job`),
    onOver: () => {
      forget()
      party.shut(number)
      line.end()
    },
  })
  forget = home.atEnd(() => desk.close())
  line.say({ type: 'welcome', groups: [party.size, size] })
  number = party.open(desk, 0)
  seatRemoteGroup(line, desk, party.size, size)
  return number
}

/**
 * Finds who listens under a name and joins; answers the number of the ranks' lines.
 * @throws OnecopyError ERR_TIMEOUT when nobody listens, ERR_CANCELLED, ERR_UNAVAILABLE when the other side cannot.
 */
export async function connectToGroup(party: JoinParty): Promise<number> {
  const { home, name } = party
  let over: Error | null = null
  let wake = (): void => {}
  const stop = whenOver(party, `nobody listens under '${name}'`, 'connect', (error) => {
    over = error
    wake()
  })
  try {
    for (;;) {
      const entry = findName(name, home.options.env)
      const met = entry === null ? null : await knock(entry, party.size, (hangUp) => (wake = hangUp))
      if (met !== null) return enter(met, party)
      if (over !== null) throw over
      await new Promise<void>((resolve) => {
        wake = resolve
        setTimeout(resolve, LOOK_MS)
      })
      if (over !== null) throw over
    }
  } finally {
    stop()
  }
}

interface Welcome {
  readonly line: JoinLine
  readonly groups: readonly [number, number]
}

/**
 * Says the token and waits to be welcomed; null when that was somebody who listens no longer, or has taken another.
 * @param giveUpBy is told how to hang up before.
 */
function knock(entry: NameEntry, size: number, giveUpBy: (hangUp: () => void) => void): Promise<Welcome | null> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(entry.socket)
    const line = new JoinLine(socket)
    line.trust()
    const hangUp = (): void => line.destroy()
    const deadline = setTimeout(hangUp, WELCOME_MS)
    giveUpBy(hangUp)
    line.whenClosed(() => {
      clearTimeout(deadline)
      resolve(null)
    })
    line.hear((message) => {
      clearTimeout(deadline)
      giveUpBy(() => {})
      line.hear(null)
      if (message.type === 'welcome') {
        resolve({ line, groups: message.groups })
      } else {
        line.destroy()
        reject(new OnecopyError('ERR_UNAVAILABLE', `the other job cannot be joined: ${sorryOf(message)}`))
      }
    })
    socket.once('connect', () => line.say({ type: 'knock', token: entry.token, size }))
  })
}

function sorryOf(message: object): string {
  return String((message as { message?: unknown }).message ?? 'it said nothing that makes sense')
}

function enter({ line, groups }: Welcome, party: JoinParty): number {
  let number = -1
  const desk = new RemoteDesk(line, groups, () => party.shut(number))
  const forget = party.home.atEnd(() => line.destroy())
  number = party.open(desk, groups[0])
  line.whenClosed(forget)
  return number
}

/** Calls `fail` when the ranks give it up or their time is over; answers how to stop that. */
function whenOver(
  { signal, timeoutMs, home }: JoinParty,
  what: string,
  op: string,
  fail: (error: Error) => void,
): () => void {
  const giveUp = (): void =>
    fail(
      home.isEnding
        ? new OnecopyError('ERR_ABORTED', `${what}, and the job is being ended`)
        : new OnecopyError('ERR_CANCELLED', `${what}, and it was given up`),
    )
  const timer =
    timeoutMs === null
      ? null
      : setTimeout(() => {
          fail(new OnecopyError('ERR_TIMEOUT', `${what} within ${timeoutMs / 1000} s`, { op, ms: timeoutMs }))
        }, timeoutMs)
  signal.addEventListener('abort', giveUp, { once: true })
  if (signal.aborted) giveUp()
  return () => {
    if (timer !== null) clearTimeout(timer)
    signal.removeEventListener('abort', giveUp)
  }
}
