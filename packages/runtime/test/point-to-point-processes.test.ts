import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import os from 'node:os'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { launch } from 'onecopy'
import { bundledScript } from './support/bundle.js'

const script = bundledScript('ranks/point-to-point.ts')
const leaving = bundledScript('ranks/leaving.ts')
/** Both sides' memory of 2 GiB, and room for everybody else. */
const HUGE_FREE_BYTES = 7 * 1024 ** 3
const JOB_SECONDS = 60

const ALL = 'lengths,types,values,crossing,early,pull,behind,refusals,mistakes,traffic'
const SHORT = 'lengths,crossing,traffic'

interface Wish {
  readonly script?: string
  readonly transport?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Runs the scenarios on `size` ranks; fails with what the ranks wrote when not all of them got to their end. */
async function run(size: number, face: string, scenarios: string, wish: Wish = {}): Promise<void> {
  const [out, err] = [new Collector(), new Collector()]
  const result = await launch({
    size,
    script: wish.script ?? script,
    args: [face, scenarios],
    transport: wish.transport ?? 'cma',
    env: { ...process.env, ...wish.env },
    stdout: out,
    stderr: err,
    timeout: JOB_SECONDS,
  })
  assert.equal(result.exitCode, 0, `${result.error?.message}\n${out.text}\n${err.text}`)
}

class Collector extends Writable {
  text = ''

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

const WAYS: Record<string, Wish> = {
  cma: { transport: 'cma' },
  'cma without single copy': { transport: 'cma', env: { ONECOPY_CMA: 'off' } },
  pipe: { transport: 'pipe' },
}

describe('point to point between processes', function () {
  this.timeout((JOB_SECONDS + 5) * 1000)

  for (const [name, wish] of Object.entries(WAYS)) {
    for (const face of ['sync', 'async', 'mixed']) {
      it(`2 ranks, ${face}, over ${name}`, () => run(2, face, `${ALL},closed`, wish))
    }
    it(`3 ranks, mixed, over ${name}`, () => run(3, 'mixed', `${SHORT},early,refusals,ending`, wish))
    it(`4 ranks, mixed, over ${name}`, () => run(4, 'mixed', SHORT, wish))
    it(`3 ranks, mixed, both ends copying, over ${name}`, () =>
      run(3, 'mixed', SHORT, { ...wish, env: { ...wish.env, ONECOPY_BOTH_ENDS: '57344' } }))
    it(`sends that the script ends with, over ${name}`, () => run(2, 'async', 'ending', wish))
    for (const way of ['signal', 'cancel', 'free', 'self', 'messages', 'sync']) {
      it(`ends once nothing is pending any more (${way}), over ${name}`, () =>
        run(2, way, '', { ...wish, script: leaving }))
    }
    it(`process.exit() right behind the last send, over ${name}`, () => run(2, 'sync', 'exit', wish))
  }

  for (const ffi of ['koffi', 'ffi-napi']) {
    it(`2 ranks, mixed, through ${ffi}`, () => run(2, 'mixed', SHORT, { env: { ONECOPY_FFI: ffi } }))
  }

  it('2 ranks with nothing eager, and with everything eager', async () => {
    await run(2, 'mixed', SHORT, { env: { ONECOPY_EAGER: '0' } })
    await run(2, 'mixed', SHORT, { env: { ONECOPY_EAGER: '1000000' } })
  })

  it('1 rank, and a process that nobody has launched', async () => {
    await run(1, 'async', 'types,values,crossing,early,mistakes,traffic,closed')
    const args = [script, 'async', 'types,values,crossing,early,mistakes,traffic,closed']
    assert.match(execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 }), /rank 0 is done/)
  })

  it('from CommonJS', async () => {
    const commonjs = fileURLToPath(new URL('./ranks/point-to-point-commonjs.cjs', import.meta.url))
    await run(3, '', '', { script: commonjs })
    assert.match(execFileSync(process.execPath, [commonjs], { encoding: 'utf8', timeout: 30_000 }), /rank 0 is done/)
  })

  it('one message of more than 2 GiB, copied once', async function () {
    if (os.freemem() < HUGE_FREE_BYTES) {
      console.log(`      skipped: ${os.freemem()} bytes free, ${HUGE_FREE_BYTES} needed`)
      this.skip()
    }
    await run(2, 'sync', 'huge')
  })
})
