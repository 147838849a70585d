import type { Probe } from '@onecopy/transport'
import { findMkfifo } from './fifo.js'

/** Whether pipes can carry a job on this machine. Starts nothing and leaves nothing behind. */
export function probePipes(): Probe {
  if (process.platform === 'win32') {
    return {
      available: false,
      reason: 'Windows has no FIFOs in the file system, and Node cannot read named pipes without the event loop',
    }
  }
  const mkfifo = findMkfifo()
  if (mkfifo === null) {
    return {
      available: false,
      reason: 'the command mkfifo is missing, and Node cannot make FIFOs itself; install coreutils or busybox',
    }
  }
  return { available: true, detail: `FIFOs made by ${mkfifo}; needs Node alone` }
}
