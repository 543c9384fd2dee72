import { describe, expect, test } from "bun:test"
import { makeApi } from "./harness.ts"

const PATH = "/v1/completions"

describe("use_beam_search", () => {
  const api = makeApi({ reply: "Hello" })

  test("gives n choices, best first, and counts the tokens of all", async () => {
    const fields = { n: 2, max_tokens: 3, temperature: 0, use_beam_search: true }
    const { status, json } = await api.post(PATH, { prompt: "hi", ...fields })
    expect(status).toBe(200)
    expect(json.choices.map(({ text }: { text: string }) => text)).toEqual(["HHH", "HHI"])
    expect(json.usage.completion_tokens).toBe(6)
    const chat = await api.post("/v1/chat/completions", {
      messages: [{ role: "user", content: "hi" }], n: 2, max_tokens: 2, use_beam_search: true, logprobs: true,
    })
    expect(chat.json.choices[1]).toMatchObject({ message: { content: "HI" }, finish_reason: "length" })
    expect(chat.json.choices[1].logprobs.content.map((each: { token: string }) => each.token)).toEqual(["H", "I"])
    expect(api.fake.engine.numUnfinished()).toBe(0)
  })

  test.each([
    ["a stream", { stream: true }, null],
    ["stop strings", { stop: "x" }, "stop"],
    ["stop ids", { stop_token_ids: [4] }, "stop_token_ids"],
    ["a bias", { logit_bias: { "5": 1 } }, "logit_bias"],
    ["a penalty", { repetition_penalty: 1.5 }, "repetition_penalty"],
    ["tokens of one's own", { logprobs: 1, logprob_token_ids: [4] }, "logprob_token_ids"],
    ["the prompt's log-probabilities", { prompt_logprobs: 1 }, "prompt_logprobs"],
    ["too wide a beam", { n: 11 }, "n"],
  ])("refuses %s", async (_, fields, param) => {
    const { status, json } = await api.post(PATH, { prompt: "hi", max_tokens: 2, use_beam_search: true, ...fields })
    expect(status).toBe(400)
    expect(json.error.param).toBe(param)
  })

  test("needs log-probabilities, not logits", async () => {
    const logits = makeApi({ model: { logprobsMode: "raw_logits" } })
    expect((await logits.post(PATH, { prompt: "hi", use_beam_search: true })).status).toBe(400)
  })
})
