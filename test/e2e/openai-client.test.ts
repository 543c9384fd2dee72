/** The `openai` client from npm against the compiled executable: the round that every user makes. */
import { describe, expect, test } from "bun:test"
import OpenAI from "openai"
import { defaultModel } from "./models.ts"
import { metric, post, serving, until } from "./serving.ts"

const { skip, server } = serving(defaultModel(), ["--served-model-name", "smollm2"])
const client = (): OpenAI => new OpenAI({ baseURL: `${server().url}/v1`, apiKey: "none", maxRetries: 0 })
const question = [{ role: "user" as const, content: "What is the capital of France?" }]

describe.skipIf(skip)("the openai client", () => {
  test("lists the model", async () => {
    const models = await client().models.list()
    expect(models.data.map((model) => model.id)).toEqual(["smollm2"])
  })

  test("completes a prompt", async () => {
    const answer = await client().completions.create({
      model: "smollm2", prompt: "The capital of France is", max_tokens: 4, temperature: 0,
    })
    expect(answer.choices[0]!.text).toStartWith(" Paris")
    expect(answer.usage).toMatchObject({ prompt_tokens: 5, completion_tokens: 4, total_tokens: 9 })
  })

  test("chats", async () => {
    const answer = await client().chat.completions.create({ model: "smollm2", messages: question, temperature: 0 })
    expect(answer.choices[0]!.message.content).toBe("The capital of France is Paris.")
    expect(answer.choices[0]!.finish_reason).toBe("stop")
  })

  test("has many conversations answered at once, and either kind of request where hosts send both", async () => {
    const other = [{ role: "user" as const, content: "What is the capital of Italy?" }]
    const body = { messages: [question, other], temperature: 0 }
    const batch = await client().post<OpenAI.ChatCompletion>("/chat/completions/batch", { body })
    const alone = await client().chat.completions.create({ model: "smollm2", messages: other, temperature: 0 })
    expect(batch.choices.map(({ index, message }) => [index, message.content]))
      .toEqual([[0, "The capital of France is Paris."], [1, alone.choices[0]!.message.content]])
    for (const asked of [{ messages: question }, { prompt: "The capital of France is" }]) {
      const answer = await post(server(), "/invocations", { ...asked, temperature: 0 })
      expect(await answer.text()).toContain("Paris")
    }
  })

  test("streams what it would have answered at once", async () => {
    const stream = await client().chat.completions.create({
      model: "smollm2", messages: question, temperature: 0, stream: true, stream_options: { include_usage: true },
    })
    let text = ""
    let completionTokens = 0
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ""
      completionTokens = chunk.usage?.completion_tokens ?? completionTokens
    }
    expect(text).toBe("The capital of France is Paris.")
    expect(completionTokens).toBe(8)
  })

  test("several choices of one seed differ, and the same seed gives the same choices again", async () => {
    const ask = async () => {
      const answer = await client().completions.create({
        model: "smollm2", prompt: "Once upon a time", max_tokens: 12, temperature: 1, n: 3, seed: 42,
      })
      return answer.choices.map((choice) => choice.text)
    }
    const [first, second] = [await ask(), await ask()]
    expect(new Set(first).size).toBe(3)
    expect(second).toEqual(first)
  })

  test("an aborted stream frees its request", async () => {
    const stream = await client().completions.create({
      model: "smollm2", prompt: "Count:", max_tokens: 4000, stream: true, temperature: 0,
    })
    for await (const chunk of stream) {
      expect(chunk.choices[0]!.finish_reason).toBeNull()
      break
    }
    stream.controller.abort()
    await until("nothing runs", async () => (await metric(server(), "vllm:num_requests_running")) === 0)
    expect(await metric(server(), "vllm:kv_cache_usage_perc")).toBe(0)
  })

  test("errors carry the server's words", async () => {
    const error: unknown = await client().chat.completions.create({ model: "nope", messages: question }).catch((e) => e)
    expect(error).toMatchObject({ status: 404, type: "NotFoundError", param: "model" })
  })
})
