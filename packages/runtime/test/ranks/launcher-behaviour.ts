/** What a rank does in the launcher's tests: the first argument says what, the second which rank (all, when missing). */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import type { JobLink } from '../../src/job-link.js'

/** Nothing here runs longer than this, whatever goes wrong. */
const LIFE_MS = 15_000

const link = (globalThis as Record<symbol, unknown>)[Symbol.for('onecopy.link')] as JobLink & {
  stats(report: object): void
}
const [, , what, whichRank] = process.argv
const chosen = whichRank === undefined || link.rank === Number(whichRank)
const pumpCell = new Int32Array(new SharedArrayBuffer(4))

/** Everybody's card, by rank. */
function gather(card: unknown): Promise<unknown[]> {
  return new Promise((resolve, reject) => link.allgather(card, { resolve, reject }))
}

function printWhatIsTold(): void {
  link.listen({
    peerEnded: (end) => console.log(`told: rank ${end.rank} ${end.how} ${end.exitCode ?? end.signal}`),
    aborted: (byRank, exitCode, reason) => console.log(`told: aborted by ${byRank} ${exitCode} ${reason}`),
    launcherLost: () => console.log('told: launcher lost'),
  })
}

/** Runs `turn` until the time is up. */
function spin(turn: () => void): void {
  const end = performance.now() + LIFE_MS
  while (performance.now() < end) turn()
}

function stay(): void {
  link.ref()
  setTimeout(() => link.unref(), LIFE_MS).unref()
}

class OnecopyLike extends Error {
  override readonly name = 'OnecopyError'
  readonly code: string
  readonly rank: number

  constructor(code: string, rank: number) {
    super(`rank ${rank} is dead`)
    this.code = code
    this.rank = rank
  }
}

/** As the runtime does it: a survivor's pending call rejects with ERR_PROC_FAILED. */
function dieOfPeers(): void {
  link.listen({
    peerEnded: (end) => {
      if (end.how === 'failed') throw new OnecopyLike('ERR_PROC_FAILED', end.rank)
    },
    aborted: (byRank) => {
      throw new OnecopyLike('ERR_ABORTED', byRank)
    },
    launcherLost: () => {},
  })
  stay()
}

const BEHAVIOURS: Record<string, () => void | Promise<void>> = {
  describe: async () => {
    const cards = await gather({ rank: link.rank })
    const env = [process.env.ONECOPY_RANK_LINK ?? 'none', process.env.ONECOPY_RANK, process.env.ONECOPY_SIZE].join(' ')
    const mode = (fs.statSync(link.directory).mode & 0o777).toString(8)
    console.log(JSON.stringify({ rank: link.rank, size: link.size, cards, env, mode, args: process.argv.slice(3) }))
  },
  secret: () => {
    const token = Buffer.from(link.token).toString('hex')
    const seen = fs.readFileSync('/proc/self/environ', 'utf8') + fs.readFileSync('/proc/self/cmdline', 'utf8')
    console.log(`token of ${link.token.length} bytes ${seen.includes(token) ? 'seen' : 'unseen'} ${token}`)
  },
  idle: async () => {
    await gather(null)
    printWhatIsTold()
    console.log(`ready ${process.pid}`)
    stay()
  },
  'spin-deaf': async () => {
    process.on('SIGTERM', () => {})
    process.on('SIGINT', () => {})
    await gather(null)
    fs.writeSync(1, `ready ${process.pid}\n`)
    spin(() => {})
  },
  'spin-pump': async () => {
    process.on('SIGTERM', () => {})
    await gather(null)
    fs.writeSync(1, `ready ${process.pid}\n`)
    spin(() => {
      Atomics.wait(pumpCell, 0, 0, 10)
      link.pump()
    })
  },
  fail: async () => {
    await gather(null)
    if (!chosen) return dieOfPeers()
    throw new Error('the first failure')
  },
  reject: async () => {
    await gather(null)
    if (!chosen) return dieOfPeers()
    void Promise.reject(new Error('the first rejection'))
  },
  exit3: async () => {
    await gather(null)
    if (!chosen) return dieOfPeers()
    process.exit(3)
  },
  abort: async () => {
    await gather(null)
    if (!chosen) return dieOfPeers()
    link.abort(7, 'seen enough')
    process.exit(7)
  },
  crash: async () => {
    await gather(null)
    if (!chosen) return dieOfPeers()
    process.kill(process.pid, 'SIGSEGV')
  },
  noise: async () => {
    await gather(null)
    if (chosen) throw new Error('the first failure')
    link.listen({
      peerEnded: () => {
        console.error('an echo of it')
        process.exit(1)
      },
      aborted: () => {},
      launcherLost: () => {},
    })
    stay()
  },
  'leave-one': async () => {
    await gather(null)
    if (chosen) return
    let told = 0
    link.listen({
      peerEnded: (end) => {
        console.log(`rank ${link.rank} hears that ${end.rank} ${end.how}`)
        if (++told === 1) link.unref()
      },
      aborted: () => {},
      launcherLost: () => {},
    })
    stay()
  },
  'early-exit': async () => {
    if (chosen) {
      console.error('nothing to do for me')
      process.exit(0)
    }
    await gather(null)
  },
  'early-crash': async () => {
    if (chosen) throw new Error('broken before init')
    await gather(null)
  },
  absent: async () => {
    if (chosen) {
      console.error(`${'x'.repeat(60_000)}\nstill thinking`)
      return void setTimeout(() => {}, LIFE_MS)
    }
    await gather(null)
  },
  plain: () => console.log(`rank ${link.rank}`),
  echo: () => {
    if (link.rank > 0) return
    process.stdin.setEncoding('utf8').on('data', (text) => process.stdout.write(`got ${text}`))
  },
  unfinished: () => void process.stdout.write(`line of ${link.rank}\nrest of ${link.rank}`),
  flood: () => {
    const line = `${String(link.rank).repeat(200)}\n`
    for (let count = 0; count < 5000; count++) process.stdout.write(line)
  },
  notices: () => {
    link.notice('cause', 'single copy is refused')
    link.notice('cause', 'single copy is refused')
  },
  statistics: () => link.stats({ sent: { messages: 10 + link.rank, bytes: 100 }, by: 'pipe' }),
  grandchild: async () => {
    await gather(null)
    if (!chosen) return dieOfPeers()
    const child = spawn('sleep', ['12'], { stdio: ['ignore', 'inherit', 'inherit', 3], detached: true })
    child.unref()
    console.log(`grandchild ${child.pid}`)
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 50)
  },
  'nested-marker': () => {
    assert.equal(process.env.MALLOC_TRIM_THRESHOLD_, undefined)
    const code =
      '[process.env.ONECOPY_RANK_LINK, globalThis[Symbol.for("onecopy.link")], process.env.MALLOC_TOP_PAD_].map(String).join(" ")'
    spawn(process.execPath, ['-p', code], { stdio: ['ignore', 'inherit', 'inherit'] })
  },
}

await BEHAVIOURS[what as string]?.()
