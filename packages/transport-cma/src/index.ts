export { cmaProvider } from './cma-provider.js'
export { type LibcChoice, loadLibc } from './libc/choose.js'
export type { IovecLayout, Libc } from './libc/libc.js'
export { setParentDeathSignal } from './parent-death.js'
