export { ERROR_CODES, type ErrorCode, type ErrorFields, OnecopyError } from './errors.js'
export type { FrameReceiver } from './frame-receiver.js'
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
