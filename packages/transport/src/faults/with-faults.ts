import type { Transport } from '../transport.js'
import type { FaultOptions } from './fault-options.js'
import { FaultyTransport } from './faulty-transport.js'

/**
 * Puts seeded faults in front of any transport: refusals, delays, remote copies that fail at the n-th call or half-way,
 * peers that die or become unbelievable. What comes out still keeps to the contract, so whoever uses a transport rightly
 * loses nothing; that is what the wrapper is there to test.
 *
 * The wrapper owns the transport: close and abort go through. It allocates per frame, so it is not for measuring. Every
 * error it makes up ends with the seed.
 * @throws RangeError when a probability is not one.
 */
export function withFaults(transport: Transport, options: FaultOptions): FaultyTransport {
  return new FaultyTransport(transport, options)
}
