import { describe, expect, test } from "bun:test"
import { makeApi } from "./harness.ts"
import type { Answer, Json } from "./harness.ts"

const PATH = "/v1/completions"
const api = makeApi({ reply: "Hello, world!<|eos|>" })

function textOf(answer: Answer, index = 0): string {
  const choices: Json[] = answer.events.flatMap((event) => event.choices ?? [])
  return choices.filter((choice) => choice.index === index).map((choice) => choice.text).join("")
}

describe("whole answers", () => {
  test("have every field of the reference, nulls written", async () => {
    const { status, json } = await api.post(PATH, { prompt: "hi", max_tokens: 5 })
    expect(status).toBe(200)
    expect(json).toEqual({
      id: expect.stringMatching(/^cmpl-[0-9a-f]{16}$/),
      object: "text_completion",
      created: expect.any(Number),
      model: "fake",
      choices: [{
        index: 0, text: "Hello", logprobs: null, finish_reason: "length", stop_reason: null, token_ids: null,
        prompt_logprobs: null, prompt_token_ids: null, routed_experts: null,
      }],
      service_tier: null,
      system_fingerprint: expect.stringMatching(/^baozi-[^-]+-[0-9a-f]{8}$/),
      usage: {
        prompt_tokens: 3, total_tokens: 8, completion_tokens: 5,
        prompt_tokens_details: { cached_tokens: 0, created_cache_tokens: null, multimodal_tokens: null },
        completion_tokens_details: null,
      },
      kv_transfer_params: null, ec_transfer_params: null, metrics: null,
    })
  })

  test("end at the model's end with reason stop, at 16 tokens without max_tokens", async () => {
    const whole = await api.post(PATH, { prompt: "hi", max_tokens: 100 })
    expect(whole.json.choices[0]).toMatchObject({ text: "Hello, world!", finish_reason: "stop", stop_reason: null })
    const cut = await makeApi({ reply: "a" }).post(PATH, { prompt: "hi", max_tokens: null })
    expect(cut.json.usage.completion_tokens).toBe(16)
  })

  test("put the choices of several prompts one after the other", async () => {
    const byPrompt = makeApi({
      reply: ({ promptTokenIds }) => `${String.fromCharCode(promptTokenIds.at(-1)!)}!<|eos|>`,
    })
    const { json } = await byPrompt.post(PATH, { prompt: ["x", "yy", "zzz"], n: 2, max_tokens: 9 })
    expect(json.choices.map((c: Json) => [c.index, c.text])).toEqual([
      [0, "x!"], [1, "x!"], [2, "y!"], [3, "y!"], [4, "z!"], [5, "z!"],
    ])
    expect(json.usage).toMatchObject({ prompt_tokens: 2 + 3 + 4, completion_tokens: 18 })
  })

  test("take prompts as token ids, one list or several", async () => {
    const one = await api.post(PATH, { prompt: [104, 105], max_tokens: 1 })
    expect(one.json.usage.prompt_tokens).toBe(2)
    const several = await api.post(PATH, { prompt: [[104], [105, 106]], max_tokens: 1 })
    expect(several.json.choices).toHaveLength(2)
    expect(several.json.usage.prompt_tokens).toBe(3)
  })

  test("tell the token ids that were asked for", async () => {
    const { json } = await api.post(PATH, { prompt: "hi", max_tokens: 2, return_token_ids: true })
    expect(json.choices[0]).toMatchObject({ token_ids: [72, 101], prompt_token_ids: [256, 104, 105] })
  })

  test("log-probabilities: parallel lists, the sampled token first, offsets in characters", async () => {
    const wide = makeApi({ reply: "aé🙂b<|eos|>" })
    const { json } = await wide.post(PATH, { prompt: "hi", max_tokens: 3, logprobs: 2 })
    const { logprobs } = json.choices[0]
    expect(logprobs.tokens).toHaveLength(3)
    expect(logprobs.text_offset[0]).toBe(0)
    expect(logprobs.token_logprobs).toEqual([-0.5, -0.5, -0.5])
    expect(Object.keys(logprobs.top_logprobs[0])).toEqual(["a", "b"])
  })

  test("log-probabilities of 0 list the sampled token only", async () => {
    const { json } = await api.post(PATH, { prompt: "hi", max_tokens: 1, logprobs: 0 })
    expect(json.choices[0].logprobs).toEqual({
      text_offset: [0], token_logprobs: [-0.5], tokens: ["H"], top_logprobs: [{ H: -0.5 }],
    })
  })

  test("log-probabilities of the prompt: null for its first token, then by token id", async () => {
    const { json } = await api.post(PATH, { prompt: "hi", max_tokens: 1, prompt_logprobs: 1 })
    expect(json.choices[0].logprobs).toBeNull()
    expect(json.choices[0].prompt_logprobs).toEqual([
      null,
      { 104: { logprob: -0.5, rank: 1, decoded_token: "h" } },
      { 105: { logprob: -0.5, rank: 1, decoded_token: "i" } },
    ])
  })

  test("echo with log-probabilities tells the prompt's too; where no output is asked for, those alone", async () => {
    const { json } = await api.post(PATH, { prompt: [104, 105], max_tokens: 1, logprobs: 2, echo: true })
    expect(json.choices[0].logprobs).toEqual({
      text_offset: [0, 1, 2], tokens: ["h", "i", "H"], token_logprobs: [null, -0.5, -0.5],
      top_logprobs: [null, { i: -0.5, j: -1.5 }, { H: -0.5, I: -1.5 }],
    })
    expect(json.choices[0].prompt_logprobs).toHaveLength(2)
    const alone = await api.post(PATH, { prompt: [104, 105], max_tokens: 0, logprobs: 0, echo: true })
    expect(alone.json.choices[0].logprobs).toMatchObject({ tokens: ["h", "i"], token_logprobs: [null, -0.5] })
    const one = await api.post(PATH, { prompt: [104], max_tokens: 0, logprobs: 0, echo: true })
    expect(one.json.choices[0]).toMatchObject({ prompt_logprobs: [null], logprobs: { tokens: ["h"] } })
  })

  test("chosen tokens in place of the likeliest", async () => {
    await api.post(PATH, { prompt: "hi", max_tokens: 1, logprobs: 2, logprob_token_ids: [7, 9] })
    expect(api.fake.core.added.at(-1)!.sampling).toMatchObject({ logprobs: 2, logprobTokenIds: [7, 9] })
    for (const logprobs of [undefined, 1]) {
      const { status, json } = await api.post(PATH, { prompt: "hi", logprobs, logprob_token_ids: [7, 9] })
      expect(status).toBe(400)
      expect(json.error.param).toBe("logprob_token_ids")
    }
  })

  test("tokens as ids change names and offsets", async () => {
    const { json } = await api.post(PATH, {
      prompt: "hi",
      max_tokens: 3,
      logprobs: 1,
      return_tokens_as_token_ids: true,
    })
    expect(json.choices[0].logprobs.tokens).toEqual(["token_id:72", "token_id:101", "token_id:108"])
    expect(json.choices[0].logprobs.text_offset).toEqual([0, 11, 23])
  })

  test("stop strings and ids are reported as the reason", async () => {
    const byText = await api.post(PATH, { prompt: "hi", max_tokens: 50, stop: ["zz", ", w"] })
    expect(byText.json.choices[0]).toMatchObject({ text: "Hello", finish_reason: "stop", stop_reason: ", w" })
    const kept = await api.post(PATH, { prompt: "hi", max_tokens: 50, stop: ",", include_stop_str_in_output: true })
    expect(kept.json.choices[0].text).toBe("Hello,")
    const byId = await api.post(PATH, { prompt: "hi", max_tokens: 50, stop_token_ids: [44] })
    expect(byId.json.choices[0]).toMatchObject({ text: "Hello", finish_reason: "stop", stop_reason: 44 })
  })

  test("echo puts the prompt first, and max_tokens 0 asks for nothing else", async () => {
    const both = await api.post(PATH, { prompt: "hi ", max_tokens: 2, echo: true })
    expect(both.json.choices[0].text).toBe("hi He")
    const alone = await api.post(PATH, { prompt: "hi ", max_tokens: 0, echo: true })
    expect(alone.json.choices[0]).toMatchObject({ text: "hi ", finish_reason: "length" })
    const ids = await api.post(PATH, { prompt: [104, 105], max_tokens: 1, echo: true })
    expect(ids.json.choices[0].text).toBe("hiH")
  })

  test("a truncated prompt keeps its last tokens and what the tokenizer adds", async () => {
    await api.post(PATH, { prompt: "abcdef", max_tokens: 1, truncate_prompt_tokens: 3 })
    expect(api.fake.core.added.at(-1)!.promptTokenIds).toEqual([256, 101, 102])
    await api.post(PATH, { prompt: "abcdef", max_tokens: 1, truncate_prompt_tokens: 3, truncation_side: "right" })
    expect(api.fake.core.added.at(-1)!.promptTokenIds).toEqual([256, 97, 98])
    await api.post(PATH, { prompt: [1, 2, 3, 4], max_tokens: 1, truncate_prompt_tokens: 2 })
    expect(api.fake.core.added.at(-1)!.promptTokenIds).toEqual([3, 4])
    await api.post(PATH, { prompt: "x".repeat(100_000), max_tokens: 1, truncate_prompt_tokens: -1 })
    expect(api.fake.core.added.at(-1)!.promptTokenIds).toHaveLength(255)
  })

  test("add_special_tokens false leaves the beginning-of-sequence token out", async () => {
    const { json } = await api.post(PATH, { prompt: "hi", max_tokens: 1, add_special_tokens: false })
    expect(json.usage.prompt_tokens).toBe(2)
  })

  test("max_tokens is cut to what the prompt leaves", async () => {
    const endless = makeApi({ reply: "a", model: { maxModelLen: 10 } })
    const { json } = await endless.post(PATH, { prompt: "1234567", max_tokens: 10 })
    expect(json.usage).toMatchObject({ prompt_tokens: 8, completion_tokens: 2 })
  })
})

