import type { Request } from './request.js'

/** Which of several requests is done, and what it gave. */
export interface DoneRequest<T> {
  /** Its place in the list. */
  index: number
  /** Its result. */
  value: T
}

/** Requests of one call may be of any kinds. */
type Requests<T> = readonly Request<T>[]
/** Each request's result, in its place, as `Promise.all` has it. */
type Results<R extends Requests<unknown>> = { -readonly [I in keyof R]: R[I] extends Request<infer T> ? T : never }

/**
 * Blocks until all requests are done; gives their results in order.
 * @throws the error of the first one (by index) that failed; the others are done all the same.
 * @see MPI 4.1, 3.7.5 (MPI_Waitall)
 */
export function waitAllSync<const R extends Requests<unknown>>(requests: R): Results<R> {
  const results: unknown[] = new Array(requests.length)
  let failure: { readonly error: unknown } | null = null
  requests.forEach((request, index) => {
    try {
      results[index] = request.waitSync()
    } catch (error) {
      failure ??= { error }
    }
  })
  if (failure !== null) throw (failure as { readonly error: unknown }).error
  return results as Results<R>
}

/**
 * Blocks until at least one request is done; gives the lowest such index and its result, or null for an empty list.
 * @throws the error of that request.
 * @see MPI 4.1, 3.7.5 (MPI_Waitany)
 */
export function waitAnySync<T>(requests: Requests<T>): DoneRequest<T> | null {
  if (requests.length === 0) return null
  blockUntilAny(requests)
  const index = requests.findIndex((request) => request.done)
  return { index, value: requests[index]!.waitSync() }
}

/**
 * Blocks until at least one request is done; gives the indices of all that are.
 * @see MPI 4.1, 3.7.5 (MPI_Waitsome)
 */
export function waitSomeSync(requests: Requests<unknown>): number[] {
  if (requests.length === 0) return []
  blockUntilAny(requests)
  return doneIndices(requests)
}

/** Makes progress once; true when all requests are done. @see MPI 4.1, 3.7.5 (MPI_Testall) */
export function testAll(requests: Requests<unknown>): boolean {
  let all = true
  for (const request of requests) if (!request.test()) all = false
  return all
}

/** Makes progress once; the lowest index that is done, or -1. @see MPI 4.1, 3.7.5 (MPI_Testany) */
export function testAny(requests: Requests<unknown>): number {
  return requests.findIndex((request) => request.test())
}

/** Makes progress once; the indices of all that are done. @see MPI 4.1, 3.7.5 (MPI_Testsome) */
export function testSome(requests: Requests<unknown>): number[] {
  for (const request of requests) request.test()
  return doneIndices(requests)
}

function doneIndices(requests: Requests<unknown>): number[] {
  return requests.flatMap((request, index) => (request.done ? [index] : []))
}

/** Whoever can block for one request can block for any of them: see `RequestRecord.blockUntil`. */
function blockUntilAny(requests: Requests<unknown>): void {
  const any = {
    get done() {
      return requests.some((request) => request.done)
    },
  }
  if (any.done) return
  requests[0]!.blockUntil(any)
}
