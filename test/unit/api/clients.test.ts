/** What clients from npm make of reasoning and tool calls, whole and streamed. */
import { describe, expect, test } from "bun:test"
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import Anthropic from "@anthropic-ai/sdk"
import { generateText, jsonSchema, streamText, type ToolSet } from "ai"
import OpenAI from "openai"
import { makeApi } from "./harness.ts"

const CALL = "<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1, \"b\": 2}}</tool_call>"
const REPLY = `hm</think>\n\nI add. ${CALL}<|eos|>`

const { app } = makeApi({
  reply: REPLY, tokensPerStep: 3, api: { reasoningParser: "qwen3", toolParser: "hermes" }, model: { maxModelLen: 4096 },
})
/** Requests go to the application, not to a socket. */
const toApp = ((url: string, init?: RequestInit) => app.handle(new Request(url, init))) as unknown as typeof fetch
const question = { role: "user" as const, content: "1 + 2?" }
const parameters = { type: "object" as const, properties: { a: { type: "number" }, b: { type: "number" } } }

describe("the openai client", () => {
  const client = new OpenAI({ baseURL: "http://localhost/v1", apiKey: "none", maxRetries: 0, fetch: toApp })
  const add = { type: "function" as const, function: { name: "add", parameters } }
  const call = { type: "function", function: { name: "add", arguments: "{\"a\": 1, \"b\": 2}" } }

  test("gets a chat's calls, and the same from its stream", async () => {
    const body = { model: "fake", messages: [question], tools: [add] }
    const whole = (await client.chat.completions.create(body)).choices[0]!
    expect(whole.finish_reason).toBe("tool_calls")
    expect(whole.message).toMatchObject({ content: "\n\nI add.", reasoning: "hm", tool_calls: [call] })
    const streamed = await client.chat.completions.stream(body).finalChatCompletion()
    expect(streamed.choices[0]).toMatchObject({
      finish_reason: "tool_calls", message: { content: "\n\nI add.", tool_calls: [call] },
    })
  })

  test("gets a response's items, and the same from its stream", async () => {
    const tools = [{ type: "function" as const, name: "add", parameters, strict: null }]
    const body = { model: "fake", input: "1 + 2?", tools }
    const whole = await client.responses.create(body)
    const streamed = await client.responses.stream(body).finalResponse()
    for (const { output, output_text } of [whole, streamed]) {
      expect(output.map(({ type }) => type)).toEqual(["reasoning", "message", "function_call"])
      expect(output_text).toBe("\n\nI add.")
      expect(output[2]).toMatchObject({ name: "add", arguments: "{\"a\": 1, \"b\": 2}", status: "completed" })
    }
  })
})

test("the openai and the @anthropic-ai/sdk clients list the models, each by its own fields", async () => {
  const options = { baseURL: "http://localhost", apiKey: "none", maxRetries: 0, fetch: toApp }
  const [theirs] = (await new Anthropic(options).models.list()).data
  const ours = await new OpenAI({ ...options, baseURL: "http://localhost/v1" }).models.retrieve("fake")
  expect(ours).toMatchObject({ id: "fake", object: "model", owned_by: "baozi" })
  expect(theirs).toMatchObject({
    id: "fake", type: "model", display_name: "fake", created_at: new Date(ours.created * 1000).toISOString(),
    max_input_tokens: 4096, max_tokens: 4096,
  })
  const all: string[] = []
  for await (const { id } of new Anthropic(options).models.list({ limit: 1 })) all.push(id)
  expect(all).toEqual(["fake"])
})

test("the @anthropic-ai/sdk client gets a message's blocks, and the same from its stream", async () => {
  const client = new Anthropic({ baseURL: "http://localhost", apiKey: "none", maxRetries: 0, fetch: toApp })
  const tools = [{ name: "add", input_schema: parameters }]
  const body = { model: "fake", max_tokens: 300, messages: [question], tools }
  const whole = await client.messages.create(body)
  const streamed = await client.messages.stream(body).finalMessage()
  for (const { content, stop_reason } of [whole, streamed]) {
    expect(stop_reason).toBe("tool_use")
    expect(content).toMatchObject([
      { type: "thinking", thinking: "hm" }, { type: "text", text: "\n\nI add." },
      { type: "tool_use", name: "add", input: { a: 1, b: 2 } },
    ])
  }
})

test("the Vercel AI SDK gets calls with their arguments, and the reasoning", async () => {
  const provider = createOpenAICompatible({ name: "baozi", baseURL: "http://localhost/v1", fetch: toApp })
  const tools: ToolSet = { add: { inputSchema: jsonSchema<never>(parameters) } }
  const asked = { model: provider("fake"), prompt: "1 + 2?", tools }
  const call = { toolName: "add", input: { a: 1, b: 2 } }
  const whole = await generateText(asked)
  expect([whole.finishReason, whole.reasoningText]).toEqual(["tool-calls", "hm"])
  expect(whole.toolCalls).toMatchObject([call])
  const streamed = streamText(asked)
  await streamed.consumeStream()
  expect([await streamed.finishReason, await streamed.reasoningText]).toEqual(["tool-calls", "hm"])
  expect(await streamed.toolCalls).toMatchObject([call])
})
