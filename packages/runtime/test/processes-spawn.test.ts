import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { bundledScript } from './support/bundle.js'
import { CleanRoom } from './support/clean.js'
import { type CommandOptions, type RunningCommand, runCommand } from './support/command.js'

const script = bundledScript('ranks/processes.ts')
const preload = bundledScript('support/no-reopen-preload.ts')
const TIMEOUT_MS = 40_000

describe('spawn', function () {
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

  const run = async (flags: string[], words: string[]): Promise<RunningCommand> => {
    const command = await runCommand(['run', ...flags, script, ...words], options)
    assert.equal(command.exitCode, 0, command.stdout + command.stderr)
    return command
  }

  for (const transport of ['cma', 'pipe']) {
    for (const [parents, children, face] of [
      [1, 1, 'async'],
      [1, 3, 'mixed'],
      [2, 2, 'sync'],
      [2, 2, 'async'],
      [3, 1, 'sync'],
      [3, 2, 'mixed'],
    ]) {
      it(`${children} children of ${parents} parents exchange everything, ${face}, over ${transport}`, async () => {
        const { stdout } = await run(
          ['-n', String(parents), '-t', transport],
          ['exchange', String(children), face as string],
        )
        assert.match(stdout, transport === 'cma' ? /exchanged over cma \(single copy\)/ : /exchanged over pipe/)
      })
    }
  }

  for (const face of ['sync', 'async']) {
    for (const transport of ['cma', 'pipe', 'cma,pipe']) {
      it(`moves one job while it waits in another, ${face}, over ${transport}`, async () => {
        const { stdout } = await run(['-n', '2', '-t', transport], ['across', face])
        assert.match(stdout, /moved across/)
      })
    }
  }

  const FAILURES = [
    'after: ERR_CLOSED',
    'after: ERR_CLOSED',
    'no script: TypeError: no such script',
    'root: RangeError',
    'world: TypeError',
    'connect: ERR_TIMEOUT',
    'listen: ERR_TIMEOUT',
    'over: ERR_CLOSED',
    '0 turns of the event loop',
  ]

  const assertBlocked = (stdout: string, ranks: number): void => {
    for (const words of new Set(FAILURES)) {
      const wanted = ranks * FAILURES.filter((each) => each === words).length
      assert.equal(stdout.split('\n').filter((line) => line.startsWith(words)).length, wanted, `${words}: ${stdout}`)
    }
    assert.match(stdout, /^aborted: Error: never$/m)
    assert.equal(stdout.match(/^aborted: ERR_CANCELLED$/gm)?.length ?? 0, ranks - 1)
  }

  for (const transport of ['cma', 'pipe']) {
    for (const ranks of [1, 2, 3]) {
      it(`needs no event loop: ${ranks} ranks over ${transport}`, async () => {
        const { stdout } = await run(['-n', String(ranks), '-t', transport], ['blocking'])
        assertBlocked(stdout, ranks)
      })
    }
  }

  it('cannot be cancelled by some of the ranks, or by all', async () => {
    const { stdout } = await run(['-n', '2'], ['cancelled'])
    assert.match(stdout, /^here and here$/m)
  })

  for (const milliseconds of [0, 40, 80, 120]) {
    it(`ends with a revoked communicator, and holds nobody: after ${milliseconds} ms`, async () => {
      const { stdout } = await run(['-n', '2'], ['revoked', String(milliseconds)])
      assert.equal(
        stdout.match(/^spawn: (ERR_REVOKED|ERR_PROC_FAILED|ERR_EARLY_EXIT|no failure)$/gm)?.length,
        2,
        stdout,
      )
    })
  }

  it('leaves each process known by its place in every job that it is in', async () => {
    const { stdout } = await run(['-n', '2'], ['known'])
    assert.match(stdout, /^all known$/m)
  })

  it('runs several programs as one job', async () => {
    const { stdout } = await run(['-n', '2'], ['several'])
    assert.match(stdout, /^\[\["a",0,3\],\["b",1,3\],\["b",2,3\]\]$/m)
  })

  it('gives children an environment, a folder and node’s options', async () => {
    options = { ...options, env: { ...room.env, OC_TAKEN: 'here' } }
    const { stdout } = await run(['-n', '1'], ['environment'])
    assert.match(stdout, /^\["given","none","\/",".*--stack-size=900"\]$/m)
  })

  it('can be done by children', async () => {
    const { stdout } = await run(['-n', '2'], ['nested', '2'])
    assert.match(stdout, /^2 1 bottom$/m)
  })

  it('can be done by the ranks of two jobs together', async () => {
    const { stdout } = await run(['-n', '2'], ['together'])
    assert.match(stdout, /^\["for 0","for 1","for 2"\]$/m)
  })

  it('takes another way where memory cannot be opened again', async () => {
    const { stdout, stderr } = await run(['-n', '2', `--node-arg=--import=${preload}`], ['exchange', '1', 'async'])
    assert.match(stdout, /exchanged over pipe/)
    assert.match(stderr, /cma cannot be used by rank \d: cannot open \/proc/)
    assert.equal(stderr.match(/onecopy:/g)?.length, 1)
  })

  it('can be done again and again, and leaves nothing behind', async () => {
    const { stdout } = await run(['-n', '2'], ['again'])
    assert.equal(stdout, 'nothing is left\nnothing is left\n')
  })

  it('is compared between ranks with --check', async () => {
    const { stdout } = await run(['-n', '2', '--check'], ['mismatch'])
    for (const what of ['verb', 'root', 'joining']) {
      assert.equal(stdout.match(new RegExp(`^${what}: ERR_MISMATCH$`, 'gm'))?.length, 2, stdout)
    }
  })

  it('leaves nothing behind when the children never meet their parents', async () => {
    const quiet = path.join(room.folder, 'quiet.mjs')
    fs.writeFileSync(quiet, '')
    try {
      const { stdout } = await run(['-n', '2'], ['fruitless', quiet])
      assert.equal(stdout.match(/^spawn \d: ERR_EARLY_EXIT$/gm)?.length, 8, stdout)
      assert.equal(stdout.match(/^nothing is left$/gm)?.length, 2, stdout)
    } finally {
      fs.rmSync(quiet)
    }
  })

  it('can be done twice at once', async () => {
    const { stdout } = await run(['-n', '2'], ['twice'])
    assert.match(stdout, /^\["0","1"\]$/m)
  })

  it('labels what children write', async () => {
    const { stdout } = await run(['-n', '1', '--label'], ['several'])
    for (const line of [/^\[0\] \[\[/m, /^\[child 0\] program a$/m, /^\[child 1\] program b$/m])
      assert.match(stdout, line)
  })

  it('tells a mistake on every rank, and nothing is started', async () => {
    const { stdout } = await run(['-n', '2'], ['bad'])
    const lines = stdout.trim().split('\n').sort()
    assert.equal(lines.length, 12)
    for (const [index, pattern] of [
      /^name: TypeError/,
      /^no script: TypeError: no such script/,
      /^no size: TypeError: the number of ranks/,
      /^root: RangeError/,
      /^timeout: TypeError|^timeout: RangeError/,
      /^world: TypeError/,
    ].entries()) {
      assert.match(lines[2 * index] as string, pattern)
      assert.match(lines[2 * index + 1] as string, pattern)
    }
  })

  describe('from a process that nobody has launched', () => {
    for (const [children, face] of [
      [1, 'async'],
      [2, 'sync'],
      [3, 'mixed'],
    ]) {
      it(`exchanges everything with ${children} children, ${face}`, async () => {
        const alone = await runAlone(room, [script, 'exchange', String(children), face as string])
        assert.equal(alone.exitCode, 0, alone.output)
        assert.match(alone.output, /exchanged over cma/)
      })
    }

    for (const transport of ['cma', 'pipe']) {
      it(`needs no event loop, over ${transport}`, async () => {
        room.env.ONECOPY_TRANSPORT = transport
        const alone = await runAlone(room, [script, 'blocking'])
        assert.equal(alone.exitCode, 0, alone.output)
        assertBlocked(alone.output, 1)
      })
    }

    it('ends with its children’s code when it has none of its own', async () => {
      const alone = await runAlone(room, [script, 'disconnect'])
      assert.match(alone.output, /went on/)
      assert.equal(alone.exitCode, 3)
    })

    it('ends its children when it is killed', async () => {
      const alone = await runAlone(room, [script, 'parent', 'kill'])
      assert.equal(alone.signal, 'SIGKILL')
    })

    it('goes on when its children fail', async () => {
      const alone = await runAlone(room, [script, 'child', 'kill', 'go on'])
      assert.match(alone.output, /parent 0: ERR_PROC_FAILED/)
    })
  })
})

interface Alone {
  readonly exitCode: number | null
  readonly signal: string | null
  readonly output: string
}

function runAlone(room: CleanRoom, args: readonly string[]): Promise<Alone> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { env: room.env, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text
      })
    }
    const timer = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS - 5000)
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer)
      resolve({ exitCode, signal, output })
    })
  })
}
