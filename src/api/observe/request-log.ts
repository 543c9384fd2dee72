/**
 * One line a request: for those that made the engine work when the last choice has ended, with how it went; for others,
 * and for refusals, when they are answered. The paths that probes call all the time say nothing.
 */
import type { LogFields } from "../../base/log.ts"
import { requestTimes } from "../../engine/finished-request.ts"
import type { FinishedRequest } from "../../engine/finished-request.ts"
import type { ApiOptions } from "../context.ts"
import type { FinishedChoice, RequestRecord } from "./request-record.ts"

export const QUIET_PATHS: readonly string[] = ["/health", "/ready", "/metrics", "/ping"]

export class RequestLog {
  readonly #options: ApiOptions
  readonly #quiet: ReadonlySet<string>

  constructor(options: ApiOptions) {
    this.#options = options
    this.#quiet = new Set([...QUIET_PATHS, ...options.quietPaths])
  }

  /** The answer is ready, or has begun. */
  answered(record: RequestRecord, status: number, ms: number): void {
    if (record.isComplete || (record.isGenerating && status < 400)) return
    this.#write(record, { status, ms: Math.round(ms) })
  }

  completed(record: RequestRecord): void {
    this.#write(record, { id: record.choices[0]!.id, ...describe(record.choices) })
  }

  #write(record: RequestRecord, fields: LogFields): void {
    const { accessLog, log } = this.#options
    if (!accessLog || this.#quiet.has(record.path)) return
    const { method, path, requestId } = record
    log.info("answered", { method, path, ...(requestId === null ? {} : { requestId }), ...fields })
  }
}

/** Counts are sums over the choices, each prompt once; times are those of the choice that took longest. */
function describe(choices: readonly FinishedChoice[]): LogFields {
  const figures = choices.map((choice) => choice.figures)
  const prompts = [...new Map(choices.map((choice) => [choice.promptIdx, choice.figures])).values()]
  const slowest = figures.reduce((a, b) => (b.finishTime - b.arrivalTime > a.finishTime - a.arrivalTime ? b : a))
  const { queue, prefill, decode, inference, firstToken, endToEnd } = requestTimes(slowest)
  const outputTokens = sum(figures, ({ numGenerationTokens }) => numGenerationTokens)
  const drafted = sum(figures, ({ drafts }) => drafts?.numDraftTokens ?? 0)
  const accepted = sum(figures, ({ drafts }) => drafts?.numAcceptedTokens ?? 0)
  const preemptions = sum(figures, ({ numPreemptions }) => numPreemptions)
  return {
    finish: [...new Set(figures.map(({ reason }) => reason))].join(","),
    ...(figures.length > 1 ? { choices: figures.length } : {}),
    promptTokens: sum(prompts, ({ numPromptTokens }) => numPromptTokens),
    cachedTokens: sum(prompts, ({ numCachedTokens }) => numCachedTokens),
    outputTokens,
    ...(drafted > 0 ? { drafted, accepted } : {}),
    ...(preemptions > 0 ? { preemptions } : {}),
    ms: Math.round(endToEnd * 1000),
    queueMs: toMs(queue),
    prefillMs: toMs(prefill),
    decodeMs: toMs(decode),
    firstTokenMs: toMs(firstToken),
    tokensPerSecond: inference === null || inference <= 0 ? null : Number((outputTokens / inference).toFixed(1)),
  }
}

function sum(figures: readonly FinishedRequest[], count: (figures: FinishedRequest) => number): number {
  return figures.reduce((total, each) => total + count(each), 0)
}

function toMs(seconds: number | null): number | null {
  return seconds === null ? null : Number((seconds * 1000).toFixed(1))
}
