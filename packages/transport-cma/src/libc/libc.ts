import {
  AT_FDCWD,
  F_ADD_SEALS,
  F_GET_SEALS,
  F_SETFD,
  FD_CLOEXEC,
  FUTEX_WAIT,
  FUTEX_WAKE,
  MADV_COLLAPSE,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_NORESERVE,
  MAP_PRIVATE,
  MAP_SHARED,
  MFD_ALLOW_SEALING,
  MFD_CLOEXEC,
  POLLIN,
  PROT_READ,
  PROT_WRITE,
  S_IFIFO,
  type SyscallNumbers,
} from './numbers.js'

/** Where the two fields of C's `struct iovec` lie, in bytes: asked of the binding, not assumed. */
export interface IovecLayout {
  readonly bytes: number
  readonly baseOffset: number
  readonly lengthOffset: number
}

/** What an FFI package has to give: one way to call the kernel, and the two directions between views and addresses. */
export interface LibcBinding {
  readonly name: 'koffi' | 'ffi-napi'
  readonly iovec: IovecLayout

  /** syscall(2) with six integer arguments: its result, or the negative errno. Allocates no object. */
  syscall(number: number, a: number, b: number, c: number, d: number, e: number, f: number): number

  /** sched_yield(2) by its own name: where ranks take turns, the seven arguments of the other way are 5 % of a turn. */
  schedYield(): number

  /**
   * The address of the first byte of `view`. Only good for views over 64 bytes, which do not move, and only as long as
   * the view is held.
   * @throws TypeError when the package cannot tell (SharedArrayBuffer under ffi-napi).
   */
  addressOf(view: NodeJS.ArrayBufferView): number

  /** A view over memory that is mapped at `address`; whoever asks sees to it that it stays mapped. Once per address. */
  viewAt(address: number, byteLength: number): Uint8Array<ArrayBuffer>
}

const SCRATCH_BYTES = 8192
const TIMESPEC_WORD = 0
const POLLFD_WORD = 4
const PATH_OFFSET = 64

/**
 * The system calls this package lives on, over either binding. Every method answers the call's result, or the negative
 * errno; none throws for the world's reasons. All numbers are plain numbers: addresses stay below 2^53.
 */
export class Libc {
  readonly #binding: LibcBinding
  readonly #numbers: SyscallNumbers
  // Memory for what calls take by address. Larger than 64 bytes, so that it never moves.
  readonly #scratch = new Uint8Array(SCRATCH_BYTES)
  readonly #scratchWords = new Int32Array(this.#scratch.buffer)
  readonly #scratchAddress: number

  constructor(binding: LibcBinding, numbers: SyscallNumbers) {
    this.#binding = binding
    this.#numbers = numbers
    this.#scratchAddress = binding.addressOf(this.#scratch)
  }

  get name(): 'koffi' | 'ffi-napi' {
    return this.#binding.name
  }

  get iovec(): IovecLayout {
    return this.#binding.iovec
  }

  addressOf(view: NodeJS.ArrayBufferView): number {
    return this.#binding.addressOf(view)
  }

  viewAt(address: number, byteLength: number): Uint8Array<ArrayBuffer> {
    return this.#binding.viewAt(address, byteLength)
  }

  pid(): number {
    return this.#binding.syscall(this.#numbers.getpid, 0, 0, 0, 0, 0, 0)
  }

  parentPid(): number {
    return this.#binding.syscall(this.#numbers.getppid, 0, 0, 0, 0, 0, 0)
  }

  /** Both iovec blocks by address. @returns bytes moved. */
  processVmReadv(pid: number, local: number, localCount: number, remote: number, remoteCount: number): number {
    return this.#binding.syscall(this.#numbers.processVmReadv, pid, local, localCount, remote, remoteCount, 0)
  }

  processVmWritev(pid: number, local: number, localCount: number, remote: number, remoteCount: number): number {
    return this.#binding.syscall(this.#numbers.processVmWritev, pid, local, localCount, remote, remoteCount, 0)
  }

  /** Maps a descriptor from its beginning, readable and writable, shared. @returns the address. */
  mapShared(descriptor: number, byteLength: number): number {
    const access = PROT_READ | PROT_WRITE
    return this.#binding.syscall(this.#numbers.mmap, 0, byteLength, access, MAP_SHARED, descriptor, 0)
  }

  /** Puts private zero pages, not reserved, in the place of a mapping: the address range stays valid, the memory goes. */
  replaceByZeros(address: number, byteLength: number): number {
    const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE
    return this.#binding.syscall(this.#numbers.mmap, address, byteLength, PROT_READ | PROT_WRITE, flags, -1, 0)
  }

