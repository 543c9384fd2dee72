/** A background response's events, kept so that readers can come, go, and come back. */
import type { ResponseEvent } from "../schema/response-events.ts"

export class EventLog {
  readonly #events: ResponseEvent[] = []
  readonly #waiting = new Set<() => void>()
  #isClosed = false
  /** Of the events as JSON. */
  numBytes = 0

  push(event: ResponseEvent): void {
    this.#events.push(event)
    this.numBytes += JSON.stringify(event).length
    this.#wake()
  }

  /** No event follows: readers end when they have read everything. */
  close(): void {
    this.#isClosed = true
    this.#wake()
  }

  /** The events numbered above `startingAfter`, those to come included. Aborting `signal` ends it. */
  async *read(startingAfter: number, signal: AbortSignal): AsyncGenerator<ResponseEvent, void, void> {
    let next = startingAfter + 1
    while (!signal.aborted) {
      const event = this.#events[next]
      if (event !== undefined) {
        next += 1
        yield event
      } else if (this.#isClosed) {
        return
      } else {
        await this.#change(signal)
      }
    }
  }

  async #change(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => resolve()
    this.#waiting.add(wake)
    signal.addEventListener("abort", wake)
    await promise
    this.#waiting.delete(wake)
    signal.removeEventListener("abort", wake)
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
  }
}
