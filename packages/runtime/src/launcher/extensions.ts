import { type ErrorCode, type ErrorFields, OnecopyError } from '@onecopy/transport'
import { BridgeDesk, type Desk, type MemberEnd } from './bridge-desk.js'
import { type BridgeResources, makeBridgeResources } from './bridge-resources.js'
import type { JoinQuestion, LauncherMessage, Question, RankMessage, SpawnQuestion } from './control-message.js'
import type { JoinParty } from './join.js'
import { checkSize, completePrograms, type JobOptions, LaunchArgumentError } from './launch-options.js'
import { scriptNodeArgs } from './node-command.js'
import { makeSharedResources, type SharedResources } from './shared-resources.js'

/** What extensions need of the job they belong to. */
export interface Home {
  readonly options: JobOptions
  readonly shared: SharedResources
  /** The job is being ended: nothing may be started any more. */
  readonly isEnding: boolean
  notice(key: string, text: string): void
  /** Starts a job that belongs to this one; its ranks are members of the desk's bridge, from `firstMember` on. */
  startChild(options: JobOptions, shared: SharedResources, desk: BridgeDesk, firstMember: number): ChildHandle
  /** Has `close` called when the job is over, whatever happens; answers how to take that back. */
  atEnd(close: () => void): () => void
}

export interface ChildHandle {
  /** The jobs have nothing to do with each other any more: a failure of one is not the other's. */
  part(): void
  /** Those of its ranks have not called init() in time. */
  startTimedOut(missing: readonly number[]): void
}

interface Line {
  readonly desk: Desk
  /** Members of the bridge by rank of ours. */
  readonly members: ReadonlyMap<number, number>
}

/**
 * The launcher's side of what a rank has as its `Extension`: questions, and the lines of bridges. Where ranks are the ranks of
 * a job, or the members of a bridge, whoever `tell` reaches.
 */
export class Extensions {
  readonly #home: Home
  readonly #tell: (rank: number, message: LauncherMessage) => void
  readonly #lines = new Map<number, Line>()
  readonly #ended = new Map<number, MemberEnd>()
  readonly #open = new Map<string, AbortController>()
  #opened = 0

  constructor(home: Home, tell: (rank: number, message: LauncherMessage) => void) {
    this.#home = home
    this.#tell = tell
  }

