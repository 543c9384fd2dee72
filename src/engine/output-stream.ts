/**
 * The async generator that a request's reader loops over.
 *
 *   idle --next--> started --last output taken | return | abort | failure--> ended
 *   idle --return, or a start that throws--> ended
 *
 * It is written out instead of an `async function*` because `return()` of the latter waits for the pending `next()`:
 * a reader that leaves while its request is queued would free nothing until the request's first token.
 */
import { assert } from "../base/assert.ts"
import type { ChoiceOutput } from "./engine-client.ts"
import type { OutputCollector } from "./output-collector.ts"

type Result = IteratorResult<ChoiceOutput, void>

export interface OutputStreamHooks {
  /** Called once, by the first `next()`: admits the request. What it throws is the first `next()`'s error. */
  start(): void
  /** Called once when a stream that `start` has started ends, in whatever way: nobody will read any more. */
  end(): void
}

export class OutputStream implements AsyncGenerator<ChoiceOutput, void, void> {
  readonly #collector: OutputCollector
  readonly #hooks: OutputStreamHooks
  #state: "idle" | "started" | "ended" = "idle"
  #failure: Error | null = null
  #reader: PromiseWithResolvers<Result> | null = null

  constructor(collector: OutputCollector, hooks: OutputStreamHooks) {
    this.#collector = collector
    this.#hooks = hooks
  }

  next(): Promise<Result> {
    assert(this.#reader === null, "a stream has one reader, which awaits each next()")
    if (this.#state === "idle") {
      this.#state = "started"
      try {
        this.#hooks.start()
      } catch (error) {
        this.#state = "ended"
        return Promise.reject(error)
      }
    }
    const reader = Promise.withResolvers<Result>()
    if (!this.#settle(reader)) this.#reader = reader
    return reader.promise
  }

  /** Tells the reader, if it waits, that the collector holds something new. */
  wake(): void {
    const reader = this.#reader
    if (reader === null) return
    // Not the reader's any more before it is settled: settling may end the stream, which wakes in turn.
    this.#reader = null
    if (!this.#settle(reader)) this.#reader = reader
  }

  /** Ends the stream with `error`, which replaces whatever the reader has not taken. */
  fail(error: Error): void {
    if (this.#state === "ended") return
    this.#failure = error
    this.#collector.clear()
    this.wake()
  }

  /** Ends the stream with no further output. */
  end(): void {
    this.#finish()
    this.#collector.clear()
    this.wake()
  }

  return(): Promise<Result> {
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }

  throw(error: unknown): Promise<Result> {
    this.end()
    return Promise.reject(error)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end()
  }

  #finish(): void {
    const wasStarted = this.#state === "started"
    this.#state = "ended"
    if (wasStarted) this.#hooks.end()
  }

  /** Answers the reader with what there is; false when it has to wait. */
  #settle(reader: PromiseWithResolvers<Result>): boolean {
    if (this.#state === "ended") {
      reader.resolve({ done: true, value: undefined })
      return true
    }
    if (this.#failure !== null) {
      this.#finish()
      reader.reject(this.#failure)
      return true
    }
    const output = this.#collector.take()
    if (output !== null) {
      reader.resolve({ done: false, value: output })
      return true
    }
    if (!this.#collector.isFinished) return false
    this.#finish()
    reader.resolve({ done: true, value: undefined })
    return true
  }
}
