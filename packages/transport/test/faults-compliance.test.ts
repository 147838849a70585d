import { createInProcessNetwork, type FaultOptions, withFaults } from '@onecopy/transport'
import { complianceSuite } from '@onecopy/transport/compliance'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

// Faults that the contract allows: whoever keeps to it must not notice them.
function runWith(title: string, options: Omit<FaultOptions, 'seed'>, lacks = {}): void {
  for (const seed of [1, 20_261_123]) {
    complianceSuite(
      { describe, it, beforeEach, afterEach },
      {
        name: `in-process with ${title} (fault seed ${seed})`,
        turn,
        lacks,
        async open(size) {
          const network = createInProcessNetwork({ size, schedule: setImmediate })
          const transports = Array.from({ length: size }, (_, rank) => {
            return withFaults(network.transport(rank), { ...options, seed: seed + rank })
          })
          return {
            transports,
            kill: (rank) => network.kill(rank),
            close: () => {
              for (const transport of transports) transport.abort()
            },
          }
        },
      },
    )
  }
}

runWith('no faults', {})
runWith('refusals', { refuse: 0.3 })
runWith('delays', { delay: 0.3, delayPollsMax: 7 })
runWith(
  'refusals, delays and refused writes',
  {
    refuse: 0.2,
    delay: 0.2,
    remoteMemory: [{ error: 'EPERM', operation: 'write', call: 0 }],
  },
  { remoteWrite: 'refused by a fault' },
)
runWith(
  'remote memory refused',
  { remoteMemory: [{ error: 'ENOSYS', call: 0 }] },
  { remoteMemory: 'refused by a fault' },
)
