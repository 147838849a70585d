import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import { processStartTime } from './process-identity.js'

/**
 * Waits for its standard input to end. If the launcher said `done` before, there is nothing to do. Otherwise the launcher
 * was killed: the ranks get a moment to end by themselves, then the ones that are left (same pid, same start time) are
 * killed, and the job's directory goes, with the names that it listens under.
 */
const SCRIPT = `
trap '' INT TERM HUP QUIT TSTP
directory=$1
ranks=
names=
while read -r word pid start; do
  case $word in
    rank) ranks="$ranks $pid:$start" ;;
    name) names="$names $pid" folder=$start ;;
    done) exit 0 ;;
  esac
done
sleep 0.12 || sleep 1
for rank in $ranks; do
  pid=\${rank%:*}
  start=\${rank#*:}
  if [ "$start" != 0 ]; then
    read -r stat 2>/dev/null < "/proc/$pid/stat" || continue
    set -- \${stat##*) }
    [ "\${20}" = "$start" ] || continue
  fi
  kill -9 "$pid" 2>/dev/null
done
for name in $names; do
  read -r id 2>/dev/null < "$folder/\${name%:*}" || continue
  [ "$id" = "\${name#*:}" ] && rm -f -- "$folder/\${name%:*}"
done
[ -z "$names" ] || rmdir -- "$folder" 2>/dev/null
rm -rf -- "$directory" || { sleep 0.1; rm -rf -- "$directory"; }
`

/**
 * A sleeping shell that outlives a launcher killed by SIGKILL, so that nothing stays behind: not a spinning rank that no
 * end-of-file reaches, not the job's directory. In a session of its own, where no Ctrl-C and no kill of the launcher's
 * process group finds it. It costs a millisecond at the start; where there is no shell, the job runs without.
 */
export class Guardian {
  readonly #child: ChildProcess | null

  constructor(directory: string) {
    this.#child = process.platform === 'win32' ? null : startShell(directory)
  }

  /** Null where there is none. */
  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** Adds a process of the job. */
  watch(pid: number): void {
    const startTime = processStartTime(pid)
    if (startTime !== null) this.#tell(`rank ${pid} ${startTime}\n`)
  }

  /** Adds the file of a name that the job listens under: it goes too, if it still begins with `id`. */
  watchName(file: string, id: string): void {
    this.#tell(`name ${path.basename(file)}:${id} ${path.dirname(file)}\n`)
  }

  /** Sends the guardian home: everything is in order. Resolves when it is gone. */
  dismiss(): Promise<void> {
    const child = this.#child
    if (child === null || child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
    return new Promise((resolve) => {
      child.once('exit', () => resolve())
      child.once('error', () => resolve())
      this.#tell('done\n')
      child.stdin?.end()
    })
  }

  #tell(line: string): void {
    const input = this.#child?.stdin
    if (input?.writable) input.write(line)
  }
}

function startShell(directory: string): ChildProcess | null {
  try {
    const child = spawn('/bin/sh', ['-c', SCRIPT, 'onecopy-guardian', directory], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
      cwd: '/',
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin' },
    })
    // No shell, or killed by somebody: the job runs without a guardian.
    child.on('error', () => {})
    child.stdin?.on('error', () => {})
    return child.pid === undefined ? null : child
  } catch {
    return null
  }
}
