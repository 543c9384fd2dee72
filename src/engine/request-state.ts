/**
 * What the front half knows of a live request: a `RequestState` for the caller's request, a `ChoiceState` for each of
 * its core requests.
 *
 * Invariants:
 *   1. A choice is in `request.live` from its admission until its last output, its abort or its failure.
 *   2. `choice.numOutputTokens` counts the tokens the reader gets; the core may have made more, behind a stop string.
 */
import { assert } from "../base/assert.ts"
import type { DraftResult, EngineCoreOutput, FinishReason } from "../core/engine-core-output.ts"
import type { SamplingParams } from "../core/sampling-params.ts"
import type { Tokenizer } from "../text/tokenizer.ts"
import type { GenerateRequest, PositionLogprobs } from "./engine-client.ts"
import { MAX_CONTEXT_TOKENS } from "./logprobs-text.ts"
import type { LogprobsText } from "./logprobs-text.ts"
import type { DraftCounts, FinishedRequest } from "./finished-request.ts"
import type { MutableChoiceOutput, OutputCollector } from "./output-collector.ts"
import type { OutputStream } from "./output-stream.ts"
import { OutputText } from "./output-text.ts"

type RequestInit = Pick<
  RequestState,
  "requestId" | "kind" | "collector" | "stream" | "promptTokenIds" | "arrivalTime" | "numChoices" | "onFinished"
>

export class RequestState {
  /** The caller's. */
  readonly requestId: string
  readonly kind: GenerateRequest["outputKind"]
  readonly collector: OutputCollector
  readonly stream: OutputStream
  readonly promptTokenIds: readonly number[]
  /** Seconds, front-end clock. */
  readonly arrivalTime: number
  readonly numChoices: number
  readonly onFinished: NonNullable<GenerateRequest["onFinished"]>
  /** Unfinished choices by the core's id. */
  readonly live = new Map<string, ChoiceState>()
  /** Of the choices finished so far, the longest. */
  maxGenerationTokens = 0
  /** The reader has something new and has not been woken for it. */
  isTouched = false

  constructor(init: RequestInit) {
    this.requestId = init.requestId
    this.kind = init.kind
    this.collector = init.collector
    this.stream = init.stream
    this.promptTokenIds = init.promptTokenIds
    this.arrivalTime = init.arrivalTime
    this.numChoices = init.numChoices
    this.onFinished = init.onFinished
  }
}

export interface ChoiceInit {
  readonly id: string
  readonly index: number
  readonly sampling: SamplingParams
  readonly request: RequestState
  readonly tokenizer: Tokenizer
}

export class ChoiceState {
  readonly id: string
  readonly index: number
  readonly request: RequestState
  readonly #sampling: SamplingParams
  readonly #text: OutputText | null
  /** Not handed out yet: new in `delta` kind, all in `final` kind. */
  #tokenIds: number[] = []
  #logprobs: PositionLogprobs[] = []
  /** Not handed out yet. */
  #promptLogprobs: PositionLogprobs[] | null = null
  #hasOutput = false
  /** The last few output tokens, kept for the texts of log-probabilities. */
  #contextIds: number[] = []
  #numCachedTokens = 0
  #numPreemptions = 0
  #drafts: DraftCounts | null = null
  #queuedTime: number | null = null
  #scheduledTime: number | null = null
  #firstTokenTime: number | null = null
  /** Front-end clock. */
  #firstOutputTime: number | null = null
  lastTokenTime: number | null = null
  numOutputTokens = 0
  /** Null until it has ended. */
  figures: FinishedRequest | null = null
  stopReason: string | number | null = null

  constructor(init: ChoiceInit) {
    this.id = init.id
    this.index = init.index
    this.request = init.request
    this.#sampling = init.sampling
    this.#text = init.sampling.detokenize
      ? new OutputText(init.tokenizer, init.sampling, init.request.promptTokenIds)
      : null
  }

