import { expect, test } from "bun:test"
import { makeApi } from "./harness.ts"

const requestLimits = { maxN: 3, maxPrompts: 2, maxMessages: 2, maxStopStrings: 5, maxStopLength: 6 }
const api = makeApi({ reply: "ok<|eos|>", api: { requestLimits } })
const say = { role: "user", content: "hi" }

const refused: [string, string, object, string | null, RegExp][] = [
  ["n", "/v1/completions", { prompt: "a", n: 4 }, null, /at most 3, got 4/],
  ["prompts", "/v1/completions", { prompt: ["a", "b", "c"] }, "prompt", /At most 2 prompts .* got 3/],
  ["prompts as ids", "/v1/completions", { prompt: [[1], [2], [3]] }, "prompt", /At most 2 prompts/],
  ["messages", "/v1/chat/completions", { messages: [say, say, say] }, "messages", /At most 2 messages .* got 3/],
  ["conversations", "/v1/chat/completions/batch", { messages: [[say], [say], [say]] }, "messages", /At most 2 .* got 3/],
  ["one of them", "/v1/chat/completions/batch", { messages: [[say], [say, say, say]] }, "messages", /a conversation, got 3/],
  ["stop strings", "/v1/completions", { prompt: "a", stop: Array(6).fill("x") }, "body.stop", /at most 5 strings.* 6/],
  ["a long stop string", "/v1/completions", { prompt: "a", stop: "1234567" }, "body.stop", /at most 6 .* of 7/],
  ["one of several", "/v1/completions", { prompt: "a", stop: ["1", "1234567"] }, "body.stop", /at most 6 .* of 7/],
]
test.each(refused)("beyond its limit: %s", async (_, path, body, param, message) => {
  const { status, json } = await api.post(path, body)
  expect([status, json.error.param]).toEqual([400, param])
  expect(json.error.message).toMatch(message)
})

const allowed: [string, object][] = [
  ["/v1/completions", { prompt: [1, 2, 3, 4], n: 3, stop: Array(5).fill("123456") }],
  ["/v1/completions", { prompt: ["a", "b"] }],
  ["/v1/chat/completions", { messages: [say, say] }],
  ["/v1/chat/completions/batch", { messages: [[say, say], [say, say]] }],
]
test.each(allowed)("at its limit: %s %j", async (path, body) => {
  expect((await api.post(path, body)).status).not.toBe(400)
})
