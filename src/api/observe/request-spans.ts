/**
 * A request as spans: vLLM's `llm_request` for each choice, with its attributes, and below it the times in the queue,
 * in prefill and in decode.
 *
 * A traceparent header makes them part of the caller's trace; if it says that the trace is not recorded, there are
 * none. The engine's threads have clocks of their own, so the parts are laid end to end from the request's arrival.
 */
import { requestTimes } from "../../engine/finished-request.ts"
import type { Attributes, AttributeValue, Span } from "./otlp.ts"
import { randomHex } from "../http/request-id.ts"
import type { FinishedChoice, RequestRecord } from "./request-record.ts"

interface ParentContext {
  readonly traceId: string
  readonly spanId: string | null
  readonly isSampled: boolean
}

/** `nowMs`: since the epoch, the present, which is when the last choice has ended. */
export function requestSpans(record: RequestRecord, model: string, nowMs: number): Span[] {
  const parent = parseTraceparent(record.traceparent) ?? { traceId: randomHex(16), spanId: null, isSampled: true }
  if (!parent.isSampled) return []
  const latest = Math.max(...record.choices.map(({ figures }) => figures.finishTime))
  return record.choices.flatMap((choice) => {
    const endMs = nowMs - (latest - choice.figures.finishTime) * 1000
    return choiceSpans(choice, { parent, model, endMs })
  })
}

function choiceSpans(
  choice: FinishedChoice, at: { parent: ParentContext; model: string; endMs: number },
): Span[] {
  const { figures } = choice
  const { queue, prefill, decode, endToEnd } = requestTimes(figures)
  const { traceId } = at.parent
  const startMs = at.endMs - endToEnd * 1000
  const root: Span = {
    traceId, spanId: randomHex(8), parentSpanId: at.parent.spanId, name: "llm_request", kind: "server", startMs,
    endMs: at.endMs, attributes: attributesOf(choice, at.model), isError: figures.reason === "error",
  }
  const spans = [root]
  let fromMs = startMs
  for (const [name, seconds] of [["queue", queue], ["prefill", prefill], ["decode", decode]] as const) {
    if (seconds === null) break
    const endMs = Math.min(fromMs + seconds * 1000, at.endMs)
    spans.push({
      traceId, spanId: randomHex(8), parentSpanId: root.spanId, name, kind: "internal", startMs: fromMs, endMs,
      attributes: {}, isError: false,
    })
    fromMs = endMs
  }
  return spans
}

function attributesOf({ id, sampling, figures }: FinishedChoice, model: string): Attributes {
  const { queue, prefill, decode, inference, firstToken, endToEnd } = requestTimes(figures)
  const { drafts } = figures
  const attributes: Record<string, AttributeValue | null> = {
    "gen_ai.request.id": id,
    "gen_ai.request.temperature": { double: sampling.temperature },
    "gen_ai.request.top_p": { double: sampling.topP },
    "gen_ai.request.max_tokens": figures.maxTokens,
    "gen_ai.request.n": sampling.n,
    "gen_ai.response.model": model,
    "gen_ai.response.finish_reasons": [figures.reason],
    "gen_ai.usage.prompt_tokens": figures.numPromptTokens,
    "gen_ai.usage.completion_tokens": figures.numGenerationTokens,
    "gen_ai.usage.cached_tokens": figures.numCachedTokens,
    "gen_ai.usage.draft_tokens": drafts?.numDraftTokens ?? null,
    "gen_ai.usage.accepted_draft_tokens": drafts?.numAcceptedTokens ?? null,
    "gen_ai.latency.time_in_queue": seconds(queue),
    "gen_ai.latency.time_to_first_token": seconds(firstToken),
    "gen_ai.latency.e2e": seconds(endToEnd),
    "gen_ai.latency.time_in_model_prefill": seconds(prefill),
    "gen_ai.latency.time_in_model_decode": seconds(decode),
    "gen_ai.latency.time_in_model_inference": seconds(inference),
  }
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== null)) as Attributes
}

function seconds(time: number | null): AttributeValue | null {
  return time === null ? null : { double: time }
}

/** https://www.w3.org/TR/trace-context/; null for anything that is not one. */
export function parseTraceparent(header: string | null): ParentContext | null {
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(header?.trim() ?? "")
  if (match === null) return null
  const [, version = "", traceId = "", spanId = "", flags = "", rest] = match
  // Later versions may say more; this one may not, and ff is none.
  if (version === "ff" || (version === "00" && rest !== undefined)) return null
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 }
}
