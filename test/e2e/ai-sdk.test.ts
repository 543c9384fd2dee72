/** The Vercel AI SDK with its provider for compatible servers, against the compiled executable. */
import { describe, expect, test } from "bun:test"
import { createOpenAICompatible } from "@ai-sdk/openai-compatible"
import { generateText, streamText } from "ai"
import { defaultModel } from "./models.ts"
import { metric, serving, until } from "./serving.ts"

const { skip, server } = serving(defaultModel(), ["--served-model-name", "smollm2"])
const provider = () => createOpenAICompatible({ name: "baozi", baseURL: `${server().url}/v1`, includeUsage: true })
const prompt = "What is the capital of France?"

describe.skipIf(skip)("the Vercel AI SDK", () => {
  test("generates text", async () => {
    const { text, finishReason, usage } = await generateText({ model: provider()("smollm2"), prompt, temperature: 0 })
    expect([text, finishReason]).toEqual(["The capital of France is Paris.", "stop"])
    expect(usage).toMatchObject({ inputTokens: 37, outputTokens: 8 })
  })

  test("streams the same text", async () => {
    const { textStream, usage } = streamText({ model: provider()("smollm2"), prompt, temperature: 0 })
    let text = ""
    for await (const part of textStream) text += part
    expect(text).toBe("The capital of France is Paris.")
    expect(await usage).toMatchObject({ inputTokens: 37, outputTokens: 8 })
  })

  test("completes a prompt", async () => {
    const model = provider().completionModel("smollm2")
    const start = "The capital of France is"
    const { text } = await generateText({ model, prompt: start, temperature: 0, maxOutputTokens: 4 })
    expect(text.length).toBeGreaterThan(0)
  })

  test("aborts in the middle of a stream", async () => {
    const abort = new AbortController()
    const { textStream } = streamText({
      model: provider()("smollm2"), prompt, maxOutputTokens: 4000, abortSignal: abort.signal, onError: () => {},
    })
    for await (const _ of textStream) abort.abort()
    await until("the request to end", async () => (await metric(server(), "vllm:num_requests_running")) === 0)
  })

  test("says what was refused", async () => {
    const asking = generateText({ model: provider()("smollm2"), prompt, temperature: 9, maxRetries: 0 })
    await expect((async () => await asking)()).rejects.toMatchObject({
      statusCode: 400, message: expect.stringContaining("temperature"),
    })
  })
})
