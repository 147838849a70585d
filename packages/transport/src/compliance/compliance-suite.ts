import { type Area, declareArea } from './area.js'
import { backPressure } from './back-pressure.js'
import { delivery } from './delivery.js'
import { lifecycle, worldOfOne } from './lifecycle.js'
import { ordering } from './ordering.js'
import { peerFailure } from './peer-failure.js'
import { polling } from './polling.js'
import { posting } from './posting.js'
import { remoteRead } from './remote-memory.js'
import { remoteWrite } from './remote-write.js'
import { stress } from './stress.js'
import type { ComplianceRunner, ComplianceSubject } from './subject.js'
import { wakeUp } from './wake-up.js'

const AREAS: readonly Area[] = [
  delivery,
  ordering,
  backPressure,
  polling,
  remoteRead,
  remoteWrite,
  wakeUp,
  posting,
  lifecycle,
  worldOfOne,
  peerFailure,
  stress,
]

/**
 * Declares the tests that every transport must pass: each sentence of the contract that can be observed from outside.
 *
 * Every test gets a fresh job from `subject.open`, with all its ranks in this one process and on this one thread, and
 * gives it back with `close`. The suite moves frames by polling, and lets the event loop turn in between; it needs
 * nothing from Node but what is handed in.
 *
 * @example
 *     import { complianceSuite } from '@onecopy/transport/compliance'
 *
 *     complianceSuite({ describe, it, beforeEach, afterEach }, {
 *       name: 'carrier-pigeon',
 *       turn: () => new Promise((resolve) => setImmediate(resolve)),
 *       lacks: { remoteMemory: 'pigeons carry frames only', board: 'pigeons visit one rank at a time' },
 *       async open(size) {
 *         const transports = await openPigeons(size)
 *         return { transports, close: () => transports.forEach((transport) => transport.abort()) }
 *       },
 *     })
 */
export function complianceSuite(runner: ComplianceRunner, subject: ComplianceSubject): void {
  runner.describe(`${subject.name}: the transport contract`, () => {
    for (const area of AREAS) declareArea(runner, subject, area)
  })
}
