import { describe, expect, test } from "bun:test"
import { parseTraceparent, requestSpans } from "../../../src/api/observe/request-spans.ts"
import { RequestRecord } from "../../../src/api/observe/request-record.ts"
import { defaultSamplingParams } from "../../../src/core/sampling-params.ts"
import type { FinishedRequest } from "../../../src/engine/finished-request.ts"

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
const PARENT = "00f067aa0ba902b7"
const FIGURES: FinishedRequest = {
  reason: "stop", numPromptTokens: 12, numGenerationTokens: 10, numCachedTokens: 8, numPreemptions: 0, maxTokens: 64,
  arrivalTime: 50, firstOutputTime: 51.25, finishTime: 52.5, queuedTime: 1, scheduledTime: 1.5, firstTokenTime: 2,
  lastTokenTime: 3, drafts: null,
}

function record(figures: readonly FinishedRequest[], traceparent: string | null = `00-${TRACE}-${PARENT}-01`) {
  const headers: Record<string, string> = traceparent === null ? {} : { traceparent }
  const made = new RequestRecord(new Request("http://localhost/v1/completions", { headers }), () => {})
  const sampling = defaultSamplingParams({ temperature: 0.5, topP: 0.9, n: figures.length })
  made.expect(figures.length)
  for (const each of figures) made.add({ id: "cmpl-1", promptIdx: 0, sampling, figures: each })
  return made
}

describe("a request", () => {
  test("is vLLM's span with its attributes, and its parts end to end below it", () => {
    const [root, ...parts] = requestSpans(record([FIGURES]), "model", 100_000)
    expect(root).toEqual({
      traceId: TRACE, spanId: expect.stringMatching(/^[0-9a-f]{16}$/), parentSpanId: PARENT, name: "llm_request",
      kind: "server", startMs: 97_500, endMs: 100_000, isError: false,
      attributes: {
        "gen_ai.request.id": "cmpl-1", "gen_ai.request.temperature": { double: 0.5 },
        "gen_ai.request.top_p": { double: 0.9 },
        "gen_ai.request.max_tokens": 64, "gen_ai.request.n": 1, "gen_ai.response.model": "model",
        "gen_ai.response.finish_reasons": ["stop"], "gen_ai.usage.prompt_tokens": 12,
        "gen_ai.usage.completion_tokens": 10, "gen_ai.usage.cached_tokens": 8,
        "gen_ai.latency.time_in_queue": { double: 0.5 },
        "gen_ai.latency.time_to_first_token": { double: 1.25 }, "gen_ai.latency.e2e": { double: 2.5 },
        "gen_ai.latency.time_in_model_prefill": { double: 0.5 }, "gen_ai.latency.time_in_model_decode": { double: 1 },
        "gen_ai.latency.time_in_model_inference": { double: 1.5 },
      },
    })
    expect(parts.map(({ name, startMs, endMs }) => [name, startMs, endMs])).toEqual([
      ["queue", 97_500, 98_000], ["prefill", 98_000, 98_500], ["decode", 98_500, 99_500],
    ])
    for (const { traceId, parentSpanId, kind } of parts)
      expect([traceId, parentSpanId, kind]).toEqual([TRACE, root!.spanId, "internal"])
    expect(new Set([root!, ...parts].map(({ spanId }) => spanId)).size).toBe(4)
  })

  test("aborted in the queue has no parts, one that failed is an error", () => {
    const early = { ...FIGURES, scheduledTime: null, firstTokenTime: null, lastTokenTime: null }
    expect(requestSpans(record([{ ...early, reason: "abort" }]), "m", 0)).toHaveLength(1)
    expect(requestSpans(record([{ ...early, reason: "error" }]), "m", 0)[0]).toMatchObject({ isError: true })
  })

  test("of several choices is one trace, each choice ending when it did", () => {
    const spans = requestSpans(record([FIGURES, { ...FIGURES, finishTime: 52 }], null), "m", 100_000)
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1)
    const roots = spans.filter(({ name }) => name === "llm_request")
    expect(roots.map(({ startMs, endMs, parentSpanId }) => [startMs, endMs, parentSpanId])).toEqual([
      [97_500, 100_000, null], [97_500, 99_500, null],
    ])
  })

  test("of a trace that is not recorded leaves none", () => {
    expect(requestSpans(record([FIGURES], `00-${TRACE}-${PARENT}-00`), "m", 0)).toEqual([])
  })
})

describe("traceparent", () => {
  test.each<[string, boolean]>([
    [`00-${TRACE}-${PARENT}-01`, true], [`00-${TRACE}-${PARENT}-00`, false], [`cc-${TRACE}-${PARENT}-03-more`, true],
  ])("%s", (header, isSampled) => {
    expect(parseTraceparent(header)).toEqual({ traceId: TRACE, spanId: PARENT, isSampled })
  })

  test.each([
    "", "nonsense", `00-${TRACE}-${PARENT}`, `00-${TRACE}-${PARENT}-01-more`, `ff-${TRACE}-${PARENT}-01`,
    `00-${"0".repeat(32)}-${PARENT}-01`, `00-${TRACE}-${"0".repeat(16)}-01`, `00-${TRACE.toUpperCase()}-${PARENT}-01`,
  ])("%j is none", (header) => expect(parseTraceparent(header)).toBeNull())
})
