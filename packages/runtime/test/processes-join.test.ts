import assert from 'node:assert/strict'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { bundledScript } from './support/bundle.js'
import { CleanRoom, until } from './support/clean.js'
import { type CommandOptions, PLAIN_UID, RunningCommand } from './support/command.js'
import { requireUser } from './support/reliability.js'

const script = bundledScript('ranks/processes.ts')
const TIMEOUT_MS = 40_000

describe('listen and connect', function () {
  this.timeout(TIMEOUT_MS)
  this.slow(4000)
  let room: CleanRoom
  let options: CommandOptions

  beforeEach(() => {
    room = new CleanRoom()
    options = { env: room.env, deadlineMs: TIMEOUT_MS - 5000 }
  })

  afterEach(async () => {
    try {
      await room.assertClean()
    } finally {
      room.close()
    }
  })

  const start = (ranks: number, words: string[], wish: Partial<CommandOptions> & { flags?: string[] } = {}) =>
    new RunningCommand(['run', '-n', String(ranks), ...(wish.flags ?? []), script, ...words], { ...options, ...wish })

  const run = async (ranks: number, words: string[], wish: Partial<CommandOptions> = {}) => {
    const command = start(ranks, words, wish)
    await command.ended
    return command
  }

  const namesFolder = (uid = process.geteuid?.() ?? 0): string => path.join(room.folder, `onecopy-names-${uid}`)

  /** The folder with a name in it. */
  const named = (uid?: number): Promise<void> =>
    until(
      () => fs.existsSync(namesFolder(uid)) && fs.readdirSync(namesFolder(uid)).length > 0,
      15_000,
      'somebody who listens',
    )

  for (const transport of ['cma', 'pipe']) {
    for (const [listeners, connectors, face] of [
      [1, 1, 'async'],
      [2, 3, 'mixed'],
      [3, 2, 'sync'],
    ] as const) {
      it(`${listeners} and ${connectors} ranks exchange everything, ${face}, over ${transport}`, async () => {
        const flags = ['-t', transport]
        const [listening, connecting] = [
          start(listeners, ['join', 'listen', 'some name/with: anything', face], { flags }),
          start(connectors, ['join', 'connect', 'some name/with: anything', face], { flags }),
        ]
        await Promise.all([listening.ended, connecting.ended])
        assert.equal(listening.exitCode, 0, listening.stderr)
        assert.equal(connecting.exitCode, 0, connecting.stderr)
        assert.equal(listening.stdout.match(/exchanged/g)?.length, listeners)
        assert.equal(connecting.stdout.match(/exchanged/g)?.length, connectors)
      })
    }
  }

  it('serves several jobs that come at once, one after the other', async () => {
    const clients = [1, 2, 1, 2].map((ranks) => start(ranks, ['client', 'service']))
    const server = start(2, ['serve', 'service', String(clients.length)])
    await Promise.all([...clients, server].map(({ ended }) => ended))
    assert.equal(server.exitCode, 0, server.stderr)
    const served = clients.map(({ stdout }, index) => {
      const lines = new Set(stdout.trim().split('\n'))
      assert.equal(lines.size, 1, `client ${index}: ${stdout}`)
      return [...lines][0]
    })
    assert.deepEqual(served.sort(), [
      'served as client 0',
      'served as client 1',
      'served as client 2',
      'served as client 3',
    ])
  })

  it('works for a user without rights', async function () {
    requireUser(this, PLAIN_UID)
    const [listening, connecting] = [
      start(2, ['join', 'listen', 'x', 'async'], { uid: PLAIN_UID }),
      start(2, ['join', 'connect', 'x', 'async'], { uid: PLAIN_UID }),
    ]
    await Promise.all([listening.ended, connecting.ended])
    assert.equal(listening.exitCode, 0, listening.stderr)
    assert.equal(connecting.exitCode, 0, connecting.stderr)
  })

  it('joins a job and a process that nobody has launched', async () => {
    const listening = start(2, ['join', 'listen', 'x', 'mixed'])
    const { execFile } = await import('node:child_process')
    const stdout = await new Promise<string>((resolve) => {
      const words = [script, 'join', 'connect', 'x', 'sync']
      execFile(process.execPath, words, { env: room.env, timeout: 20_000 }, (_, text) => resolve(text))
    })
    await listening.ended
    assert.match(stdout, /connect 0 exchanged/)
    assert.equal(listening.exitCode, 0, listening.stderr)
  })

  it('gives up when its time is over, or by a signal', async () => {
    const { stdout, exitCode, stderr } = await run(2, ['refuse', 'nobody'])
    assert.equal(exitCode, 0, stderr)
    assert.equal(stdout.match(/^timeout: ERR_TIMEOUT$/gm)?.length, 2, stdout)
    assert.equal(stdout.match(/^listen timeout: ERR_TIMEOUT$/gm)?.length, 2, stdout)
    assert.match(stdout, /^signal: Error: changed my mind$/m)
    assert.match(stdout, /^signal: ERR_CANCELLED$/m)
    assert.match(stdout, /^aborted: Error: never$/m)
    assert.match(stdout, /^aborted: ERR_CANCELLED$/m)
  })

  for (const transport of ['cma', 'pipe']) {
    for (const [how, code] of [
      ['revoke', 'ERR_REVOKED'],
      ['free', 'ERR_CLOSED'],
      ['cancel', 'ERR_CANCELLED'],
    ]) {
      it(`is given up by all when one rank ends it: ${how}, over ${transport}`, async () => {
        const command = start(2, ['interrupted', how as string], { flags: ['-t', transport] })
        await command.ended
        assert.equal(command.exitCode, 0, command.stderr)
        assert.equal(command.stdout.match(new RegExp(`^interrupted: ${code}$`, 'gm'))?.length, 2, command.stdout)
      })
    }
  }

  it('refuses a name that is taken, and takes one whose owner was killed', async () => {
    const first = start(1, ['taken', 'mine'])
    await named()
    const second = await run(2, ['take', 'mine'])
    assert.equal(second.stdout.match(/^take: ERR_UNAVAILABLE$/gm)?.length, 2, second.stdout)
    const [file = ''] = fs.readdirSync(namesFolder())
    const text = fs.readFileSync(path.join(namesFolder(), file), 'utf8')
    process.kill(first.pid, 'SIGKILL')
    await first.ended
    await room.assertClean()
    // As if the guardian had been killed as well.
    fs.mkdirSync(namesFolder(), { mode: 0o700 })
    fs.writeFileSync(path.join(namesFolder(), file), text, { mode: 0o600 })
    const third = await run(1, ['take', 'mine'])
    assert.match(third.stdout, /^take: ERR_TIMEOUT$/m)
  })

  it('refuses a folder that is not this user’s alone', async () => {
    fs.mkdirSync(namesFolder())
    fs.chmodSync(namesFolder(), 0o777)
    const { stdout } = await run(1, ['take', 'x'])
    fs.rmdirSync(namesFolder())
    assert.match(stdout, /^take: ERR_AUTH$/m)
  })

  it('lets no other user in', async function () {
    requireUser(this, PLAIN_UID)
    const listening = start(1, ['taken', 'secret'])
    await named()
    const stranger = await run(1, ['refuse', 'secret'], { uid: PLAIN_UID })
    assert.match(stranger.stdout, /^timeout: ERR_TIMEOUT$/m)
    const { socket } = entryIn(namesFolder())
    const words = ['--reuid', String(PLAIN_UID), '--regid', String(PLAIN_UID), '--clear-groups', process.execPath, '-e']
    const { spawnSync } = await import('node:child_process')
    const code = `net.connect(${JSON.stringify(socket)}).on('error', (e) => console.log(e.code)).on('connect', () => console.log('in'))`
    assert.equal(spawnSync('setpriv', [...words, code], { encoding: 'utf8', timeout: 5000 }).stdout.trim(), 'EACCES')
    for (const name of [namesFolder(), path.join(namesFolder(), fs.readdirSync(namesFolder())[0] as string), socket]) {
      assert.equal(fs.lstatSync(name).mode & 0o077, 0, name)
    }
    process.kill(listening.pid, 'SIGTERM')
    await listening.ended
  })

  it('hangs up on whoever does not say the token, and is unharmed', async () => {
    const listening = start(1, ['join', 'listen', 'y', 'async'])
    await named()
    const { socket } = entryIn(namesFolder())
    const hello = (text: string): Buffer => {
      const bytes = Buffer.from(`....${text}`)
      bytes.writeUInt32LE(bytes.length - 4)
      return bytes
    }
    const inputs = [
      Buffer.alloc(0),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.alloc(65536, 1),
      Buffer.alloc(4),
      Buffer.from([255, 255, 255, 127, 0]),
      hello('null'),
      hello('{"type":"knock","token":"00","size":1}'),
      hello(`{"type":"knock","token":"${'0'.repeat(64)}","size":1}`),
      hello('{"type":"member","member":0,"message":{}}'),
    ]
    for (const bytes of inputs) {
      assert.equal(await answerTo(socket, bytes), '', bytes.subarray(0, 40).toString())
    }
    const idle = Array.from({ length: 40 }, () => net.connect(socket).on('error', () => {}))
    await until(
      () => idle.filter((one) => one.destroyed || one.readyState === 'closed').length >= 24,
      8000,
      'most refused',
    )
    for (const one of idle) one.destroy()
    const connecting = await run(1, ['join', 'connect', 'y', 'async'])
    await listening.ended
    assert.equal(connecting.exitCode, 0, connecting.stderr)
    assert.equal(listening.exitCode, 0, listening.stderr)
    assert.equal(listening.stderr.match(/ERR_AUTH/g)?.length, 1)
  })

  for (const victim of ['a rank', 'the launcher']) {
    it(`goes on when ${victim} of the other job is killed`, async () => {
      const listening = start(2, ['survive', 'listen', 'z', 'stay'])
      const connecting = start(2, ['survive', 'connect', 'z', 'fall'])
      const [found] = await connecting.printed(/connect ready (\d+)/, 2)
      await listening.printed(/listen ready/, 2)
      process.kill(victim === 'a rank' ? Number(found?.[1]) : connecting.pid, 'SIGKILL')
      await connecting.ended
      await listening.ended
      assert.equal(listening.exitCode, 0, listening.stderr)
      assert.equal(listening.stdout.match(/^to: ERR_PROC_FAILED$/gm)?.length, 2, listening.stdout)
      assert.equal(listening.stdout.match(/^agreed on 2$/gm)?.length, 2, listening.stdout)
      assert.equal(listening.stdout.match(/who listens goes on/g)?.length, 2)
    })
  }

  it('goes on, and agrees, when the launcher that coordinates is killed', async () => {
    const listening = start(2, ['survive', 'listen', 'y', 'fall'])
    const connecting = start(2, ['survive', 'connect', 'y', 'stay'])
    await listening.printed(/listen ready/, 2)
    await connecting.printed(/connect ready/, 2)
    process.kill(listening.pid, 'SIGKILL')
    await listening.ended
    await connecting.ended
    assert.equal(connecting.exitCode, 0, connecting.stderr)
    assert.equal(connecting.stdout.match(/^agreed on 2$/gm)?.length, 2, connecting.stdout)
    assert.equal(connecting.stdout.match(/who connects goes on/g)?.length, 2)
  })
})

function entryIn(folder: string): { socket: string } {
  const [file = ''] = fs.readdirSync(folder)
  return JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8').split('\n')[1] as string) as { socket: string }
}

/** What comes back, once the other end has hung up. */
function answerTo(path: string, bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = net.connect(path, () => (bytes.length === 0 ? socket.end() : socket.write(bytes)))
    socket.on('data', (chunk) => {
      text += chunk.toString()
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
  })
}
