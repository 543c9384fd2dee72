/**
 * Server-sent events from an async generator.
 *
 * Nothing is produced ahead of the reader: an event is asked for when the connection can take one. A client that goes
 * away aborts `abort`, also while the generator waits for the engine.
 */
import type { RequestError } from "../base/errors.ts"
import type { Log } from "../base/log.ts"
import { errorBody, toRequestError } from "./errors.ts"

const HEADERS = {
  "content-type": "text/event-stream; charset=utf-8",
  "cache-control": "no-cache",
  // Asks proxies such as nginx to pass events on as they come.
  "x-accel-buffering": "no",
}

/** How a family of endpoints writes its events, each with its blank line. */
export interface SseDialect {
  event(event: object): string
  /** The last event of a stream that fails. */
  error(error: RequestError): string
  /** Sent while there is nothing to say. */
  readonly keepAlive: string
  /** Closes every stream. */
  readonly end: string
}

export const OPENAI_SSE: SseDialect = {
  event: (event) => `data: ${JSON.stringify(event)}\n\n`,
  error: (error) => `data: ${JSON.stringify(errorBody(error))}\n\n`,
  keepAlive: ": keep-alive\n\n",
  end: "data: [DONE]\n\n",
}

/** An event with its name, which is its `type`. */
export function namedEvent(event: object): string {
  return `event: ${(event as { type: string }).type}\ndata: ${JSON.stringify(event)}\n\n`
}

export interface SseOptions {
  readonly abort: AbortController
  readonly dialect: SseDialect
  /** 0 sends no comments. */
  readonly keepAliveMs: number
  readonly log: Log
}

type Next = IteratorResult<object, void>

/**
 * Starts the generator and answers with its events, then with the dialect's end, also after an error event.
 *
 * Errors: what the generator throws at once, before it waits for anything that takes time; the caller can still answer
 * with a plain error then.
 */
export async function sseResponse(events: AsyncGenerator<object, void, void>, options: SseOptions): Promise<Response> {
  let pending: Promise<Next> | null = ask(events)
  await Promise.race([pending, new Promise((resolve) => setImmediate(resolve))])
  const encoder = new TextEncoder()
  const { dialect } = options

  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    const send = (text: string): void => controller.enqueue(encoder.encode(text))
    pending ??= ask(events)
    try {
      const next = await within(pending, options.keepAliveMs)
      if (options.abort.signal.aborted) return
      if (next === "quiet") return send(dialect.keepAlive)
      pending = null
      if (next.done !== true) return send(dialect.event(next.value))
    } catch (error) {
      if (options.abort.signal.aborted) return
      send(dialect.error(toRequestError(error, options.log)))
    }
    if (dialect.end !== "") send(dialect.end)
    controller.close()
  }

  const cancel = (): void => {
    options.abort.abort()
    void events.return().catch(() => {})
  }
  return new Response(new ReadableStream({ pull, cancel }, { highWaterMark: 0 }), { headers: HEADERS })
}

/** An error is seen where the promise is awaited; until then nobody must take it for an unhandled one. */
function ask(events: AsyncGenerator<object, void, void>): Promise<Next> {
  const next = events.next()
  next.catch(() => {})
  return next
}

/** `next`, or "quiet" when `ms` pass before it. */
async function within(next: Promise<Next>, ms: number): Promise<Next | "quiet"> {
  if (ms === 0) return next
  let timer: ReturnType<typeof setTimeout> | undefined
  const quiet = new Promise<"quiet">((resolve) => (timer = setTimeout(() => resolve("quiet"), ms)))
  try {
    return await Promise.race([next, quiet])
  } finally {
    clearTimeout(timer)
  }
}
