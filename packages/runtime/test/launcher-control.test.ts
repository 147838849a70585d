import assert from 'node:assert/strict'
import fs from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  encodeMessage,
  LENGTH_BYTES,
  MessageReader,
  validLauncherMessage,
  validRankMessage,
} from '../dist/launcher/control-message.js'
import { Exchange } from '../dist/launcher/exchange.js'
import { parseProgram, splitPrograms } from '../dist/launcher/programs.js'

describe('the control line', () => {
  const messages = [
    { type: 'notice', key: 'k', message: 'größer 🙂' },
    { type: 'card', round: 0, card: { deep: [1, 2, { text: 'x'.repeat(3000) }] } },
    { type: 'leave' },
  ] as const
  const stream = Buffer.concat(messages.map((message) => encodeMessage(message)))

  it('gives back what was said, wherever the stream is cut', () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      const heard: unknown[] = []
      const reader = new MessageReader(100_000, (message) => heard.push(message))
      reader.push(stream.subarray(0, cut))
      reader.push(stream.subarray(cut))
      assert.deepEqual(heard, messages)
    }
    const heard: unknown[] = []
    const reader = new MessageReader(100_000, (message) => heard.push(message))
    for (const byte of stream) reader.push(Uint8Array.of(byte))
    assert.deepEqual(heard, messages)
  })

  it('keeps its own copy of a piece', () => {
    const heard: unknown[] = []
    const reader = new MessageReader(100_000, (message) => heard.push(message))
    const scratch = Buffer.from(stream.subarray(0, 20))
    reader.push(scratch)
    scratch.fill(0)
    reader.push(stream.subarray(20))
    assert.deepEqual(heard, messages)
  })

  it('refuses lengths of 0 and above the limit before it reads on, and what is no JSON', () => {
    for (const length of [0, 101, 2 ** 31, 2 ** 32 - 1]) {
      const bytes = Buffer.alloc(LENGTH_BYTES)
      bytes.writeUInt32LE(length)
      assert.throws(() => new MessageReader(100, () => {}).push(bytes), /1 to 100 are possible/)
    }
    const nonsense = Buffer.from('\u0004\0\0\0GET ')
    assert.throws(() => new MessageReader(100, () => {}).push(nonsense), SyntaxError)
  })

  it('believes nothing that is no message', () => {
    const wrong: unknown[] = [
      null,
      7,
      [],
      {},
      { type: 'card', round: -1, card: 1 },
      { type: 'card', round: 0 },
      { type: 'hello', pid: 1.5, namespace: '' },
      { type: 'abort', exitCode: 'one', reason: '' },
      { type: 'notice', key: 1, message: '' },
      { type: 'stats', report: null },
      { type: '__proto__' },
      { type: 'toString' },
    ]
    for (const value of wrong) assert.throws(() => validRankMessage(value), Error, JSON.stringify(value))
    for (const value of [...wrong, { type: 'gathered', round: 0, cards: {} }, { type: 'aborted', exitCode: 1 }]) {
      assert.throws(() => validLauncherMessage(value), Error, JSON.stringify(value))
    }
  })
})

describe('the exchange of cards', () => {
  /** An exchange that keeps what it says. */
  function recorded(size: number, startTimeoutMs = 60_000) {
    const said: [number, string, unknown][] = []
    const missing: (readonly number[])[] = []
    const exchange = new Exchange({
      size,
      startTimeoutMs,
      send: (rank, message) => {
        const told = message.type === 'gathered' ? message.cards : message.type === 'refused' ? message.code : null
        said.push([rank, message.type, told])
      },
      onStartTimeout: (ranks) => missing.push(ranks),
    })
    return { exchange, said, missing }
  }

  it('hands everybody all cards, round after round', () => {
    const { exchange, said } = recorded(2)
    for (const round of [0, 1, 2]) {
      exchange.card(1, round, `b${round}`)
      exchange.card(0, round, `a${round}`)
      assert.deepEqual(said.splice(0), [
        [0, 'gathered', [`a${round}`, `b${round}`]],
        [1, 'gathered', [`a${round}`, `b${round}`]],
      ])
    }
    exchange.close()
  })

  it('refuses a card out of turn', () => {
    const { exchange } = recorded(3)
    exchange.card(0, 0, null)
    assert.throws(() => exchange.card(0, 0, null), /out of turn/)
    assert.throws(() => exchange.card(0, 1, null), /out of turn/)
    assert.throws(() => exchange.card(1, 1, null), /out of turn/)
    exchange.close()
  })

  it('refuses a round that a rank can no longer join, to those who wait and to those who come later', () => {
    const { exchange, said } = recorded(3)
    exchange.card(0, 0, null)
    exchange.ended(2, 'exit code 0')
    assert.deepEqual(said.splice(0), [[0, 'refused', 'ERR_EARLY_EXIT']])
    exchange.card(1, 0, null)
    assert.ok(said.some(([rank, type]) => rank === 1 && type === 'refused'))
  })

  it('lets a rank end that has given its card', () => {
    const { exchange, said } = recorded(2)
    exchange.card(0, 0, 'a')
    exchange.ended(0, 'exit code 0')
    exchange.card(1, 0, 'b')
    assert.deepEqual(said.at(-1), [1, 'gathered', ['a', 'b']])
    exchange.close()
  })

  it('gives up on ranks that do not come', async () => {
    const { exchange, said, missing } = recorded(3, 20)
    exchange.card(1, 0, null)
    while (missing.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.deepEqual(missing, [[0, 2]])
    assert.deepEqual(said, [[1, 'refused', 'ERR_START_TIMEOUT']])
  })
})

describe('several programs in one command', () => {
  it('are cut at a colon before -n, and nowhere else', () => {
    assert.deepEqual(splitPrograms(['run', '-n', '2', 'a', ':', 'x', ':', '-n', '1', 'b', ':']), [
      ['run', '-n', '2', 'a', ':', 'x'],
      ['-n', '1', 'b', ':'],
    ])
    assert.deepEqual(parseProgram(['-n', '3', 'b.ts', '-n', '1']), { size: 3, script: 'b.ts', args: ['-n', '1'] })
    assert.deepEqual(parseProgram(['-n3', 'b.ts']), { size: 3, script: 'b.ts', args: [] })
    assert.throws(() => parseProgram(['-n', '3', '--label', 'b.ts']), /put the job's options before the first script/)
  })
})

describe('the table of transports', () => {
  it('is the one file of the runtime that knows a transport’s package', () => {
    const folder = fileURLToPath(new URL('../src/', import.meta.url))
    const files = fs.readdirSync(folder, { recursive: true }).map(String)
    const knowing = files.filter(
      (name) => name.endsWith('.ts') && /'@onecopy\/transport-/.test(fs.readFileSync(folder + name, 'utf8')),
    )
    assert.deepEqual(knowing, ['transports.ts'])
  })
})
