import {
  type ErrorCode,
  OnecopyError,
  type Transport,
  type TransportJob,
  type TransportProvider,
} from '@onecopy/transport'
import type { JobLink } from './job-link.js'

/** Why a rank cannot use a transport, as it tells the others: plain JSON. */
interface Refusal {
  readonly code: ErrorCode
  readonly reason: string
  readonly errno?: number | undefined
  readonly syscall?: string | undefined
}

/** What a rank tells the others about its transports: by name, null when open, else why not. */
type RouteCard = Record<string, Refusal | null>

/** Which transport reaches which rank, agreed among all ranks. */
export interface Routes {
  /** The open transports that some pair uses, in order of preference. */
  readonly transports: readonly Transport[]
  /** The transport to `rank`. @throws OnecopyError as {@link openRoutes}. */
  routeTo(rank: number): Transport
}

/**
 * Opening gives this rank's card for all ranks to see, each face in its way, and goes on with the cards by rank. Closes what is open
 * when it is given an error.
 */
export type RouteOpening = Generator<unknown, Routes, unknown[]>

/**
 * Opens transports in order of preference until every pair of ranks has one, so that nobody pays for a fallback that nobody
 * needs. All ranks go through the same rounds, whatever they find.
 * @throws OnecopyError ERR_UNAVAILABLE when some pair has none, with every reason, or the code (ERR_NO_SHM, say) that all
 *   reasons have in common; ERR_CMA_DENIED when one that is required does not open.
 */
export function* openRoutes(link: JobLink, providers: readonly TransportProvider[]): RouteOpening {
  const opened: Transport[] = []
  try {
    return yield* agreeOnRoutes(link, providers, opened)
  } catch (error) {
    for (const transport of opened) transport.abort()
    throw error
  }
}

function* agreeOnRoutes(link: JobLink, providers: readonly TransportProvider[], opened: Transport[]): RouteOpening {
  const cards: RouteCard[] = Array.from({ length: link.size }, () => ({}))
  // a rank without others needs no transport
  for (const { name, descriptor, data, problem } of link.size === 1 ? [] : link.transports) {
    const provider = providers.find((each) => each.name === name)
    const outcome = problem ? new OnecopyError('ERR_UNAVAILABLE', problem) : tryOpen(link, provider, descriptor, data)
    let refusal: Refusal | null = null
    if (outcome instanceof OnecopyError) {
      refused(link, name, outcome.message)
      const { code, message, errno, syscall } = outcome
      refusal = { code, reason: message, errno, syscall }
    } else {
      opened.push(outcome)
    }
    const refusals = (yield refusal) as (Refusal | null)[]
    refusals.forEach((each, rank) => {
      cards[rank]![name] = each
    })
    if (everyPairReached(cards)) break
  }
  const unreached = cards.findIndex((_, rank) => rank !== link.rank && !haveCommon(cards, link.rank, rank))
  if (unreached >= 0) throw unreachable(link.rank, unreached, cards)
  const used = opened.filter((transport) => cards.some((_, rank) => routeFor(transport.name, rank)))
  for (const transport of opened) if (!used.includes(transport)) transport.abort()
  return {
    transports: used,
    routeTo(rank) {
      const agreed = used.filter((candidate) => common(cards, link.rank, rank).includes(candidate.name))
      // A rank that has left is reached by nothing; the transport it was met over says so when it is used.
      const transport = agreed.find((candidate) => candidate.reaches(rank)) ?? agreed[0]
      if (transport === undefined) throw unreachable(link.rank, rank, cards)
      return transport
    },
  }

  function routeFor(name: string, rank: number): boolean {
    return rank !== link.rank && common(cards, link.rank, rank)[0] === name
  }
}

/** The transport, or why this rank cannot use it. */
function tryOpen(
  link: JobLink,
  provider: TransportProvider | undefined,
  descriptor: number | null,
  data: unknown,
): Transport | OnecopyError {
  if (provider === undefined) return new OnecopyError('ERR_UNAVAILABLE', 'not known to this version of onecopy')
  const job: TransportJob = {
    rank: link.rank,
    size: link.size,
    token: link.token,
    directory: link.directory,
    launcherPid: link.launcherPid,
    descriptor,
    data,
    settings: link.settings,
    notice: (key, message) => link.notice(key, message),
  }
  try {
    return provider.open(job)
  } catch (error) {
    if (!(error instanceof OnecopyError)) throw error
    return error
  }
}

/**
 * This rank cannot use a transport that the launcher has prepared: said once per job, with the launcher's own key.
 * @throws OnecopyError ERR_CMA_DENIED when the user cannot do without it.
 */
function refused(link: JobLink, name: string, reason: string): void {
  const message = `${name} cannot be used by rank ${link.rank}: ${reason}`
  if (link.settings[name] === 'require') {
    throw new OnecopyError('ERR_CMA_DENIED', `${name} is required, but ${message}`, { rank: link.rank })
  }
  // For the last one there is no other way: the error will say it.
  if (link.transports.at(-1)?.name !== name) link.notice(`transport ${name}`, message)
}

/** Names that both ranks have open, in order of preference. */
function common(cards: readonly RouteCard[], a: number, b: number): string[] {
  return Object.keys(cards[a]!).filter((name) => cards[a]![name] === null && cards[b]![name] === null)
}

function haveCommon(cards: readonly RouteCard[], a: number, b: number): boolean {
  return common(cards, a, b).length > 0
}

/** Ranks with the same open transports are alike, so kinds of cards are compared, not all pairs. */
function everyPairReached(cards: readonly RouteCard[]): boolean {
  const kinds = new Map(
    cards.map((card) => [
      Object.keys(card)
        .filter((name) => card[name] === null)
        .join(),
      card,
    ]),
  )
  const list = [...kinds.values()]
  return list.every((_, i) => list.every((_, j) => haveCommon(list, i, j)))
}

function unreachable(from: number, to: number, cards: readonly RouteCard[]): OnecopyError {
  const refusals = [from, to].flatMap((rank) =>
    Object.entries(cards[rank]!).flatMap(([name, refusal]) => (refusal === null ? [] : [{ name, rank, ...refusal }])),
  )
  const reasons = refusals.map(({ name, rank, reason }) => `${name} on rank ${rank}: ${reason}`)
  const why = reasons.length > 0 ? reasons.join('; ') : 'no transport was allowed'
  const message = `no transport connects ranks ${from} and ${to}. ${why}`
  const [first] = refusals
  if (first === undefined || refusals.some(({ code }) => code !== first.code)) {
    return new OnecopyError('ERR_UNAVAILABLE', message, { rank: to })
  }
  const { code, errno, syscall } = first
  return new OnecopyError(code, message, { rank: to, errno, syscall })
}
