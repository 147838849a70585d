import assert from 'node:assert/strict'
import { thresholdsFor } from '../src/protocol.js'

const KIB = 1024
const RING = { frameBytesMax: 64 * KIB, inlineBytesMax: 72, frameCostBytes: KIB, queueBytesMax: 512 * KIB }

describe('the thresholds of a way between two ranks', () => {
  it('cut long messages shorter than a frame may be, so that both ends copy at once', () => {
    const { eagerPartBytes, streamFrameBytes } = thresholdsFor(RING, {})
    assert.ok(eagerPartBytes < RING.frameBytesMax && eagerPartBytes >= RING.frameCostBytes)
    assert.ok(streamFrameBytes < RING.frameBytesMax && streamFrameBytes >= RING.frameCostBytes)
  })

  it('never cut them shorter than what a frame costs by itself', () => {
    const frameCostBytes = 40_000
    const { eagerPartBytes, streamFrameBytes } = thresholdsFor({ ...RING, frameCostBytes }, {})
    assert.equal(eagerPartBytes, frameCostBytes)
    assert.equal(streamFrameBytes, frameCostBytes)
  })

  it('never make a frame longer than the transport takes, whatever it costs and whatever is wished', () => {
    for (const frameBytesMax of [1, KIB, 16 * KIB]) {
      const limits = { ...RING, frameBytesMax, frameCostBytes: frameBytesMax }
      for (const settings of [{}, { eagerPart: String(64 * KIB) }]) {
        const { eagerPartBytes, streamFrameBytes } = thresholdsFor(limits, settings)
        assert.equal(eagerPartBytes, frameBytesMax)
        assert.equal(streamFrameBytes, frameBytesMax)
      }
    }
  })

  it('let nothing leave at once that is not eager, or not in one part', () => {
    const costly = { ...RING, frameCostBytes: 64 * KIB }
    for (const settings of [{}, { eager: '0' }, { eager: '100' }, { eagerPart: '100' }, { bothEnds: '100' }]) {
      for (const limits of [RING, costly]) {
        const { eagerAtOnceBytesMax, eagerBytesMax, eagerBytesMaxRemote, eagerPartBytes } = thresholdsFor(
          limits,
          settings,
        )
        assert.equal(eagerAtOnceBytesMax, Math.min(eagerBytesMax, eagerBytesMaxRemote, eagerPartBytes))
      }
    }
    assert.equal(thresholdsFor(costly, { eager: '0' }).eagerAtOnceBytesMax, 0)
  })

  it('take a wish as it is, and leave out what is none', () => {
    const usual = thresholdsFor(RING, {})
    assert.equal(thresholdsFor(RING, { eagerPart: '100' }).eagerPartBytes, 100)
    assert.equal(thresholdsFor(RING, { eagerPart: '0' }).eagerPartBytes, 1)
    assert.equal(thresholdsFor(RING, { eager: '100' }).eagerBytesMax, 100)
    for (const nonsense of ['', '-1', '1.5', 'much']) {
      const settings = { eager: nonsense === '' ? undefined : nonsense, eagerPart: nonsense || undefined }
      assert.deepEqual(thresholdsFor(RING, settings), usual)
    }
  })

  it('leave no copying to a sender that has no core of its own, unless that is wished', () => {
    const crowded = thresholdsFor(RING, {}, true)
    assert.equal(crowded.bothEndsBytesMin, Number.MAX_SAFE_INTEGER)
    assert.equal(crowded.eagerBytesMaxRemote, crowded.eagerBytesMax)
    assert.equal(thresholdsFor(RING, { bothEnds: '100' }, true).bothEndsBytesMin, 100)
    assert.ok(thresholdsFor(RING, {}).bothEndsBytesMin < crowded.eagerBytesMax)
  })

  it('are there without any transport, for a rank that is alone', () => {
    const { eagerBytesMax, eagerPartBytes } = thresholdsFor(null, {})
    assert.ok(eagerPartBytes > 0 && eagerBytesMax >= eagerPartBytes)
  })
})
