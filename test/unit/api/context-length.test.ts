/** Where a request and the model's context meet: bounds that are too far, prompts that are too long, texts to count. */
import { describe, expect, test } from "bun:test"
import { DEFAULT_REQUEST_LIMITS } from "../../../src/api/http/request-limits.ts"
import { makeApi } from "./harness.ts"
import type { Json } from "./harness.ts"

const MAX_MODEL_LEN = 256
const messages = [{ role: "user", content: "hi" }]
const api = makeApi({ reply: "ok<|eos|>" })

describe("a bound beyond the context is as good as none", () => {
  const endpoints: [string, object, string][] = [
    ["/v1/completions", { prompt: "hi" }, "max_tokens"],
    ["/v1/chat/completions", { messages }, "max_tokens"],
    ["/v1/chat/completions", { messages }, "max_completion_tokens"],
    ["/v1/chat/completions/batch", { messages: [messages] }, "max_tokens"],
    ["/v1/messages", { messages }, "max_tokens"],
    ["/v1/responses", { input: "hi" }, "max_output_tokens"],
  ]
  test.each(endpoints)("%s %j %s", async (path, body, field) => {
    for (const tokens of [MAX_MODEL_LEN, MAX_MODEL_LEN + 1, 32_000, 2 ** 31, 2 ** 53, 1e300]) {
      const { status } = await api.post(path, { ...body, [field]: tokens })
      const { sampling, promptTokenIds } = api.fake.core.added.at(-1)!
      expect([tokens, status, sampling.maxTokens]).toEqual([tokens, 200, MAX_MODEL_LEN - promptTokenIds.length])
    }
    const { status, json } = await api.post(path, { ...body, [field]: 0 })
    expect([status, json.error.message]).toEqual([400, expect.stringContaining(field)])
  })

  test("also where a response's conversation is to be cut", async () => {
    const input = Array.from({ length: 20 }, (_, i) => ({ role: "user", content: `turn ${i}` }))
    const prompts: Json[] = []
    for (const max_output_tokens of [undefined, 32_000]) {
      expect((await api.post("/v1/responses", { input, truncation: "auto", max_output_tokens })).status).toBe(200)
      prompts.push(api.fake.core.added.at(-1)!.promptTokenIds)
    }
    expect(prompts[1]).toEqual(prompts[0])
  })
})

describe("a prompt that is too long has the code that agents know", () => {
  const endpoints: [string, (text: string) => object][] = [
    ["/v1/completions", (prompt) => ({ prompt })],
    ["/v1/chat/completions", (content) => ({ messages: [{ role: "user", content }] })],
    ["/v1/chat/completions/batch", (content) => ({ messages: [[{ role: "user", content }]] })],
    ["/v1/responses", (input) => ({ input })],
    ["/v1/responses", (input) => ({ input, stream: true })],
    ["/v1/chat/completions", (content) => ({ messages: [{ role: "user", content }], stream: true })],
  ]
  test.each(endpoints)("%s", async (path, bodyOf) => {
    for (const length of [MAX_MODEL_LEN, 300, 1_000_000]) {
      const { status, json } = await api.post(path, bodyOf("x".repeat(length)))
      expect([length, status, json.error]).toEqual([length, 400, {
        message: expect.stringContaining(`maximum context length is ${MAX_MODEL_LEN} tokens`), type: "BadRequestError",
        param: expect.stringMatching(/^input_(tokens|text)$/), code: "context_length_exceeded",
      }])
    }
  })

  test("and other refusals have the status", async () => {
    expect((await api.post("/v1/completions", { prompt: "hi", temperature: 3 })).json.error.code).toBe(400)
    expect((await api.post("/v1/completions", { prompt: "hi", model: "nope" })).json.error.code).toBe(404)
  })
})

describe("texts of any length are counted", () => {
  const text = "x".repeat(300_000)
  const cases: [string, object, (json: Json) => number][] = [
    ["/tokenize", { prompt: text }, ({ tokens }) => tokens.length],
    ["/tokenize", { messages: [{ role: "user", content: text }] }, ({ count }) => count],
    ["/v1/messages/count_tokens", { messages: [{ role: "user", content: text }] }, ({ input_tokens }) => input_tokens],
    ["/v1/responses/input_tokens", { input: text }, ({ input_tokens }) => input_tokens],
  ]
  test.each(cases)("by %s", async (path, body, count) => {
    const { status, json } = await api.post(path, body)
    expect(status).toBe(200)
    expect(count(json)).toBeGreaterThanOrEqual(text.length)
    expect(count(json)).toBeLessThan(text.length + 100)
  })
})

describe("stop strings", () => {
  const stops = Array.from({ length: 128 }, (_, i) => `never ${i}`)
  const endpoints: [string, object, string][] = [
    ["/v1/completions", { prompt: "hi" }, "stop"],
    ["/v1/chat/completions", { messages }, "stop"],
    ["/v1/messages", { messages, max_tokens: 5 }, "stop_sequences"],
    ["/v1/responses", { input: "hi" }, "stop"],
  ]
  test.each(endpoints)("%s %j: up to the server's own limit", async (path, body, field) => {
    expect((await api.post(path, { ...body, [field]: stops })).status).toBe(200)
    expect((await api.post(path, { ...body, [field]: [...stops, "x"] })).status).toBe(400)
    const limited = makeApi({ api: { requestLimits: { ...DEFAULT_REQUEST_LIMITS, maxStopStrings: 5 } } })
    expect((await limited.post(path, { ...body, [field]: stops.slice(0, 5) })).status).toBe(200)
    expect((await limited.post(path, { ...body, [field]: stops.slice(0, 6) })).status).toBe(400)
  })
})