  /** Takes in what happened to the request, and when its tokens came: `timestamp` on the core's clock, `now` here. */
  recordTimes(output: EngineCoreOutput, timestamp: number, now: number): void {
    for (const event of output.events) {
      if (event.type === "queued") this.#queuedTime ??= event.timestamp
      else if (event.type === "scheduled") this.#scheduledTime ??= event.timestamp
      else this.#numPreemptions += 1
    }
    if (output.prefillStats !== null) this.#numCachedTokens = output.prefillStats.numCachedTokens
    if (output.draft !== null) this.#drafts = addDraft(this.#drafts, output.draft)
    if (output.newTokenIds.length === 0) return
    this.#firstTokenTime ??= timestamp
    this.#firstOutputTime ??= now
    this.lastTokenTime = timestamp
  }

  /** Whether the reader is to have what there is now, in `delta` kind. */
  get isDue(): boolean {
    return !this.#hasOutput || this.#tokenIds.length >= this.#sampling.streamInterval
  }

  /** Takes in the tokens of `output`. Returns why the choice is finished, or null while it goes on. */
  append(output: EngineCoreOutput, logprobsText: LogprobsText): FinishReason | null {
    const { newTokenIds, finishReason } = output
    const hit = this.#text?.push(newTokenIds, finishReason === "stop" && newTokenIds.length > 0) ?? null
    const numKept = hit === null ? newTokenIds.length : hit.numKeptTokens
    if (this.#sampling.logprobs !== null) this.#appendLogprobs(output, numKept, logprobsText)
    if (output.promptLogprobs !== null) {
      this.#promptLogprobs = logprobsText.prompt(output.promptLogprobs, this.request.promptTokenIds)
    }
    for (let i = 0; i < numKept; i++) this.#tokenIds.push(newTokenIds[i]!)
    this.numOutputTokens += numKept
    if (hit !== null) {
      this.stopReason = hit.stop
      return "stop"
    }
    if (finishReason !== null) this.stopReason = output.stopReason
    return finishReason
  }

  #appendLogprobs(output: EngineCoreOutput, numKept: number, logprobsText: LogprobsText): void {
    const { logprobs } = output
    const count = logprobs?.length ?? 0
    assert(count >= numKept, () => `${this.id}: ${count} log-probabilities for ${numKept} tokens`)
    for (let i = 0; i < numKept; i++) {
      const entry = logprobs![i]!
      this.#logprobs.push(logprobsText.position(entry, this.#contextIds))
      this.#contextIds.push(entry.tokenId)
      if (this.#contextIds.length > MAX_CONTEXT_TOKENS) this.#contextIds.shift()
    }
  }

  /** What the reader has not had yet; the arrays are the caller's from here on. */
  takeOutput(finishReason: FinishReason | null): MutableChoiceOutput {
    const output: MutableChoiceOutput = {
      index: this.index,
      text: this.#text?.take(finishReason !== null) ?? "",
      tokenIds: this.#tokenIds,
      logprobs: this.#sampling.logprobs === null ? null : this.#logprobs,
      promptLogprobs: this.#promptLogprobs,
      finishReason,
      stopReason: finishReason === null ? null : this.stopReason,
      numOutputTokens: this.numOutputTokens,
      numCachedTokens: this.#numCachedTokens,
      figures: this.figures,
    }
    this.#tokenIds = []
    this.#logprobs = []
    this.#promptLogprobs = null
    this.#hasOutput = true
    return output
  }

  /** The choice has ended: its life in figures. */
  finish(reason: FinishReason, finishTime: number): FinishedRequest {
    this.figures = {
      reason,
      numPromptTokens: this.request.promptTokenIds.length,
      numGenerationTokens: this.numOutputTokens,
      numCachedTokens: this.#numCachedTokens,
      numPreemptions: this.#numPreemptions,
      maxTokens: this.#sampling.maxTokens,
      arrivalTime: this.request.arrivalTime,
      firstOutputTime: this.#firstOutputTime,
      finishTime,
      queuedTime: this.#queuedTime,
      scheduledTime: this.#scheduledTime,
      firstTokenTime: this.#firstTokenTime,
      lastTokenTime: this.lastTokenTime,
      drafts: this.#drafts,
    }
    return this.figures
  }
}

function addDraft(sum: DraftCounts | null, draft: DraftResult): DraftCounts {
  return {
    numDrafts: (sum?.numDrafts ?? 0) + 1,
    numDraftTokens: (sum?.numDraftTokens ?? 0) + draft.numTokens,
    numAcceptedTokens: (sum?.numAcceptedTokens ?? 0) + draft.numAccepted,
  }
}
