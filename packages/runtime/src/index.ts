export { ERROR_CODES, type ErrorCode, OnecopyError } from '@onecopy/transport'
export { type AttributeCallbacks, AttributeKey } from './attributes.js'
export type { LayoutAcross } from './collectives/across.js'
export type {
  ElementKind,
  ExchangeLayout,
  Layout,
  RootedLayout,
  ScatterLayout,
  TypedArray,
} from './collectives/index.js'
export type { Communicator } from './communicator.js'
export type { CommunicatorBase, ErrorHandler, MessagesOptions } from './communicator-base.js'
export {
  ANY_SOURCE,
  ANY_TAG,
  CONGRUENT,
  ERRORS_ARE_FATAL,
  ERRORS_RETURN,
  IDENT,
  IN_PLACE,
  PROC_NULL,
  ROOT,
  SIMILAR,
  TAG_MAX,
  UNDEFINED,
  UNEQUAL,
} from './constants.js'
export { type Comparison, Group, type RankRange } from './group.js'
export { init } from './init.js'
export type { Intercommunicator } from './intercommunicator.js'
export type { Statistics } from './job.js'
export { launch } from './launch.js'
export type { JobResult, RankResult } from './launcher/job-result.js'
export type { LaunchOptions, Program } from './launcher/launch-options.js'
export { connect, listen } from './listen.js'
export type { MatchedMessage } from './matched-message.js'
export type { Message } from './message.js'
export * from './operation.js'
export { parent } from './parent.js'
export type { PersistentRequest } from './persistent-request.js'
export type { SendrecvOptions, WaitOptions } from './point-to-point.js'
export type { JoinOptions } from './processes/join.js'
export type { SpawnOptions, SpawnProgram } from './processes/spawn.js'
export type { Thresholds } from './protocol.js'
export type { Request } from './request.js'
export { Status } from './status.js'
export type { SyncCommunicator } from './sync-communicator.js'
export type { SyncIntercommunicator } from './sync-intercommunicator.js'
export type { SyncPointToPoint } from './sync-point-to-point.js'
export {
  type DoneRequest,
  testAll,
  testAny,
  testSome,
  waitAllSync,
  waitAnySync,
  waitSomeSync,
} from './waiting.js'