describe("streams", () => {
  test("send a chunk an output, the fingerprint with the finish, then [DONE]", async () => {
    const { headers, events } = await api.post(PATH, { prompt: "hi", max_tokens: 2, stream: true })
    expect(headers.get("content-type")).toBe("text/event-stream; charset=utf-8")
    const chunk = {
      id: expect.stringMatching(/^cmpl-/), object: "text_completion", created: expect.any(Number), model: "fake",
    }
    const choice = { index: 0, logprobs: null, stop_reason: null, prompt_token_ids: null, token_ids: null }
    expect(events).toEqual([
      { ...chunk, choices: [{ ...choice, text: "H", finish_reason: null }] },
      {
        ...chunk,
        choices: [{ ...choice, text: "e", finish_reason: "length" }],
        system_fingerprint: expect.any(String),
      },
      "[DONE]",
    ])
    expect(new Set(events.slice(0, 2).map((event) => event.id)).size).toBe(1)
  })

  test("join to what is answered without a stream, with every choice finished once", async () => {
    const body = { prompt: ["a", "b"], n: 2, max_tokens: 40 }
    const whole = await api.post(PATH, body)
    const streamed = await api.post(PATH, { ...body, stream: true })
    for (const choice of whole.json.choices) expect(textOf(streamed, choice.index)).toBe(choice.text)
    const finished = streamed.events.flatMap((e) => e.choices ?? []).filter((c: Json) => c.finish_reason !== null)
    expect(finished.map((c: Json) => c.index).sort()).toEqual([0, 1, 2, 3])
  })

  test.each([
    [undefined, { last: undefined, running: undefined }],
    [{ include_usage: false, continuous_usage_stats: true }, { last: undefined, running: undefined }],
    [{ include_usage: true }, { last: 3, running: undefined }],
    [{ include_usage: true, continuous_usage_stats: true }, { last: 3, running: 1 }],
  ])("usage with stream_options %j", async (streamOptions, { last, running }) => {
    const { events } = await api.post(PATH, {
      prompt: "hi",
      max_tokens: 3,
      stream: true,
      stream_options: streamOptions,
    })
    expect(events[0].usage?.completion_tokens).toBe(running)
    const tail = events.at(-2)
    if (last === undefined) expect(tail.choices).toHaveLength(1)
    else {
      expect(tail.choices).toEqual([])
      expect(tail.usage).toEqual({
        prompt_tokens: 3, total_tokens: 6, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 0 },
      })
      expect(tail.system_fingerprint).toBeString()
      expect(events.at(-3).system_fingerprint).toBeUndefined()
    }
  })

  test("echo and prompt ids come with the first chunk only", async () => {
    const echoed = await api.post(PATH, { prompt: "hi ", max_tokens: 2, stream: true, echo: true })
    expect(echoed.events.slice(0, 2).map((e) => e.choices[0].text)).toEqual(["hi H", "e"])
    const ids = await api.post(PATH, { prompt: "hi", max_tokens: 2, stream: true, return_token_ids: true })
    expect(ids.events.slice(0, 2).map((e) => e.choices[0].prompt_token_ids)).toEqual([[256, 104, 105], null])
    expect(ids.events.slice(0, 2).map((e) => e.choices[0].token_ids)).toEqual([[72], [101]])
  })

  test("text offsets go on from chunk to chunk", async () => {
    const { events } = await api.post(PATH, { prompt: "hi", max_tokens: 3, stream: true, logprobs: 1 })
    expect(events.slice(0, 3).map((e) => e.choices[0].logprobs.text_offset)).toEqual([[0], [1], [2]])
  })

  test("held-back text comes with the finish", async () => {
    const answer = await api.post(PATH, { prompt: "hi", max_tokens: 50, stream: true, stop: ["world"] })
    expect(textOf(answer)).toBe("Hello, ")
    expect(answer.events.at(-2).choices[0]).toMatchObject({ finish_reason: "stop", stop_reason: "world" })
  })
})