  unmap(address: number, byteLength: number): number {
    return this.#binding.syscall(this.#numbers.munmap, address, byteLength, 0, 0, 0, 0)
  }

  /** Gathers this memory's pages into huge ones, now; what it holds stays the same. Linux 6.1; -EINVAL before. */
  collapse(address: number, byteLength: number): number {
    return this.#binding.syscall(this.#numbers.madvise, address, byteLength, MADV_COLLAPSE, 0, 0, 0)
  }

  /** A nameless file in memory that may be sealed; closed on exec, so that only `stdio` of spawn hands it on. @returns the descriptor. */
  memfdCreate(label: string): number {
    const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING
    return this.#binding.syscall(this.#numbers.memfdCreate, this.#cString(label), flags, 0, 0, 0, 0)
  }

  /** Keeps a descriptor from the processes that this one starts. */
  closeOnExec(descriptor: number): number {
    return this.#binding.syscall(this.#numbers.fcntl, descriptor, F_SETFD, FD_CLOEXEC, 0, 0, 0)
  }

  ftruncate(descriptor: number, byteLength: number): number {
    return this.#binding.syscall(this.#numbers.ftruncate, descriptor, byteLength, 0, 0, 0, 0)
  }

  fallocate(descriptor: number, offset: number, byteLength: number): number {
    return this.#binding.syscall(this.#numbers.fallocate, descriptor, 0, offset, byteLength, 0, 0)
  }

  addSeals(descriptor: number, seals: number): number {
    return this.#binding.syscall(this.#numbers.fcntl, descriptor, F_ADD_SEALS, seals, 0, 0, 0)
  }

  seals(descriptor: number): number {
    return this.#binding.syscall(this.#numbers.fcntl, descriptor, F_GET_SEALS, 0, 0, 0, 0)
  }

  /** Sleeps while the word at `address` is `expected`. Not FUTEX_PRIVATE: the word is shared between processes. */
  futexWait(address: number, expected: number, milliseconds: number): number {
    const words = this.#scratchWords
    const seconds = Math.floor(milliseconds / 1000)
    words[TIMESPEC_WORD] = seconds
    words[TIMESPEC_WORD + 1] = 0
    words[TIMESPEC_WORD + 2] = Math.floor((milliseconds - seconds * 1000) * 1e6)
    words[TIMESPEC_WORD + 3] = 0
    const timeout = this.#scratchAddress + 4 * TIMESPEC_WORD
    return this.#binding.syscall(this.#numbers.futex, address, FUTEX_WAIT, expected, timeout, 0, 0)
  }

  futexWake(address: number, count: number): number {
    return this.#binding.syscall(this.#numbers.futex, address, FUTEX_WAKE, count, 0, 0, 0)
  }

  schedYield(): number {
    return this.#binding.schedYield()
  }

  prctl(option: number, argument: number): number {
    return this.#binding.syscall(this.#numbers.prctl, option, argument, 0, 0, 0, 0)
  }

  pidfdOpen(pid: number): number {
    return this.#binding.syscall(this.#numbers.pidfdOpen, pid, 0, 0, 0, 0, 0)
  }

  /** Whether the process of a pidfd has ended: 1 or 0. ppoll with no wait, because arm64 has no poll(2). */
  hasExited(pidfd: number): number {
    const words = this.#scratchWords
    words[TIMESPEC_WORD] = 0
    words[TIMESPEC_WORD + 1] = 0
    words[TIMESPEC_WORD + 2] = 0
    words[TIMESPEC_WORD + 3] = 0
    words[POLLFD_WORD] = pidfd
    words[POLLFD_WORD + 1] = POLLIN
    const timeout = this.#scratchAddress + 4 * TIMESPEC_WORD
    return this.#binding.syscall(this.#numbers.ppoll, this.#scratchAddress + 4 * POLLFD_WORD, 1, timeout, 0, 0, 0)
  }

  /** Makes a FIFO. `mode` is subject to the umask. */
  makeFifo(path: string, mode: number): number {
    return this.#binding.syscall(this.#numbers.mknodat, AT_FDCWD, this.#cString(path), S_IFIFO | mode, 0, 0, 0)
  }

  #cString(text: string): number {
    const { written } = new TextEncoder().encodeInto(text, this.#scratch.subarray(PATH_OFFSET, SCRATCH_BYTES - 1))
    this.#scratch[PATH_OFFSET + written] = 0
    return this.#scratchAddress + PATH_OFFSET
  }
}
