import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

/** How long something that is ending may take to be gone. */
const GONE_DEADLINE_MS = 3000

/**
 * A place of its own for the jobs of one test, so that what they leave behind can be told from everybody else's: RELIABILITY's
 * "Clean". Jobs run with {@link env}; {@link assertClean} then finds run directories, named sockets, shared memory and
 * processes of theirs.
 */
export class CleanRoom {
  readonly folder: string
  readonly env: NodeJS.ProcessEnv
  readonly #mark: string
  readonly #sharedMemory = listSharedMemory()
  readonly #systemV = listOrphanedSegments()

  constructor() {
    // World-writable like /tmp itself, so that jobs of another user can run in it.
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'oc-'))
    fs.chmodSync(this.folder, 0o1777)
    this.#mark = `ONECOPY_TEST_ROOM=${this.folder}`
    const { XDG_RUNTIME_DIR: _, ...env } = process.env
    this.env = { ...env, TMPDIR: this.folder, ONECOPY_TEST_ROOM: this.folder }
  }

  /** Run directories that are there now. */
  directories(): string[] {
    return fs.readdirSync(this.folder).filter((name) => name.startsWith('onecopy-'))
  }

  /** Processes that run in this room now, guardians among them, with their command lines. */
  processes(): { pid: number; command: string }[] {
    const found: { pid: number; command: string }[] = []
    for (const name of fs.readdirSync('/proc')) {
      if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
      try {
        const command = fs.readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
        const environment = fs.readFileSync(`/proc/${name}/environ`, 'utf8')
        if (environment.split('\0').includes(this.#mark) || command.includes(`${this.folder}/onecopy-`)) {
          found.push({ pid: Number(name), command })
        }
      } catch {
        // It ended in between.
      }
    }
    return found
  }

  /** Everything that is left of this room's jobs, in words; empty when they are clean. */
  leftovers(): string[] {
    return [
      ...this.directories().map((name) => `run directory ${name}: ${namesIn(path.join(this.folder, name))}`),
      ...this.processes().map(({ pid, command }) => `process ${pid}: ${command}`),
      ...fs
        .readFileSync('/proc/net/unix', 'utf8')
        .split('\n')
        .filter((line) => line.includes(this.folder)),
      ...listSharedMemory().filter((name) => !this.#sharedMemory.includes(name)),
      ...listOrphanedSegments()
        .filter((id) => !this.#systemV.includes(id))
        .map((id) => `System V shared memory segment ${id}`),
    ]
  }

  /** Waits, for a bounded time, until nothing is left, and fails naming what is. */
  async assertClean(deadlineMs = GONE_DEADLINE_MS): Promise<void> {
    let left: string[] = []
    await until(
      () => {
        left = this.leftovers()
        return left.length === 0
      },
      deadlineMs,
      () => `nothing left behind (still there: ${left.join('; ')})`,
    )
  }

  /** Kills what is left and removes the folder. */
  close(): void {
    for (const { pid } of this.processes()) {
      try {
        process.kill(pid, 'SIGKILL')
      } catch {
        // It ended in between.
      }
    }
    fs.rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Of a folder that may go at any moment. */
function namesIn(folder: string): string {
  try {
    return fs.readdirSync(folder).join(', ')
  } catch {
    return '(gone by now)'
  }
}

/** Resolves when `condition` holds; rejects, naming it, when it does not within `deadlineMs`. */
export async function until(
  condition: () => boolean,
  deadlineMs: number,
  what: string | (() => string) = 'the condition',
): Promise<void> {
  const deadline = performance.now() + deadlineMs
  while (!condition()) {
    if (performance.now() > deadline)
      throw new Error(`${typeof what === 'string' ? what : what()} did not hold within ${deadlineMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Only ours: other programs of the machine use /dev/shm too. */
function listSharedMemory(): string[] {
  return fs.existsSync('/dev/shm') ? fs.readdirSync('/dev/shm').filter((name) => name.includes('onecopy')) : []
}

/** Segments that nobody has attached: an MPI that runs on the same machine has its own, and they are attached. */
function listOrphanedSegments(): string[] {
  if (!fs.existsSync('/proc/sysvipc/shm')) return []
  const [, ...lines] = fs.readFileSync('/proc/sysvipc/shm', 'utf8').trim().split('\n')
  const columns = lines.map((line) => line.trim().split(/\s+/))
  return columns.filter((column) => column[6] === '0').map((column) => column[1] as string)
}
