import { createInProcessNetwork, type InProcessOptions } from '@onecopy/transport'
import { complianceSuite } from '@onecopy/transport/compliance'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function runOn(name: string, options: Omit<InProcessOptions, 'size'>, lacks = {}): void {
  complianceSuite(
    { describe, it, beforeEach, afterEach },
    {
      name,
      turn,
      lacks,
      async open(size) {
        const network = createInProcessNetwork({ ...options, size })
        const transports = Array.from({ length: size }, (_, rank) => network.transport(rank))
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

runOn('in-process', { schedule: setImmediate })
runOn('in-process, tight limits, microtasks', {
  frameBytesMax: 1024,
  inlineBytesMax: 0,
  queueBytesMax: 1024,
  queueFramesMax: 3,
})
runOn('in-process without remote memory', { remoteMemory: false }, { remoteMemory: 'remoteMemory: false' })
runOn('in-process, remote memory refused', { remoteMemory: () => false }, { remoteMemory: 'refused by policy' })
runOn(
  'in-process, remote writing refused',
  { remoteMemory: (_actor, _target, operation) => operation === 'read' },
  { remoteWrite: 'refused by policy' },
)
