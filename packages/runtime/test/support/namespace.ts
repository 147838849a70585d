// Words before a command that change what it finds of the machine, in a mount namespace of its own. Root only.

const MOUNTED = ['unshare', '-m', '--propagation', 'private', 'sh', '-e', '-c']

/** Runs `steps` of shell in a mount namespace, then the command. `$0` is the one argument for the steps. */
function mounted(steps: string, argument = 'sh'): string[] {
  return [...MOUNTED, `${steps}\nexec "$@"`, argument]
}

/** With a /dev/shm of its own. @param options of mount(8) for a tmpfs, as in `size=64k`. */
export function withSharedMemory(options: string): string[] {
  return mounted('mount -t tmpfs -o "$0" tmpfs /dev/shm', options)
}

/** Without any /dev/shm: a /dev with the usual devices only. */
export function withoutSharedMemory(folder: string): string[] {
  const steps = [
    'mkdir -p "$0/dev"',
    'mount -t tmpfs tmpfs "$0/dev"',
    'for name in null zero full random urandom tty; do touch "$0/dev/$name"; mount --bind /dev/$name "$0/dev/$name"; done',
    'ln -s /proc/self/fd "$0/dev/fd"',
    'mount --rbind "$0/dev" /dev',
  ]
  return mounted(steps.join('\n'), folder)
}

/** With small file systems everywhere that a shared segment could go. */
export function withoutRoom(folder: string): string[] {
  const steps = ['mount -t tmpfs -o size=64k tmpfs /dev/shm', 'mount -t tmpfs -o size=64k,mode=1777 tmpfs "$0"']
  return mounted(steps.join('\n'), folder)
}

/** With empty folders in the place of these. */
export function withEmptied(folders: readonly string[]): string[] {
  return mounted(folders.map((folder) => `mount -t tmpfs tmpfs '${folder}'`).join('\n'))
}

/** With `file` in the place of each of these. */
export function withReplaced(files: readonly string[], file: string): string[] {
  return mounted(files.map((place) => `mount --bind "$0" '${place}'`).join('\n'), file)
}
