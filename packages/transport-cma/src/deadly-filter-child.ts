// Run by deadly-filter.ts in a process of its own: tries both calls on itself and sees whether it survives.
import { loadLibc } from './libc/choose.js'
import { ProcessVm } from './process-vm.js'

const { libc } = loadLibc(process.argv[2])
if (libc !== null) {
  const memory = new Uint8Array(4096)
  const address = libc.addressOf(memory)
  const vm = new ProcessVm(libc)
  vm.setPiece(1, address, address + 2048, 16)
  vm.read(process.pid, address, 1)
  vm.write(process.pid)
}