  /**
   * Takes what a rank said to its extension.
   * @throws Error when nobody could have said it.
   */
  heard(rank: number, message: RankMessage): void {
    switch (message.type) {
      case 'ask':
        void this.#answer(rank, message.number, message.question)
        break
      case 'cancel':
        this.#open.get(`${rank}:${message.number}`)?.abort()
        break
      case 'line': {
        if (message.line >= this.#opened) throw new Error(`no line ${message.line}`)
        const line = this.#lines.get(message.line)
        // The other end may have gone a moment ago.
        if (line === undefined) break
        const member = line.members.get(rank)
        if (member === undefined) throw new Error(`line ${message.line} is not this rank's`)
        line.desk.heard(member, message.message)
        break
      }
      default:
        throw new Error(`'${message.type}' where it means nothing`)
    }
  }

  ended(rank: number, end: MemberEnd): void {
    this.#ended.set(rank, end)
    for (const [key, asked] of this.#open) if (key.startsWith(`${rank}:`)) asked.abort()
    for (const { desk, members } of this.#lines.values()) {
      const member = members.get(rank)
      if (member !== undefined) desk.ended(member, end)
    }
  }

  /** Gives up what is being waited for. */
  close(): void {
    for (const asked of this.#open.values()) asked.abort()
  }

  /** Opens a line to each of `ranks`, who are members of the desk's bridge from `firstMember` on; answers its number. */
  open(ranks: readonly number[], desk: Desk, firstMember: number): number {
    const number = this.#opened++
    this.#lines.set(number, { desk, members: new Map(ranks.map((rank, index) => [rank, firstMember + index])) })
    ranks.forEach((rank, index) => {
      desk.seat(firstMember + index, (message) => this.#tell(rank, { type: 'line', line: number, message }))
    })
    for (const [index, rank] of ranks.entries()) {
      const end = this.#ended.get(rank)
      if (end !== undefined) desk.ended(firstMember + index, end)
    }
    return number
  }

  /** Forgets a line that nobody is at the other end of any more. */
  shut(line: number): void {
    this.#lines.delete(line)
  }

  async #answer(rank: number, number: number, question: Question): Promise<void> {
    const key = `${rank}:${number}`
    const asked = new AbortController()
    this.#open.set(key, asked)
    try {
      const line = await (question.verb === 'spawn' ? this.#spawn(question) : this.#join(question, asked.signal))
      this.#tell(rank, { type: 'answer', number, answer: line })
    } catch (error) {
      const { code, fields } = describe(error)
      this.#tell(rank, { type: 'declined', number, code, message: (error as Error).message, fields })
    } finally {
      this.#open.delete(key)
    }
  }

  async #spawn(question: SpawnQuestion): Promise<number> {
    const home = this.#home
    const options = childOptions(home.options, question)
    const first = question.members.length
    checkSize(first + options.size)
    for (const program of options.programs) scriptNodeArgs(program.script)
    const shared = await makeSharedResources(options)
    let resources: BridgeResources
    try {
      resources = await this.#makeResources(first + options.size, shared.settings)
    } catch (error) {
      await shared.release()
      throw error
    }
    if (home.isEnding) {
      resources.release()
      await shared.release()
      throw new OnecopyError('ERR_ABORTED', 'the job is being ended: it can spawn nothing any more')
    }
    let child: ChildHandle | null = null
    let forget = (): void => {}
    let line = -1
    const desk = new BridgeDesk({
      groups: [first, options.size],
      resources,
      home,
      nameOf: (member) => (member < first ? `rank ${question.members[member]}` : `child ${member - first}`),
      startTimeoutMs: options.startTimeoutMs,
      onStartTimeout: (missing) => {
        const children = missing.filter((member) => member >= first).map((member) => member - first)
        if (children.length > 0) child?.startTimedOut(children)
      },
      onParted: () => child?.part(),
      onOver: () => {
        forget()
        this.shut(line)
      },
    })
    forget = home.atEnd(() => desk.close())
    line = this.open(question.members, desk, 0)
    child = home.startChild(options, shared, desk, first)
    return line
  }

  async #join(question: JoinQuestion, signal: AbortSignal): Promise<number> {
    // On demand: most jobs join nobody.
    const { connectToGroup, listenForGroup } = await import('./join.js')
    const { verb, members, name, timeoutMs } = question
    // Each side goes on without the other, so a failure is a rank's and not the bridge's.
    const settings = { ...this.#home.shared.settings, onFailure: 'continue' }
    const party: JoinParty = {
      home: this.#home,
      name,
      size: members.length,
      timeoutMs,
      signal,
      makeResources: (size) => this.#makeResources(size, settings),
      open: (desk, firstMember) => this.open(members, desk, firstMember),
      shut: (line) => this.shut(line),
    }
    return verb === 'listen' ? listenForGroup(party) : connectToGroup(party)
  }

  /** What the ranks at both ends of a new bridge will share, held by this launcher. */
  #makeResources(size: number, settings: Readonly<Record<string, string>>): Promise<BridgeResources> {
    const { options, shared } = this.#home
    return makeBridgeResources({ size, transports: options.transports, jobDirectory: shared.directory, settings })
  }
}

function describe(error: unknown): { code: ErrorCode | 'TypeError'; fields: ErrorFields } {
  if (error instanceof TypeError || error instanceof RangeError) return { code: 'TypeError', fields: {} }
  // What the system refuses: no folder, no descriptor, no process.
  if (!(error instanceof OnecopyError)) return { code: 'ERR_UNAVAILABLE', fields: {} }
  const { name: _, code, ...fields } = error
  return { code, fields }
}

/** The options of a spawned job: the spawning job's, but for what the question says. */
function childOptions(parent: JobOptions, question: SpawnQuestion): JobOptions {
  const { cwd, nodeArgs, startTimeout } = question
  if (!(startTimeout === null || startTimeout > 0)) {
    throw new LaunchArgumentError(`startTimeout must be a number of seconds above 0, not ${startTimeout}`)
  }
  const env: NodeJS.ProcessEnv = { ...parent.env }
  for (const [name, value] of Object.entries(question.env)) {
    if (value === null) delete env[name]
    else env[name] = value
  }
  const programs = completePrograms({ programs: question.programs }, cwd)
  const size = programs.reduce((sum, program) => sum + program.size, 0)
  return {
    ...parent,
    size,
    programs,
    env,
    cwd,
    nodeArgs: nodeArgs ?? parent.nodeArgs,
    startTimeoutMs: startTimeout === null ? parent.startTimeoutMs : startTimeout * 1000,
    // They are ranks 0 and up as well, and those have the cores.
    bindToCores: false,
    timeoutMs: null,
    stdin: 'ignore',
    signal: null,
  }
}
