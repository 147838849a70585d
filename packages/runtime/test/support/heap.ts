import v8 from 'node:v8'
import vm from 'node:vm'

/** Bytes that this process's heap holds once nothing is garbage. */
export function heapBytes(): number {
  v8.setFlagsFromString('--expose-gc')
  const collect = vm.runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().heapUsed
}
