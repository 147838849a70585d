import { closeSync } from 'node:fs'
import type { Probe } from '@onecopy/transport'
import { findDeadlyFilter } from './deadly-filter.js'
import { ENOSYS, errnoName } from './errno.js'
import { Identity } from './identity.js'
import { loadLibc } from './libc/choose.js'
import type { Libc } from './libc/libc.js'
import { ProcessVm } from './process-vm.js'
import { describeRefusal, isFiltered, yamaScope } from './refusal.js'
import { NONCE_BYTES } from './ring-layout.js'

/** Tries the libraries and the calls this transport lives on, in this process. Keeps nothing. */
export function probeCma(choice?: string): Probe {
  const { libc, reason } = loadLibc(choice)
  if (libc === null) return { available: false, reason }
  const details = [`libc through ${reason}`]

  const memfd = libc.memfdCreate('onecopy-probe')
  if (memfd >= 0) {
    closeSync(memfd)
    details.push('memfd')
  } else {
    details.push(`no memfd (${errnoName(-memfd)}): a file in /dev/shm or in the job's directory instead`)
  }

  const futex = libc.futexWake(libc.addressOf(new Int32Array(64)), 1)
  if (futex < 0) return { available: false, reason: `futex: ${errnoName(-futex)}; ranks could not sleep` }

  const deadly = findDeadlyFilter(libc.name)
  const refusal = deadly ?? selfRefusal(libc)
  details.push(refusal === null ? 'process_vm_readv works' : `no single copy: ${refusal}`)

  const pidfd = libc.pidfdOpen(process.pid)
  if (pidfd >= 0) closeSync(pidfd)
  else details.push(`no remote writes: pidfd_open: ${pidfd === -ENOSYS ? 'this kernel has none' : errnoName(-pidfd)}`)
  const scope = yamaScope()
  details.push(scope === null ? 'no Yama' : `Yama ptrace_scope=${scope}`)
  if (isFiltered()) details.push('under a system call filter')
  return { available: true, detail: details.join(', ') }
}

/** Why this process may not even read itself, or null. Finds filters and kernels without the call; peers are asked later. */
function selfRefusal(libc: Libc): string | null {
  const identity = new Identity(libc, 1)
  const vm = new ProcessVm(libc)
  const moved = vm.read(process.pid, libc.addressOf(identity.nonce), 0)
  if (moved === NONCE_BYTES && vm.nonceIs(identity.nonce)) return null
  if (moved < 0) return describeRefusal('process_vm_readv', -moved)
  return `process_vm_readv answers nonsense (${moved})`
}
