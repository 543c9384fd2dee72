import { describe, expect, test } from "bun:test"
import { chunkMetrics, requestMetrics } from "../../../src/api/observe/request-metrics.ts"
import type { FinishedRequest } from "../../../src/engine/finished-request.ts"
import { makeApi, until } from "./harness.ts"

const CHAT = "/v1/chat/completions"
const COMPLETIONS = "/v1/completions"
const messages = [{ role: "user", content: "hi" }]

const FIGURES: FinishedRequest = {
  reason: "length", numPromptTokens: 12, numGenerationTokens: 10, numCachedTokens: 8, numPreemptions: 1, maxTokens: 10,
  arrivalTime: 50, firstOutputTime: 51.2, finishTime: 52.5, queuedTime: 1, scheduledTime: 1.5, firstTokenTime: 2,
  lastTokenTime: 3, drafts: null,
}

describe("the figures", () => {
  test("are vLLM's, by its definitions, and counts", () => {
    expect(requestMetrics([FIGURES])).toEqual({
      time_to_first_token_ms: 500, generation_time_ms: 1000, queue_time_ms: 500,
      mean_itl_ms: expect.closeTo(1000 / 9, 9),
      tokens_per_second: 10 / 1.5, speculative_decoding: null, prompt_tokens: 12, cached_tokens: 8,
      completion_tokens: 10, prompt_tokens_per_second: 8, num_preemptions: 1,
    })
  })

  test("what never happened is null, and left out of a stream", () => {
    const early = { ...FIGURES, scheduledTime: null, firstTokenTime: null, lastTokenTime: null, numGenerationTokens: 0 }
    expect(requestMetrics([early])).toMatchObject({
      time_to_first_token_ms: null, generation_time_ms: null, queue_time_ms: null, mean_itl_ms: null,
      tokens_per_second: null, prompt_tokens_per_second: null,
    })
    expect(chunkMetrics([early], { isWanted: true, numChoices: 1 })).toEqual({
      metrics: { prompt_tokens: 12, cached_tokens: 8, completion_tokens: 0, num_preemptions: 1 },
    })
    expect(requestMetrics([{ ...FIGURES, numGenerationTokens: 1 }])?.mean_itl_ms).toBeNull()
  })

  test("drafts are told with their rates", () => {
    const drafts = { numDrafts: 4, numDraftTokens: 12, numAcceptedTokens: 6 }
    expect(requestMetrics([{ ...FIGURES, drafts }])?.speculative_decoding).toEqual({
      num_spec_steps: 4, num_draft_tokens: 12, num_accepted_draft_tokens: 6, mean_acceptance_length: 2.5,
      draft_acceptance_rate: 0.5,
    })
  })
})

describe.each([
  [CHAT, { messages }],
  [COMPLETIONS, { prompt: "hi" }],
])("%s", (path, body) => {
  const api = makeApi({ reply: "Hello<|eos|>" })
  const byFlag = makeApi({ reply: "Hello<|eos|>", api: { enablePerRequestMetrics: true } })
  const told = expect.objectContaining({ completion_tokens: 6, cached_tokens: 0, queue_time_ms: expect.any(Number) })

  test("a whole answer has metrics on request or by the server's flag", async () => {
    expect((await api.post(path, body)).json.metrics).toBeNull()
    expect((await api.post(path, { ...body, return_metrics: true })).json.metrics).toEqual(told)
    expect((await byFlag.post(path, body)).json.metrics).toEqual(told)
    expect((await byFlag.post(path, { ...body, return_metrics: false })).json.metrics).toBeNull()
  })

  test("there are none for several choices", async () => {
    const asked = { ...body, n: 2, return_metrics: true }
    expect((await api.post(path, asked)).json.metrics).toBeNull()
    const { events } = await api.post(path, { ...asked, stream: true })
    expect(events.filter((event) => event.metrics !== undefined)).toEqual([])
  })

  test("a stream tells them once: with the usage, else with the end", async () => {
    const asked = { ...body, stream: true, return_metrics: true }
    const plain = (await api.post(path, asked)).events.filter((event) => event.metrics !== undefined)
    expect(plain).toEqual([expect.objectContaining({ metrics: told })])
    expect(plain[0].choices[0].finish_reason).toBe("stop")
    const { events } = await api.post(path, { ...asked, stream_options: { include_usage: true } })
    expect(events.filter((event) => event.metrics !== undefined)).toEqual([
      expect.objectContaining({ choices: [], metrics: told, usage: expect.anything() }),
    ])
    const { events: unasked } = await api.post(path, { ...body, stream: true })
    expect(unasked.some((event) => event.metrics !== undefined)).toBe(false)
  })
})

test("a response of the Responses API has them where they are wanted", async () => {
  const api = makeApi({ reply: "Hello<|eos|>" })
  const byFlag = makeApi({ reply: "Hello<|eos|>", api: { enablePerRequestMetrics: true } })
  const told = expect.objectContaining({ completion_tokens: 6 })
  expect((await api.post("/v1/responses", { input: "hi" })).json).not.toHaveProperty("metrics")
  expect((await api.post("/v1/responses", { input: "hi", return_metrics: true })).json.metrics).toEqual(told)
  expect((await byFlag.post("/v1/responses", { input: "hi" })).json.metrics).toEqual(told)
})

test("a choice's figures are complete before its last output is read", async () => {
  let now = 10
  const api = makeApi({ stepMs: null, now: () => now, reply: "ab<|eos|>" })
  const answer = api.post(COMPLETIONS, { prompt: "hi", return_metrics: true })
  await until(() => api.fake.numLive() === 1, "the request")
  for (const time of [12, 15, 19]) {
    now = time
    api.fake.core.step()
  }
  expect((await answer).json.metrics).toMatchObject({
    queue_time_ms: 2000, time_to_first_token_ms: 0, generation_time_ms: 7000, mean_itl_ms: 3500,
  })
})
