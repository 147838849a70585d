import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { Libc } from '../src/libc/libc.js'
import { CmaJob } from './cma-job.js'

describe('a rank that offers its core to others', () => {
  it('is away for them until it has it back, on every channel, and nobody else is', async () => {
    const job = await CmaJob.prepare(3)
    const { schedYield } = Libc.prototype
    try {
      const ends = await job.openAll()
      const boards = ends.map((end) => end.board!)
      const ranks = [2, 0, 1]
      const channels = boards.flatMap((board) => [0, board.channels - 1].map((index) => board.channel(index, ranks)))
      const away = (): number[][] => channels.map((channel) => ranks.filter((_, member) => channel.isAway(member)))
      const during: number[][][] = []
      Libc.prototype.schedYield = function (): number {
        during.push(away())
        return schedYield.call(this)
      }
      for (const end of ends) end.yield()
      assert.deepEqual(
        during,
        [0, 1, 2].map((rank) => channels.map(() => [rank])),
      )
      assert.deepEqual(
        away(),
        channels.map(() => []),
      )
    } finally {
      Libc.prototype.schedYield = schedYield
      job.close()
    }
  })

  it('needs no board for it: there is none with many ranks', async () => {
    const job = await CmaJob.prepare(40)
    try {
      const end = await job.open(39)
      assert.equal(end.board?.channels, 0)
      end.yield()
    } finally {
      job.close()
    }
  })
})
