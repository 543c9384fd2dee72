/** The official client against the server: what it sends is understood, what it gets back it can read. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import OpenAI from "openai"
import { startServer } from "../../src/api/http/server.ts"
import type { ApiServer } from "../../src/api/http/server.ts"
import { makeLog } from "../../src/base/log.ts"
import { ChatTemplate } from "../../src/text/chat-template.ts"
import { makeFakeEngine } from "../fake-engine.ts"
import { until } from "../unit/api/harness.ts"

const fake = makeFakeEngine({
  reply: "Hello there<|eos|>", stepMs: 1, chatTemplate: ChatTemplate.parse("{{ messages[0]['content'] }}"),
})
const messages = [{ role: "user" as const, content: "hi" }]
let server: ApiServer
let client: OpenAI

beforeAll(async () => {
  const log = makeLog({ write: () => {} })
  server = await startServer({ host: "127.0.0.1", port: 0, apiKeys: ["key"], log }, fake.engine)
  client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "key", maxRetries: 0 })
})
afterAll(() => server.stop())

test("lists and describes models", async () => {
  expect((await client.models.list()).data.map(({ id }) => id)).toEqual(["fake"])
  expect((await client.models.retrieve("fake")).id).toBe("fake")
})

test("completes and chats", async () => {
  const completion = await client.completions.create({ model: "fake", prompt: "x", max_tokens: 5 })
  expect(completion.choices[0]!.text).toBe("Hello")
  const chat = await client.chat.completions.create({ model: "fake", messages, logprobs: true, top_logprobs: 2 })
  expect(chat.choices[0]!.message.content).toBe("Hello there")
  expect(chat.choices[0]!.logprobs!.content![0]!.top_logprobs).toHaveLength(2)
})

test("streams", async () => {
  const body = { model: "fake", messages, stream: true as const, stream_options: { include_usage: true } }
  const stream = await client.chat.completions.create(body)
  let text = ""
  let completionTokens = 0
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? ""
    completionTokens = chunk.usage?.completion_tokens ?? completionTokens
  }
  expect(text).toBe("Hello there")
  expect(completionTokens).toBe(12)
})

test("aborts in the middle of a stream", async () => {
  const endless = { model: "fake", messages, stream: true as const, max_tokens: 100, stop: ["zzz"], ignore_eos: true }
  const stream = await client.chat.completions.create(endless)
  for await (const _ of stream) break
  stream.controller.abort()
  await until(() => fake.numLive() === 0, "the abort")
})

test("gets errors as its own classes", async () => {
  const wrong = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "wrong", maxRetries: 0 })
  const complete = (model: string, prompt: string) => async () => await client.completions.create({ model, prompt })
  await expect((async () => await wrong.models.list())()).rejects.toBeInstanceOf(OpenAI.AuthenticationError)
  await expect(complete("nope", "x")()).rejects.toBeInstanceOf(OpenAI.NotFoundError)
  await expect(complete("fake", "")()).rejects.toMatchObject({ status: 400, param: "prompt" })
})
