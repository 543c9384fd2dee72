/**
 * Server-sent events from an async generator.
 *
 * Nothing is produced ahead of the reader: an event is asked for when the connection can take one. A client that goes
 * away aborts `abort`, also while the generator waits for the engine.
 */
import type { RequestError } from "../../base/errors.ts"
import type { Log } from "../../base/log.ts"
import { admitted } from "./admitted.ts"
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
  /** A stream that waits sends a comment this often; 0 sends none. */
  readonly keepAliveMs: number
  readonly log: Log
}

/** Text for one connection. */
export interface SseReader {
  /** The next event, or null after the last. One call at a time. Never rejects. */
  next(): Promise<string | null>
  /** The connection is gone. */
  cancel(): void
}

/**
 * Starts the generator and answers with its events, then with the dialect's end, also after an error event.
 *
 * Errors: those of `admitted`.
 */
export async function sseResponse(events: AsyncGenerator<object, void, void>, options: SseOptions): Promise<Response> {
  return sseBody(new SseText(await admitted(events), options), options)
}

/** A generator's events as text. */
export class SseText implements SseReader {
  readonly #events: AsyncGenerator<object, void, void>
  readonly #options: SseOptions
  #hasEnded = false

  constructor(events: AsyncGenerator<object, void, void>, options: SseOptions) {
    this.#events = events
    this.#options = options
  }

  async next(): Promise<string | null> {
    const { abort, dialect, log } = this.#options
    if (this.#hasEnded) return null
    try {
      const { done, value } = await this.#events.next()
      if (done !== true) return dialect.event(value)
      this.#hasEnded = true
      return dialect.end === "" || abort.signal.aborted ? null : dialect.end
    } catch (error) {
      this.#hasEnded = true
      return abort.signal.aborted ? null : dialect.error(toRequestError(error, log)) + dialect.end
    }
  }

  cancel(): void {
    this.#options.abort.abort()
    void this.#events.return().catch(() => {})
  }
}

/** The answer that `reader` is the text of. */
export function sseBody(reader: SseReader, { dialect, keepAliveMs }: SseOptions): Response {
  const encoder = new TextEncoder()
  let state: "idle" | "waiting" | "over" = "idle"
  let sentMs = 0
  let timer: ReturnType<typeof setInterval> | null = null

  const keepAlive = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    // A comment that nobody has taken yet is enough.
    if (state !== "waiting" || controller.desiredSize !== 0 || performance.now() - sentMs < keepAliveMs / 2) return
    controller.enqueue(encoder.encode(dialect.keepAlive))
  }
  const end = (): void => {
    state = "over"
    if (timer !== null) clearInterval(timer)
  }

  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    if (keepAliveMs > 0) timer ??= setInterval(() => keepAlive(controller), keepAliveMs)
    state = "waiting"
    const text = await reader.next()
    // The connection may have gone in the meantime.
    if ((state as string) === "over") return
    state = "idle"
    if (timer !== null) sentMs = performance.now()
    if (text !== null) return controller.enqueue(encoder.encode(text))
    end()
    controller.close()
  }
  const cancel = (): void => {
    end()
    reader.cancel()
  }
  return new Response(new ReadableStream({ pull, cancel }, { highWaterMark: 0 }), { headers: HEADERS })
}
