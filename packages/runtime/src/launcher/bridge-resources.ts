import fs from 'node:fs'
import path from 'node:path'
import { type HeldFile, namespaceName } from './control-message.js'
import { makeToken, prepareTransports } from './shared-resources.js'

/** What the ranks at both ends of a bridge share. They run already, so they inherit nothing of it. */
export interface BridgeResources {
  readonly directory: string
  /** 32 bytes, in hexadecimal. */
  readonly token: string
  readonly holder: { readonly pid: number; readonly namespace: string }
  readonly transports: readonly { readonly name: string; readonly file: HeldFile | null; readonly data: unknown }[]
  readonly settings: Readonly<Record<string, string>>
  readonly notices: ReadonlyMap<string, string>
  /** Every rank has opened what it needs: takes names away and lets go of descriptors. Idempotent. */
  hide(): void
  /** Gives everything back. Idempotent. */
  release(): void
}

export interface BridgePlan {
  readonly size: number
  readonly transports: readonly string[]
  /** The private directory of the job whose launcher holds the bridge; its guardian looks after ours, too. */
  readonly jobDirectory: string
  readonly settings: Readonly<Record<string, string>>
}

/**
 * Makes them: a private directory in the job's, a token, and what each transport prepares.
 * @throws OnecopyError ERR_LIMIT, ERR_UNAVAILABLE, ERR_NO_SHM, ERR_CMA_DENIED.
 */
export async function makeBridgeResources(plan: BridgePlan): Promise<BridgeResources> {
  const { size, settings } = plan
  const directory = fs.mkdtempSync(path.join(plan.jobDirectory, 'bridge-'))
  const remove = (): void => fs.rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
  try {
    const { transports, notices } = await prepareTransports(plan.transports, {
      size,
      directory,
      settings,
      latecomers: true,
    })
    const hide = (): void => {
      for (const { prepared } of transports) prepared.release()
    }
    return {
      directory,
      token: (await makeToken()).toString('hex'),
      holder: { pid: process.pid, namespace: namespaceName() },
      transports: transports.map(({ name, prepared: { descriptor, data } }) => ({
        name,
        data,
        file: descriptor === null ? null : describe(descriptor),
      })),
      settings,
      notices,
      hide,
      release() {
        hide()
        remove()
      },
    }
  } catch (error) {
    remove()
    throw error
  }
}

function describe(descriptor: number): HeldFile {
  const { dev, ino } = fs.fstatSync(descriptor, { bigint: true })
  return { descriptor, device: String(dev), inode: String(ino) }
}
