import { Condition } from './condition.js'
import type { Waiting } from './job-link.js'
import type { ProgressEngine } from './progress.js'
import { type Request, RequestRecord, VALUE_OF } from './request.js'
import type { Exchange, Schedule } from './schedule.js'

type Word<T> = { readonly value: T } | { readonly error: Error }

/**
 * Waits, in a schedule of `engine`, for a word from elsewhere: `ask` is handed whom to tell. Gives, or throws, what is told; or what
 * befalls the communicator of `exchange` meanwhile, where that is to end it.
 */
export function* outsideWord<T>(
  engine: ProgressEngine,
  ask: (waiting: Waiting<T>) => void,
  exchange: Exchange | null = null,
): Schedule<T> {
  const record = new RequestRecord(engine)
  record.mode = VALUE_OF
  if (engine.expect(record)) {
    ask({
      resolve: (value) => engine.met(record, { value }),
      reject: (error) => engine.met(record, { error }),
    })
  }
  yield exchange === null ? record : [record, exchange.watch(new Condition(exchange, () => record.done))]
  const word = record.result() as Word<T>
  if ('error' in word) throw word.error
  return word.value
}

/** What a request gives that runs in another of the process's jobs. */
export function* resultElsewhere<T>(engine: ProgressEngine, request: Request<T>): Schedule<T> {
  const record = request as unknown as RequestRecord
  if (!record.done) {
    yield* outsideWord<void>(engine, ({ resolve }) => {
      record.continuation = { requestDone: () => resolve() }
    })
  }
  return record.result() as T
}
