/**
 * Turns the core's batches into what readers get: times, text, stop strings, log-probabilities, ends.
 *
 * A batch is one pass over its outputs, with one wake-up a request at the end. An output that cannot be processed fails
 * its own request and no other. Outputs of ids that are not live (aborted a moment ago) are ignored.
 */
import { assert } from "../base/assert.ts"
import { RequestError } from "../base/errors.ts"
import type { EngineCoreOutput, FinishReason } from "../core/engine-core-output.ts"
import type { RequestFailure } from "../core/schedule-plan.ts"
import type { Tokenizer } from "../text/tokenizer.ts"
import type { EngineCoreOutputs } from "./engine-core-port.ts"
import { LogprobsText } from "./logprobs-text.ts"
import type { EngineMetrics } from "./metrics.ts"
import type { ChoiceState, RequestState } from "./request-state.ts"

export class OutputProcessor {
  readonly #metrics: EngineMetrics
  readonly #logprobsText: LogprobsText
  /** Unfinished choices of all requests, by the core's id. */
  readonly #live = new Map<string, ChoiceState>()

  constructor(options: { metrics: EngineMetrics; tokenizer: Tokenizer }) {
    this.#metrics = options.metrics
    this.#logprobsText = new LogprobsText(options.tokenizer)
  }

  /** Choices that are not finished. */
  get numLive(): number {
    return this.#live.size
  }

  /** Prompt tokens of the choices that have no output yet. */
  numPrefillTokens(): number {
    let total = 0
    for (const { numOutputTokens, request } of this.#live.values()) {
      if (numOutputTokens === 0) total += request.promptTokenIds.length
    }
    return total
  }

  /** The requests that have an unfinished choice. */
  liveRequests(): Set<RequestState> {
    return new Set(this.#live.values().map(({ request }) => request))
  }

  add(choice: ChoiceState): void {
    assert(!this.#live.has(choice.id), () => `request ${choice.id} is live already`)
    this.#live.set(choice.id, choice)
    choice.request.live.set(choice.id, choice)
  }

  /**
   * `now`: front-end clock, seconds. Returns the ids that have ended here while the core still works on them: it must
   * abort those.
   */
  process(batch: EngineCoreOutputs, now: number): string[] {
    const idsToAbort: string[] = []
    const touched: RequestState[] = []
    for (const output of batch.outputs) {
      const choice = this.#live.get(output.requestId)
      if (choice === undefined) continue
      const { request } = choice
      try {
        this.#processOne(choice, output, { timestamp: batch.timestamp, now, idsToAbort })
      } catch (error) {
        idsToAbort.push(...this.fail(request, error instanceof Error ? error : new Error(String(error)), now))
        continue
      }
      if (request.isTouched) continue
      request.isTouched = true
      touched.push(request)
    }
    for (const request of touched) {
      request.isTouched = false
      request.stream.wake()
    }
    return idsToAbort
  }

  #processOne(
    choice: ChoiceState,
    output: EngineCoreOutput,
    batch: { timestamp: number; now: number; idsToAbort: string[] },
  ): void {
    const { request } = choice
    if (output.failure !== undefined) throw errorOf(output.failure)
    this.#recordLatency(choice, output, batch)
    choice.recordTimes(output, batch.timestamp, batch.now)
    const finishReason = choice.append(output, this.#logprobsText)
    if (finishReason !== null && output.finishReason === null) batch.idsToAbort.push(choice.id)
    if (finishReason !== null) this.#finish(choice, finishReason, batch.now)
    const isDue = finishReason !== null || (request.kind === "delta" && choice.isDue)
    if (isDue) request.collector.put(choice.takeOutput(finishReason))
  }

  #recordLatency(choice: ChoiceState, output: EngineCoreOutput, batch: { timestamp: number; now: number }): void {
    if (output.newTokenIds.length === 0) return
    const { lastTokenTime } = choice
    if (lastTokenTime === null) this.#metrics.timeToFirstToken.observe(batch.now - choice.request.arrivalTime)
    else this.#metrics.interTokenLatency.observe(batch.timestamp - lastTokenTime)
  }

  /** Every live choice of `request` ends as aborted, with its text so far. Returns the ids the core must abort. */
  abortWithOutput(request: RequestState, now: number): string[] {
    const choices = [...request.live.values()]
    for (const choice of choices) {
      this.#finish(choice, "abort", now)
      request.collector.put(choice.takeOutput("abort"))
    }
    request.stream.wake()
    return choices.map(({ id }) => id)
  }

  /** Forgets `request`, whose reader has left. Returns the ids the core must abort. */
  abort(request: RequestState, now: number): string[] {
    return this.#remove(request, "abort", now)
  }

  /** Ends `request` with `error`. Returns the ids the core must abort. */
  fail(request: RequestState, error: Error, now: number): string[] {
    const ids = this.#remove(request, "error", now)
    request.stream.fail(error)
    return ids
  }

  #remove(request: RequestState, reason: FinishReason, now: number): string[] {
    const choices = [...request.live.values()]
    for (const choice of choices) this.#finish(choice, reason, now)
    return choices.map(({ id }) => id)
  }

  #finish(choice: ChoiceState, reason: FinishReason, now: number): void {
    const { request } = choice
    this.#live.delete(choice.id)
    request.live.delete(choice.id)
    const figures = choice.finish(reason, now)
    this.#metrics.recordFinished(figures)
    request.onFinished(figures)
    request.maxGenerationTokens = Math.max(request.maxGenerationTokens, choice.numOutputTokens)
    if (request.live.size > 0 || reason === "abort" || reason === "error") return
    this.#metrics.recordChoices({ n: request.numChoices, maxGenerationTokens: request.maxGenerationTokens })
  }
}

function errorOf({ message, isCallersFault }: RequestFailure): RequestError {
  return isCallersFault
    ? new RequestError(message, { param: "vllm_xargs" })
    : new RequestError(message, { status: 500, type: "InternalServerError" })
}
