/** System call numbers and the few constants of the kernel's interface that this package uses. */
export interface SyscallNumbers {
  readonly fcntl: number
  readonly fallocate: number
  readonly ftruncate: number
  readonly futex: number
  readonly getpid: number
  readonly getppid: number
  readonly madvise: number
  readonly memfdCreate: number
  readonly mknodat: number
  readonly mmap: number
  readonly munmap: number
  readonly pidfdOpen: number
  readonly ppoll: number
  readonly prctl: number
  readonly processVmReadv: number
  readonly processVmWritev: number
}

/**
 * By Node's `process.arch`. Everything but sched_yield goes through syscall(2), which every C library has, so glibc and musl, old and new,
 * take one path, and that path is the tested one. Measured: the other wrapper functions are not faster.
 */
export const SYSCALL_NUMBERS: Readonly<Record<string, SyscallNumbers | undefined>> = {
  // arch/x86/entry/syscalls/syscall_64.tbl
  x64: {
    fcntl: 72,
    fallocate: 285,
    ftruncate: 77,
    futex: 202,
    getpid: 39,
    getppid: 110,
    madvise: 28,
    memfdCreate: 319,
    mknodat: 259,
    mmap: 9,
    munmap: 11,
    pidfdOpen: 434,
    ppoll: 271,
    prctl: 157,
    processVmReadv: 310,
    processVmWritev: 311,
  },
  // include/uapi/asm-generic/unistd.h
  arm64: {
    fcntl: 25,
    fallocate: 47,
    ftruncate: 46,
    futex: 98,
    getpid: 172,
    getppid: 173,
    madvise: 233,
    memfdCreate: 279,
    mknodat: 33,
    mmap: 222,
    munmap: 215,
    pidfdOpen: 434,
    ppoll: 73,
    prctl: 167,
    processVmReadv: 270,
    processVmWritev: 271,
  },
}

export const PROT_READ = 1
export const PROT_WRITE = 2
export const MAP_SHARED = 0x01
export const MAP_PRIVATE = 0x02
export const MAP_FIXED = 0x10
export const MAP_ANONYMOUS = 0x20
export const MAP_NORESERVE = 0x4000
export const MADV_COLLAPSE = 25
export const MFD_CLOEXEC = 1
export const MFD_ALLOW_SEALING = 2
export const F_SETFD = 2
export const FD_CLOEXEC = 1
export const F_ADD_SEALS = 1033
export const F_GET_SEALS = 1034
export const F_SEAL_SEAL = 1
export const F_SEAL_SHRINK = 2
export const F_SEAL_GROW = 4
export const FUTEX_WAIT = 0
export const FUTEX_WAKE = 1
export const POLLIN = 1
export const PR_SET_PDEATHSIG = 1
export const PR_SET_PTRACER = 0x59616d61
export const SIGKILL = 9
export const S_IFIFO = 0o010000
export const AT_FDCWD = -100
/** process_vm_readv(2): the most pieces on one side of a call. */
export const IOV_MAX = 1024
/** MAX_RW_COUNT of include/linux/fs.h: the most bytes one call moves. */
export const CALL_BYTES_MAX = 0x7ffff000
