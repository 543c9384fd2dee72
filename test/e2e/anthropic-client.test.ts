/** The `@anthropic-ai/sdk` client from npm against the compiled executable. */
import { describe, expect, test } from "bun:test"
import Anthropic from "@anthropic-ai/sdk"
import { defaultModel } from "./models.ts"
import { metric, serving, until } from "./serving.ts"

const { skip, server } = serving(defaultModel(), ["--served-model-name", "smollm2", "--block-size", "16", "--api-key", "secret"])
const client = (apiKey = "secret"): Anthropic => new Anthropic({ baseURL: server().url, apiKey, maxRetries: 0 })
const question = { role: "user" as const, content: "What is the capital of France?" }
const textOf = ({ content }: Anthropic.Message): string =>
  content.map((block) => (block.type === "text" ? block.text : block.type)).join("")
const body = { model: "smollm2", max_tokens: 30, temperature: 0, messages: [question] }

describe.skipIf(skip)("the @anthropic-ai/sdk client", () => {
  test("gets a message", async () => {
    const message = await client().messages.create({ ...body, system: "Answer in one sentence." })
    expect(textOf(message)).toBe("The capital of France is Paris.")
    expect(message).toMatchObject({ type: "message", role: "assistant", model: "smollm2", stop_reason: "end_turn" })
    expect(message.usage.output_tokens).toBe(8)
  })

  test("streams to the same message, and sees what was cached", async () => {
    const prompt = { ...body, messages: [{ ...question, content: `${"Paris is a city. ".repeat(10)} Which city?` }] }
    const whole = await client().messages.create(prompt)
    const stream = client().messages.stream(prompt)
    let text = ""
    stream.on("text", (delta) => (text += delta))
    const message = await stream.finalMessage()
    expect([textOf(message), text]).toEqual([textOf(whole), textOf(whole)])
    expect(message.stop_reason).toBe(whole.stop_reason)
    const promptTokens = ({ usage }: Anthropic.Message) => usage.input_tokens + (usage.cache_read_input_tokens ?? 0)
    expect(message.usage.cache_read_input_tokens).toBeGreaterThan(0)
    expect(promptTokens(message)).toBe(promptTokens(whole))
  })

  test("stops at its sequences, and goes on with what it began", async () => {
    const stopped = await client().messages.create({ ...body, stop_sequences: [" Paris"] })
    expect(stopped).toMatchObject({ stop_reason: "stop_sequence", stop_sequence: " Paris" })
    const begun = { role: "assistant" as const, content: "The capital of France is" }
    expect(textOf(await client().messages.create({ ...body, messages: [question, begun] }))).toMatch(/^ Paris/)
  })

  test("counts tokens", async () => {
    const { input_tokens } = await client().messages.countTokens({ model: "smollm2", messages: [question] })
    expect(input_tokens).toBe(37)
  })

  test("aborts in the middle of a stream", async () => {
    const stream = client().messages.stream({ ...body, max_tokens: 4000, messages: [question] })
    for await (const event of stream) if (event.type === "content_block_delta") break
    stream.abort()
    await until("the request to end", async () => (await metric(server(), "vllm:num_requests_running")) === 0)
  })

  test("gets errors as its own classes", async () => {
    const ask = (apiKey: string, model: string) => async () => await client(apiKey).messages.create({ ...body, model })
    await expect(ask("wrong", "smollm2")()).rejects.toBeInstanceOf(Anthropic.AuthenticationError)
    await expect(ask("secret", "nope")()).rejects.toBeInstanceOf(Anthropic.NotFoundError)
    const hot = { ...body, temperature: 9 }
    await expect((async () => await client().messages.create(hot))()).rejects.toMatchObject({
      status: 400, error: { type: "error", error: { type: "invalid_request_error" } },
    })
  })
})
