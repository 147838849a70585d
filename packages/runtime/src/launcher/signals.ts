import type { RunningJob } from './running-job.js'

/** Signals that end the job. A terminal sends them to the ranks as well, which is fine: they are told twice. */
const ENDING: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']

/** Whether a terminal or a system that shuts down sends this signal to everybody alike. */
export function isForAll(signal: string | null): boolean {
  return (ENDING as readonly (string | null)[]).includes(signal)
}

/** Signals that mean something to the script only. SIGUSR1 would otherwise start node's inspector in the launcher. */
const PASSED: readonly NodeJS.Signals[] = ['SIGUSR1', 'SIGUSR2']

/**
 * Two of the same signals closer together than this are one: a wrapper such as npm passes on the Ctrl-C that the terminal
 * has already sent to the whole process group.
 */
const TWICE_MS = 100

/** What connects this process's signals with a job: the command line's, and nobody else's. */
export interface SignalPassing {
  /** Signals go to `job` from now on; one that came before goes at once. */
  to(job: RunningJob): void
  /** Gives the signals back to node. */
  stop(): void
}

/**
 * Catches signals from now on. The first one that ends things gives ranks 500 ms; a second one kills them at once. SIGTSTP
 * and SIGCONT stay with the kernel: a terminal stops and continues launcher and ranks together.
 */
export function passSignals(): SignalPassing {
  let job: RunningJob | null = null
  let early: NodeJS.Signals | null = null
  let lastAt = Number.NEGATIVE_INFINITY
  const onEnding = (signal: NodeJS.Signals): void => {
    const now = performance.now()
    const isEcho = now - lastAt < TWICE_MS
    lastAt = now
    if (isEcho) return
    if (job === null) early ??= signal
    else job.interrupt(signal)
  }
  const onPassed = (signal: NodeJS.Signals): void => job?.forward(signal)
  for (const signal of ENDING) process.on(signal, onEnding)
  for (const signal of PASSED) process.on(signal, onPassed)
  return {
    to(started) {
      job = started
      if (early !== null) started.interrupt(early)
    },
    stop() {
      for (const signal of ENDING) process.off(signal, onEnding)
      for (const signal of PASSED) process.off(signal, onPassed)
    },
  }
}
