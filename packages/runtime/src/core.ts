/**
 * All that runs in a rank, as one module: the library, and what makes a rank of a process before its script is there. Its
 * bundle is what `import` and `require` of the library come to.
 */
export * as library from './index.js'
export { isInitialized } from './init.js'
export { startRank } from './launcher/start-rank.js'
