import { describe, expect, test } from "bun:test"
import { makeApi } from "./harness.ts"

const COMPLETIONS = "/v1/completions"

describe("a thinking budget", () => {
  const reasoning = { startIds: [1], endIds: [2], forcedEndIds: [7, 2] }
  const api = makeApi({ model: { reasoning } })

  test("takes the model's marks", async () => {
    await api.post(COMPLETIONS, { prompt: "hi", thinking_token_budget: 5 })
    const { thinkingBudget } = api.fake.core.added.at(-1)!.sampling
    expect(thinkingBudget).toEqual({ maxTokens: 5, ...reasoning, unmarkedStart: null })
    await api.post(COMPLETIONS, { prompt: "hi", thinking_token_budget: -1 })
    expect(api.fake.core.added.at(-1)!.sampling.thinkingBudget).toBeNull()
  })

  test.each([-2, 1.5, true, "5"])("of %p is refused", async (value) => {
    expect((await api.post(COMPLETIONS, { prompt: "hi", thinking_token_budget: value })).status).toBe(400)
  })

  test("is refused where nobody knows the marks", async () => {
    const { status, json } = await makeApi().post(COMPLETIONS, { prompt: "hi", thinking_token_budget: 5 })
    expect(status).toBe(400)
    expect(json.error.param).toBe("thinking_token_budget")
    expect(json.error.message).toContain("--reasoning-config")
  })
})

describe("where sampling values come from", () => {
  const defaults = { temperature: 0.25, top_p: 0.5, top_k: 7, min_p: 0.125, repetition_penalty: 1.5, max_new_tokens: 9 }
  const api = makeApi({ reply: "a", model: { generationDefaults: defaults, extraEosTokenIds: [259] } })
  const sent = () => api.fake.core.added.at(-1)!.sampling

  test("vLLM's defaults where neither the request nor the model says anything", async () => {
    const plain = makeApi()
    await plain.post(COMPLETIONS, { prompt: "hi" })
    expect(plain.fake.core.added[0]!.sampling).toMatchObject({
      n: 1, temperature: 1, topP: 1, topK: 0, minP: 0, presencePenalty: 0, frequencyPenalty: 0, repetitionPenalty: 1,
      stop: [], stopTokenIds: [], ignoreEos: false, includeStopStrInOutput: false, maxTokens: 16, minTokens: 0,
      logprobs: null, promptLogprobs: null, logitBias: null, allowedTokenIds: null, badWords: null,
      repetitionDetection: null, skipSpecialTokens: true, spacesBetweenSpecialTokens: true,
    })
  })

  test("the model's defaults where the request says nothing, or null", async () => {
    for (const fields of [{}, { temperature: null, top_p: null, top_k: null, min_p: null, repetition_penalty: null }]) {
      await api.post(COMPLETIONS, { prompt: "hi", ...fields })
      expect(sent()).toMatchObject({
        temperature: 0.25,
        topP: 0.5,
        topK: 7,
        minP: 0.125,
        repetitionPenalty: 1.5,
        maxTokens: 16,
      })
    }
  })

  test("the request's values win", async () => {
    await api.post(COMPLETIONS, {
      prompt: "hi",
      temperature: 0.75,
      top_p: 1,
      top_k: 0,
      min_p: 0,
      repetition_penalty: 1,
      max_tokens: 20,
    })
    expect(sent()).toMatchObject({ temperature: 0.75, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1, maxTokens: 20 })
  })

  test("a chat without max_tokens takes the model's max_new_tokens", async () => {
    const { json } = await api.post("/v1/chat/completions", { messages: [{ role: "user", content: "x" }] })
    expect(json.usage.completion_tokens).toBe(9)
  })

  test("the model's end-of-sequence ids stop too, unless they are to be ignored", async () => {
    await api.post(COMPLETIONS, { prompt: "hi", stop_token_ids: [5] })
    expect(sent()).toMatchObject({ eosTokenId: 257, extraEosTokenIds: [259], stopTokenIds: [5, 259] })
    await api.post(COMPLETIONS, { prompt: "hi", stop_token_ids: [5], ignore_eos: true, max_tokens: 2 })
    expect(sent()).toMatchObject({ stopTokenIds: [5], ignoreEos: true })
  })

  test("every other field arrives", async () => {
    await api.post(COMPLETIONS, {
      prompt: "hi",
      seed: 7,
      presence_penalty: 0.5,
      frequency_penalty: -0.5,
      min_tokens: 2,
      allowed_token_ids: [1, 2],
      logit_bias: { "3": 5, "4": "-200" },
      bad_words: ["xy"],
      skip_special_tokens: false,
      spaces_between_special_tokens: false,
      repetition_detection: { max_pattern_size: 3, min_count: 2 },
    })
    expect(sent()).toMatchObject({
      seed: 7n, presencePenalty: 0.5, frequencyPenalty: -0.5, minTokens: 2, allowedTokenIds: [1, 2],
      logitBias: new Map([[3, 5], [4, -100]]), badWords: [[120, 121]], skipSpecialTokens: false,
      spacesBetweenSpecialTokens: false, repetitionDetection: { maxPatternSize: 3, minPatternSize: 0, minCount: 2 },
    })
  })
})

test("hostile JSON is refused or read, never fatal", async () => {
  const api = makeApi()
  const headers = { "content-type": "application/json" }
  for (const body of ["[".repeat(1_000_000), `{"prompt":${"[".repeat(100_000)}${"]".repeat(100_000)}}`]) {
    expect((await api.send("POST", COMPLETIONS, body, headers)).status).toBe(400)
  }
  const deep = (levels: number) => {
    const nested = '{"a":'.repeat(levels) + "1" + "}".repeat(levels)
    return api.send("POST", COMPLETIONS, `{"prompt":"hi","x":${nested},"__proto__":{"n":0}}`, headers)
  }
  expect([(await deep(10_000)).status, (await deep(199)).status]).toEqual([400, 200])
  expect((await api.send("POST", COMPLETIONS, '{"prompt":"hi","temperature":1e999}', headers)).status).toBe(400)
})
