export { type Board, type BoardChannel, NOT_TOLD, TOLD_ILL, TOLD_WELL } from './board/board.js'
export { boardLayout } from './board/board-layout.js'
export { type BoardMemory, MemoryBoard } from './board/memory-board.js'
export { ERROR_CODES, type ErrorCode, type ErrorFields, OnecopyError } from './errors.js'
export type { FaultOptions, PeerCorruption, PeerDeath, RemoteMemoryFault } from './faults/fault-options.js'
export type { FaultyTransport } from './faults/faulty-transport.js'
export { withFaults } from './faults/with-faults.js'
export { checkFrame } from './frame-check.js'
export type { FrameReceiver } from './frame-receiver.js'
export {
  createInProcessNetwork,
  type InProcessNetwork,
  type InProcessOptions,
} from './in-process/in-process-network.js'
export type { RemoteMemoryPolicy } from './in-process/in-process-remote-memory.js'
export { REGION_WORDS, type RemoteMemory, type RemoteMemoryLimits } from './remote-memory.js'
export {
  FRAME_WORDS_MAX,
  type JobPlan,
  type PreparedTransport,
  type Probe,
  type Transport,
  type TransportJob,
  type TransportLimits,
  type TransportProvider,
} from './transport.js'
export { copyWords, WordView } from './word-view.js'
