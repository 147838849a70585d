export { allgather, allgatherInto, type Layout } from './allgather.js'
export { allreduce, allreduceInto } from './allreduce.js'
export { alltoall, alltoallInto, type ExchangeLayout } from './alltoall.js'
export type { TypedArray } from './arrays.js'
export { barrier } from './barrier.js'
export { bcast, bcastInto } from './bcast.js'
export type { ElementKind } from './element-kinds.js'
export { exscan, exscanInto } from './exscan.js'
export { gather, gatherInto, type RootedLayout } from './gather.js'
export { reduce, reduceInto } from './reduce.js'
export {
  reduceScatter,
  reduceScatterBlock,
  reduceScatterBlockInto,
  reduceScatterInto,
  type ScatterLayout,
} from './reduce-scatter.js'
export { scan, scanInto } from './scan.js'
export { scatter, scatterInto } from './scatter.js'
