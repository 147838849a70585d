import type { ChildProcess } from 'node:child_process'
import { createRequire } from 'node:module'
import type net from 'node:net'
import { OnecopyError } from '@onecopy/transport'
import { RankLink } from './rank-link.js'
import { LINK_DESCRIPTOR } from './rank-process.js'

/** A launcher that this process has started for itself, and the line to it. */
export interface OwnLauncher {
  readonly link: RankLink
  readonly process: ChildProcess
}

/**
 * Starts a launcher for this process, which nobody has launched. It writes where this process writes, keeps it alive only
 * while somebody waits for it, and ends what it has started when this process ends.
 * @param script lone-launcher.ts, compiled.
 * @throws OnecopyError ERR_UNAVAILABLE when it cannot be started.
 */
export function adoptLauncher(script: string, settings: Readonly<Record<string, string | undefined>>): OwnLauncher {
  // on demand: every rank has this module, and hardly any needs it
  const { spawn } = createRequire(import.meta.url)('node:child_process') as typeof import('node:child_process')
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'inherit', 'inherit', 'pipe'] })
  // What it cannot do shows on the line.
  child.on('error', () => {})
  const socket = child.stdio[LINK_DESCRIPTOR] as net.Socket | null
  const descriptor = socket === null ? -1 : descriptorOf(socket)
  if (socket === null || child.pid === undefined || descriptor < 0) {
    throw new OnecopyError('ERR_UNAVAILABLE', 'no launcher can be started: check the limit on processes (ulimit -u)')
  }
  child.unref()
  const link = RankLink.adopted(socket, descriptor, {
    type: 'job',
    rank: 0,
    size: 1,
    launcherPid: child.pid,
    directory: '',
    token: '',
    transports: [],
    settings: Object.fromEntries(Object.entries(settings).filter((entry): entry is [string, string] => !!entry[1])),
    deathSignal: false,
    spentVariables: [],
    parentLine: null,
  })
  return { link, process: child }
}

/** Node has it, on POSIX systems, and no public name for it; a thread that blocks must read the line by itself. */
function descriptorOf(socket: net.Socket): number {
  return (socket as unknown as { _handle: { fd?: number } | null })._handle?.fd ?? -1
}
